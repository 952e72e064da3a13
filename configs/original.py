"""The study's original network, trained on raw images (Fig 5.2 to 5.4 and 5.6).

python main.py --config=configs/original.py --workdir=runs/original --config.data.name=cifar10

Measured after 6,000 steps, 3 seeds (the run original of compare, which is the same): test accuracy
75.1 % [72.0, 78.2], at contrast 200 65.7 % [64.0, 67.4]; published 54.6 and 49.6 %, of a network
whose training images were scrambled (as_published).
"""

from configs import default


def get_config():
    """The default, under the study's name."""
    config = default.get_config()
    config.name = "original"
    config.published = "original"
    return config
