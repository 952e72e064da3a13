"""Sections of the job robustness."""

import contextlib
import dataclasses
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax import tables
from phash_jax.comparison import holm, mean_and_interval, paired_difference
from phash_jax.distortions import GROUPS
from phash_jax.json_files import damaged, read_json
from phash_jax.report import robustness_plots
from phash_jax.report.collect import folders_of_job, read_config, short_names
from phash_jax.report.differences import conclusion, from_base
from phash_jax.report.formats import percent, percent_with_interval, picture, points
from phash_jax.report.verdicts import Verdict
from phash_jax.workdir import FREE_FIELDS, flatten

_BENCHMARK = GROUPS["cifar10c"]
_OF_NETWORKS = {"folder", "seeds", "num_steps", "clean", "accuracy"}
_MOST_NAMED = 3
# More would not fit on a page with an interval and a difference each.
_MOST_BESIDE = 2
_ACCURATE = {"better": "more accurate", "worse": "less accurate"}


def read_result(workdir: Path, tested: str) -> dict[str, Any]:
    """The ``results.json`` of either job.

    Args:
        workdir: of the job.
        tested: what it tests, "networks" or "hashes".

    Raises:
        ValueError: it is not there or damaged.
    """
    path, then = workdir / "results.json", "start its command again"
    try:
        result = read_json(path, dict, then=then)
    except FileNotFoundError as error:
        raise ValueError(f"not finished: no results.json in {workdir}") from error
    of_each = result.get(tested)
    if not {"severities", "distortions"} <= result.keys() or not isinstance(of_each, dict):
        raise damaged(path, "it is not the result of this job", then)
    wanted = _OF_NETWORKS if tested == "networks" else set()
    whole = [isinstance(of, dict) and of.keys() >= wanted for of in of_each.values()]
    if not whole or not all(whole):
        raise damaged(path, f"what it says of the {tested} is not whole", then)
    return result


def averaged_over(result: dict[str, Any]) -> tuple[str, list[str]]:
    """What the means are over: CIFAR-10-C's 15 where all were tested, else all that were."""
    tested = result["distortions"]
    if set(_BENCHMARK) <= set(tested):
        return "the 15 of CIFAR-10-C", list(_BENCHMARK)
    return f"all {len(tested)} distortions", tested


def per_seed(
    networks: dict[str, Any], chosen: Sequence[str], *, severity: int | None = None
) -> list[float]:
    """Mean accuracy over distortions and severities, one number per seed.

    Args:
        networks: one of ``result["networks"]``.
        chosen: distortions that were tested.
        severity: index into the severities; None for all of them.
    """
    grid = np.array([networks["accuracy"][name] for name in chosen])
    grid = grid if severity is None else grid[:, severity : severity + 1]
    return grid.mean((0, 1)).tolist()


def tested_alike(workdirs: Sequence[Path]) -> list[list[Path]]:
    """Those of the workdirs that are of this job, together those that are one test.

    They have the same images and distortions, and their networks are runs of the same comparison,
    trained for as many steps, tested one after another. The comparison is one of the workdirs too:
    runs that only lie side by side are not taken for one. Nor is a run that was tested twice for
    two.
    """
    comparisons = {Path(w).absolute().name for w in workdirs if read_config(Path(w)).get("runs")}
    groups: dict[str, list[Path]] = {}
    names: dict[str, set[str]] = {}
    for workdir in folders_of_job(workdirs, "robustness"):
        test, networks = _test_and_networks(workdir, comparisons)
        key = test if not names.get(test, set()) & networks else str(workdir)
        groups.setdefault(key, []).append(workdir)
        names.setdefault(key, set()).update(networks)
    return list(groups.values())


