"""A dataset's images as PNG files and a Parquet catalog of them with their hashes (Fig 3.1).

python main.py --config=configs/catalog.py --workdir=runs/catalog --config.data.name=cifar10

Queries: python -m phash_jax.catalog runs/catalog "SELECT ..."
"""

from configs import default


def get_config():
    """All classes of the data."""
    config = default.get_config()
    config.name = "catalog"
    config.job = "catalog"
    config.data.classes = ""
    return config
