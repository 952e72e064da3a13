"""Fig 5.5, row Adagrad: Adagrad instead of Adam, same learning rate.

Expected: its steps shrink, so it learns little in as many.

    python main.py --config=configs/ablation/adagrad.py --workdir=runs/adagrad \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "adagrad"
    config.optimizer.name = "adagrad"
    return config
