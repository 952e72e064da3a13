"""What the workdirs hold, read without trusting any of it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phash_jax import provenance, results
from phash_jax.choices import names
from phash_jax.metrics import read_metrics
from phash_jax.published import FIG_5_5
from phash_jax.workdir import flatten, stored_config


@dataclasses.dataclass(frozen=True)
class Run:
    """What a workdir holds of one run.

    Attributes:
        label: name of the run, with its workdir where two have the same name.
        folder: where it lies.
        config: its fields by dotted name, empty where they cannot be read.
        result: its entry of results.json, or None while it is not finished.
        records: its metrics.jsonl.
        starts: its provenance.json.
        problem: why there is no result, empty where there is one.
    """

    label: str
    folder: Path
    config: dict[str, Any]
    result: dict[str, Any] | None
    records: list[dict[str, Any]]
    starts: list[dict[str, Any]]
    problem: str = ""

    @property
    def is_scrambled(self) -> bool:
        """Whether it was trained on pictures scrambled as the study's were."""
        return bool(self.config.get("data.scramble_train"))

    @property
    def row(self) -> str:
        """The row of Fig 5.5 that it repeats, or nothing."""
        published = self.config.get("published", "")
        return published if published in FIG_5_5 else ""


def collect(workdirs: Sequence[Path]) -> list[Run]:
    """Reads all training runs of some workdirs; a missing or damaged one has its problem named.

    Workdirs of other jobs, with a catalog or hashes, are passed over: ``folders_of_job``.
    """
    found: list[tuple[Path, Run]] = []
    for workdir in map(Path, workdirs):
        for name, folder in _run_folders(workdir):
            found.append((workdir, _read_run(name, folder)))
    labels = [run.label for _, run in found]
    return [
        run
        if labels.count(run.label) == 1
        else dataclasses.replace(run, label=f"{run.label} ({workdir.name})")
        for workdir, run in found
    ]


def folders_of_job(workdirs: Sequence[Path], job: str) -> list[Path]:
    """Those of the workdirs that a job other than training has made."""
    return [workdir for workdir in map(Path, workdirs) if _read_config(workdir).get("job") == job]


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return stored_config(folder)
    except (OSError, ValueError):
        return {}


def _run_folders(workdir: Path) -> list[tuple[str, Path]]:
    """Name and folder of each run below a workdir, which may itself be the run."""
    config = _read_config(workdir)
    if config.get("job", "train") != "train":
        return []
    if isinstance(config.get("runs"), dict) and config["runs"]:
        only = names(config.get("only", ""))
        return [
            (name, workdir / name)
            for name in config["runs"]
            # A run that was not asked for is not missing.
            if not only or name in only or (workdir / name / "metrics.jsonl").exists()
        ]
    return [(str(config.get("name", workdir.name)), workdir)]


def _read_run(name: str, folder: Path) -> Run:
    config, records, starts = flatten(_read_config(folder)), [], []
    try:
        if (folder / "config.json").exists():
            stored_config(folder)
        starts = provenance.read(folder)
        records = read_metrics(folder / "metrics.jsonl")
        result = results.read(folder).get(name)
    except (OSError, ValueError) as error:
        return Run(name, folder, config, None, records, starts, str(error))
    if result is not None:
        return Run(name, folder, config, result, records, starts)
    if failure := results.read_failure(folder):
        problem = f"failed: {failure}"
    elif records:
        problem = f"not finished: {records[-1]['step']} steps in {folder}"
    else:
        problem = f"no run in {folder}"
    return Run(name, folder, config, None, records, starts, problem)
