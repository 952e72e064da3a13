"""Runs minus a base with the same seeds: what is told apart, and a section for every sweep."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from phash_jax import tables
from phash_jax.comparison import OfSeeds, holm, paired_difference
from phash_jax.report.collect import Run, read_config
from phash_jax.report.formats import points

# One seed has no interval, and without a common one there is nothing to compare.
UNDECIDED = "not decided: fewer than two common seeds, or the same difference in all"


def conclusion(difference: dict[str, Any], adjusted: float | None) -> str:
    """What a paired difference and its adjusted p-value say, in a word or two."""
    if adjusted is None:
        return UNDECIDED
    if adjusted >= 0.05:
        return "not told apart"
    return "better" if difference["mean"] > 0 else "worse"


def from_base(
    base: OfSeeds, others: Sequence[OfSeeds]
) -> list[tuple[dict[str, Any], float | None]]:
    """``paired_difference`` of each from the base, and its p, Holm-adjusted for their number."""
    found = [paired_difference(ours, base) for ours in others]
    return list(zip(found, holm([difference["p"] for difference in found]), strict=True))


def of_runs(
    base: Run, others: Sequence[Run], test_set: str
) -> list[tuple[Run, dict[str, Any], float | None]]:
    """``from_base`` on one test set, for the finished runs that were tested on it."""
    if not base.accuracies(test_set):
        return []
    tested = [run for run in others if run.accuracies(test_set)]
    compared = from_base(base.accuracies(test_set), [run.accuracies(test_set) for run in tested])
    return [(run, *found) for run, found in zip(tested, compared, strict=True)]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The finished runs of one config: the base overrides nothing, or else is the first."""

    folder: Path
    base: Run
    others: list[Run]


def sweeps(runs: Sequence[Run], *, but: Collection[Path]) -> list[Sweep]:
    """The sweeps of at least two finished runs.

    Args:
        runs: of any configs.
        but: folders of runs that are compared elsewhere.
    """
    of_folder: dict[Path, list[Run]] = {}
    for run in runs:
        if run.result and not run.row and run.folder not in but:
            of_folder.setdefault(run.folder.parent, []).append(run)
    found = []
    for folder, members in of_folder.items():
        overrides = read_config(folder).get("runs") or {}
        named = [run for run in members if run.folder.name in overrides]
        if len(named) > 1:
            base = next((run for run in named if not overrides[run.folder.name]), named[0])
            found.append(Sweep(folder, base, [run for run in named if run is not base]))
    return found


def section(sweep: Sweep) -> str:
    """A table of a sweep's runs, each minus the base."""
    base, others = sweep.base, sweep.others
    header, columns = ["run"], {}
    for test_set in base.result["test_accuracy"]:
        header += [f"{test_set.replace('_', ' ')}, points", "verdict"]
        for run, difference, adjusted in of_runs(base, others, test_set):
            columns[run.folder, test_set] = points(difference), conclusion(difference, adjusted)
    cells = [header]
    for run in others:
        of_sets = (columns.get((run.folder, t), ("-", "-")) for t in base.result["test_accuracy"])
        cells.append([run.label, *(cell for of_set in of_sets for cell in of_set)])
    return (
        f"### {sweep.folder.name}: minus {base.label} with the same seeds\n\n"
        f"{tables.markdown(cells)}\n"
        "Better or worse means that p, Holm-adjusted within a column, is below 0.05.\n\n"
    )
