"""Fig 5.5, row Epoch 100: batches of 100 instead of 64.

Expected: more pictures in as many steps, so a higher training accuracy.

    python main.py --config=configs/ablation/batch_100.py --workdir=runs/batch_100 \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "batch_100"
    config.train.batch_size = 100
    return config
