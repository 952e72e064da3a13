"""Sections of the job hash_robustness."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import tables
from phash_jax.report import robustness_plots
from phash_jax.report.collect import folders_of_job
from phash_jax.report.formats import percent, picture
from phash_jax.report.tested_networks import read_result

# With fewer pairs, a rate of a thousandth would not allow a single false positive.
_FEWEST_PAIRS = 1000


def section(workdir: Path, figures: Path, name: str) -> str:
    """Tables and plot of one workdir of the job hash_robustness; ``name`` is its figure's."""
    result = read_result(workdir, "hashes")
    robustness_plots.plot_hashes(result, figures / f"{name}_by_severity.png")
    hashes = result["hashes"]
    text = (
        "## Hashes under distortions\n\n"
        f"{result['num_images']:,} images; each, distorted, is compared with its own original and "
        "with the originals of all others. Means over severities "
        f"{', '.join(map(str, result['severities']))}.\n\n"
        f"{picture('By severity, mean over distortions', f'{name}_by_severity.png')}"
    )
    if result.get("distances"):
        robustness_plots.plot_distances(result, figures / f"{name}_distances.png")
        text += picture(
            "Distances of distorted images from their own originals and from other images, all "
            "distortions together",
            f"{name}_distances.png",
        )
    for title, table in _hash_tables(result):
        text += f"### {title}\n\n{table}\n"
    cells = [("hash", *(f"severity {severity}" for severity in result["severities"]))]
    for hash_name, of_hash in hashes.items():
        cells.append((hash_name, *(_thresholds(of_hash, i) for i in range(len(cells[0]) - 1))))
    size = result["num_images"]
    pairs, few = size * (size - 1), ""
    if pairs < _FEWEST_PAIRS:
        few = f"; fewer than {_FEWEST_PAIRS:,} cannot show a rate of a thousandth"
    text += f"The false-positive rate is over {pairs:,} pairs of different images{few}.\n\n"
    text += "### Threshold in bits for that rate\n\n" + tables.markdown(cells) + "\n"
    flipped = result.get("inputs_flipped")
    return text + (_inputs_table(result, flipped) if flipped else "")


def _inputs_table(result: dict[str, Any], flipped: dict[str, dict[str, list[float]]]) -> str:
    cells = [("distortion", *flipped)]
    for distortion in result["distortions"]:
        cells.append(
            (distortion, *(percent(float(np.mean(of[distortion]))) for of in flipped.values()))
        )
    means = (float(np.mean([of[d] for d in result["distortions"]])) for of in flipped.values())
    cells.append(("mean", *map(percent, means)))
    return (
        "### Bits flipped in the inputs of networks\n\n"
        f"{tables.markdown(cells)}\n"
        "Inputs of one bit per value, each distorted image against its original; mean over "
        "severities. Two unrelated images would differ in half of their bits.\n\n"
    )


def _hash_tables(result: dict[str, Any]) -> list[tuple[str, str]]:
    hashes = result["hashes"]
    found = []
    for field, title, form in (
        ("flipped", "Bits flipped", percent),
        ("roc_area", "ROC area", "{:.3f}".format),
        ("true_positive_rate", "True positives at a false-positive rate of 1e-3 or less", percent),
    ):
        cells = [("distortion", *hashes)]
        for distortion in result["distortions"]:
            values = (_mean(of_hash[distortion], field) for of_hash in hashes.values())
            cells.append((distortion, *map(form, values)))
        means = (
            float(np.mean([_mean(of_hash[d], field) for d in result["distortions"]]))
            for of_hash in hashes.values()
        )
        cells.append(("mean", *map(form, means)))
        found.append((title, tables.markdown(cells)))
    return found


def summaries(workdirs: Sequence[Path]) -> list[str]:
    """The tables of every finished workdir of the job hash_robustness, for a terminal."""
    found = []
    for workdir in folders_of_job(workdirs, "hash_robustness"):
        with contextlib.suppress(ValueError):
            named = _hash_tables(read_result(workdir, "hashes"))
            found += [f"# {title}\n\n{table}" for title, table in named]
    return found


def _mean(of_distortion: list[dict[str, Any]], field: str) -> float:
    return float(np.mean([of_severity[field] for of_severity in of_distortion]))


def _thresholds(of_hash: dict[str, list[dict[str, Any]]], severity: int) -> str:
    found = [of_distortion[severity]["threshold"] for of_distortion in of_hash.values()]
    known = sorted(value for value in found if value is not None)
    if not known:
        return "none"
    none = ", or none" if len(known) < len(found) else ""
    span = str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"
    return span + none
