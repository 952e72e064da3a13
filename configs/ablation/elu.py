"""Fig 5.5, row ELU: ELU instead of ReLU.

Expected: units that are never quite off train at least as well.

    python main.py --config=configs/ablation/elu.py --workdir=runs/elu \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "elu"
    config.model.activation = "elu"
    return config
