"""Sections of the job robustness."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import tables
from phash_jax.comparison import OfSeeds, mean_and_interval
from phash_jax.report import plots, robustness_plots
from phash_jax.report.collect import fields_of
from phash_jax.report.differences import conclusion
from phash_jax.report.formats import (
    percent,
    percent_with_interval,
    picture,
    points,
    without_interval,
)
from phash_jax.report.robustness_verdicts import (
    ACCURATE,
    Comparison,
    compare,
    differences,
    few,
)
from phash_jax.report.tested_networks import (
    averaged_over,
    finished_networks,
    lost_shares,
    mean_accuracies,
    read_joined,
    severities_of,
)

# More would not fit on a page, each with an interval and a difference.
_MOST_BESIDE = 2


def networks_section(workdirs: Sequence[Path], figures: Path, name: str) -> str:
    """Tables and plots of workdirs ``tested_alike``; figure names begin with ``name``."""
    result = read_joined(workdirs)
    robustness_plots.plot_heat_maps(result, figures / f"{name}_heat_map.png")
    over, _ = averaged_over(result)
    draws = fields_of(workdirs[0]).get("distortions.draws")
    drawn = {None: "", 1: "; one draw of each distortion"}.get(draws, f"; means over {draws} draws")
    text = (
        "## Networks under distortions\n\n"
        f"{result['test_size']:,} {_source(workdirs[0])}; means over seeds, in brackets "
        f"Student's 95 % interval. {severities_of(result).capitalize()}; mean over {over}{drawn}."
        "\n\n"
        f"{means_table(result)}\n"
        f"{_compared(result, figures, name)}"
        f"{picture('Test accuracy, %, by distortion and severity', f'{name}_heat_map.png')}"
        f"### By distortion, mean over severities\n\n{_by_distortion(result)}\n"
    )
    if len(result["severities"]) > 1:
        robustness_plots.plot_by_severity(result, figures / f"{name}_by_severity.png")
        text += picture(
            "Test accuracy by severity: mean, band from lowest to highest seed",
            f"{name}_by_severity.png",
        )
    examples = workdirs[0] / "distortions.png"
    if examples.exists():
        shutil.copyfile(examples, figures / f"{name}_distortions.png")
        text += picture(
            "Each distortion at each severity: the image (left) and its average-hash image (right)",
            f"{name}_distortions.png",
        )
    return text


def _compared(result: dict[str, Any], figures: Path, name: str) -> str:
    """Table and plot of the differences from the first networks, where there are others."""
    base, *others = result["networks"]
    if not others:
        return ""
    over, _ = averaged_over(result)
    compared = compare(result)
    if len(compared) <= _MOST_BESIDE:
        of_each = {"clean": {one.name: one.clean for one in compared}}
        of_each[f"mean over {over}"] = {one.name: one.mean for one in compared}
        for one in compared:
            for distortion, difference, _ in differences(result, one.name):
                of_each.setdefault(distortion.replace("_", " "), {})[one.name] = difference
        title = f"Minus {base} with the same seeds, points: clean, mean, and by distortion"
    else:
        of_each = {one.name: {"clean": one.clean, over: one.mean} for one in compared}
        title = f"Minus {base} with the same seeds, points: on clean images and over {over}"
    plots.plot_differences(of_each, f"minus {base}, points", figures / f"{name}_differences.png")
    return (
        f"### Minus {base}, mean over {over}\n\n{_comparisons_table(base, compared)}\n"
        f"{picture(title, f'{name}_differences.png')}"
    )


def _source(workdir: Path) -> str:
    fields = fields_of(workdir)
    name = fields.get("data.name")
    images = "validation" if fields.get("data.validation_share") else "test"
    return f"{images} images" + (f" (`data.name={name}`)" if name else "")


def means_table(result: dict[str, Any]) -> str:
    """A row per run: clean, mean over distortions, what is lost, and by severity; Markdown."""
    over, chosen = averaged_over(result)
    cells = [
        (
            "networks",
            "seeds",
            "steps",
            "clean",
            f"mean over {over}",
            "share of clean accuracy lost",
            *(f"severity {severity}" for severity in result["severities"]),
        )
    ]
    for name, networks in result["networks"].items():
        distorted = mean_accuracies(networks, chosen).values()
        lost = lost_shares(networks, chosen)
        cells.append(
            (
                name,
                len(networks["seeds"]),
                f"{networks['num_steps']:,}",
                percent_with_interval(mean_and_interval(networks["clean"])),
                percent_with_interval(mean_and_interval([*distorted])),
                # A network that gets better under distortions has lost less than nothing.
                percent_with_interval(mean_and_interval(lost), lowest=-math.inf),
                *(
                    _mean(mean_accuracies(networks, chosen, severity=i))
                    for i in range(len(result["severities"]))
                ),
            )
        )
    return tables.markdown(cells)


def _by_distortion(result: dict[str, Any]) -> str:
    base, *others = result["networks"]
    columns = {name: differences(result, name) for name in others}
    beside = len(others) <= _MOST_BESIDE
    header = ["distortion", base]
    for name in others:
        header += [name, f"minus {base}, points", "verdict"] if beside else [name]
    cells = [header]
    for i, distortion in enumerate(result["distortions"]):
        row = [distortion, _mean_cell(result["networks"][base], distortion)]
        for name in others:
            _, difference, adjusted = columns[name][i]
            told, networks = conclusion(difference, adjusted), result["networks"][name]
            if beside:
                row += [_mean_cell(networks, distortion), points(difference), told]
            else:
                apart = f", {told}" if told in ACCURATE else ""
                row.append(
                    f"{_mean(mean_accuracies(networks, [distortion]))} "
                    f"({points(without_interval(difference))}{apart})"
                )
        cells.append(row)
    what = "Differences are" if beside else f"In brackets: points minus {base},"
    note = (
        f"\n{what} between networks with the same seed. Better or worse means that p, "
        "Holm-adjusted within a column, is below 0.05.\n"
        if others
        else ""
    )
    return tables.markdown(cells) + note


def _mean_cell(networks: dict[str, Any], distortion: str) -> str:
    accuracies = mean_accuracies(networks, [distortion])
    return percent_with_interval(mean_and_interval([*accuracies.values()]))


def _mean(accuracies: OfSeeds) -> str:
    return percent(float(np.mean([*accuracies.values()])))


def _comparisons_table(base: str, compared: Sequence[Comparison]) -> str:
    cells = [
        (
            "networks",
            f"minus {base}, points",
            "verdict",
            "clean, points",
            "better under",
            "worse under",
        )
    ]
    for one in compared:
        listed = (few(which) or "none" for which in (one.better, one.worse))
        cells.append((one.name, points(one.mean), one.verdict, points(one.clean), *listed))
    return tables.markdown(cells)


def summaries(workdirs: Sequence[Path]) -> list[str]:
    """The tables of every finished workdir of the job robustness, for a terminal."""
    found = []
    for result in finished_networks(workdirs).values():
        found += ["# Robustness of networks\n\n" + means_table(result), _by_distortion(result)]
    return found
