"""How well hashes recognise distorted images, and how these change hash images; no network."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Int64, UInt32
from tqdm import tqdm

from phash_jax import codes, hamming, provenance
from phash_jax.checks import at_least, choose, names
from phash_jax.data.dataset import Split
from phash_jax.data.load import load_dataset
from phash_jax.distortions import DISTORTIONS, Distortion, distortion_names
from phash_jax.distortions.draws import (
    check_seed,
    distort_batch,
    distortion_key,
    severities_of,
    undistorted,
)
from phash_jax.hashing import HASHES, check_hashes
from phash_jax.json_files import append_line, read_lines_by, write_json
from phash_jax.padding import in_batches
from phash_jax.placement import use_cpu_cores
from phash_jax.preprocess import PREPROCESS, SEVERAL_BITS_A_VALUE
from phash_jax.report import report
from phash_jax.workdir import claim, keep_images

# A rate of false positives that is bearable in searching a large collection.
FALSE_POSITIVE_RATE = 1e-3
_ROWS_AT_ONCE = 1_000


def make_hash_distorted(
    distortion: Distortion,
    hash_names: Sequence[str],
    inputs: Sequence[str],
    *,
    hash_size: int,
    pillow: str,
) -> Callable:
    """Returns a jitted ``(key, images, numbers, severity) -> (words, flipped)``.

    Distorting and hashing uint8 ``[N, H, W, 3]`` is one program: no image is written in between.
    ``words`` is ``{hash: uint32 [N, words]}``; ``flipped`` is ``{preprocess: float32 [N]}``, the
    share, 0 to 1, of the values of a network's input that the distortion changes.
    """

    def share_changed(name, distorted, images):
        fed = jax.vmap(PREPROCESS[name])
        changed = fed(distorted) != fed(images)
        return changed.mean(tuple(range(1, changed.ndim)), dtype=jnp.float32)

    def hash_distorted(key, images, numbers, severity):
        distorted = distort_batch(distortion, key, images, numbers, severity)
        words = {
            name: codes.pack(HASHES[name](distorted, hash_size=hash_size, pillow=pillow))
            for name in hash_names
        }
        return words, {name: share_changed(name, distorted, images) for name in inputs}

    return jax.jit(hash_distorted)


def distance_counts(
    clean: UInt32[np.ndarray, "n words"], distorted: UInt32[np.ndarray, "n words"], *, bits: int
) -> tuple[Int64[np.ndarray, " distances"], Int64[np.ndarray, " distances"]]:
    """How often each distance from 0 to ``bits`` occurs.

    Args:
        clean: packed hashes of the images as they are.
        distorted: of the same images, distorted.
        bits: in one hash.

    Returns:
        Counts among the ``n`` pairs of an image with itself distorted, and among the
        ``n (n - 1)`` pairs of an image with another one distorted.
    """
    same = np.bincount(np.asarray(hamming.distance(clean, distorted)), minlength=bits + 1)
    every = np.zeros(bits + 1, np.int64)
    for start in range(0, len(clean), _ROWS_AT_ONCE):
        rows = hamming.all_distances(distorted[start : start + _ROWS_AT_ONCE], clean)
        every += np.bincount(np.asarray(rows).ravel(), minlength=bits + 1)
    return same, every - same


def separation(
    same: Int64[np.ndarray, " distances"], different: Int64[np.ndarray, " distances"]
) -> dict[str, Any]:
    """How well a threshold on the distance tells a distorted image from a different image.

    Args:
        same: counts of each distance among pairs of an image and itself distorted.
        different: counts among pairs of an image and another one distorted.

    Returns:
        ``flipped``: mean share of bits that differ within a pair of one image; ``roc_area``: the
        probability that such a pair is nearer than one of two images, ties counting half;
        ``threshold``: the largest distance up to which at most a thousandth of the pairs of two
        images lie, None where even 0 has more; ``true_positive_rate``: the share of the pairs of
        one image up to there.
    """
    bits = len(same) - 1
    of_same, of_different = same / same.sum(), different / different.sum()
    up_to_same, up_to_different = np.cumsum(of_same), np.cumsum(of_different)
    farther = 1 - up_to_different
    within = int(np.sum(np.cumsum(different) <= FALSE_POSITIVE_RATE * different.sum()))
    return {
        "flipped": float(of_same @ np.arange(bits + 1) / bits),
        "roc_area": float(of_same @ (farther + of_different / 2)),
        "threshold": within - 1 if within else None,
        "true_positive_rate": float(up_to_same[within - 1]) if within else 0.0,
    }


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """The job: ``evaluate_hashes``, and a report of it; returns the report's summary."""
    use_cpu_cores(config.train.cpu_devices)
    evaluate_hashes(config, workdir)
    return report.write(workdir, [workdir])


