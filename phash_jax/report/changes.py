"""How each run differs from the earlier one most like it, in fields and in accuracy."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from phash_jax import tables
from phash_jax.comparison import holm, paired_difference
from phash_jax.fields import TEST_DATA
from phash_jax.report.collect import Run, recipe
from phash_jax.report.differences import conclusion
from phash_jax.report.formats import points
from phash_jax.report.plots import plot_differences

# With more changes at once nobody could say which of them mattered.
_MOST_CHANGES = 4
# Which seeds and test sets two runs share is found when they are compared.
_NO_CHANGE = ("test_sets", "train.num_seeds", "train.seed")


def section(runs: Sequence[Run], *, but: Collection[Path], figures: Path | None = None) -> str:
    """A table and a plot: finished runs, each minus the earlier one most like it.

    That is the one that differs from it in the fewest fields; the last, if there are several.

    Only runs that were tested with the same images are compared, over the seeds that both have. A
    run without such an earlier one, or with the same recipe, is left out.

    Args:
        runs: of any configs, in the order in which they build on one another.
        but: folders of runs that are compared elsewhere; others may be compared with them.
        figures: folder of the plot, or None for the table alone.
    """
    finished = [run for run in runs if run.result and not run.row]
    compared = []
    for place, run in enumerate(finished):
        found = None if run.folder in but else _most_alike(run, finished[:place])
        if found:
            compared.append((run, *found))
    if not compared:
        return ""
    test_sets = list({name: None for run, _, _ in compared for name in run.result["test_accuracy"]})
    differences = [
        [paired_difference(run.accuracies(t), base.accuracies(t)) for t in test_sets]
        for run, base, _ in compared
    ]
    header = ["run", "minus", "what is changed"]
    cells = [[run.label, base.label, _in_words(changes)] for run, base, changes in compared]
    for test_set, column in zip(test_sets, zip(*differences, strict=True), strict=True):
        header += [f"{test_set.replace('_', ' ')}, points", "verdict"]
        adjusted = holm([difference["p"] for difference in column])
        for row, difference, p in zip(cells, column, adjusted, strict=True):
            row += [points(difference), _verdict(difference, p)]
    title = "Each run minus the one before it that is most like it, with the same seeds"
    plot = ""
    if figures:
        lines = {
            f"{change}\n{run} minus {base}": {
                name.replace("_", " "): difference
                for name, difference in zip(test_sets, of_run, strict=True)
            }
            for (run, base, change, *_), of_run in zip(cells, differences, strict=True)
        }
        plot_differences(lines, "difference in test accuracy, points", figures / "changes.png")
        plot = f"![{title}: mean and 95 % interval](figures/changes.png)\n\n"
    return (
        f"### {title}\n\n{plot}{tables.markdown([header, *cells])}\n"
        "In brackets after a changed field: its value in the earlier run. Better or worse means "
        "that p, Holm-adjusted for the runs of this table, is below 0.05; the intervals are "
        "uncorrected.\n\n"
    )


def _most_alike(run: Run, earlier: Sequence[Run]) -> tuple[Run, dict[str, tuple]] | None:
    """The run with the fewest changed fields (the last of several) and the fields: ours, its."""
    found = [
        (base, changes)
        for base in reversed(earlier)
        if len({*run.result["seeds"]} & {*base.result["seeds"]}) > 1
        and run.result["class_names"] == base.result["class_names"]
        and 0 < len(changes := _changes(run, base)) <= _MOST_CHANGES
        and not changes.keys() & {*TEST_DATA}
    ]
    return min(found, key=lambda pair: len(pair[1]), default=None)


def _changes(run: Run, base: Run) -> dict[str, tuple]:
    ours, theirs = recipe(run), recipe(base)
    fields = [field for field in ours | theirs if field not in _NO_CHANGE]
    return {
        field: (ours.get(field), theirs.get(field))
        for field in fields
        if ours.get(field) != theirs.get(field)
    }


def _verdict(difference: dict[str, Any], adjusted: float | None) -> str:
    # Two runs have seeds in common, so one of them was not tested on it.
    return "-" if difference["mean"] is None else conclusion(difference, adjusted)


def _in_words(changes: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(
        f"{field} {_value(ours)} ({_value(theirs)})" for field, (ours, theirs) in changes.items()
    )


def _value(value: Any) -> str:
    if value in ("", None):
        return "none"
    if isinstance(value, str):
        # A name given several times counts that many times.
        names = value.split(",")
        return ", ".join(
            f"{names.count(name)}x {name}" if names.count(name) > 1 else name
            for name in dict.fromkeys(names)
        )
    return str(value)
