"""The study's five arrays (Fig 3.2), made from any dataset."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from phash_jax import provenance
from phash_jax.binarize import average_hash_image
from phash_jax.data.dataset import Dataset
from phash_jax.data.load import load_dataset
from phash_jax.distortions import TEST_SETS
from phash_jax.padding import in_batches
from phash_jax.whole_files import written_whole
from phash_jax.workdir import claim

_CHUNK = 1_000


def study_arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    """The arrays the study trained and tested with, under its names.

    Args:
        dataset: cats and dogs, in the study 20,000 training and 2,000 test images of 32x32 pixels.

    Returns:
        ``img_test``, ``images_train`` and ``images_test_distorted`` (contrast level 200): uint8
        ``[N, H, W, 3]``, 0 to 255; ``images_train_h`` and ``images_test_h``: their average-hash
        images, uint8 ``[N, H, W, 3]``, 0 or 1.
    """

    def hashed(image):
        return average_hash_image(image).astype(jnp.uint8)

    train, test = np.asarray(dataset.train.images), np.asarray(dataset.test.images)
    return {
        "img_test": test,
        "images_train": train,
        "images_train_h": _in_chunks(hashed, train),
        "images_test_h": _in_chunks(hashed, test),
        "images_test_distorted": _in_chunks(TEST_SETS["contrast_200"], test),
    }


def _in_chunks(of_one: Callable, images: np.ndarray) -> np.ndarray:
    of_many = jax.jit(jax.vmap(of_one))
    chunks = in_batches(
        lambda chunk, numbers: of_many(chunk), images, size=min(_CHUNK, len(images))
    )
    return np.concatenate(list(chunks))


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Saves the arrays of a config's dataset as ``arrays.npz``; returns their names and shapes."""
    claim(workdir, config)
    provenance.record(workdir)
    arrays = study_arrays(load_dataset(config.data))
    with written_whole(workdir / "arrays.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return "\n".join(f"{name:24}{array.shape}" for name, array in arrays.items())
