"""A distorted test set in the files of CIFAR-10-C."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from phash_jax import provenance
from phash_jax.checks import at_least
from phash_jax.data.load import load_dataset
from phash_jax.data.mapped import Images
from phash_jax.distortions import DISTORTIONS, distortion_names
from phash_jax.distortions.draws import check_seed, distort_batch, distortion_key, severities_of
from phash_jax.errors import listed
from phash_jax.padding import in_batches
from phash_jax.whole_files import written_whole
from phash_jax.workdir import claim, keep_images


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Writes ``<distortion>.npy`` and ``labels.npy`` for a config's test images.

    Each file is uint8 ``[S N, H, W, 3]``: all images at the first severity, then all at the next;
    ``labels.npy`` is int64 ``[S N]``, in the same order. Files that exist are not made again; those
    whose writing was cut short are. The draws are those that the job ``robustness`` tests with.

    Raises:
        ValueError: an unknown distortion, a severity not 1 to 5, a seed out of range, or files of
            these names in a folder that no config claims.
        OSError: the disk is full.
    """
    fields = config.distortions
    chosen, severities = distortion_names(fields.names), severities_of(fields.severities)
    if fields.draws != 1:
        raise ValueError(
            f"an exported set has one draw: distortions.draws must be 1, got {fields.draws}"
        )
    check_seed(fields.seed)
    at_least(1, config.test_batch_size, "test_batch_size")
    if not (workdir / "config.json").exists():
        # Else they would be taken for what was made here, or replaced.
        files = (f"{name}.npy" for name in (*chosen, "labels"))
        strange = [file for file in files if (workdir / file).exists()]
        if strange:
            raise ValueError(
                f"--workdir={workdir} holds {listed(strange)} of unknown origin: choose another"
            )
    claim(workdir, config)
    dataset = load_dataset(config.data)
    keep_images(workdir, dataset, source=config.data.name)
    provenance.record(workdir)
    test = dataset.test
    shape = (len(severities) * len(test), *test.images.shape[1:])
    _write(workdir / "labels.npy", (shape[0],), np.int64, [np.tile(test.labels, len(severities))])
    todo = [name for name in chosen if not (workdir / f"{name}.npy").exists()]
    with tqdm(
        total=len(todo) * shape[0], desc=config.name, unit="image", dynamic_ncols=True
    ) as bar:
        for name in todo:
            batches = _distorted(
                name, test.images, severities, seed=fields.seed, batch_size=config.test_batch_size
            )
            _write(workdir / f"{name}.npy", shape, np.uint8, batches, bar.update)
    return (
        f"{len(chosen)} distortions of {len(test)} images at {len(severities)} severities, "
        f"arrays of shape {shape}, in {workdir}"
    )


def _distorted(
    name: str,
    images: Images,
    severities: Sequence[int],
    *,
    seed: int,
    batch_size: int,
) -> Iterator[UInt8[np.ndarray, "_ h w c"]]:
    """All images at one severity after another, in batches."""
    distort = jax.jit(partial(distort_batch, DISTORTIONS[name]))
    key = distortion_key(seed, name, 0)
    for severity in severities:

        def of_batch(batch, numbers, severity=severity):
            return distort(key, batch, numbers, jnp.int32(severity))

        yield from in_batches(of_batch, images, size=min(batch_size, len(images)))


def _write(
    path: Path,
    shape: tuple[int, ...],
    dtype: type,
    parts: Iterable[np.ndarray],
    progress: Callable[[int], object] = lambda count: None,
) -> None:
    """Writes an array part by part, so that a reader finds all of it or no file."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_2_0(
            file,
            {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": shape,
            },
        )
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).tobytes())
            progress(len(part))
