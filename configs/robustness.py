"""Trained networks on clean images and on every distortion at every severity.

    python main.py --config=configs/robustness.py --workdir=runs/robustness \
        --config.robustness.networks=runs/compare --config.data.name=cifar10

The 23 distortions are CIFAR-10-C's 15 and 4 more with its parameters, and the study's four.
Measured on raw, hashed and augmented networks after 6,000 steps: RESULTS.md.
"""

from configs import default


def get_config():
    """Every distortion, one draw; the networks are named on the command line."""
    config = default.get_config()
    config.job = config.name = "robustness"
    return config