def evaluate_hashes(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Measures every hash of ``config.hash.names`` on the test images; writes ``results.json``.

    ``hashes`` has what ``separation`` returns for each hash and distortion, a list over severities;
    ``distances`` how often each distance occurs.

    Each finished distortion is a line of ``grid.jsonl``; a run that was stopped resumes after the
    last one.

    Raises:
        ValueError: an unknown distortion, hash or Pillow version, a severity not 1 to 5, a seed
            out of range, or fewer than two images.
        WorkdirError: the workdir belongs to another config.
    """
    fields = config.distortions
    chosen, severities = distortion_names(fields.names), severities_of(fields.severities)
    check_seed(fields.seed)
    hash_names = names(config.hash.names)
    inputs = names(config.hash.inputs)
    check_hashes(hash_names, hash_size=config.hash.size, pillow=config.hash.pillow)
    at_least(1, config.test_batch_size, "test_batch_size")
    of_bits = {n: of for n, of in PREPROCESS.items() if n not in SEVERAL_BITS_A_VALUE}
    for name in inputs:
        choose(of_bits, name, "hash.inputs")
    if fields.draws != 1:
        raise ValueError(
            f"hash_robustness takes one draw: distortions.draws must be 1, got {fields.draws}"
        )
    claim(workdir, config)
    dataset = load_dataset(config.data)
    keep_images(workdir, dataset, source=config.data.name)
    test = dataset.test
    if len(test) < 2:
        raise ValueError(
            f"distances between images need at least two test images, there are {len(test)}"
        )
    provenance.record(workdir)

    def hash_with(distortion: Distortion) -> Callable[[jax.Array, int], tuple[dict, dict]]:
        hashed = make_hash_distorted(
            distortion, hash_names, inputs, hash_size=config.hash.size, pillow=config.hash.pillow
        )
        return partial(_in_batches, hashed, test, config.test_batch_size)

    bits = _num_bits(test, hash_names, hash_size=config.hash.size, pillow=config.hash.pillow)
    clean, _ = hash_with(undistorted)(jax.random.key(0), 0)
    path = workdir / "grid.jsonl"

    def is_whole(record: dict[str, Any]) -> bool:
        counts, flipped = record["counts"], record["inputs_flipped"]
        return all(
            np.array(counts[name][pairs], int).shape == (len(severities), bits[name] + 1)
            for name in hash_names
            for pairs in ("same", "different")
        ) and all(np.array(flipped[name], float).shape == (len(severities),) for name in inputs)

    records = read_lines_by(path, "distortion", "counts", "inputs_flipped", is_whole=is_whole)
    todo = [name for name in chosen if name not in records]
    with (
        path.open("a") as file,
        tqdm(
            total=len(todo) * len(severities), desc=config.name, unit="set", dynamic_ncols=True
        ) as bar,
    ):
        for name in todo:
            key = distortion_key(fields.seed, name, 0)
            hash_all = hash_with(DISTORTIONS[name])
            counts = {hash_name: {"same": [], "different": []} for hash_name in hash_names}
            flipped = {input_name: [] for input_name in inputs}
            for severity in severities:
                words, shares = hash_all(key, severity)
                for hash_name in hash_names:
                    same, different = distance_counts(
                        clean[hash_name], words[hash_name], bits=bits[hash_name]
                    )
                    counts[hash_name]["same"].append(same.tolist())
                    counts[hash_name]["different"].append(different.tolist())
                for input_name in inputs:
                    flipped[input_name].append(float(shares[input_name].mean(dtype=np.float64)))
                bar.update()
            records[name] = {"distortion": name, "counts": counts, "inputs_flipped": flipped}
            append_line(file, records[name])
    result = {
        "num_images": len(test),
        "severities": severities,
        "distortions": chosen,
        "hashes": {
            hash_name: {
                name: [
                    separation(np.array(same), np.array(different))
                    for same, different in zip(
                        records[name]["counts"][hash_name]["same"],
                        records[name]["counts"][hash_name]["different"],
                        strict=True,
                    )
                ]
                for name in chosen
            }
            for hash_name in hash_names
        },
        # [severity][distance], all distortions together; those of each are in grid.jsonl.
        "distances": {
            hash_name: {
                pairs: np.sum(
                    [records[name]["counts"][hash_name][pairs] for name in chosen], 0
                ).tolist()
                for pairs in ("same", "different")
            }
            for hash_name in hash_names
        },
        "inputs_flipped": {
            input_name: {name: records[name]["inputs_flipped"][input_name] for name in chosen}
            for input_name in inputs
        },
    }
    write_json(workdir / "results.json", result)


def _num_bits(
    test: Split, hash_names: Sequence[str], *, hash_size: int, pillow: str
) -> dict[str, int]:
    shape = jax.ShapeDtypeStruct(test.images.shape[1:], jnp.uint8)
    options = {"hash_size": hash_size, "pillow": pillow}
    return {
        name: jax.eval_shape(lambda image, name=name: HASHES[name](image, **options), shape).size
        for name in hash_names
    }


def _in_batches(
    hashed: Callable, test: Split, batch_size: int, key: jax.Array, severity: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    def of_batch(images, numbers):
        return hashed(key, images, numbers, jnp.int32(severity))

    found = in_batches(of_batch, test.images, size=min(batch_size, len(test)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)
