"""The inputs of rivals, each network trained on distorted images too.

python main.py --config=configs/rivals_augmented.py --workdir=runs/rivals_augmented \
        --config.data.name=cifar10 --config.train.num_seeds=6 --config.train.num_steps=400 \
        --config.test_shift=0 --config.only=raw,average_hash,smooth_local_average_hash

None of the distortions is one of CIFAR-10-C's 15, but speckle noise is much like three of them.

Measured this way on CIFAR-10 cats and dogs (25,600 images), clean and mean over CIFAR-10-C's 15 at
severity 3: raw 74.5 and 71.6 %, smooth_local_average_hash 69.4 and 68.7, average_hash 69.7 and not
measured.
"""

from configs import rivals


def get_config():
    """The runs of rivals; a batch is shared out among eight, undistorted images included."""
    config = rivals.get_config()
    config.name = "rivals_augmented"
    config.train.augment = "clean,extra,raised_contrast,swirl,contrast_and_noise"
    return config
