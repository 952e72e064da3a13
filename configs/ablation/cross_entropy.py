"""Fig 5.5, row Cross Entropy: one-vs-all sigmoid cross-entropy instead of softmax.

Expected: with two classes hardly a difference: each output learns what softmax learns.

    python main.py --config=configs/ablation/cross_entropy.py --workdir=runs/cross_entropy \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "cross_entropy"
    config.loss = "sigmoid_cross_entropy"
    return config
