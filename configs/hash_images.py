"""Hashes a folder of your pictures, writes a catalog of them, and lists near-duplicates.

python main.py --config=configs/hash_images.py --workdir=DIR --config.pictures.path=FOLDER
"""

from configs import default


def get_config():
    """The default's hashes and radius; the folder is named by --config.pictures.path."""
    config = default.get_config()
    config.name = "hash_images"
    config.job = "hash_images"
    return config
