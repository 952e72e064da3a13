"""Accuracies of single figures beside the published ones (Fig 5.2, 5.4, 5.6, 5.7 and 5.9)."""

from collections.abc import Sequence

from phash_jax import tables
from phash_jax.comparison import interval_of_one_more
from phash_jax.published import PUBLISHED, TEST_FIGURES, TRAINING_LOGS
from phash_jax.report.collect import Run
from phash_jax.report.formats import percent, percent_with_interval, points


def test_accuracies(finished: Sequence[Run]) -> str:
    """Fig 5.4, 5.6 and 5.9, each beside the runs that repeat it."""
    cells = [("figure", "run", "published", "ours", "ours minus published")]
    for figure, (published, test_set) in TEST_FIGURES.items():
        study = PUBLISHED[published]
        for run in finished:
            if run.result["published"] != published or test_set not in run.result["test_accuracy"]:
                continue
            theirs = study["test_accuracy"][test_set]
            one_more = interval_of_one_more(
                [accuracy - theirs for accuracy in run.result["test_accuracy"][test_set]]
            )
            cells.append(
                (
                    f"Fig {figure}",
                    f"{run.label}, {test_set}",
                    f"{percent(theirs)} ({study['test_correct'][test_set]} / {study['test_size']})",
                    percent_with_interval(run.result["statistics"]["test_accuracy"][test_set]),
                    points(one_more),
                )
            )
    if len(cells) == 1:
        return ""
    return (
        f"{tables.markdown(cells)}\n"
        "The study trained each network once: the interval of the difference holds one more run of "
        "ours, 95 times out of 100, minus the published number; that of our accuracy holds our "
        "mean.\n\n"
    )


def training_logs(finished: Sequence[Run]) -> str:
    """Fig 5.2 and 5.7: accuracy of the batches logged at the published steps, and at our last."""
    cells = [("run", "step", "batch accuracy, ours", "published")]
    for run in finished:
        published = TRAINING_LOGS.get(run.result["published"], {})
        ours = {record["step"]: record["batch_accuracy"] for record in run.records}
        for step in sorted({*published, run.result["num_steps"]} if published else ()):
            accuracies = ", ".join(percent(value) for value in ours.get(step, []))
            cells.append(
                (
                    run.label,
                    f"{step:,}",
                    accuracies or "not trained that far",
                    percent(published[step]) if step in published else "-",
                )
            )
    return tables.markdown(cells) + "\n" if len(cells) > 1 else ""
