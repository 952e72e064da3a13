"""Runs the job of one config: python main.py --config=configs/X.py --workdir=DIR."""

import sys
from collections.abc import Callable
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from phash_jax import (
    catalog_dataset,
    export_distorted,
    hash_images,
    hash_robustness,
    hash_study,
    provenance,
    results,
    robustness,
    study_arrays,
)
from phash_jax.checkpoint import CheckpointError
from phash_jax.choices import choose, names
from phash_jax.compilation import shared_programs
from phash_jax.data.dataset import Dataset
from phash_jax.data.load import load_dataset
from phash_jax.evaluate import accuracies, evaluate, make_evaluate
from phash_jax.examples import plot_examples, plot_mistakes
from phash_jax.placement import Placement, use_cpu_cores
from phash_jax.report import report
from phash_jax.runs import named_runs
from phash_jax.train import Test, TrainingDivergedError, train
from phash_jax.workdir import WorkdirError, claim

config_flags.DEFINE_config_file(
    "config",
    help_string="Config file; override a field with --config.section.field=value.",
    lock_config=True,
)
flags.DEFINE_string("workdir", None, "Folder for what the runs leave; an existing one is resumed.")
flags.mark_flags_as_required(["config", "workdir"])


class RunFailedError(RuntimeError):
    """Some of several runs failed."""


def run_one(config: ml_collections.ConfigDict, dataset: Dataset, workdir: Path) -> dict:
    """Trains and tests one run; returns its entry for results.json."""
    test_sets = names(config.test_sets)
    plot_examples(
        dataset, workdir / "examples.png", preprocess=config.preprocess, test_sets=test_sets
    )

    def make_test(placement: Placement) -> Test:
        logits_of = make_evaluate(config, dataset, placement)
        return lambda state: accuracies(logits_of(state), dataset.test.labels)

    state, placement, records = train(
        config,
        dataset.train,
        num_classes=len(dataset.class_names),
        workdir=workdir,
        make_test=make_test,
    )
    logits = evaluate(config, state, dataset, placement)
    if "clean" in logits:
        plot_mistakes(
            dataset, logits["clean"], workdir / "mistakes.png", preprocess=config.preprocess
        )
    return results.build(
        name=config.name,
        # The study's numbers are for its own pictures.
        published=config.published if config.data.name == "cifar10" else "none",
        seeds=[int(seed) for seed in state.seed],
        records=records,
        class_names=dataset.class_names,
        test_labels=dataset.test.labels,
        test_logits=logits,
    )


def run_all(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Runs every named run of a config that is not finished yet; returns the summary.

    A run that fails is reported, in its own ``failure.json`` too, and the others go on.

    Raises:
        RunFailedError: one or more runs failed; raised when all others are finished.
    """
    runs = named_runs(config, workdir)
    claim(workdir, config)
    use_cpu_cores(config.train.cpu_devices)
    with shared_programs():
        return _run_all(runs, names(config.only), workdir)


def _run_all(runs: list, only: list[str], workdir: Path) -> str:
    finished, failed, loaded, dataset = {}, [], None, None
    for run, run_workdir in runs:
        claim(run_workdir, run)
        result = results.read(run_workdir).get(run.name)
        if result is None and (not only or run.name in only):
            if run.data != loaded:
                loaded, dataset = run.data, load_dataset(run.data)
            provenance.record(run_workdir)
            results.clear_failure(run_workdir)
            try:
                result = run_one(run, dataset, run_workdir)
            except (ValueError, CheckpointError, TrainingDivergedError) as error:
                results.write_failure(run_workdir, error)
                logging.error("run %s: %s", run.name, error)
                failed.append(f"run {run.name}: {error}")
                continue
            results.write(run_workdir, {run.name: result})
            report.write(workdir, [workdir])
        if result is not None:
            finished[run.name] = result
            results.write(workdir, finished)
    summary = report.write(workdir, [workdir])
    if failed:
        raise RunFailedError(" ".join(failed))
    return summary


def with_report(job: Callable) -> Callable:
    """The job, and then the report of its workdir."""

    def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
        use_cpu_cores(config.train.cpu_devices)
        job(config, workdir)
        return report.write(workdir, [workdir])

    return run


JOBS = {
    "train": run_all,
    "robustness": with_report(robustness.run),
    "hash_robustness": with_report(hash_robustness.run),
    "export_distorted": export_distorted.run,
    "arrays": study_arrays.write,
    "catalog": catalog_dataset.run,
    "hash_images": hash_images.run,
    "hash_study": hash_study.run,
}


def main(argv: list[str]) -> None:
    """Runs the config's job; an error that the user can mend ends in one line and exit code 1."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    try:
        config = flags.FLAGS.config
        print(choose(JOBS, config.job, "job")(config, Path(flags.FLAGS.workdir)))
    except (
        OSError,
        ValueError,
        CheckpointError,
        RunFailedError,
        TrainingDivergedError,
        WorkdirError,
    ) as error:
        _fail(error)


def _fail(error: Exception | str) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, KeyError) as error:  # what ml_collections raises for a misspelt field
        while isinstance(error.args[0], Exception):
            error = error.args[0]
        _fail("unknown config field " + " ".join(error.args[0].split("\n")))
    except (OSError, TypeError, ValueError) as error:
        _fail(error)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(main, flags_parser=_parse_flags)
