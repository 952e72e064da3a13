"""The report's plots, in colours that can be told apart with every common colour blindness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from phash_jax.figures import as_written, new_figure, save
from phash_jax.published import FIG_5_5_NAMES, PUBLISHED
from phash_jax.report.collect import Run
from phash_jax.report.fig_5_5 import ORIGINAL

# Okabe and Ito's palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_TEST_SET_COLOURS = {
    "clean": COLOURS[0],
    "contrast_200": COLOURS[1],
    "contrast_300": COLOURS[2],
}
# Where there are more lines than colours; the last three are dashes and gaps in line widths.
_LINE_STYLES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 4)), (0, (6, 2, 1, 2, 1, 2)))
_GRID = {"alpha": 0.3, "lw": 0.6}
# Dots per inch: small enough to be committed.
DPI = 110
# Inches of a square of confusions, and how many classes are still readable in it.
_LARGEST_CONFUSION = 9.3
_MOST_CLASSES_NAMED = 20


def legend_above(figure, panel, *, fontsize: int = 10) -> None:
    """What the lines of one panel are, above all panels, in as many columns as the names allow.

    The figure grows by the lines of the legend after the first.
    """
    handles, labels = panel.get_legend_handles_labels()
    for columns in (4, 3, 2, 1):
        legend = figure.legend(
            handles,
            labels,
            frameon=False,
            loc="outside upper center",
            ncols=columns,
            fontsize=fontsize,
        )
        as_written(legend)
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    height = figure.get_figheight()
    figure.set_figheight(height + 0.25 * (-(-len(labels) // columns) - 1))


def tidy(panel, *, axis: str = "both") -> None:
    """Leaves out the frame's upper and right line; grid lines cross the named axis."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis=axis, **_GRID)


def line_of(place: int) -> dict[str, Any]:
    """Colour and style of the line in that place among several."""
    again, number = divmod(place, len(COLOURS))
    return {"color": COLOURS[number], "ls": _LINE_STYLES[again % len(_LINE_STYLES)]}


def mean_and_band(
    panel,
    x: Sequence[float] | Float[np.ndarray, " x"],
    of_seeds: Float[np.ndarray, "x seeds"],
    **line: object,
) -> None:
    """A line through the means over seeds, on a band from the lowest to the highest seed."""
    (drawn,) = panel.plot(x, of_seeds.mean(1), **line)
    lowest, highest = of_seeds.min(1), of_seeds.max(1)
    panel.fill_between(x, lowest, highest, color=drawn.get_color(), alpha=0.2, lw=0)


def _draw_curve(panel, run: Run, field: str, scale: float, **line: object) -> None:
    steps = [record["step"] for record in run.records]
    values = scale * np.array([record[field] for record in run.records])
    mean_and_band(panel, steps, values, lw=1.6, **line)


def plot_curves(runs: Sequence[Run], path: Path) -> None:
    """Training accuracy and loss by step: mean over seeds, band from lowest to highest seed."""
    shown = [run for run in runs if run.records]
    figure = new_figure(10, 4)
    panels = figure.subplots(1, 2)
    for panel, field, title, scale in (
        (panels[0], "accuracy", "training accuracy, %", 100),
        (panels[1], "loss", "training loss", 1),
    ):
        for i, run in enumerate(shown):
            _draw_curve(panel, run, field, scale, label=run.label, **line_of(i))
        panel.set(title=title, xlabel="step")
        tidy(panel)
    panels[0].axhline(90, color="0.5", lw=0.8, ls="--")
    if shown:
        legend_above(figure, panels[0])
    save(figure, path, dpi=DPI)


