"""Test accuracy while the networks train, and the images they had seen when it reached a mark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import tables
from phash_jax.figures import new_figure, save
from phash_jax.published import PUBLISHED, is_comparable
from phash_jax.report.collect import Run
from phash_jax.report.formats import percent
from phash_jax.report.plots import DPI, legend_above, line_of, mean_and_band, tidy

_TEST_SET = "clean"
_STUDY = PUBLISHED["phash"]
_STUDYS_BATCH = 64
_ROUND_MARK = 0.75


def marks_for(runs: Sequence[Run]) -> list[float]:
    """A round mark, and below it the accuracy of the study's hashed network if on its images."""
    finished = [run for run in runs if run.result]
    comparable = bool(finished) and all(
        is_comparable(
            "phash",
            data=run.config.get("data.name"),
            class_names=run.result["class_names"],
            validation_share=run.config.get("data.validation_share", 0.0),
        )
        for run in finished
    )
    studys = [_STUDY["test_accuracy"][_TEST_SET]] if comparable else []
    return [*studys, _ROUND_MARK]


def tests_of(run: Run) -> list[tuple[int, list[float]]]:
    """Images seen by each network and the accuracy of each seed then, for every test of a run."""
    batch = run.config.get("train.batch_size", 0)
    return [
        (record["step"] * batch, record["test_accuracy"][_TEST_SET])
        for record in run.records
        if _TEST_SET in record.get("test_accuracy", {})
    ]


def images_to(tests: Sequence[tuple[int, list[float]]], mark: float) -> list[int | None]:
    """For each seed the images seen at the first test that reaches ``mark``, or None."""
    return [
        next((images for images, accuracies in tests if accuracies[seed] >= mark), None)
        for seed in range(len(tests[0][1]))
    ]


def section(runs: Sequence[Run], figures: Path) -> str:
    """A plot of all runs that were tested while they trained, and a table; or nothing."""
    tested = [(run, tests) for run in runs if (tests := tests_of(run))]
    if not tested:
        return ""
    marks = marks_for([run for run, _ in tested])
    _plot(tested, marks, figures / "learning.png")
    studys = (
        f" {percent(marks[0])} is what the study reached after "
        f"{_STUDY['num_steps'] * _STUDYS_BATCH:,}."
        if len(marks) > 1
        else ""
    )
    return (
        "## Test accuracy by images seen\n\n"
        "![Accuracy on the clean test set during training: mean over seeds, band from "
        "lowest to highest seed](figures/learning.png)\n\n"
        f"{table(tested, marks)}\n"
        "Images seen (augmented copies count each time) at the first test that reaches the mark; "
        f"one number per seed where they differ.{studys} A learning rate that falls to 0 is made "
        "for the whole run: a shorter run may reach a mark sooner.\n"
    )


def table(
    tested: Sequence[tuple[Run, Sequence[tuple[int, list[float]]]]], marks: Sequence[float]
) -> str:
    """Images seen to each mark, a row per run, as Markdown."""
    cells: list[tuple[Any, ...]] = [
        ("run", "images in all", "images between tests", *(f"to {percent(m)}" for m in marks))
    ]
    for run, tests in tested:
        seen = [images for images, _ in tests]
        apart = np.diff([0, *seen])
        # The last test is at the end, however soon after the one before.
        if len(apart) > 1 and apart[-1] < apart[-2]:
            apart = apart[:-1]
        cells.append(
            (
                run.label,
                f"{seen[-1]:,}",
                # How often a run is tested may be changed when it is resumed.
                " to ".join(f"{images:,}" for images in sorted({apart.min(), apart.max()})),
                *(_reached(images_to(tests, mark), first=seen[0]) for mark in marks),
            )
        )
    return tables.markdown(cells)


def _reached(images: Sequence[int | None], *, first: int) -> str:
    """One number per seed, or one for all where they agree; for the first test an upper bound."""

    def text(number: int | None) -> str:
        if number is None:
            return "never"
        return f"at most {number:,}" if number == first else f"{number:,}"

    agree = len(set(images)) == 1
    return text(images[0]) if agree else ", ".join(map(text, images))


def _plot(
    tested: Sequence[tuple[Run, Sequence[tuple[int, list[float]]]]],
    marks: Sequence[float],
    path: Path,
) -> None:
    figure = new_figure(8, 4)
    panel = figure.subplots()
    for place, (run, tests) in enumerate(tested):
        thousands = np.array([images for images, _ in tests]) / 1000
        accuracies = 100 * np.array([accuracies for _, accuracies in tests])
        mean_and_band(
            panel, thousands, accuracies, marker=".", lw=1.4, label=run.label, **line_of(place)
        )
    for mark in marks:
        panel.axhline(100 * mark, color="0.5", lw=0.8, ls="--")
        of_whom = ", the study's" if mark != _ROUND_MARK else ""
        panel.annotate(
            f"{100 * mark:.1f} %{of_whom}",
            (1, 100 * mark),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="0.4",
        )
    panel.set(xlabel="images seen, thousands", ylabel="test accuracy, %")
    tidy(panel)
    legend_above(figure, panel)
    save(figure, path, dpi=DPI)
