"""Accuracy of trained networks on test images that are distorted on the device they run on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int32
from tqdm import tqdm

from phash_jax import provenance, robustness_results
from phash_jax.checks import at_least, names
from phash_jax.data.dataset import Split
from phash_jax.data.load import load_dataset
from phash_jax.distortions import CLEAN, DISTORTIONS, Distortion, distortion_names
from phash_jax.distortions.draws import (
    check_seed,
    distort_batch,
    distortion_key,
    severities_of,
    undistorted,
)
from phash_jax.examples import plot_distortions
from phash_jax.json_files import append_line, read_json, read_lines_by, write_json
from phash_jax.networks import Networks, check_unseen, restore_all, warn_of_other_pictures
from phash_jax.padding import padded
from phash_jax.placement import BATCH, use_cpu_cores
from phash_jax.report import report
from phash_jax.workdir import WorkdirError, claim, keep_images


class ResidentBatches:
    """A test split resident on the devices, in padded batches of one size.

    Attributes:
        mesh: the devices, on the axis ``batch``.
        replicated: the sharding of what every device has.
        num_images: without the padding.
        batches: images, labels (-1 for padding) and numbers of each batch, split over the devices.
    """

    def __init__(self, split: Split, *, batch_size: int, devices: Sequence[jax.Device]):
        self.mesh = Mesh(np.array(devices), (BATCH,))
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.num_images = len(split)
        shards = len(devices)
        size = -(-min(batch_size, len(split)) // shards) * shards
        sharding = NamedSharding(self.mesh, PartitionSpec(BATCH))
        self.batches = []
        for start in range(0, len(split), size):
            of_batch = slice(start, start + size)
            images = padded(split.images[of_batch], size)
            labels = padded(split.labels[of_batch].astype(np.int32), size, value=-1)
            numbers = np.arange(start, start + size, dtype=np.int32)
            self.batches.append(jax.device_put((images, labels, numbers), sharding))


def make_count_correct(
    all_networks: Sequence[Networks], distortion: Distortion, images: ResidentBatches
) -> Callable:
    """Returns a jitted ``(variables, images, labels, numbers, key, severity) -> counts``.

    Distortion, preprocessing and all networks are one program; every image is distorted once for
    all of them. ``variables`` is one pytree per run, ``images`` uint8 ``[N, H, W, 3]`` and
    ``labels`` (-1 for padding) and ``numbers`` int32 ``[N]`` are split over the devices; the
    counts are int32 ``[seeds]`` per run.
    """

    def count(variables, images, labels, numbers, key, severity):
        distorted = distort_batch(distortion, key, images, numbers, severity)
        counts = []
        for networks, stacked in zip(all_networks, variables, strict=True):

            def correct(of_seed, networks=networks) -> Int32[Array, ""]:
                logits = networks.logits(of_seed, distorted)
                return jnp.sum(jnp.argmax(logits, -1) == labels, dtype=jnp.int32)

            counts.append(jax.vmap(correct)(stacked))
        return lax.psum(counts, BATCH)

    split, whole = PartitionSpec(BATCH), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            count,
            mesh=images.mesh,
            in_specs=(whole, split, split, split, whole, whole),
            out_specs=whole,
            check_vma=False,
        )
    )


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """The job: ``evaluate_networks``, and a report of it; returns the report's summary."""
    use_cpu_cores(config.train.cpu_devices)
    evaluate_networks(config, workdir)
    return report.write(workdir, [workdir])


