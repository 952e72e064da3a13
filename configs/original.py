"""The study's original network, trained on raw images (Fig 5.2 to 5.4 and 5.6).

python main.py --config=configs/original.py --workdir=runs/original --config.data.name=cifar10
"""

from configs import default


def get_config():
    """The default, under the study's name."""
    config = default.get_config()
    config.name = "original"
    config.published = "original"
    return config
