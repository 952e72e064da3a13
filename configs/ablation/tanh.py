"""Fig 5.5, row TanH: tanh instead of ReLU.

Expected: saturating units train more slowly.

    python main.py --config=configs/ablation/tanh.py --workdir=runs/tanh \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "tanh"
    config.model.activation = "tanh"
    return config
