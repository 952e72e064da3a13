"""Fig 5.5, row 4 Layers: four conv layers instead of three.

Expected: one more halving before the dense layers: somewhat better test accuracy.

    python main.py --config=configs/ablation/four_layers.py --workdir=runs/four_layers \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "four_layers"
    config.model.conv_layers = 4
    return config
