"""Results of the job robustness: read, joined where they belong to one test, and averaged."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax.comparison import OfSeeds
from phash_jax.distortions import GROUPS
from phash_jax.fields import FREE_FIELDS
from phash_jax.json_files import damaged, read_json
from phash_jax.report.collect import fields_of, folders_of_job, read_config

_BENCHMARK = GROUPS["cifar10c"]
_OF_NETWORKS = {"folder", "seeds", "num_steps", "clean", "accuracy"}


def read_result(workdir: Path, tested: str) -> dict[str, Any]:
    """The ``results.json`` of either job.

    Args:
        workdir: of the job.
        tested: what it tests, "networks" or "hashes".

    Raises:
        ValueError: it is not there or damaged.
    """
    path, then = workdir / "results.json", "start its command again"
    try:
        result = read_json(path, dict, then=then)
    except FileNotFoundError as error:
        raise ValueError(f"not finished: no results.json in {workdir}") from error
    of_each = result.get(tested)
    if not {"severities", "distortions"} <= result.keys() or not isinstance(of_each, dict):
        raise damaged(path, "it is not the result of this job", then)

    def is_whole(of: Any) -> bool:
        if tested == "networks":
            of = of["accuracy"] if isinstance(of, dict) and of.keys() >= _OF_NETWORKS else None
        return isinstance(of, dict) and all(
            isinstance(of.get(name), list) and len(of[name]) == len(result["severities"])
            for name in result["distortions"]
        )

    if not of_each or not all(map(is_whole, of_each.values())):
        raise damaged(path, f"its entries on the {tested} are incomplete", then)
    return result


def tested_alike(workdirs: Sequence[Path]) -> list[list[Path]]:
    """The workdirs of this job; those that make up one test are grouped together.

    Those have the same images and distortions, and their networks are runs of one comparison,
    trained for the same number of steps and tested one after another. The comparison must be among
    the workdirs too: runs that merely lie side by side are not taken for one. Nor is a run that
    was tested twice taken for two.
    """
    comparisons = {Path(w).absolute().name for w in workdirs if read_config(Path(w)).get("runs")}
    groups: dict[str, list[Path]] = {}
    names: dict[str, set[str]] = {}
    for workdir in folders_of_job(workdirs, "robustness"):
        test, networks = _test_and_networks(workdir, comparisons)
        key = test if not names.get(test, set()) & networks else str(workdir)
        groups.setdefault(key, []).append(workdir)
        names.setdefault(key, set()).update(networks)
    return list(groups.values())


def _test_and_networks(workdir: Path, comparisons: set[str]) -> tuple[str, set[str]]:
    """A key for what was tested how, the workdir's own name if alone; and names of the networks.

    Args:
        workdir: of the job robustness, perhaps a damaged one.
        comparisons: names of folders of runs.
    """
    alone = str(workdir), set()
    try:
        result = read_result(workdir, "networks")
        trained = {
            (Path(of["folder"]).parent.name, of["num_steps"]) for of in result["networks"].values()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return alone
    if len(trained) != 1 or not {name for name, _ in trained} <= comparisons:
        return alone
    asked = {
        field: value
        for field, value in fields_of(workdir).items()
        if field.startswith(("data.", "distortions.")) and field not in FREE_FIELDS
    }
    tested = [result.get(name) for name in ("test_size", "severities", "distortions")]
    return repr((sorted(asked.items()), tested, trained)), set(result["networks"])


def read_joined(workdirs: Sequence[Path]) -> dict[str, Any]:
    """The results of workdirs that were ``tested_alike`` as one.

    Raises:
        ValueError: one is not there or damaged.
    """
    found = [read_result(workdir, "networks") for workdir in workdirs]
    networks = {
        _with_folder(name, of): of for result in found for name, of in result["networks"].items()
    }
    return {**found[0], "networks": networks}


def _with_folder(name: str, networks: dict[str, Any]) -> str:
    """Adds the folder: a config's name says too little where fields were overridden."""
    folder = Path(networks["folder"]).name
    return name if folder in re.split(r"[ (/)]", name) else f"{name} ({folder})"


def finished_networks(workdirs: Sequence[Path]) -> dict[tuple[Path, ...], dict[str, Any]]:
    """Results of the job robustness by their workdirs; the sections say which are unfinished."""
    found = {}
    for group in tested_alike(workdirs):
        with contextlib.suppress(OSError, ValueError):
            found[tuple(group)] = read_joined(group)
    return found


def averaged_over(result: dict[str, Any]) -> tuple[str, list[str]]:
    """What the means are over: CIFAR-10-C's 15 where all were tested, else all that were."""
    tested = result["distortions"]
    if set(_BENCHMARK) <= set(tested):
        return "the 15 corruptions of CIFAR-10-C", list(_BENCHMARK)
    return tested[0] if len(tested) == 1 else f"the {len(tested)} distortions chosen", tested


def severities_of(result: dict[str, Any]) -> str:
    """The severities that were tested, as text."""
    severities = result["severities"]
    return f"severit{'y' if len(severities) == 1 else 'ies'} {', '.join(map(str, severities))}"


def mean_accuracies(
    networks: dict[str, Any], chosen: Sequence[str], *, severity: int | None = None
) -> OfSeeds:
    """Mean accuracy over distortions and severities, by seed.

    Args:
        networks: one of ``result["networks"]``.
        chosen: distortions that were tested.
        severity: index into the severities; None for all of them.
    """
    grid = np.array([networks["accuracy"][name] for name in chosen])
    grid = grid if severity is None else grid[:, severity : severity + 1]
    return _of_seeds(networks, grid.mean((0, 1)).tolist())


def clean_accuracies(networks: dict[str, Any]) -> OfSeeds:
    """Accuracy on the undistorted images, by seed."""
    return _of_seeds(networks, networks["clean"])


def lost_shares(networks: dict[str, Any], chosen: Sequence[str]) -> list[float | None]:
    """The share of its clean accuracy that each seed loses under distortions."""
    distorted = mean_accuracies(networks, chosen)
    return [
        1 - distorted[seed] / c if c else None for seed, c in clean_accuracies(networks).items()
    ]


def _of_seeds(networks: dict[str, Any], values: Sequence[float]) -> OfSeeds:
    return dict(zip(networks["seeds"], values, strict=True))
