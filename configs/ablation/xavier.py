"""Fig 5.5, row Xavier: Glorot's uniform initialisation.

Expected: scaled by fan-in and fan-out, so as good as the default.

    python main.py --config=configs/ablation/xavier.py --workdir=runs/xavier \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "xavier"
    config.model.kernel_init = "glorot_uniform"
    return config