def _test_and_networks(workdir: Path, comparisons: set[str]) -> tuple[str, set[str]]:
    """What was tested how, and the names of the networks; the workdir's own name where it is alone.

    Args:
        workdir: of the job robustness, perhaps a damaged one.
        comparisons: names of folders of runs.
    """
    alone = str(workdir), set()
    try:
        result = read_result(workdir, "networks")
        trained = {
            (Path(of["folder"]).parent.name, of["num_steps"]) for of in result["networks"].values()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return alone
    if len(trained) != 1 or not {name for name, _ in trained} <= comparisons:
        return alone
    asked = {
        field: value
        for field, value in flatten(read_config(workdir)).items()
        if field.startswith(("data.", "distortions.")) and field not in FREE_FIELDS
    }
    tested = [result.get(name) for name in ("test_size", "severities", "distortions")]
    return repr((sorted(asked.items()), tested, trained)), set(result["networks"])


def read_joined(workdirs: Sequence[Path]) -> dict[str, Any]:
    """The results of workdirs that were ``tested_alike`` as one.

    Raises:
        ValueError: one is not there or damaged.
    """
    found = [read_result(workdir, "networks") for workdir in workdirs]
    networks = {
        _with_folder(name, of): of for result in found for name, of in result["networks"].items()
    }
    return {**found[0], "networks": networks}


def _with_folder(name: str, networks: dict[str, Any]) -> str:
    """A config's name says too little of networks trained with fields of their own."""
    folder = Path(networks["folder"]).name
    return name if folder in re.split(r"[ (/)]", name) else f"{name} ({folder})"


def networks_section(workdirs: Sequence[Path], figures: Path, name: str) -> str:
    """Tables and plots of workdirs ``tested_alike``; the figures begin with ``name``."""
    result = read_joined(workdirs)
    robustness_plots.plot_heat_maps(result, figures / f"{name}_heat_map.png")
    over, _ = averaged_over(result)
    draws = flatten(read_config(workdirs[0])).get("distortions.draws")
    drawn = {None: "", 1: "; one draw of each distortion"}.get(draws, f"; means over {draws} draws")
    text = (
        "## Robustness: trained networks on distorted images\n\n"
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
            "Each distortion at each severity, left as it is, right as average-hash image",
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
        title = f"Minus {base} with the same seeds, points: clean, in the mean and by distortion"
    else:
        of_each = {one.name: {"clean": one.clean, over: one.mean} for one in compared}
        title = f"Minus {base} with the same seeds, points: on clean images and over {over}"
    robustness_plots.plot_differences(of_each, base, figures / f"{name}_differences.png")
    return (
        f"### Minus {base}, mean over {over}\n\n{_comparisons_table(base, compared)}\n"
        f"{picture(title, f'{name}_differences.png')}"
    )


def _source(workdir: Path) -> str:
    fields = flatten(read_config(workdir))
    name = fields.get("data.name")
    images = "validation" if fields.get("data.validation_share") else "test"
    return f"{images} images" + (f" (`data.name={name}`)" if name else "")


def severities_of(result: dict[str, Any]) -> str:
    """Those that were tested, as a text."""
    severities = result["severities"]
    return f"severit{'y' if len(severities) == 1 else 'ies'} {', '.join(map(str, severities))}"


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
            "of clean lost",
            *(f"severity {severity}" for severity in result["severities"]),
        )
    ]
    for name, networks in result["networks"].items():
        distorted, clean = per_seed(networks, chosen), networks["clean"]
        lost = _lost(networks, chosen)
        cells.append(
            (
                name,
                len(networks["seeds"]),
                f"{networks['num_steps']:,}",
                percent_with_interval(mean_and_interval(clean)),
                percent_with_interval(mean_and_interval(distorted)),
                # What gets better under distortions has lost less than nothing.
                percent_with_interval(mean_and_interval(lost), lowest=-math.inf),
                *(
                    percent(float(np.mean(per_seed(networks, chosen, severity=i))))
                    for i in range(len(result["severities"]))
                ),
            )
        )
    return tables.markdown(cells)


