"""Eight virtual CPU devices and a dataset small enough for a network to learn in seconds."""

import importlib

import jaxtyping
import ml_collections
import numpy as np
import pytest

# Shapes and types in annotations are checked in every call that the tests make.
with jaxtyping.install_import_hook("phash_jax", "beartype.beartype"):
    from phash_jax import catalog_dataset, hash_images, hash_study  # noqa: F401  (what their jobs need)
    from phash_jax.data import cifar10
    from phash_jax.data.dataset import Dataset, Split
    from phash_jax.placement import use_cpu_cores
    from phash_jax.runs import named_runs  # noqa: F401  (imports all that a run needs)

use_cpu_cores(8)


def load_config(name: str) -> ml_collections.ConfigDict:
    return importlib.import_module(f"configs.{name}").get_config()


def make_split(seed: int, num_images: int, size: int = 16) -> Split:
    """Two classes: the bright half of the picture is the upper or the left one, under noise."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(num_images) % 2).astype(np.int32)
    images = rng.integers(0, 160, (num_images, size, size, 3))
    images[labels == 0, : size // 2] += 90
    images[labels == 1, :, : size // 2] += 90
    return Split(
        images.astype(np.uint8), labels, np.array([f"{seed}_{i}" for i in range(num_images)])
    )


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset(make_split(0, 256), make_split(1, 101), ("upper", "left"))


@pytest.fixture(scope="session")
def real_cifar10() -> Dataset:
    root = cifar10._root("")
    if not cifar10._is_prepared(root / "cifar10" / cifar10.VERSION):
        pytest.skip(f"no CIFAR-10 in {root}; TFDS_DATA_DIR names another folder")
    return cifar10.load(data_dir="")


@pytest.fixture
def config() -> ml_collections.ConfigDict:
    """A locked config of a network that trains in about a second."""
    config = load_config("default")
    config.model.conv_layers = 2
    config.model.conv_features = 8
    config.model.kernel_size = 3
    config.model.dense_features = (16,)
    config.optimizer.learning_rate = 1e-2
    config.train.num_steps = 20
    config.train.batch_size = 32
    config.train.log_every = 5
    config.train.checkpoint_every = 10
    config.test_batch_size = 50
    config.lock()
    return config
