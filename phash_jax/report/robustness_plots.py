"""Plots of accuracy and of hashes under distortions."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from phash_jax.figures import new_figure, save
from phash_jax.report.plots import DPI, legend_above, line_of, mean_and_band, tidy


def plot_heat_maps(result: dict[str, Any], path: Path) -> None:
    """Accuracy by distortion and severity, a panel per run, seeds averaged.

    With one severity there is one panel, with a column per run.
    """
    chosen, severities = result["distortions"], result["severities"]
    by_run = {
        name: 100
        * np.array(
            [
                np.full(len(severities), np.mean(networks["clean"])),
                *(np.mean(networks["accuracy"][d], 1) for d in chosen),
            ]
        )
        for name, networks in result["networks"].items()
    }
    if len(severities) == 1:
        maps = {f"severity {severities[0]}": np.concatenate(list(by_run.values()), 1)}
        ticks, axis = [name.replace("_", "\n") for name in by_run], ""
    else:
        maps, ticks, axis = by_run, severities, "severity"
    count = len(maps)
    columns = min(count, 4)
    lines = -(-count // columns)
    wide = max(2.6, 0.75 * len(ticks)) if count == 1 else 2.6
    figure = new_figure(2.2 + wide * columns, lines * (0.9 + 0.27 * (len(chosen) + 1)))
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    low = min(shown.min() for shown in maps.values())
    high = max(shown.max() for shown in maps.values())
    for panel in grid.flat[count:]:
        panel.set_visible(False)
    for panel, (name, shown) in zip(grid.flat, maps.items(), strict=False):
        image = panel.imshow(shown, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for row, column in np.ndindex(*shown.shape):
            value = shown[row, column]
            panel.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value < (low + high) / 2 else "black",
            )
        panel.set_xticks(range(len(ticks)), ticks, fontsize=8)
        panel.set_yticks(
            range(len(chosen) + 1), ["clean", *(d.replace("_", " ") for d in chosen)], fontsize=8
        )
        panel.set_title(name, fontsize=9)
        panel.spines[:].set_visible(False)
    figure.supxlabel(axis, fontsize=9)
    bar = figure.colorbar(image, ax=grid, shrink=0.6, pad=0.01)
    bar.set_label("test accuracy, %", fontsize=9)
    save(figure, path, dpi=DPI)


def plot_by_severity(result: dict[str, Any], path: Path) -> None:
    """Accuracy by severity, a panel per distortion: mean, and band from lowest to highest seed."""
    chosen, severities = result["distortions"], result["severities"]
    columns = 5
    lines = -(-len(chosen) // columns)
    figure = new_figure(10, 0.8 + 1.6 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for panel, distortion in zip(grid.flat, chosen, strict=False):
        for i, (name, networks) in enumerate(result["networks"].items()):
            # Severity 0 is the clean image.
            values = 100 * np.array([networks["clean"], *networks["accuracy"][distortion]])
            mean_and_band(panel, [0, *severities], values, lw=1.5, label=name, **line_of(i))
        panel.set_title(distortion.replace("_", " "), fontsize=9)
        tidy(panel)
    for panel in grid.flat[len(chosen) :]:
        panel.set_visible(False)
    legend_above(figure, grid.flat[0], fontsize=9)
    figure.supxlabel("severity (0: clean)", fontsize=9)
    figure.supylabel("test accuracy, %", fontsize=9)
    save(figure, path, dpi=DPI)


def plot_distances(result: dict[str, Any], path: Path) -> None:
    """Distances from distorted images to the same and to other ones, a panel per hash.

    All distortions together: a line per severity; the area is of pairs of different images at all
    severities. An even distance and the next are one point: hashes split at a median have hardly
    any odd ones.
    """
    columns = min(4, len(result["distances"]))
    lines = -(-len(result["distances"]) // columns)
    figure = new_figure(0.6 + 2.9 * columns, 0.7 + 2.3 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in grid[len(result["distances"]) :]:
        panel.set_visible(False)
    shades = colormaps["viridis_r"](np.linspace(0.15, 0.95, len(result["severities"])))
    for panel, (name, counts) in zip(grid, result["distances"].items(), strict=False):
        different = _in_twos(np.sum(counts["different"], 0))
        distances = 2 * np.arange(len(different))
        panel.fill_between(
            distances,
            100 * different / different.sum(),
            color="0.85",
            lw=0,
            label="different images",
        )
        for severity, shade, same in zip(result["severities"], shades, counts["same"], strict=True):
            panel.plot(
                distances,
                100 * _in_twos(np.array(same)) / np.sum(same),
                color=shade,
                lw=1.3,
                label=f"same image, severity {severity}",
            )
        panel.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        panel.set_ylim(0, 100)
        panel.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        panel.set_title(name, fontsize=10)
        tidy(panel)
    legend_above(figure, grid[0])
    figure.supxlabel("distance in bits, in steps of two", fontsize=9)
    figure.supylabel("% of pairs", fontsize=9)
    save(figure, path, dpi=DPI)


def _in_twos(counts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(counts, range(0, len(counts), 2))


def plot_hashes(result: dict[str, Any], path: Path) -> None:
    """Flipped bits, ROC area and true-positive rate by severity, means over distortions."""
    figure = new_figure(11, 3.4)
    panels = figure.subplots(1, 3)
    for panel, (field, title, scale) in zip(
        panels,
        (
            ("flipped", "bits flipped, %", 100),
            ("roc_area", "ROC area", 1),
            ("true_positive_rate", "true positives, %, at a false-positive rate of 1e-3", 100),
        ),
        strict=True,
    ):
        for i, (name, of_hash) in enumerate(result["hashes"].items()):
            values = [[s[field] for s in of_distortion] for of_distortion in of_hash.values()]
            panel.plot(
                result["severities"],
                scale * np.mean(values, 0),
                marker="o",
                lw=1.5,
                ms=4,
                label=name,
                **line_of(i),
            )
        panel.set(title=title, xlabel="severity", xticks=result["severities"])
        panel.title.set_fontsize(10)
        tidy(panel)
    panels[0].legend(frameon=False, fontsize=8)
    save(figure, path, dpi=DPI)
