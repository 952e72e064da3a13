"""Tested networks against the first of their test: what is told apart, in numbers and words."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phash_jax.comparison import holm, mean_and_interval, paired_difference
from phash_jax.report.collect import short_names
from phash_jax.report.differences import conclusion, from_base
from phash_jax.report.formats import percent_with_interval, points, without_interval
from phash_jax.report.tested_networks import (
    averaged_over,
    clean_accuracies,
    finished_networks,
    lost_shares,
    mean_accuracies,
    severities_of,
)
from phash_jax.report.verdicts import Verdict

_MOST_NAMED = 3
ACCURATE = {"better": "more accurate", "worse": "less accurate"}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Networks of a test against the first of it, with the same seeds.

    Attributes:
        name: of the networks.
        mean: difference of the mean over distortions, as ``paired_difference`` gives it.
        clean: difference on clean images.
        verdict: more accurate, less accurate, not told apart or why nothing can be said: of the
            mean, Holm-adjusted for the networks of the test.
        better: distortions under which the networks are better, with the difference in points.
        worse: likewise.
    """

    name: str
    mean: dict[str, Any]
    clean: dict[str, Any]
    verdict: str
    better: list[str]
    worse: list[str]


def compare(result: dict[str, Any]) -> list[Comparison]:
    """All networks of a test except the first, each against the first."""
    base, *others = result["networks"]
    _, chosen = averaged_over(result)
    networks = result["networks"]
    means = from_base(
        mean_accuracies(networks[base], chosen),
        [mean_accuracies(networks[name], chosen) for name in others],
    )
    found = []
    for name, (mean, p) in zip(others, means, strict=True):
        by_kind: dict[str, list[str]] = {"better": [], "worse": []}
        for distortion, difference, of_one in differences(result, name):
            kind = conclusion(difference, of_one)
            if kind in by_kind and distortion in chosen:
                by_kind[kind].append(f"{distortion} ({points(without_interval(difference))})")
        clean = paired_difference(
            clean_accuracies(networks[name]), clean_accuracies(networks[base])
        )
        told = conclusion(mean, p)
        found.append(Comparison(name, mean, clean, ACCURATE.get(told, told), **by_kind))
    return found


def differences(result: dict[str, Any], name: str) -> list[tuple[str, dict, float | None]]:
    """For each distortion the paired difference of some networks from the first, Holm-adjusted."""
    ours, base = result["networks"][name], next(iter(result["networks"].values()))
    found = [
        paired_difference(mean_accuracies(ours, [of_one]), mean_accuracies(base, [of_one]))
        for of_one in result["distortions"]
    ]
    adjusted = holm([difference["p"] for difference in found])
    return list(zip(result["distortions"], found, adjusted, strict=True))


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
        who = others[0] if len(others) == 1 else "the others"
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


def _of_one(result: dict[str, Any], one: Comparison) -> tuple[str, str]:
    """Verdict and evidence where two are compared."""
    base, name = result["networks"]
    _, chosen = averaged_over(result)
    verdict = one.verdict
    if one.better and one.worse:
        verdict += "; better under some distortions, worse under others"
    listed = "; ".join(
        f"{kind} under {len(which)} of {len(chosen)}: {few(which)}"
        if which
        else f"{kind} under none"
        for kind, which in (("better", one.better), ("worse", one.worse))
    )
    lost = " against ".join(
        percent_with_interval(
            without_interval(mean_and_interval(lost_shares(result["networks"][which], chosen)))
        )
        for which in (name, base)
    )
    return verdict, (
        f"mean {points(one.mean)} points, clean {points(one.clean)} points; share of clean "
        f"accuracy lost: {lost}; {listed}"
    )


def _of_several(compared: Sequence[Comparison]) -> tuple[str, str]:
    """Verdict and evidence where many are compared with one: how many, and which."""
    told: dict[str, list[Comparison]] = {verdict: [] for verdict in ACCURATE.values()}
    for one in compared:
        told.setdefault(one.verdict, []).append(one)
    counts = ", ".join(f"{len(which)} {verdict}" for verdict, which in told.items())
    named = "; ".join(
        f"{verdict}: "
        + ", ".join(f"{one.name} ({points(without_interval(one.mean))})" for one in which)
        for verdict, which in told.items()
        if which
    )
    return f"of {len(compared)}: {counts}", f"differences in points, mean over distortions: {named}"


def few(names: Sequence[str]) -> str:
    """All of a few names; of many the first few, since the table has them all."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
