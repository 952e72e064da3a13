"""Fig 6.1's table: a column per run, and one for the published numbers beside it."""

from collections.abc import Callable, Sequence
from typing import Any

from phash_jax import tables
from phash_jax.published import PUBLISHED
from phash_jax.report.collect import Run
from phash_jax.report.formats import (
    duration,
    number_with_interval,
    percent,
    percent_with_interval,
)

# Runs side by side in one table.
_MOST_COLUMNS = 6
# Rows of the figure that are columns of the table by run, besides the test sets.
_OF_EVERY_RUN = (
    "seeds",
    "steps",
    "training accuracy, last log interval",
    "training loss",
    "training time, all seeds",
)


def _steps(field: str) -> Callable[[dict[str, Any]], str]:
    def cell(run: dict[str, Any]) -> str:
        if not any(run[field]):
            return "never"
        return ", ".join("never" if step is None else str(step) for step in run[field])

    return cell


def _rows(runs: Sequence[Run]) -> list[tuple[str, Callable, Callable]]:
    """Rows of Fig 6.1: name, cell from our result, cell from the published numbers."""

    def published(field: str, form: Callable[[Any], str]) -> Callable[[dict], str]:
        return lambda study: form(study[field]) if field in study else "-"

    rows = [
        (
            "seeds",
            lambda run: str(len(run["seeds"])),
            lambda study: "1",
        ),
        ("steps", lambda run: str(run["num_steps"]), published("num_steps", str)),
        (
            "training accuracy, last log interval",
            lambda run: percent_with_interval(run["statistics"]["train_accuracy"]),
            lambda study: "-",
        ),
        (
            "training accuracy, last batch",
            lambda run: percent_with_interval(run["statistics"]["last_batch_accuracy"]),
            published("last_batch_accuracy", percent),
        ),
        (
            "steps to 90 %, one logged batch",
            _steps("steps_to_90_single_batch"),
            published("steps_to_90_single_batch", str),
        ),
        ("steps to 90 %, mean of a log interval", _steps("steps_to_90"), lambda study: "-"),
        (
            "average accuracy cross entropy (not defined by the study)",
            lambda run: "-",
            published("average_accuracy_cross_entropy", str),
        ),
        (
            "training loss",
            lambda run: number_with_interval(run["statistics"]["train_loss"]),
            published("train_loss", str),
        ),
    ]
    test_sets = {name: None for run in runs if run.result for name in run.result["test_accuracy"]}
    for name in test_sets:
        rows += [
            (
                f"test accuracy, {name}",
                lambda run, name=name: (
                    percent_with_interval(run["statistics"]["test_accuracy"][name])
                    if name in run["test_accuracy"]
                    else "-"
                ),
                lambda study, name=name: (
                    percent(study["test_accuracy"][name]) if name in study["test_accuracy"] else "-"
                ),
            ),
            (
                f"correct, {name}",
                lambda run, name=name: (
                    f"{', '.join(map(str, run['test_correct'][name]))} / {run['test_size']}"
                    if name in run["test_correct"]
                    else "-"
                ),
                lambda study, name=name: (
                    f"{study['test_correct'][name]} / {study['test_size']}"
                    if name in study["test_correct"]
                    else "-"
                ),
            ),
        ]
    rows.append(
        (
            "training time, all seeds",
            lambda run: duration(run["seconds"]),
            published("seconds", duration),
        )
    )
    return rows


def table(runs: Sequence[Run]) -> str:
    """A Markdown table with Fig 6.1's rows: a column per run, and one for its published numbers.

    Means over seeds; where there are at least two, Student's 95 % interval in brackets.
    """
    columns: dict[str, Callable[[tuple], str]] = {}
    for run in runs:
        if run.result is None:
            continue
        study = PUBLISHED[run.result["published"]]
        columns[run.label] = lambda row, run=run: row[1](run.result)
        if study["test_accuracy"]:
            # Beside the first of the runs that have the same published numbers.
            title = f"{run.result['published']}, published"
            columns.setdefault(title, lambda row, study=study: row[2](study))
    if not columns:
        return "no finished run\n"
    cells = [[row[0], *(cell(row) for cell in columns.values())] for row in _rows(runs)]
    # Without published numbers, rows that only the study has are empty and left out.
    return tables.markdown([["", *columns], *(row for row in cells if {*row[1:]} != {"-"})])


def table_by_run(runs: Sequence[Run]) -> str:
    """The same with a row per run and without what only the study has: for many runs.

    Lists over seeds are left out too.
    """
    finished = [run for run in runs if run.result]
    shown = [
        (name, ours)
        for name, ours, _ in _rows(finished)
        if name in _OF_EVERY_RUN or name.startswith("test accuracy, ")
    ]
    cells = [("run", *(name for name, _ in shown))]
    cells += [(run.label, *(ours(run.result) for _, ours in shown)) for run in finished]
    return tables.markdown(cells)


def side_by_side(finished: Sequence[Run]) -> str:
    """Fig 6.1; if there are many runs, of those the study has a number for, then the others."""
    if len(finished) <= _MOST_COLUMNS:
        return table(finished)
    beside, others = [], []
    for run in finished:
        has_number = PUBLISHED[run.result["published"]]["test_accuracy"]
        (beside if has_number else others).append(run)
    parts = [table(beside)] if beside else []
    if others:
        parts.append(f"### Runs that the study has no number for\n\n{table_by_run(others)}")
    return "\n".join(parts)
