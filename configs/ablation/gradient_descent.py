"""Fig 5.5, row Gradient Descent: plain gradient descent instead of Adam, same learning rate.

Expected: 1e-4 without momentum or scaling hardly moves the weights.

    python main.py --config=configs/ablation/gradient_descent.py --workdir=runs/gradient_descent \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "gradient_descent"
    config.optimizer.name = "sgd"
    return config
