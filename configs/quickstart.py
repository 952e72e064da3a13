"""The comparison in two to three minutes on two cores, on generated pictures of cats and dogs.

    python main.py --config=configs/quickstart.py --workdir=runs/quickstart

With 32 channels per layer instead of 64 and ten times the study's learning rate, it shows the whole
system, not the study's numbers.
"""

from configs import compare


def get_config():
    """Raw against hashed, small."""
    config = compare.get_config()
    config.name = "quickstart"
    config.data.train_size = 4_000
    config.data.test_size = 1_000
    config.model.conv_features = 32
    config.optimizer.learning_rate = 1e-3
    config.train.num_steps = 600
    config.train.num_seeds = 2
    config.train.log_every = 50
    config.train.checkpoint_every = 200
    return config
