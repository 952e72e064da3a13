"""Tables and curves from the results of any workdirs, the published numbers beside ours.

python -m phash_jax.report DIR [DIR ...] --output=DIR
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import results, tables
from phash_jax.metrics import read_metrics
from phash_jax.published import PUBLISHED

# Okabe and Ito's palette, distinguishable with every common colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a workdir holds of one run.

    Attributes:
        label: name of the run, with its workdir where two have the same name.
        result: its entry of results.json, or None while it is not finished.
        records: its metrics.jsonl.
        problem: why there is no result, empty where there is one.
    """

    label: str
    result: dict[str, Any] | None
    records: list[dict[str, Any]]
    problem: str = ""


def collect(workdirs: Sequence[Path]) -> list[Run]:
    """Reads all runs of some workdirs; a missing or damaged one is kept, with its problem named."""
    found: list[tuple[str, Path, Run]] = []
    for workdir in map(Path, workdirs):
        for name, folder in _run_folders(workdir):
            found.append((name, workdir, _read_run(name, folder)))
    names = [name for name, _, _ in found]
    return [
        run
        if names.count(name) == 1
        else dataclasses.replace(run, label=f"{name} ({workdir.name})")
        for name, workdir, run in found
    ]


def _run_folders(workdir: Path) -> list[tuple[str, Path]]:
    """Name and folder of each run below a workdir, which may itself be the run."""
    try:
        config = json.loads((workdir / "config.json").read_text())
        if config["runs"]:
            return [(name, workdir / name) for name in config["runs"]]
        return [(config["name"], workdir)]
    except (OSError, ValueError, KeyError, TypeError):
        return [(workdir.name, workdir)]


def _read_run(name: str, folder: Path) -> Run:
    try:
        records = read_metrics(folder / "metrics.jsonl")
        result = results.read(folder).get(name)
    except ValueError as error:
        return Run(name, None, [], str(error))
    if result is not None:
        return Run(name, result, records)
    if records:
        return Run(name, None, records, f"not finished: {records[-1]['step']} steps in {folder}")
    return Run(name, None, [], f"no run in {folder}")


def _percent(statistic: dict[str, Any]) -> str:
    low_high = statistic["ci95"]
    interval = f" [{100 * low_high[0]:.1f}, {100 * low_high[1]:.1f}]" if low_high else ""
    return f"{100 * statistic['mean']:.1f} %{interval}"


def _number(statistic: dict[str, Any]) -> str:
    low_high = statistic["ci95"]
    interval = f" [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
    return f"{statistic['mean']:.4f}{interval}"


def _steps(field: str) -> Callable[[dict[str, Any]], str]:
    def cell(run: dict[str, Any]) -> str:
        never = f"not in {run['num_steps']}"
        return ", ".join(never if step is None else str(step) for step in run[field])

    return cell


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def _rows(runs: Sequence[Run]) -> list[tuple[str, Callable, Callable]]:
    """Rows of Fig 6.1: name, cell from our result, cell from the published numbers."""

    def published(field: str, form: Callable[[Any], str]) -> Callable[[dict], str]:
        return lambda study: form(study[field]) if field in study else "-"

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    rows = [
        (
            "seeds",
            lambda run: str(len(run["seeds"])),
            lambda study: "1" if study["seconds"] else "",
        ),
        ("steps", lambda run: str(run["num_steps"]), published("num_steps", str)),
        (
            "training accuracy, last log interval",
            lambda run: _percent(run["statistics"]["train_accuracy"]),
            lambda study: "-",
        ),
        (
            "training accuracy, last batch",
            lambda run: _percent(run["statistics"]["last_batch_accuracy"]),
            published("last_batch_accuracy", percent),
        ),
        (
            "steps to 90 %, one logged batch",
            _steps("steps_to_90_single_batch"),
            published("steps_to_90_single_batch", str),
        ),
        ("steps to 90 %, mean of a log interval", _steps("steps_to_90"), lambda study: "-"),
        (
            "average_accuracy_cross_entropy (not defined by the study)",
            lambda run: "-",
            published("average_accuracy_cross_entropy", str),
        ),
        (
            "training loss",
            lambda run: _number(run["statistics"]["train_loss"]),
            published("train_loss", str),
        ),
    ]
    test_sets = {name: None for run in runs if run.result for name in run.result["test_accuracy"]}
    for name in test_sets:
        rows += [
            (
                f"test accuracy, {name}",
                lambda run, name=name: (
                    _percent(run["statistics"]["test_accuracy"][name])
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
            lambda run: _duration(run["seconds"]),
            published("seconds", _duration),
        )
    )
    return rows


def table(runs: Sequence[Run]) -> str:
    """A Markdown table with Fig 6.1's rows, a column per run and one for its published numbers.

    Means over seeds, with Student's 95 % interval in brackets from two seeds on.
    """
    columns: list[tuple[str, Callable[[tuple], str]]] = []
    for run in runs:
        if run.result is None:
            continue
        study = PUBLISHED[run.result["published"]]
        columns.append((run.label, lambda row, run=run: row[1](run.result)))
        if study["test_accuracy"]:
            columns.append(
                (f"{run.result['published']}, published", lambda row, s=study: row[2](s))
            )
    if not columns:
        return "no finished run\n"
    cells = [["", *(title for title, _ in columns)]]
    cells += [[row[0], *(cell(row) for _, cell in columns)] for row in _rows(runs)]
    return tables.markdown(cells)


def summary(runs: Sequence[Run]) -> str:
    """``table`` with a title, and a line for every run that has no result."""
    problems = "".join(f"- {run.label}: {run.problem}\n" for run in runs if run.problem)
    return (
        "# Ours beside the study's (Fig 6.1)\n\n"
        + table(runs)
        + "\nMeans over seeds; in brackets Student's 95 % interval of the mean. Lists: one number "
        "per seed.\n" + (f"\nWithout a result:\n\n{problems}" if problems else "")
    )


def plot_curves(runs: Sequence[Run], path: Path) -> None:
    """Draws training accuracy and loss by step: mean over seeds, band from lowest to highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for panel, field, title in (
        (panels[0], "accuracy", "training accuracy"),
        (panels[1], "loss", "training loss"),
    ):
        for i, run in enumerate(run for run in runs if run.records):
            steps = [record["step"] for record in run.records]
            values = np.array([record[field] for record in run.records])
            colour = _COLOURS[i % len(_COLOURS)]
            panel.plot(steps, values.mean(1), color=colour, label=run.label)
            panel.fill_between(steps, values.min(1), values.max(1), color=colour, alpha=0.2, lw=0)
        panel.set(title=title, xlabel="step")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    panels[0].axhline(0.9, color="0.5", lw=0.8, ls="--")
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(frameon=False)
    figure.suptitle("mean over seeds and over each log interval; band: lowest to highest seed")
    figure.savefig(path, dpi=120)


def write(output: Path, workdirs: Sequence[Path]) -> str:
    """Writes ``summary.md`` and ``curves.png`` of some workdirs; returns the summary."""
    runs = collect(workdirs)
    output.mkdir(parents=True, exist_ok=True)
    text = summary(runs)
    (output / "summary.md").write_text(text)
    plot_curves(runs, output / "curves.png")
    return text


def main() -> None:
    """Compares any workdirs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, help="folder for summary.md and curves.png")
    arguments = parser.parse_args()
    if arguments.output:
        print(write(arguments.output, arguments.workdirs))
    else:
        print(summary(collect(arguments.workdirs)))


if __name__ == "__main__":
    main()
