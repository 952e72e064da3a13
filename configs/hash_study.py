"""Hashes of distorted pictures, and distances within and between classes (Fig 4.1 to 4.9).

python main.py --config=configs/hash_study.py --workdir=runs/hash_study --config.data.name=cifar10

Your own picture: --config.hash_study.picture=photo.jpg. On CIFAR-10, with gray as Pillow made it
before 7.0, the average hash has exactly the published 270, 346 and 139 pairs under 10 hex digits;
the other two hashes have other numbers.
"""

from configs import default


def get_config():
    """Cats, dogs and trucks."""
    config = default.get_config()
    config.name = "hash_study"
    config.job = "hash_study"
    config.data.classes = "cat,dog,truck"
    config.data.train_size = 600
    config.data.test_size = 30
    return config
