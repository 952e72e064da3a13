"""Fig 5.5, row ELU: ELU instead of ReLU.

Expected: units that are never quite off train at least as well.

Measured after 1,000 steps, four seeds: test accuracy 70.9 % [68.3, 73.6], -1.7 points from
Original's with the same seeds (not told apart after correction for twelve); published after 10,000
steps: 49.3 %.

    python main.py --config=configs/ablation/elu.py --workdir=runs/elu \
        --config.data.name=cifar10 --config.train.num_steps=1000 --config.train.num_seeds=4
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "elu"
    config.model.activation = "elu"
    return config
