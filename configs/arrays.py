"""The five arrays of cats and dogs the study worked with (Fig 3.2), as one .npz file.

python main.py --config=configs/arrays.py --workdir=runs/arrays --config.data.name=cifar10
"""

from configs import default


def get_config():
    """The data of the default, its training images twice as in the study."""
    config = default.get_config()
    config.name = "arrays"
    config.job = "arrays"
    config.data.train_repeats = 2
    return config
