"""The recipe of best_raw on images of one bit a value.

python main.py --config=configs/best_phash.py --workdir=runs/best_phash --config.data.name=cifar10
"""

from configs import best_raw


def get_config():
    """The recipe of best_raw, with hash images."""
    config = best_raw.get_config()
    config.name = "best_phash"
    config.preprocess = "local_average_hash"
    return config
