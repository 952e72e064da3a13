"""The study's own comparison: raw images scrambled by its loader, hashed images intact.

    python main.py --config=configs/as_published.py --workdir=runs/as_published \
        --config.data.name=cifar10 --config.train.num_steps=6000 --config.train.num_seeds=3

Measured this way: test accuracy scrambled 52.8 % [46.9, 58.7], hashed 68.2 % [66.4, 69.9] (the run
of compare, which is the same); published 54.6 and 68.2 %.

The study read interleaved pixels as planar ones in the raw training set only, and tested on intact
images, so its raw network learned next to nothing of use on the test set.
"""

from ml_collections import ConfigDict

from configs import default


def get_config():
    """Two runs: the first trained on scrambled images, both tested on intact ones."""
    config = default.get_config()
    config.name = "as_published"
    config.runs = ConfigDict(
        {
            "scrambled": {
                "preprocess": "raw",
                "published": "original",
                "data": {"scramble_train": True},
            },
            "phash": {"preprocess": "average_hash", "published": "phash"},
        }
    )
    return config