def _lost(networks: dict[str, Any], chosen: Sequence[str]) -> list[float | None]:
    """The share of its clean accuracy that each seed loses under distortions."""
    distorted = per_seed(networks, chosen)
    return [1 - d / c if c else None for d, c in zip(distorted, networks["clean"], strict=True)]


def differences(result: dict[str, Any], name: str) -> list[tuple[str, dict, float | None]]:
    """For each distortion the paired difference of some networks from the first, Holm-adjusted."""
    base = next(iter(result["networks"]))
    found = [
        _mean_difference(result, name, base, [distortion]) for distortion in result["distortions"]
    ]
    adjusted = holm([difference["p"] for difference in found])
    return list(zip(result["distortions"], found, adjusted, strict=True))


def _by_distortion(result: dict[str, Any]) -> str:
    base, *others = result["networks"]
    columns = {name: differences(result, name) for name in others}
    few = len(others) <= _MOST_BESIDE
    header = ["distortion", base]
    for name in others:
        header += [name, f"minus {base}, points", "so it is"] if few else [name]
    cells = [header]
    for i, distortion in enumerate(result["distortions"]):
        row = [distortion, _mean_cell(result["networks"][base], distortion)]
        for name in others:
            _, difference, adjusted = columns[name][i]
            told, mean = conclusion(difference, adjusted), result["networks"][name]
            if few:
                row += [_mean_cell(mean, distortion), points(difference), told]
            else:
                apart = f", {told}" if told in _ACCURATE else ""
                row.append(
                    f"{percent(float(np.mean(per_seed(mean, [distortion]))))} "
                    f"({points(_without_interval(difference))}{apart})"
                )
        cells.append(row)
    what = "Differences" if few else f"In brackets points minus {base},"
    note = (
        f"\n{what} within a seed; better and worse where p, Holm-adjusted for "
        f"{len(result['distortions'])} distortions, is below 0.05.\n"
        if others
        else ""
    )
    return tables.markdown(cells) + note


