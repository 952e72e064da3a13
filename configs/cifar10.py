"""All ten classes of CIFAR-10, raw, where the study's network learned nothing (about 10 %).

    python main.py --config=configs/cifar10.py --workdir=runs/cifar10 --config.train.num_steps=6000

Measured this way: test accuracy 65.5 % (one seed).
"""

from configs import original


def get_config():
    """The original network with ten outputs."""
    config = original.get_config()
    config.name = "cifar10"
    config.published = "ten_classes"
    config.data.name = "cifar10"
    config.data.classes = ""
    return config
