"""The recipe of best_raw, with one ingredient left out at a time, and without any.

python main.py --config=configs/recipe_ablations.py --workdir=runs/recipe_ablations \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.num_steps=400 \
        --config.test_shift=0

On hash images: --config.preprocess=average_hash.
"""

from ml_collections import ConfigDict

from configs import best_raw

# The study's recipe, at ten times its rate for runs of some hundred steps.
PLAIN = {
    "model": {"kernel_init": "lecun_normal", "bias_init": 0.1, "batch_norm": "none"},
    "optimizer": {
        "name": "adam",
        "weight_decay": 0.0,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "average_decay": 0.0,
    },
    "label_smoothing": 0.0,
    "train": {"flip": False, "max_shift": 0},
}


def get_config():
    """One run per ingredient, named for what it is without."""
    config = best_raw.get_config()
    config.name = "recipe_ablations"
    config.runs = ConfigDict(
        {
            "whole": {},
            "no_batch_norm": {"model": {"batch_norm": "none"}},
            "no_muon": {"optimizer": {"name": "adamw", "learning_rate": 1e-3}},
            "no_schedule": {"optimizer": {"schedule": "constant", "warmup": 0.0}},
            "no_average": {"optimizer": {"average_decay": 0.0}},
            "no_label_smoothing": {"label_smoothing": 0.0},
            "no_moves": {"train": {"flip": False, "max_shift": 0}},
            "plain": PLAIN,
            "plain_with_batch_norm": PLAIN | {"model": PLAIN["model"] | {"batch_norm": "all"}},
        }
    )
    return config
