"""results.json: what every seed of a run reached, with mean and 95 % interval."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from phash_jax.metrics import write_json


def mean_and_interval(values: list[float | None]) -> dict[str, Any]:
    """Mean over seeds and its 95 % interval from Student's t.

    Args:
        values: one per seed; None (a seed that never reached a mark) leaves both undefined.

    Returns:
        ``{"mean": m, "ci95": [low, high]}``; None where undefined (the interval of one seed).
    """
    if any(value is None for value in values):
        return {"mean": None, "ci95": None}
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "ci95": None}
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": mean, "ci95": [mean - half, mean + half]}


def steps_to(records: list[dict[str, Any]], field: str, mark: float) -> list[int | None]:
    """For each seed the first logged step whose ``field`` reaches ``mark``, or None."""
    num_seeds = len(records[0][field])
    return [
        next((r["step"] for r in records if r[field][seed] >= mark), None)
        for seed in range(num_seeds)
    ]


def build(
    *,
    name: str,
    published: str,
    seeds: list[int],
    records: list[dict[str, Any]],
    test_correct: dict[str, list[int]],
    test_size: int,
) -> dict[str, Any]:
    """The result of one run, ready for JSON.

    Args:
        name: of the run.
        published: column of the study to compare with.
        seeds: one per network.
        records: all records of metrics.jsonl.
        test_correct: for each test set the number of images each seed got right.
        test_size: number of test images.
    """
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
        "test_correct": test_correct,
        "test_accuracy": {
            test_set: [correct / test_size for correct in per_seed]
            for test_set, per_seed in test_correct.items()
        },
    }
    per_seed = (
        "train_accuracy",
        "train_loss",
        "last_batch_accuracy",
        "steps_to_90",
        "steps_to_90_single_batch",
    )
    result["statistics"] = {field: mean_and_interval(result[field]) for field in per_seed}
    result["statistics"]["test_accuracy"] = {
        test_set: mean_and_interval(values) for test_set, values in result["test_accuracy"].items()
    }
    return result


def write(workdir: Path, runs: dict[str, dict[str, Any]]) -> None:
    """Writes ``{"runs": {name: result}}`` to ``results.json``."""
    write_json(workdir / "results.json", {"runs": runs})


def read(workdir: Path) -> dict[str, dict[str, Any]]:
    """The runs of a workdir's ``results.json``; empty where there is none yet.

    Raises:
        ValueError: the file is there and cannot be read as results.
    """
    path = workdir / "results.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())["runs"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): delete it to have it made anew"
        ) from error
