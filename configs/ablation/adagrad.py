"""Fig 5.5, row Adagrad: Adagrad instead of Adam, same learning rate.

Expected: its steps shrink, so it learns little in the same number of steps.

Measured after 1,000 steps, four seeds: test accuracy 58.2 % [56.6, 59.7], -14.5 points from
Original's with the same seeds (worse); published after 10,000 steps: 49.1 %.

    python main.py --config=configs/ablation/adagrad.py --workdir=runs/adagrad \
        --config.data.name=cifar10 --config.train.num_steps=1000 --config.train.num_seeds=4
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "adagrad"
    config.optimizer.name = "adagrad"
    return config