def _mean_cell(networks: dict[str, Any], distortion: str) -> str:
    return percent_with_interval(mean_and_interval(per_seed(networks, [distortion])))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Networks of a test against the first of it, with the same seeds.

    Attributes:
        name: of the networks.
        mean: difference of the mean over distortions, as ``paired_difference`` gives it.
        clean: difference on clean images.
        verdict: more accurate, less accurate, not told apart or why nothing can be said: of the
            mean, Holm-adjusted for the networks of the test.
        better: distortions under which they are, with the difference in points.
        worse: the same.
    """

    name: str
    mean: dict[str, Any]
    clean: dict[str, Any]
    verdict: str
    better: list[str]
    worse: list[str]


def compare(result: dict[str, Any]) -> list[Comparison]:
    """All networks of a test but the first, each against the first."""
    base, *others = result["networks"]
    _, chosen = averaged_over(result)
    networks = result["networks"]
    means = from_base(
        (per_seed(networks[base], chosen), networks[base]["seeds"]),
        [(per_seed(networks[name], chosen), networks[name]["seeds"]) for name in others],
    )
    found = []
    for name, (mean, p) in zip(others, means, strict=True):
        by_kind: dict[str, list[str]] = {"better": [], "worse": []}
        for distortion, difference, of_one in differences(result, name):
            kind = conclusion(difference, of_one)
            if kind in by_kind and distortion in chosen:
                by_kind[kind].append(f"{distortion} ({points(_without_interval(difference))})")
        ours, theirs = result["networks"][name], result["networks"][base]
        clean = paired_difference(
            ours["clean"], theirs["clean"], our_seeds=ours["seeds"], base_seeds=theirs["seeds"]
        )
        told = conclusion(mean, p)
        found.append(Comparison(name, mean, clean, _ACCURATE.get(told, told), **by_kind))
    return found


def _comparisons_table(base: str, compared: Sequence[Comparison]) -> str:
    cells = [
        (
            "networks",
            f"minus {base}, points",
            "so they are",
            "clean, points",
            "better under",
            "worse under",
        )
    ]
    for one in compared:
        listed = (_few(which) or "none" for which in (one.better, one.worse))
        cells.append((one.name, points(one.mean), one.verdict, points(one.clean), *listed))
    return tables.markdown(cells)


def verdicts(workdirs: Sequence[Path]) -> list[Verdict]:
    """The claim of robustness, judged by every finished test: a line for each."""
    results, short = finished_networks(workdirs), short_names(workdirs)
    bases = [next(iter(result["networks"])) for result in results.values()]
    found = []
    for group, result in results.items():
        compared = compare(result)
        if not compared:
            continue
        base, *others = result["networks"]
        who = others[0] if len(others) == 1 else "others"
        of = f" ({', '.join(short[w] for w in group)})" if bases.count(base) > 1 else ""
        over, _ = averaged_over(result)
        found.append(
            Verdict(
                f"robustness of {who} against {base}{of}: accuracy under {over}, "
                f"{severities_of(result)}",
                *(_of_one(result, *compared) if len(compared) == 1 else _of_several(compared)),
            )
        )
    return found


def _mean_difference(
    result: dict[str, Any], name: str, base: str, chosen: Sequence[str]
) -> dict[str, Any]:
    ours, theirs = result["networks"][name], result["networks"][base]
    return paired_difference(
        per_seed(ours, chosen),
        per_seed(theirs, chosen),
        our_seeds=ours["seeds"],
        base_seeds=theirs["seeds"],
    )


def _of_one(result: dict[str, Any], one: Comparison) -> tuple[str, str]:
    """Verdict and evidence where two are compared."""
    base, name = result["networks"]
    _, chosen = averaged_over(result)
    verdict = one.verdict
    if one.better and one.worse:
        verdict += "; better under some distortions, worse under others"
    listed = "; ".join(
        f"{kind} under {len(which)} of {len(chosen)}: {_few(which)}"
        if which
        else f"{kind} under none"
        for kind, which in (("better", one.better), ("worse", one.worse))
    )
    lost = " against ".join(
        percent_with_interval(
            _without_interval(mean_and_interval(_lost(result["networks"][which], chosen)))
        )
        for which in (name, base)
    )
    return verdict, (
        f"mean {points(one.mean)} points, clean {points(one.clean)} points; of clean accuracy lost "
        f"{lost}; {listed}"
    )


def _of_several(compared: Sequence[Comparison]) -> tuple[str, str]:
    """Verdict and evidence where many are compared with one: how many, and which."""
    told: dict[str, list[Comparison]] = {verdict: [] for verdict in _ACCURATE.values()}
    for one in compared:
        told.setdefault(one.verdict, []).append(one)
    counts = ", ".join(f"{len(which)} {verdict}" for verdict, which in told.items())
    named = "; ".join(
        f"{verdict}: "
        + ", ".join(f"{one.name} ({points(_without_interval(one.mean))})" for one in which)
        for verdict, which in told.items()
        if which
    )
    return f"of {len(compared)}: {counts}", f"points, mean over distortions: {named}"


def _few(names: Sequence[str]) -> str:
    """All of a few names; of many the first, the table has them."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _without_interval(statistic: dict[str, Any]) -> dict[str, Any]:
    return {**statistic, "ci95": None}


def summaries(workdirs: Sequence[Path]) -> list[str]:
    """The tables of every finished workdir of the job robustness, for a terminal."""
    found = []
    for result in finished_networks(workdirs).values():
        found += ["# Robustness of networks\n\n" + means_table(result), _by_distortion(result)]
    return found


def finished_networks(workdirs: Sequence[Path]) -> dict[tuple[Path, ...], dict[str, Any]]:
    """Results of the job robustness by the workdirs they are of; the sections say what is not."""
    found = {}
    for group in tested_alike(workdirs):
        with contextlib.suppress(OSError, ValueError):
            found[tuple(group)] = read_joined(group)
    return found
