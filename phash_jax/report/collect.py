"""What the workdirs hold, read without trusting any of it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phash_jax import provenance, results
from phash_jax.checks import names
from phash_jax.comparison import OfSeeds
from phash_jax.errors import listed
from phash_jax.fields import NO_PART_OF_A_RECIPE, is_read
from phash_jax.metrics import read_metrics
from phash_jax.published import FIG_5_5
from phash_jax.workdir import flatten, stored_config

# What the report reads of a run's config, whatever its version.
_READ_OF_A_CONFIG: dict[str, type | tuple[type, ...]] = {
    "data.name": str,
    "preprocess": str,
    "published": str,
    "train.augment": str,
    "train.batch_size": int,
    "model.activation": str,
    "model.batch_norm": str,
    "model.conv_features": int,
    "model.conv_layers": int,
    "model.dense_features": list,
    "model.dropout": (int, float),
    "model.group_norm": str,
    "model.kernel_size": int,
    "model.num_outputs": int,
}
_SIGNS_OF_A_START = ("metrics.jsonl", "failure.json", "provenance.json")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a workdir holds of one run.

    Attributes:
        label: name of the run, with its workdir where another run or its workdir has that name.
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
    def is_validated(self) -> bool:
        """Whether it was tested on images held out of training instead of the test images."""
        return bool(self.config.get("data.validation_share"))

    def accuracies(self, test_set: str) -> OfSeeds:
        """Test accuracy by seed, of a run that is finished; none if it was not tested on the set.

        Args:
            test_set: name of a test set.
        """
        accuracies = self.result["test_accuracy"].get(test_set)
        return dict(zip(self.result["seeds"], accuracies, strict=True)) if accuracies else {}

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
    short = short_names(workdirs)

    def is_ambiguous(workdir: Path, run: Run) -> bool:
        others = [name for other, name in short.items() if other != workdir]
        return labels.count(run.label) > 1 or run.label in others

    return [
        dataclasses.replace(run, label=f"{run.label} ({short[workdir]})")
        if is_ambiguous(workdir, run)
        else run
        for workdir, run in found
    ]


def short_names(folders: Sequence[Path]) -> dict[Path, str]:
    """The name of each folder, with as many parents as it takes to tell it from the others."""

    def name(folder: Path, length: int) -> str:
        return "/".join(folder.absolute().parts[-length:])

    def short(folder: Path) -> str:
        others = [other for other in folders if other.absolute() != folder.absolute()]
        for length in range(1, len(folder.absolute().parts)):
            if all(name(other, length) != name(folder, length) for other in others):
                return name(folder, length)
        return str(folder)

    folders = list(map(Path, folders))
    return {folder: short(folder) for folder in folders}


def recipe(run: Run, *, but: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a run that say what is learned and how it is tested.

    Args:
        run: any run.
        but: fields that are left out, or sections of them, as ``"model."``.
    """
    return {
        field: value
        for field, value in run.config.items()
        if field not in NO_PART_OF_A_RECIPE
        and is_read(field, job="train")
        and not field.startswith(tuple(but))
    }


def folders_of_job(workdirs: Sequence[Path], job: str) -> list[Path]:
    """The workdirs that were made by a job other than training."""
    return [workdir for workdir in map(Path, workdirs) if read_config(workdir).get("job") == job]


def read_config(folder: Path) -> dict[str, Any]:
    """The fields of a workdir's ``config.json``, none where it cannot be read."""
    try:
        return stored_config(folder)
    except (OSError, ValueError):
        return {}


def fields_of(folder: Path) -> dict[str, Any]:
    """The fields of a workdir's ``config.json`` by dotted name, none where it cannot be read."""
    return flatten(read_config(folder))


def _run_folders(workdir: Path) -> list[tuple[str, Path]]:
    """Name and folder of each run below a workdir, which may itself be the run."""
    config = read_config(workdir)
    if config.get("job", "train") != "train":
        return []
    if isinstance(config.get("runs"), dict) and config["runs"]:
        only = names(config.get("only", ""))
        return [
            (name, workdir / name)
            for name in config["runs"]
            # A run that was not asked for is not missing.
            if not only
            or name in only
            or any((workdir / name / file).exists() for file in _SIGNS_OF_A_START)
        ]
    return [(str(config.get("name", workdir.name)), workdir)]


def _read_run(name: str, folder: Path) -> Run:
    config, records, starts = fields_of(folder), [], []
    wrong = [n for n, kind in _READ_OF_A_CONFIG.items() if not isinstance(config.get(n), kind)]
    if config and wrong:
        problem = (
            f"{folder / 'config.json'} is damaged (it lacks {listed(wrong)}, or has it in another "
            "form)"
        )
        return Run(name, folder, {}, None, records, starts, problem)
    try:
        if (folder / "config.json").exists():
            stored_config(folder)
        starts = provenance.read(folder)
        records = read_metrics(folder / "metrics.jsonl")
        result = results.read(folder).get(name)
    except (OSError, ValueError) as error:
        return Run(name, folder, config, None, records, starts, str(error))
    if result is not None and config:
        return Run(name, folder, config, result, records, starts)
    if result is not None:
        problem = f"there is a result in {folder}, but no config.json"
    elif failure := results.read_failure(folder):
        problem = f"failed: {failure}"
    elif records:
        problem = f"not finished: {records[-1]['step']} steps in {folder}"
    else:
        problem = f"no run in {folder}"
    return Run(name, folder, config, None, records, starts, problem)
