"""Fig 5.5, row Uniform: weights uniform from 0 to 1, TensorFlow's random_uniform of 2017.

Expected: weights without a sign or a scale blow up from layer to layer and cannot learn.

Measured after 1,000 steps, four seeds: test accuracy 50.0 % with each of them, -22.6 points from
Original's with the same seeds (worse); published after 10,000 steps: 47.2 %.

    python main.py --config=configs/ablation/uniform.py --workdir=runs/uniform \
        --config.data.name=cifar10 --config.train.num_steps=1000 --config.train.num_seeds=4
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "uniform"
    config.model.kernel_init = "uniform"
    return config
