"""The same network trained on average-hash images (Fig 5.7 to 5.9).

python main.py --config=configs/phash.py --workdir=runs/phash --config.data.name=cifar10
"""

from configs import default


def get_config():
    """The default, on images of 0 and 1."""
    config = default.get_config()
    config.name = "phash"
    config.published = "phash"
    config.preprocess = "average_hash"
    return config
