"""Fig 5.5's table: every row beside the published one, and its paired difference from Original."""

from collections.abc import Sequence

from phash_jax import tables
from phash_jax.comparison import interval_of_one_more
from phash_jax.published import FIG_5_5, FIG_5_5_NAMES, PUBLISHED
from phash_jax.report.collect import Run, recipe
from phash_jax.report.differences import conclusion, of_runs
from phash_jax.report.formats import duration, percent, percent_with_interval, points

ORIGINAL = "original_fig_5_5"

# What the rows change, and the seeds, which may differ.
_CHANGED = ("loss", "model.", "optimizer.", "train.batch_size", "train.num_seeds", "train.seed")


def sweeps(runs: Sequence[Run]) -> list[list[Run]]:
    """The finished rows that may be compared, in Fig 5.5's order: they differ in what rows change.

    A row that several workdirs hold is taken from the first of them.
    """
    found: dict[str, dict[str, Run]] = {}
    for run in runs:
        if run.result and run.row:
            fields = sorted(recipe(run, but=_CHANGED).items())
            found.setdefault(repr(fields), {}).setdefault(run.row, run)
    return [[rows[name] for name in FIG_5_5 if name in rows] for rows in found.values()]


def table(rows: Sequence[Run]) -> str:
    """Fig 5.5 with its published numbers, the spread over seeds and contrast 200, as Markdown."""
    header = (
        "row",
        "seeds",
        "steps",
        "train accuracy",
        "published",
        "test accuracy",
        "published",
        "published could be a run of ours",
        "test accuracy, contrast 200",
        "time per seed",
        "published",
    )
    cells = [header]
    for run in rows:
        result, statistics = run.result, run.result["statistics"]
        study = PUBLISHED[result["published"]]
        test = study["test_accuracy"].get("clean")
        contrast = statistics["test_accuracy"].get("contrast_200")
        cells.append(
            (
                FIG_5_5_NAMES[run.row],
                len(result["seeds"]),
                result["num_steps"],
                percent_with_interval(statistics["train_accuracy"]),
                percent(study["last_batch_accuracy"]) if test else "-",
                percent_with_interval(statistics["test_accuracy"]["clean"]),
                percent(test) if test else "-",
                _within(run),
                percent_with_interval(contrast) if contrast else "-",
                duration(result["seconds"] / len(result["seeds"])),
                duration(study["seconds"]) if test else "-",
            )
        )
    return tables.markdown(cells)


def is_within(run: Run) -> bool | None:
    """Whether the published test accuracy could be one more run of ours.

    None where there is no published number, only one seed, or no difference between seeds.
    """
    published = PUBLISHED[run.result["published"]]["test_accuracy"].get("clean")
    interval = interval_of_one_more(run.result["test_accuracy"]["clean"])["ci95"]
    if published is None or interval is None:
        return None
    return interval[0] <= published <= interval[1]


def _within(run: Run) -> str:
    within = is_within(run)
    if within is None:
        return "-"
    low, high = interval_of_one_more(run.result["test_accuracy"]["clean"])["ci95"]
    return f"{'yes' if within else 'no'} [{100 * low:.1f}, {100 * high:.1f}]"


def differences(rows: Sequence[Run], test_set: str) -> list[tuple[Run, dict, float | None]]:
    """Each row's paired difference from Original, with the p-value adjusted for their number."""
    original = next((run for run in rows if run.row == ORIGINAL), None)
    if original is None:
        return []
    return of_runs(original, [run for run in rows if run.row != ORIGINAL], test_set)


def difference_table(rows: Sequence[Run], test_set: str) -> str:
    """Points each row lies above Original with the same seeds, as Markdown; empty without it."""
    compared = differences(rows, test_set)
    if not compared:
        return ""
    cells = [("row", "points above Original", "p", "p, Holm-adjusted", "verdict")]
    for run, difference, adjusted in compared:
        cells.append(
            (
                FIG_5_5_NAMES[run.row],
                points(difference),
                "-" if difference["p"] is None else f"{difference['p']:.4f}",
                "-" if adjusted is None else f"{adjusted:.3f}",
                conclusion(difference, adjusted),
            )
        )
    return tables.markdown(cells)
