"""A distorted test set in CIFAR-10-C's files, for other people's models.

    python main.py --config=configs/export_distorted.py --workdir=runs/distorted \
        --config.data.name=cifar10 --config.data.classes=

writes <distortion>.npy (uint8, five severities one after another) and labels.npy.
"""

from configs import default


def get_config():
    """CIFAR-10-C's distortions of the test images."""
    config = default.get_config()
    config.job = config.name = "export_distorted"
    config.distortions.names = "cifar10c,extra"
    return config