def evaluate_networks(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Tests the networks of ``config.robustness.networks``; writes ``results.json`` and a CSV.

    Each finished distortion is a line of ``grid.jsonl``; a run that was stopped resumes after the
    last one.

    Raises:
        ValueError: an unknown distortion, a severity not 1 to 5, a seed out of range, networks that
            do not fit, or images that are not those the run was begun with.
        CheckpointError: all checkpoints of a run are damaged.
        WorkdirError: the workdir belongs to another config, or the networks were trained further.
    """
    fields = config.distortions
    chosen, severities = distortion_names(fields.names), severities_of(fields.severities)
    check_seed(fields.seed)
    at_least(1, fields.draws, "distortions.draws")
    at_least(1, config.test_batch_size, "test_batch_size")
    claim(workdir, config)
    dataset = load_dataset(config.data)
    keep_images(workdir, dataset, source=config.data.name)
    test = dataset.test
    all_networks = restore_all(
        [Path(name).expanduser() for name in names(config.robustness.networks)],
        class_names=dataset.class_names,
        image_shape=test.images.shape[1:],
    )
    for networks in all_networks:
        warn_of_other_pictures(networks, data=config.data.to_dict())
        check_unseen(networks, data=config.data.to_dict())
    _check_same(workdir, all_networks)
    provenance.record(workdir)
    if not (workdir / "distortions.png").exists():
        plot_distortions(
            test.images[np.argmax(test.labels)],
            workdir / "distortions.png",
            names=chosen,
            severities=severities,
            seed=fields.seed,
        )
    records = _measure(
        all_networks,
        chosen,
        ResidentBatches(test, batch_size=config.test_batch_size, devices=jax.devices()),
        workdir / "grid.jsonl",
        severities=severities,
        draws=fields.draws,
        seed=fields.seed,
        name=config.name,
    )
    result = robustness_results.build(
        records,
        all_networks,
        chosen=chosen,
        severities=severities,
        test_size=len(test),
    )
    write_json(workdir / "results.json", result)
    robustness_results.write_csv(workdir / "unaggregated_results.csv", result)


def _measure(
    all_networks: Sequence[Networks],
    chosen: Sequence[str],
    images: ResidentBatches,
    path: Path,
    *,
    severities: Sequence[int],
    draws: int,
    seed: int,
    name: str,
) -> dict[str, dict[str, Any]]:
    """The records of ``path`` by distortion; those that are missing are measured and added."""
    grids = {d: ([0], 1) if d == CLEAN else (severities, draws) for d in (CLEAN, *chosen)}

    def is_whole(record: dict[str, Any]) -> bool:
        levels, num_draws = grids[record["distortion"]]
        return all(
            np.array(record["correct"][networks.name], int).shape
            == (len(levels), num_draws, len(networks.seeds))
            for networks in all_networks
        )

    records = read_lines_by(path, "distortion", "correct", is_whole=is_whole)
    todo = {name: grid for name, grid in grids.items() if name not in records}
    variables = [jax.device_put(n.variables, images.replicated) for n in all_networks]
    with (
        path.open("a") as file,
        tqdm(
            total=len(images.batches) * sum(len(levels) * n for levels, n in todo.values()),
            desc=name,
            unit="batch",
            dynamic_ncols=True,
        ) as bar,
    ):
        for distortion, (levels, num_draws) in todo.items():
            distort = undistorted if distortion == CLEAN else DISTORTIONS[distortion]
            count = make_count_correct(all_networks, distort, images)
            keys = [distortion_key(seed, distortion, draw) for draw in range(num_draws)]
            # [severity][draw][run][seed]
            correct = [
                [_count_all(count, variables, images, key, level, bar.update) for key in keys]
                for level in levels
            ]
            records[distortion] = {
                "distortion": distortion,
                # [severity][draw][seed] for each run.
                "correct": {
                    networks.name: [[draw[i] for draw in of_level] for of_level in correct]
                    for i, networks in enumerate(all_networks)
                },
            }
            append_line(file, records[distortion])
            bar.write(f"{name}: {distortion}, {_one_line(records[distortion], images.num_images)}")
    return records


def _count_all(
    count: Callable,
    variables: list,
    images: ResidentBatches,
    key: jax.Array,
    severity: int,
    progress,
) -> list[list[int]]:
    """Correct answers of every run and seed over all batches."""
    totals = None
    for batch in images.batches:
        counts = count(variables, *batch, key, jnp.int32(severity))
        totals = counts if totals is None else jax.tree.map(jnp.add, totals, counts)
        progress()
    return [np.asarray(total).tolist() for total in totals]


def _check_same(workdir: Path, all_networks: Sequence[Networks]) -> None:
    """Refuses a workdir that was begun with other runs, or other checkpoints of the same runs."""
    path = workdir / "networks.json"
    now = {networks.name: networks.sha256 for networks in all_networks}
    if not path.exists():
        write_json(path, now)
        return
    begun_with = read_json(path, dict, then="choose another folder")
    removed = [name for name in begun_with if name not in now]
    if removed:
        raise WorkdirError(
            f"--workdir={workdir} was begun with {', '.join(removed)} too: choose another folder, "
            "or name all of them in robustness.networks"
        )
    changed = [name for name, sha256 in begun_with.items() if now[name] != sha256]
    if changed:
        raise WorkdirError(
            f"--workdir={workdir} was begun with other checkpoints of {', '.join(changed)}, which "
            "have been trained further since: choose another folder"
        )
    new = [name for name in now if name not in begun_with]
    if new:
        raise WorkdirError(
            f"--workdir={workdir} was begun without {', '.join(new)}: choose another folder, or "
            "take them out of robustness.networks"
        )


def _one_line(record: dict[str, Any], test_size: int) -> str:
    return ", ".join(
        f"{name} {100 * np.mean(correct) / test_size:.1f} %"
        for name, correct in record["correct"].items()
    )
