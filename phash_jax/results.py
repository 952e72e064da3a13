"""results.json: what every seed of a run reached, with mean and 95 % interval; failure.json."""

import math
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from phash_jax.comparison import mean_and_interval
from phash_jax.errors import listed
from phash_jax.json_files import damaged, read_json, write_json
from phash_jax.published import PUBLISHED

_DELETE = "delete it to have it made anew"
# Of every run, whatever its version.
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "published": str,
    "seeds": list,
    "num_steps": int,
    "seconds": (int, float),
    "train_accuracy": list,
    "train_loss": list,
    "last_batch_accuracy": list,
    "steps_to_90": list,
    "steps_to_90_single_batch": list,
    "test_size": int,
    "class_names": list,
    "test_accuracy": dict,
    "test_correct": dict,
}
_PER_SEED = (
    "train_accuracy",
    "train_loss",
    "last_batch_accuracy",
    "steps_to_90",
    "steps_to_90_single_batch",
)
# None of a seed that did not get there.
_NEVER_REACHED = ("steps_to_90", "steps_to_90_single_batch")


def steps_to(records: list[dict[str, Any]], field: str, mark: float) -> list[int | None]:
    """For each seed the first logged step whose ``field`` reaches ``mark``, or None."""
    num_seeds = len(records[0][field])
    return [
        next((r["step"] for r in records if r[field][seed] >= mark), None)
        for seed in range(num_seeds)
    ]


def _confusion(
    predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], num_outputs: int
) -> Int[np.ndarray, "outputs outputs"]:
    pairs = labels * num_outputs + predicted
    return np.bincount(pairs, minlength=num_outputs**2).reshape(num_outputs, num_outputs)


def build(
    *,
    name: str,
    published: str,
    seeds: list[int],
    records: list[dict[str, Any]],
    class_names: Sequence[str],
    test_labels: Int[np.ndarray, " n"],
    test_logits: Mapping[str, Float[np.ndarray, "seeds n outputs"]],
) -> dict[str, Any]:
    """The result of one run, ready for JSON.

    Args:
        name: of the run.
        published: column of the study to compare with.
        seeds: one per network.
        records: all records of metrics.jsonl.
        class_names: names of the labels.
        test_labels: of the test images.
        test_logits: for each test set, of every seed and image.
    """
    confusion = {
        test_set: [_confusion(one.argmax(-1), test_labels, one.shape[-1]) for one in logits]
        for test_set, logits in test_logits.items()
    }
    test_size = len(test_labels)
    test_correct = {
        test_set: [int(np.trace(matrix)) for matrix in matrices]
        for test_set, matrices in confusion.items()
    }
    last = records[-1]
    result = {
        "name": name,
        "published": published,
        "seeds": seeds,
        "num_steps": last["step"],
        "seconds": last["seconds"],
        # Means over the last log interval, and the last single batch as the study reported it.
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "last_batch_accuracy": last["batch_accuracy"],
        # By the mean over a log interval, and by one logged batch as the study counted.
        "steps_to_90": steps_to(records, "accuracy", 0.9),
        "steps_to_90_single_batch": steps_to(records, "batch_accuracy", 0.9),
        "test_size": test_size,
        "class_names": list(class_names),
        # Per seed: images of each class (row) by the class they were taken for (column).
        "confusion": {
            test_set: [matrix[: len(class_names)].tolist() for matrix in matrices]
            for test_set, matrices in confusion.items()
        },
        "test_correct": test_correct,
        "test_accuracy": {
            test_set: [correct / test_size for correct in per_seed]
            for test_set, per_seed in test_correct.items()
        },
    }
    return {**result, "statistics": _statistics(result)}


def _statistics(result: dict[str, Any]) -> dict[str, Any]:
    """Mean and interval of everything that has a value per seed."""
    return {
        **{field: mean_and_interval(result[field]) for field in _PER_SEED},
        "test_accuracy": {
            test_set: mean_and_interval(values)
            for test_set, values in result["test_accuracy"].items()
        },
    }


def write(workdir: Path, runs: dict[str, dict[str, Any]]) -> None:
    """Writes ``{"runs": {name: result}}`` to ``results.json``, in place of an earlier failure."""
    write_json(workdir / "results.json", {"runs": runs})
    clear_failure(workdir)


def write_failure(workdir: Path, error: Exception) -> None:
    """Writes to ``failure.json`` why a run has no result, and where that was raised."""
    where = "".join(traceback.format_exception(error))
    write_json(workdir / "failure.json", {"error": str(error), "traceback": where})


def clear_failure(workdir: Path) -> None:
    """Forgets a failure: the run is being tried again, or is finished."""
    (workdir / "failure.json").unlink(missing_ok=True)


def read_failure(workdir: Path) -> str:
    """What ``write_failure`` wrote; empty where the run did not fail."""
    try:
        return str(read_json(workdir / "failure.json", dict, then="start the run again")["error"])
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, KeyError):
        return f"{workdir / 'failure.json'} is damaged"


def read(workdir: Path) -> dict[str, dict[str, Any]]:
    """The runs of a workdir's ``results.json``; empty where there is none yet.

    Means and intervals are computed anew, as an earlier version may have done it otherwise.

    Raises:
        ValueError: the file is there and cannot be read as results.
    """
    path = workdir / "results.json"
    if not path.exists():
        return {}
    runs = read_json(path, dict, then=_DELETE).get("runs")
    if not isinstance(runs, dict) or not all(isinstance(run, dict) for run in runs.values()):
        raise damaged(path, "it holds no runs", _DELETE)
    for name, run in runs.items():
        if wrong := _wrong_fields(run):
            raise damaged(path, f"{name} lacks {listed(wrong)}, or has it in another form", _DELETE)
    return {name: {**run, "statistics": _statistics(run)} for name, run in runs.items()}


def _wrong_fields(run: dict[str, Any]) -> list[str]:
    """The fields of a run's result that are missing, or not what ``build`` makes."""
    fields = _FIELDS | ({"confusion": dict} if "confusion" in run else {})
    wrong = [name for name, kind in fields.items() if not isinstance(run.get(name), kind)]
    if wrong:
        return wrong
    if run["published"] not in PUBLISHED:
        return ["published"]
    if not math.isfinite(run["seconds"]):
        return ["seconds"]
    values = (
        {name: run[name] for name in _PER_SEED}
        | run["test_accuracy"]
        | {f"correct of {name}": correct for name, correct in run["test_correct"].items()}
    )
    shape = (len(run["seeds"]), len(run["class_names"]))
    if not all(_has_counts(table, shape) for table in run.get("confusion", {}).values()):
        return ["confusion of every seed"]
    return [
        f"{name} of every seed"
        for name, per_seed in values.items()
        if not isinstance(per_seed, list)
        or len(per_seed) != len(run["seeds"])
        or not all(
            (value is None and name in _NEVER_REACHED) or isinstance(value, int | float)
            for value in per_seed
        )
    ]


def _has_counts(table: Any, shape: tuple[int, int]) -> bool:
    """Whether a confusion has whole numbers for every seed, class and output."""
    try:
        counts = np.array(table)
    except ValueError:
        return False
    return counts.ndim == 3 and counts.shape[:2] == shape and counts.dtype.kind == "i"
