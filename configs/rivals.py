"""What the network is fed, from one gray bit a pixel to 24 bits and more, under best_raw's recipe.

python main.py --config=configs/rivals.py --workdir=runs/rivals --config.data.name=cifar10 \
        --config.train.num_seeds=5
"""

from ml_collections import ConfigDict

from configs import best_raw
from phash_jax.preprocess import BITS_PER_PIXEL


def get_config():
    """One run per way of preprocessing, named for it."""
    config = best_raw.get_config()
    config.name = "rivals"
    config.runs = ConfigDict({name: {"preprocess": name} for name in BITS_PER_PIXEL})
    return config
