"""Network inputs of less than one bit per pixel to more than 24, with best_raw's recipe.

python main.py --config=configs/rivals.py --workdir=runs/rivals --config.data.name=cifar10 \
        --config.train.num_seeds=5 --config.train.num_steps=400 --config.test_shift=0 \
        --config.only=raw,average_hash,channel_average_hash,local_average_hash

Measured this way on CIFAR-10 cats and dogs (25,600 images; smooth_local_average_hash started
separately), clean and mean over CIFAR-10-C's 15 at severity 3: raw 76.3 and 69.5 %, average_hash
69.5 and 66.8, channel_average_hash 70.5 and 68.4, local_average_hash 72.1 and 67.8,
smooth_local_average_hash 69.9 and 69.4; each started separately: multiscale_hash 74.2 and 66.9,
gray_average_hash (one bit per pixel) 69.8 and 67.1, bit_depth_1 69.4 and 67.0, gradient_hash 73.9
and 67.7, bit_depth_4 75.7 and 69.1, thermometer_4 74.4 and 71.5; all eighteen are in RESULTS.md.
After 2,000 steps, six seeds (raw is whole of recipe_ablations), clean, at contrast 200 and over the
15: raw 86.8, 69.7 and 76.3 %, average_hash 77.9, 77.3 and 73.9, local_average_hash 79.5, 74.1 and
73.3, smooth_local_average_hash 75.7, 73.5 and 74.6, thermometer_4 82.6, 69.5 and 79.0.
With 10,000 steps and six seeds each takes about two hours on two cores. A single input, in a
workdir of its own: --config=configs/best_raw.py --config.preprocess=median_hash.
"""

from ml_collections import ConfigDict

from configs import best_raw
from phash_jax.preprocess import BITS_PER_PIXEL


def get_config():
    """One run per input, named for it."""
    config = best_raw.get_config()
    config.name = "rivals"
    config.runs = ConfigDict({name: {"preprocess": name} for name in BITS_PER_PIXEL})
    return config
