"""The study's claims, judged by the runs: true, false, or only under a condition, with the number.

Each claim is a difference between networks of the same seeds. True and false are said only where
its 95 % interval leaves 0 out.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from phash_jax.comparison import paired_difference
from phash_jax.published import FED, PUBLISHED
from phash_jax.report.collect import Run, recipe
from phash_jax.report.differences import UNDECIDED, conclusion
from phash_jax.report.fig_5_5 import ORIGINAL, differences, is_within, sweeps
from phash_jax.report.formats import percent, points, without_interval


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One claim.

    Attributes:
        claim: what the study says.
        verdict: true, false, not decided, or under which condition.
        evidence: our numbers.
    """

    claim: str
    verdict: str
    evidence: str


@dataclasses.dataclass(frozen=True)
class Roles:
    """The runs that stand for the study's networks; scrambled is None where there is none."""

    raw: Run
    hashed: Run
    scrambled: Run | None


# What makes a network raw, hashed or scrambled, and the seeds, which may differ.
_ROLE = ("preprocess", "data.scramble_train", "train.num_seeds", "train.seed")


def roles(runs: Sequence[Run]) -> list[Roles]:
    """The raw, hashed and perhaps scrambled network of every recipe that has the first two.

    Of several in the same role the first is taken.
    """
    recipes: dict[str, dict[str, Run]] = {}
    for run in runs:
        published = run.config.get("published", "")
        part = {"original": "scrambled" if run.is_scrambled else "raw", "phash": "hashed"}.get(
            published
        )
        if part and run.config["preprocess"] != FED.get(published, "raw"):
            continue
        if run.result and not run.row and part and not (part == "hashed" and run.is_scrambled):
            alike = recipes.setdefault(repr(sorted(recipe(run, but=_ROLE).items())), {})
            alike.setdefault(part, run)
    return [
        Roles(raw=parts["raw"], hashed=parts["hashed"], scrambled=parts.get("scrambled"))
        for parts in recipes.values()
        if {"raw", "hashed"} <= parts.keys()
    ]


def judge(runs: Sequence[Run]) -> list[Verdict]:
    """Every claim that the runs can say something about."""
    verdicts, compared = [], roles(runs)
    for who in compared:
        judged = [_accuracy(who), _speed(who)]
        tested = (run.result["test_accuracy"] for run in (who.raw, who.hashed))
        if all("contrast_200" in accuracy for accuracy in tested):
            judged.append(_robustness(who))
        of = f" ({who.hashed.label} against {who.raw.label})" if len(compared) > 1 else ""
        verdicts += [dataclasses.replace(v, claim=v.claim + of) for v in judged]
    for rows in sweeps(runs):
        if any(run.row == ORIGINAL for run in rows) and len(rows) > 1:
            verdicts.append(_ablations(rows))
    return verdicts


def _difference(ours: Run, base: Run, test_set: str) -> dict[str, Any]:
    return paired_difference(ours.accuracies(test_set), base.accuracies(test_set))


def _sign(statistic: dict[str, Any]) -> int:
    """1 or -1 where the interval lies above or below 0, else 0."""
    if statistic["ci95"] is None:
        return 0
    low, high = statistic["ci95"]
    return (low > 0) - (high < 0)


def _only(difference: dict[str, Any]) -> str:
    """What is not decided without a condition may be true without it."""
    return "only " if _sign(difference) < 0 else ""


_TRUE_FALSE = {1: "true", 0: "not decided", -1: "false"}


def _quoted(published: str, run: Run) -> str:
    """The study's numbers, if the run is on its images; for others they are no yardstick."""
    return published if PUBLISHED[run.result["published"]]["test_accuracy"] else ""


def _mean(run: Run, test_set: str, other: Run) -> str:
    """The mean over the seeds that another run has too."""
    common = [
        accuracy
        for seed, accuracy in run.accuracies(test_set).items()
        if seed in other.result["seeds"]
    ]
    return percent(sum(common) / len(common)) if common else "-"


def _accuracy(who: Roles) -> Verdict:
    difference = _difference(who.hashed, who.raw, "clean")
    verdict = _TRUE_FALSE[_sign(difference)]
    evidence = (
        f"hashed minus raw: {points(difference)} points "
        f"({_mean(who.hashed, 'clean', who.raw)} against {_mean(who.raw, 'clean', who.hashed)})"
    )
    if who.scrambled:
        condition = _difference(who.hashed, who.scrambled, "clean")
        evidence += (
            f"; hashed minus raw trained on scrambled images, as the study's was: "
            f"{points(condition)} points ({_mean(who.scrambled, 'clean', who.hashed)})"
        )
        if _sign(difference) <= 0 and _sign(condition) > 0:
            verdict += f"; true {_only(difference)}if the raw training images are scrambled"
    claim = "hashing raises test accuracy" + _quoted(" (54.6 to 68.2 %)", who.hashed)
    return Verdict(claim, verdict, evidence)


