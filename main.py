"""Trains and tests the runs of one config: python main.py --config=configs/X.py --workdir=DIR."""

import sys
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from phash_jax import report, results
from phash_jax.checkpoint import CheckpointError
from phash_jax.data.dataset import Dataset
from phash_jax.data.load import load_dataset
from phash_jax.evaluate import evaluate
from phash_jax.placement import use_cpu_cores
from phash_jax.runs import named_runs
from phash_jax.train import TrainingDivergedError, train
from phash_jax.workdir import WorkdirError, claim

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file(
    "config",
    None,
    "Config file; override a field with --config.section.field=value.",
    lock_config=True,
)
flags.DEFINE_string("workdir", None, "Folder for everything the runs leave behind; resumed.")
flags.mark_flags_as_required(["config", "workdir"])


def run_one(config: ml_collections.ConfigDict, dataset: Dataset, workdir: Path) -> dict:
    """Trains and tests one run, or returns its result where it is already there."""
    claim(workdir, config)
    if done := results.read(workdir):
        logging.info("%s is finished already, see %s", config.name, workdir / "results.json")
        return done[config.name]
    state, placement, records = train(
        config, dataset.train, num_classes=len(dataset.class_names), workdir=workdir
    )
    correct = evaluate(config, state, dataset, placement)
    return results.build(
        name=config.name,
        published=config.published,
        seeds=[int(seed) for seed in state.seed],
        records=records,
        test_correct=correct,
        test_size=len(dataset.test),
    )


def run_all(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs every named run of ``config`` and writes the comparison after each."""
    runs = named_runs(config, workdir)
    claim(workdir, config)
    use_cpu_cores(config.train.cpu_devices)
    datasets: dict[str, Dataset] = {}
    for run_config, run_workdir in runs:
        key = run_config.data.to_json()
        if key not in datasets:
            datasets = {key: load_dataset(run_config.data)}
        result = run_one(run_config, datasets[key], run_workdir)
        results.write(run_workdir, {run_config.name: result})
        report.write(workdir, [run_workdir for _, run_workdir in runs])
    print(report.table(report.collect([run_workdir for _, run_workdir in runs])))


def main(argv: list[str]) -> None:
    """Turns the errors a user can mend into one line and exit code 1."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    logging.set_verbosity(logging.WARNING)
    try:
        run_all(FLAGS.config, Path(FLAGS.workdir))
    except (
        ValueError,
        FileNotFoundError,
        WorkdirError,
        CheckpointError,
        TrainingDivergedError,
    ) as error:
        logging.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
