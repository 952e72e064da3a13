"""Fig 5.5, row Hinge: multiclass hinge loss instead of softmax cross-entropy.

Expected: as accurate, since only pictures near the border still teach.

    python main.py --config=configs/ablation/hinge.py --workdir=runs/hinge \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "hinge"
    config.loss = "hinge"
    return config
