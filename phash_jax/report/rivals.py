"""Runs that differ only in the input of the network, by bits per pixel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import tables
from phash_jax.comparison import OfSeeds, mean_and_interval
from phash_jax.figures import new_figure, save
from phash_jax.preprocess import BITS_PER_PIXEL
from phash_jax.report.collect import Run, fields_of, recipe
from phash_jax.report.differences import conclusion, from_base
from phash_jax.report.formats import commands, percent_with_interval, points
from phash_jax.report.plots import COLOURS, DPI, tidy
from phash_jax.report.tested_networks import (
    averaged_over,
    finished_networks,
    mean_accuracies,
    severities_of,
)

# What ``finished_networks`` gives.
Finished = Mapping[tuple[Path, ...], dict[str, Any]]

BASE = "average_hash"
_FEWEST = 3


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Finished runs whose configs differ in preprocessing only, by bits; three or more of them.

    Of several runs with the same preprocessing the first is taken. The largest group comes first.
    """
    found: dict[str, dict[str, Run]] = {}
    for run in runs:
        if run.result and not run.row and run.config.get("preprocess") in BITS_PER_PIXEL:
            fields = sorted(recipe(run, but=["preprocess"]).items())
            alike = found.setdefault(repr(fields), {})
            alike.setdefault(run.config["preprocess"], run)
    chosen = [
        [alike[name] for name in BITS_PER_PIXEL if name in alike]
        for alike in found.values()
        if len(alike) >= _FEWEST
    ]
    return sorted(chosen, key=len, reverse=True)


def distorted(run: Run, finished: Finished) -> tuple[str, OfSeeds] | None:
    """What a job robustness averaged over and its mean accuracy of each seed of a run."""
    for group, result in finished.items():
        images = fields_of(group[0])
        if any(
            images.get(field) not in (None, run.config.get(field))
            for field in ("data.name", "data.validation_share")
        ):
            continue
        over, chosen = averaged_over(result)
        for networks in result["networks"].values():
            # Results and networks may be moved together; what is in their folders does not change.
            tested = Path(networks["folder"]).parts[-2:]
            same = tested == run.folder.absolute().parts[-len(tested) :]
            trained = (networks["seeds"], networks["num_steps"])
            if same and trained == (run.result["seeds"], run.result["num_steps"]):
                return f"mean over {over}, {severities_of(result)}", mean_accuracies(
                    networks, chosen
                )
    return None


def _accuracies(run: Run, finished: Finished) -> dict[str, OfSeeds]:
    """Accuracy by what was tested and by seed."""
    under = distorted(run, finished)
    return {name: run.accuracies(name) for name in run.result["test_accuracy"]} | (
        {under[0]: under[1]} if under else {}
    )


def sections(runs: Sequence[Run], workdirs: Sequence[Path], figures: Path) -> list[str]:
    """A section for each group: a plot by bits, accuracies, and differences from the hash image."""
    texts, finished = [], finished_networks(workdirs)
    for place, group in enumerate(groups(runs)):
        by_run = {run.config["preprocess"]: _accuracies(run, finished) for run in group}
        file = f"rivals{'' if place == 0 else f'_{place + 1}'}.png"
        _plot(by_run, figures / file)
        first = group[0]
        texts.append(
            f"## Inputs of the network, by bits per pixel: {first.result['num_steps']:,} steps"
            f"{_also(first)}\n\n"
            f"{first.result['num_steps']:,} steps of {first.config['train.batch_size']} images, "
            f"seeds {', '.join(map(str, first.result['seeds']))}; {_augmentation(first)}.\n\n"
            f"![Test accuracy by bits per pixel: mean and 95 % interval](figures/{file})\n\n"
            f"{commands(group)}{table(by_run)}\n{_differences(by_run)}"
        )
    return texts


def _also(run: Run) -> str:
    return ", trained on distorted images" if run.config["train.augment"] else ""


def _augmentation(run: Run) -> str:
    chosen = run.config["train.augment"]
    if not chosen:
        return "trained on undistorted images"
    return f"trained on equal shares of `{chosen}`"


def summaries(runs: Sequence[Run], workdirs: Sequence[Path]) -> list[str]:
    """The table of accuracies of each group, for a terminal."""
    finished = finished_networks(workdirs)
    return [
        "# Inputs of the network, by bits per pixel\n\n"
        + table({run.config["preprocess"]: _accuracies(run, finished) for run in group})
        for group in groups(runs)
    ]


def table(by_run: dict[str, dict[str, OfSeeds]]) -> str:
    """Accuracies with every input, as Markdown."""
    tested = list(dict.fromkeys(name for accuracies in by_run.values() for name in accuracies))
    cells = [("input", "bits per pixel", "seeds", *tested)]
    for preprocess, accuracies in by_run.items():
        cells.append(
            (
                preprocess,
                f"{BITS_PER_PIXEL[preprocess]:g}",
                len(accuracies["clean"]),
                *(
                    percent_with_interval(mean_and_interval([*accuracies[name].values()]))
                    if name in accuracies
                    else "-"
                    for name in tested
                ),
            )
        )
    return tables.markdown(cells)


def _differences(by_run: dict[str, dict[str, OfSeeds]]) -> str:
    """Each rival minus the study's hash image with the same seeds."""
    if BASE not in by_run:
        return ""
    text = ""
    for test_set, base in by_run[BASE].items():
        others = [n for n in by_run if n != BASE and test_set in by_run[n]]
        found = from_base(base, [by_run[name][test_set] for name in others])
        cells: list[tuple[Any, ...]] = [("input", f"minus {BASE}, points", "verdict")]
        for name, (difference, p) in zip(others, found, strict=True):
            cells.append((name, points(difference), conclusion(difference, p)))
        if others:
            text += f"### Minus {BASE}, {test_set.replace('_', ' ')}\n\n{tables.markdown(cells)}\n"
    return text + (
        "Differences are between networks with the same seed. Better or worse means that p, "
        "Holm-adjusted within a table, is below 0.05.\n"
        if text
        else ""
    )


def _plot(by_run: dict[str, dict[str, OfSeeds]], path: Path) -> None:
    """Accuracy by bits per pixel, a panel for each test set, a dot for each input."""
    tested = list(dict.fromkeys(name for accuracies in by_run.values() for name in accuracies))
    figure = new_figure(3.6 * len(tested), 1.3 + 0.28 * len(by_run))
    panels = figure.subplots(1, len(tested), squeeze=False, sharey=True)[0]
    for panel, test_set in zip(panels, tested, strict=True):
        for place, name in enumerate(by_run):
            if test_set not in by_run[name]:
                continue
            accuracies = [*by_run[name][test_set].values()]
            statistic = mean_and_interval(accuracies)
            mean, low_high = 100 * statistic["mean"], statistic["ci95"]
            error = [[mean - 100 * low_high[0]], [100 * low_high[1] - mean]] if low_high else None
            panel.errorbar(
                mean, place, xerr=error, fmt="o", color=COLOURS[0], ms=4, lw=1, capsize=2
            )
            panel.plot(100 * np.array(accuracies), [place] * len(accuracies), "|", color="0.4")
        panel.set_title(test_set.replace("_", " ").replace(", ", ",\n"), fontsize=9)
        tidy(panel)
    labels = [f"{name.replace('_', ' ')}  ({BITS_PER_PIXEL[name]:g})" for name in by_run]
    # The panels share one axis, which has a place for every input, even if a panel lacks it.
    panels[0].set_yticks(range(len(by_run)), labels, fontsize=8)
    figure.supxlabel("test accuracy, %; in brackets bits per pixel", fontsize=9)
    save(figure, path, dpi=DPI)
