"""Fig 5.5, row Gradient Descent: plain gradient descent instead of Adam, same learning rate.

Expected: 1e-4 without momentum or scaling hardly moves the weights.

Measured after 1,000 steps, four seeds: test accuracy 56.2 % [53.6, 58.8], -16.4 points from
Original's with the same seeds (worse); published after 10,000 steps: 54.1 %.

    python main.py --config=configs/ablation/gradient_descent.py --workdir=runs/gradient_descent \
        --config.data.name=cifar10 --config.train.num_steps=1000 --config.train.num_seeds=4
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "gradient_descent"
    config.optimizer.name = "sgd"
    return config