def _speed(who: Roles) -> Verdict:
    claim = "hashing trains faster" + _quoted(
        " (90 % after 3,600 steps instead of 9,000)", who.hashed
    )
    num_steps = who.raw.result["num_steps"]
    steps = {
        name: dict(zip(run.result["seeds"], run.result["steps_to_90"], strict=True))
        for name, run in (("hashed", who.hashed), ("raw", who.raw))
    }
    never = [name for name, of_seeds in steps.items() if None in of_seeds.values()]
    # A seed that never gets there counts as all steps, the least that it may take: a difference
    # found even so is real.
    at_least = {
        name: {seed: num_steps if s is None else s for seed, s in of_seeds.items()}
        for name, of_seeds in steps.items()
    }
    difference = paired_difference(at_least["hashed"], at_least["raw"])
    if difference["mean"] is None:
        return Verdict(claim, "not decided", "no seed is common to raw and hashed")
    sign = -_sign(difference)
    if never:
        counts = "; ".join(
            f"{name}: " + ", ".join("never" if s is None else f"{s:,}" for s in of_seeds.values())
            for name, of_seeds in steps.items()
        )
        slower = {1: ["raw"], -1: ["hashed"]}
        return Verdict(
            claim,
            _TRUE_FALSE[sign] if never == slower.get(sign) else "not decided",
            f"steps to 90 % training accuracy within {num_steps:,}: {counts}",
        )
    low_high = difference["ci95"]
    interval = f" [{low_high[0]:+,.0f}, {low_high[1]:+,.0f}]" if low_high else ""
    common = steps["raw"].keys() & steps["hashed"].keys()
    means = {
        name: float(np.mean([of_seeds[seed] for seed in common]))
        for name, of_seeds in steps.items()
    }
    return Verdict(
        claim,
        _TRUE_FALSE[sign] + (" for training accuracy" if sign > 0 else ""),
        f"hashed minus raw: {difference['mean']:+,.0f} steps{interval} to 90 % training accuracy "
        f"({means['hashed']:,.0f} against {means['raw']:,.0f}; mean of a log interval)",
    )


def _robustness(who: Roles) -> Verdict:
    end = _difference(who.hashed, who.raw, "contrast_200")

    def losses(run: Run) -> dict[int, float]:
        under = run.accuracies("contrast_200")
        return {seed: clean - under[seed] for seed, clean in run.accuracies("clean").items()}

    loss = paired_difference(losses(who.hashed), losses(who.raw))
    verdict = _TRUE_FALSE[_sign(end)]
    if _sign(end) <= 0 and _sign(loss) < 0:
        verdict += f"; true {_only(end)}for the points lost from clean to distorted"
    return Verdict(
        "hashing makes the network robust (the study never measured it on hashed images)",
        f"at contrast 200: {verdict}",
        f"test accuracy at contrast 200, hashed minus raw: {points(end)} points "
        f"({_mean(who.hashed, 'contrast_200', who.raw)} against "
        f"{_mean(who.raw, 'contrast_200', who.hashed)}); "
        f"points lost from clean to contrast 200, hashed minus raw: {points(loss)}",
    )


def _ablations(rows: Sequence[Run]) -> Verdict:
    preprocess = rows[0].config["preprocess"]
    compared = differences(rows, "clean")
    found = {"better": [], "worse": [], "not told apart": [], UNDECIDED: []}
    for run, difference, adjusted in compared:
        found[conclusion(difference, adjusted)].append(
            f"{run.row} ({points(without_interval(difference))})"
        )
    evidence = "; ".join(
        f"{word}: {len(names)} of {len(compared)}"
        + ("" if word == "not told apart" else f", {', '.join(names)}")
        for word, names in found.items()
        if names
    )
    return Verdict(
        "Fig 5.5: test accuracy is much the same, whatever is changed"
        + _quoted(" (37.5 to 54.1 % after 10,000 steps)", rows[0])
        + (" (training images scrambled)" if rows[0].is_scrambled else "")
        + ("" if preprocess == "raw" else f" (on {preprocess} images)"),
        _range(rows),
        f"points above Original with the same seeds, verdicts Holm-adjusted: {evidence}",
    )


def _range(rows: Sequence[Run]) -> str:
    """Where our rows lie, and how many published numbers could be one of our runs."""
    means = [run.result["statistics"]["test_accuracy"]["clean"]["mean"] for run in rows]
    steps = {run.result["num_steps"] for run in rows}
    spread = " to ".join(f"{number:,}" for number in sorted({min(steps), max(steps)}))
    ours = f"ours after {spread} steps: {percent(min(means))} to {percent(max(means))}"
    # Without rows that are not the study's, and rows whose seeds all have the same accuracy.
    within = [known for run in rows if (known := is_within(run)) is not None]
    if not within:
        return ours
    return f"{ours}; {sum(within)} of {len(within)} published numbers could be a run of ours"