def plot_sweep_curves(rows: Sequence[Run], path: Path) -> None:
    """Training accuracy of every row of Fig 5.5 over Original's, small multiples."""
    columns = 5
    lines = -(-len(rows) // columns)
    figure = new_figure(10, 0.5 + 1.75 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    original = next((run for run in rows if run.row == ORIGINAL), None)
    for panel, run in zip(grid.flat, rows, strict=False):
        for shown, colour in ((original, "0.6"), (run, COLOURS[0])):
            if shown is not None and shown.records:
                _draw_curve(panel, shown, "accuracy", 100, color=colour)
        panel.set_title(FIG_5_5_NAMES[run.row], fontsize=9)
        tidy(panel)
    for panel in grid.flat[len(rows) :]:
        panel.set_visible(False)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("training accuracy, %", fontsize=9)
    save(figure, path, dpi=DPI)


def plot_accuracies(runs: Sequence[Run], path: Path) -> None:
    """Test accuracy of each run: seeds, mean and 95 % interval, and the published number.

    Runs with another number of classes have a panel of their own, since guessing differs there.
    """
    by_classes: dict[int, list[Run]] = {}
    for run in runs:
        by_classes.setdefault(len(run.result.get("class_names", ())), []).append(run)
    heights = [len(group) + 0.6 for group in by_classes.values()]
    figure = new_figure(10, 0.7 + 0.42 * sum(heights) + 0.35 * len(heights))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (num_classes, group) in zip(panels, by_classes.items(), strict=True):
        _draw_accuracies(panel, group)
        if num_classes:
            panel.axvline(100 / num_classes, color="0.5", lw=0.8, ls="--", zorder=0)
    panels[-1].set_xlabel("test accuracy, %")
    tested = {test_set for run in runs for test_set in run.result["test_accuracy"]}
    for test_set, colour in _TEST_SET_COLOURS.items():
        if test_set in tested:
            panels[0].plot([], [], "o-", color=colour, ms=5, label=test_set.replace("_", " "))
    if any(_published(run).keys() & run.result["test_accuracy"].keys() for run in runs):
        panels[0].plot([], [], "D", mfc="white", mec="0.3", ms=5.5, label="published")
    panels[0].plot([], [], "--", color="0.5", lw=0.8, label="guessing")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, path, dpi=DPI)


def _published(run: Run) -> dict[str, float]:
    return PUBLISHED[run.result["published"]]["test_accuracy"]


def _draw_accuracies(panel, runs: Sequence[Run]) -> None:
    for place, run in enumerate(runs):
        study = _published(run)
        tested = [name for name in _TEST_SET_COLOURS if name in run.result["test_accuracy"]]
        for number, test_set in enumerate(tested):
            y = place + 0.28 * (number - (len(tested) - 1) / 2)
            colour = _TEST_SET_COLOURS[test_set]
            seeds = 100 * np.array(run.result["test_accuracy"][test_set])
            statistic = run.result["statistics"]["test_accuracy"][test_set]
            if statistic["ci95"]:
                panel.plot(100 * np.array(statistic["ci95"]), [y, y], color=colour, lw=2)
            panel.plot(seeds, [y] * len(seeds), "|", color=colour, ms=5, mew=0.8)
            panel.plot([seeds.mean()], [y], "o", color=colour, ms=5)
            if test_set in study:
                panel.plot(
                    [100 * study[test_set]], [y], "D", mfc="white", mec=colour, ms=5.5, zorder=4
                )
    panel.set_yticks(
        range(len(runs)), [FIG_5_5_NAMES[run.row] if run.row else run.label for run in runs]
    )
    panel.set_ylim(len(runs) - 0.5, -0.5)
    tidy(panel, axis="x")


def plot_differences(
    of_each: Mapping[str, Mapping[str, dict[str, Any]]], axis: str, path: Path
) -> None:
    """Differences of networks from others, with their intervals: a line for each.

    Args:
        of_each: by networks and by what they were tested on, or the other way round, as
            ``paired_difference`` gives them.
        axis: what the differences are.
        path: of the figure.
    """
    together = max(map(len, of_each.values()))
    lines = max(name.count("\n") for name in of_each)
    figure = new_figure(10, 1.2 + (0.18 + max(0.12 * together, 0.15 * lines)) * len(of_each))
    panel = figure.subplots()
    named = set()
    for place, differences in enumerate(of_each.values()):
        for number, (name, difference) in enumerate(differences.items()):
            if difference["mean"] is None:
                continue
            y = place + 0.24 * (number - (len(differences) - 1) / 2)
            colour = COLOURS[number]
            if difference["ci95"]:
                panel.plot(100 * np.array(difference["ci95"]), [y, y], color=colour, lw=2)
            label = None if name in named else name
            named.add(name)
            panel.plot([100 * difference["mean"]], [y], "o", color=colour, ms=5, label=label)
    panel.axvline(0, color="0.5", lw=0.8, ls="--", zorder=0)
    panel.set_yticks(range(len(of_each)), list(of_each), fontsize=8 if lines else 10)
    panel.set_ylim(len(of_each) - 0.5, -0.5)
    tidy(panel, axis="x")
    panel.set_xlabel(axis)
    legend_above(figure, panel, fontsize=9)
    save(figure, path, dpi=DPI)


def plot_confusion(runs: Sequence[Run], path: Path) -> None:
    """Share of each class taken for each class, mean over seeds: a row per run.

    With many classes, colours alone, without names and numbers.
    """
    test_sets = list({name: None for run in runs for name in run.result["confusion"]})
    num_classes = max(len(run.result["class_names"]) for run in runs)
    side = min(max(1.9, 0.42 * num_classes + 0.9), _LARGEST_CONFUSION)
    figure = new_figure(1.2 + side * len(test_sets), 0.4 + side * len(runs))
    grid = figure.subplots(len(runs), len(test_sets), squeeze=False)
    for panels, run in zip(grid, runs, strict=True):
        names = run.result["class_names"]
        for panel, test_set in zip(panels, test_sets, strict=True):
            if test_set not in run.result["confusion"]:
                panel.set_visible(False)
                continue
            counts = np.mean(run.result["confusion"][test_set], 0)
            share = 100 * counts / counts.sum(1, keepdims=True)
            # Outputs that are no class (the study's head had ten for two) are left out.
            share = share[:, : len(names)]
            panel.imshow(share, cmap="Blues", vmin=0, vmax=100)
            panel.set_title(f"{run.label}, {test_set.replace('_', ' ')}", fontsize=9)
            if len(names) > _MOST_CLASSES_NAMED:
                panel.set_axis_off()
                continue
            for row, column in np.ndindex(*share.shape):
                value = share[row, column]
                panel.text(
                    column,
                    row,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8 if len(names) > 4 else 10,
                    color="white" if value > 55 else "black",
                )
            panel.set_xticks(range(len(names)), names, fontsize=8, rotation=90 * (len(names) > 4))
            panel.set_yticks(range(len(names)), names, fontsize=8)
    figure.supxlabel("taken for", fontsize=9)
    figure.supylabel("class", fontsize=9)
    save(figure, path, dpi=DPI)
