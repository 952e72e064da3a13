"""Fig 5.5, row Filter Size: 3x3 kernels instead of 5x5.

Expected: a third of the work for much the same accuracy.

    python main.py --config=configs/ablation/filter_size.py --workdir=runs/filter_size \
        --config.data.name=cifar10
"""

from configs import original


def get_config():
    """The original with one change."""
    config = original.get_config()
    config.name = config.published = "filter_size"
    config.model.kernel_size = 3
    return config
