"""Raw against average-hash images, side by side (Fig 6.1).

python main.py --config=configs/compare.py --workdir=runs/compare --config.data.name=cifar10
"""

from ml_collections import ConfigDict

from configs import default


def get_config():
    """Two runs that differ in preprocessing only."""
    config = default.get_config()
    config.name = "compare"
    config.runs = ConfigDict(
        {
            "original": {"preprocess": "raw", "published": "original"},
            "phash": {"preprocess": "average_hash", "published": "phash"},
        }
    )
    return config
