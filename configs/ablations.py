"""All 13 rows of Fig 5.5, one after another: the original and its twelve changes.

    python main.py --config=configs/ablations.py --workdir=runs/ablations \
        --config.data.name=cifar10 --config.train.num_seeds=4 --config.train.num_steps=1000

On hash images: --config.preprocess=average_hash. With the training images scrambled as in the
study: --config.data.scramble_train=True.
"""

import importlib

from ml_collections import ConfigDict

from configs import original

ROWS = (
    "elu",
    "tanh",
    "cross_entropy",
    "hinge",
    "batch_100",
    "batch_128",
    "gradient_descent",
    "adagrad",
    "filter_size",
    "four_layers",
    "xavier",
    "uniform",
)


def get_config():
    """One run per row, each with what its own config changes."""
    config = original.get_config()
    config.name = "ablations"
    base = original.get_config()
    runs = {"original": {"published": "original_fig_5_5"}}
    for row in ROWS:
        changed = importlib.import_module(f"configs.ablation.{row}").get_config()
        changed.name = base.name
        runs[row] = _difference(changed, base)
    config.runs = ConfigDict(runs)
    return config


def _difference(changed, base):
    """The fields of ``changed`` that are not those of ``base``."""
    fields = {}
    for name, value in changed.items():
        if isinstance(value, ConfigDict):
            value = _difference(value, base[name])
            if value:
                fields[name] = value
        elif value != base[name]:
            fields[name] = value
    return fields
