"""The recipe of best_phash, taught by a network that sees all values of the images.

    python main.py --config=configs/best_raw.py --workdir=runs/best_raw \
        --config.data.name=cifar10 --config.train.num_steps=2000 --config.train.num_seeds=2
    python main.py --config=configs/distilled_phash.py --workdir=runs/distilled_phash \
        --config.data.name=cifar10 --config.train.num_seeds=6

Only in training: what is tested is the same network, fed one bit a value.

Measured so on CIFAR-10 cats and dogs (10,000 steps, a teacher of 87.2 %): 82.3 % [82.0, 82.6] clean
and 81.9 % [81.3, 82.4] at contrast 200. With the same seeds that is 0.0 points [-0.5, 0.5] and 0.5
[-0.3, 1.3] more than best_phash without a teacher: neither is told apart.

Six better teachers in turn (89.7 %, see best_raw) and zoomed training images help:

    python main.py --config=configs/best_phash.py --workdir=runs/best_phash_taught \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.max_zoom=0.2 \
        --config.train.teacher=runs/best_raw_taught --config.train.teachers=6

83.7 % [83.3, 84.0] clean and 82.8 % [82.2, 83.4] at contrast 200, 1.4 points [0.7, 2.0] and 1.4
[0.8, 2.0] more than without.
"""

from configs import best_phash


def get_config():
    """The recipe of best_phash, with best_raw for a teacher."""
    config = best_phash.get_config()
    config.name = "distilled_phash"
    config.train.teacher = "runs/best_raw"
    return config
