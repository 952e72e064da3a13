"""The recipe of best_raw, zoomed in training and taught by a network of the same kind.

    python main.py --config=configs/best_raw.py --workdir=runs/best_raw_regularised \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.cutout=12 \
        --config.model.dropout=0.3
    python main.py --config=configs/best_raw_taught.py --workdir=runs/best_raw_taught \
        --config.data.name=cifar10 --config.train.num_seeds=6

CIFAR-10 cats and dogs, 10,000 steps, 6 seeds, mean and 95 % interval: 89.7 % [89.3, 90.1] clean,
65.9 % [64.5, 67.3] at contrast 200. Highest so far, but not told apart from them, are raw networks
taught by these six in turn, on images mixed in pairs:

    python main.py --config=configs/best_raw_taught.py --workdir=runs/best_raw_mixup_taught \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.mixup=0.4 \
        --config.train.teacher=runs/best_raw_taught --config.train.teachers=6

with 89.9 % [89.7, 90.1] and 68.1 % [66.6, 69.6], and those taught by two wider networks (91.0 and
90.2 % clean):

    python main.py --config=configs/best_raw.py --workdir=runs/best_raw_wide \
        --config.data.name=cifar10 --config.train.num_seeds=2 --config.train.num_steps=6000 \
        --config.train.max_zoom=0.2 --config.model.kernel_size=3 --config.model.conv_layers=4 \
        --config.model.conv_features=128
    python main.py --config=configs/best_raw_taught.py --workdir=runs/best_raw_wide_taught \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.mixup=0.4 \
        --config.train.teacher=runs/best_raw_wide --config.train.teachers=2

with 90.0 % [89.8, 90.2] (10,799 of 12,000 answers right: 89.99 %) and 66.9 % [65.9, 67.8]; with
--workdir=runs/best_raw_gelu_taught --config.model.activation=gelu in the place of that one's
workdir 90.0 % [89.7, 90.3] (10,802: 90.02 %) and 65.8 % [64.6, 66.9]. On two cores that of
best_raw_wide takes most of an hour, each of the others two hours or more.
"""

from configs import best_raw


def get_config():
    """The recipe of best_raw with zoom and a teacher."""
    config = best_raw.get_config()
    config.name = "best_raw_taught"
    config.train.max_zoom = 0.2
    config.train.teacher = "runs/best_raw_regularised"
    return config
