"""All ten classes of CIFAR-10, raw against average-hash images.

    python main.py --config=configs/cifar10.py --workdir=runs/cifar10 \
        --config.train.num_steps=6000 --config.train.num_seeds=3

The study tried its network on raw images of the ten classes, where it learned nothing (about 10 %),
and went on with cats and dogs. Of the images of the other eight classes nothing here was chosen on.
"""

from ml_collections import ConfigDict

from configs import default


def get_config():
    """The original network with ten outputs, on both inputs."""
    config = default.get_config()
    config.name = "cifar10"
    config.data.name = "cifar10"
    config.data.classes = ""
    config.runs = ConfigDict(
        {
            "ten_classes": {"preprocess": "raw", "published": "ten_classes"},
            "ten_classes_phash": {"preprocess": "average_hash", "published": "none"},
        }
    )
    return config
