"""Fig 5.5, row Epoch 128: batches of 128 instead of 64.

Expected: twice the pictures in as many steps, so a higher training accuracy.

    python main.py --config=configs/ablation/batch_128.py --workdir=runs/batch_128 \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "batch_128"
    config.train.batch_size = 128
    return config
