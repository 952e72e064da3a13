"""The network of the study's Fig 5.1, raw against hashed: two conv layers, batch norm, 10 outputs.

    python main.py --config=configs/as_drawn.py --workdir=runs/as_drawn --config.data.name=cifar10

The study's text says three conv layers, its drawing has two; its notebook has batch norm after the
first, and a head of ten outputs for two classes. Not measured on CIFAR-10 so far.
"""

from configs import compare


def get_config():
    """The comparison with the drawn network."""
    config = compare.get_config()
    config.name = "as_drawn"
    config.model.conv_layers = 2
    config.model.batch_norm = "first"
    config.model.num_outputs = 10
    return config
