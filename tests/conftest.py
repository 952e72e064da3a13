"""Eight virtual CPU devices and a dataset small enough for a network to learn in seconds."""

import gc
import importlib
import itertools
import os
import tempfile

import filelock
import hypothesis
import jax
import jaxtyping
import ml_collections
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from PIL import Image

# The layouts that are tested are those of virtual devices.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling, and many tests compile the same: the processes of one test
# session share what they have compiled. Before JAX is imported, which reads these variables.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.TemporaryDirectory(prefix="phash_jax-tests-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
# LLVM's second level where its third is usual: half the time, and a compiler may not change what is
# computed on the way from one to the other.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=2"
    ).strip()

# Shapes and types in annotations are checked in every call that the tests make.
with jaxtyping.install_import_hook("phash_jax", "typechecker.check"):
    from phash_jax import catalog_dataset, hash_images, hash_study, results  # noqa: F401  (what their jobs need)
    from phash_jax.data import cifar10
    from phash_jax.data.dataset import Dataset, Split
    from phash_jax.metrics import MetricsLog
    from phash_jax.placement import BATCH, use_cpu_cores
    from phash_jax.report import report  # noqa: F401
    from phash_jax.runs import named_runs  # noqa: F401  (imports all that a run needs)
    from phash_jax.workdir import claim

use_cpu_cores(8)

# What is imported is no garbage: a twentieth of the tests' time went into looking for some.
gc.freeze()
gc.set_threshold(20_000, 20, 20)

# The same examples every time, for a commit that has nothing to do with them.
hypothesis.settings.register_profile("repeatable", derandomize=True, print_blob=True)


# What takes longest begins first, so that at the end no process waits for another's long test.
_LONGEST = ("test_processes.py", "test_main.py", "test_faults.py", "test_train.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deals out the longest files: each worker begins with an equal piece of the list."""
    of_file = {name: [item for item in items if item.path.name == name] for name in _LONGEST}
    rest = iter([item for item in items if item.path.name not in _LONGEST])
    workers, dealt = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)), []
    for worker in range(workers):
        size = (len(items) - len(dealt)) // (workers - worker)
        piece = [item for name in _LONGEST[worker::workers] for item in of_file[name]]
        dealt += piece + list(itertools.islice(rest, max(0, size - len(piece))))
    items[:] = [*dealt, *rest]


def on_batch_devices(function, *, number=1, split=False):
    """The function on so many devices that share a batch, as within a training step.

    Each is given all, and what it returns is the whole result or, with ``split``, its piece.
    """
    mesh = Mesh(np.array(jax.devices()[:number]), (BATCH,))
    out_specs = PartitionSpec(BATCH) if split else PartitionSpec()
    return jax.jit(
        jax.shard_map(
            function, mesh=mesh, in_specs=PartitionSpec(), out_specs=out_specs, check_vma=False
        )
    )


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


def make_records(num_seeds=2):
    return [
        {
            "step": step,
            "seconds": float(step),
            "loss": [1.0 / step] * num_seeds,
            "accuracy": [0.001 * step] * num_seeds,
            "batch_accuracy": [0.0011 * step] * num_seeds,
            "grad_norm": [1.0] * num_seeds,
        }
        for step in range(100, 1000, 100)
    ]


def make_logits(correct):
    """Logits of 100 images of two classes, the first ``correct`` taken for what they are."""
    labels = np.arange(100) % 2
    taken_for = np.stack([np.where(np.arange(100) < n, labels, 1 - labels) for n in correct])
    return np.eye(2, dtype=np.float32)[taken_for]


def make_workdir(
    path, config_name, num_seeds=2, *, finished=True, clean=(70, 80), contrast=(60, 50), **fields
):
    """A workdir as a run of a config leaves it, with these numbers of 100 images right."""
    config = load_config(config_name)
    config.update_from_flattened_dict(fields)
    claim(path, config)
    records = make_records(num_seeds)
    with MetricsLog(path, step=0) as log:
        for record in records:
            log.write(record, list(range(num_seeds)))
    result = results.build(
        name=config.name,
        published=config.published,
        seeds=list(range(num_seeds)),
        records=records,
        class_names=("cat", "dog"),
        test_labels=np.arange(100, dtype=np.int32) % 2,
        test_logits={
            "clean": make_logits(clean[:num_seeds]),
            "contrast_200": make_logits(contrast[:num_seeds]),
        },
    )
    if finished:
        results.write(path, {config.name: result})
    return result


def make_picture(seed, width=40, height=34):
    """Smooth, as photographs are, with some grain."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    image = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray((image + rng.integers(-9, 10, image.shape)).clip(0, 255).astype("uint8"))


@pytest.fixture(scope="session")
def npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    train, test = make_split(0, 256), make_split(1, 101)
    np.savez(
        path,
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
    )
    return path


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset(make_split(0, 256), make_split(1, 101), ("upper", "left"))


@pytest.fixture(scope="session")
def real_cifar10(tmp_path_factory, worker_id) -> Dataset:
    root = cifar10._root("")
    if not cifar10._is_prepared(root / "cifar10" / cifar10.VERSION):
        pytest.skip(f"no CIFAR-10 in {root}; TFDS_DATA_DIR names another folder")
    if worker_id == "master":
        return cifar10.load(data_dir="")
    # The processes of one test session decode its 60,000 pictures once.
    decoded = tmp_path_factory.getbasetemp().parent / "cifar10.npz"
    with filelock.FileLock(f"{decoded}.lock"):
        if not decoded.exists():
            loaded = cifar10.load(data_dir="")
            arrays = {
                f"{name}_{field}": getattr(split, field)
                for name, split in (("train", loaded.train), ("test", loaded.test))
                for field in ("images", "labels", "ids")
            }
            np.savez(decoded, class_names=loaded.class_names, **arrays)
            return loaded
    with np.load(decoded) as file:
        splits = [
            Split(*(file[f"{name}_{field}"] for field in ("images", "labels", "ids")))
            for name in ("train", "test")
        ]
        return Dataset(*splits, tuple(file["class_names"].tolist()))


def make_small_config() -> ml_collections.ConfigDict:
    """A locked config of a network that trains in about a second."""
    config = load_config("default")
    # Compiling takes most of the time of most tests, and every layer adds to it.
    config.model.conv_layers = 1
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


@pytest.fixture
def config() -> ml_collections.ConfigDict:
    """As ``make_small_config``, new for every test."""
    return make_small_config()
