"""The job of training: every run of a config trained, tested and reported, one after another."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import jax
import ml_collections
import numpy as np
from absl import logging
from jax.errors import JaxRuntimeError

from phash_jax import processes, provenance, results
from phash_jax.augment import check_smaller
from phash_jax.checkpoint import CheckpointError
from phash_jax.checks import names
from phash_jax.data.dataset import Dataset
from phash_jax.data.load import load_in_all
from phash_jax.distillation import keep_teacher, make_teacher
from phash_jax.distortions import TEST_SETS
from phash_jax.errors import UserError
from phash_jax.evaluate import accuracies, make_predict, predict_split
from phash_jax.examples import plot_examples, plot_mistakes
from phash_jax.losses import Teacher
from phash_jax.model import make_model
from phash_jax.networks import check_unseen, restore, warn_of_other_pictures
from phash_jax.placement import (
    Placement,
    cpu_devices_for,
    num_cpu_cores,
    to_host,
    use_cpu_cores,
)
from phash_jax.preprocess import PREPROCESS
from phash_jax.processes import ProcessesError
from phash_jax.published import is_comparable
from phash_jax.report import report
from phash_jax.runs import named_runs
from phash_jax.train import Test, TrainingDivergedError, TrainState, train
from phash_jax.workdir import WorkdirError, claim, keep_images, locked

# Trouble with the disk, the memory or another process: the next run would fail too.
_ENDS_ALL_RUNS = (OSError, MemoryError, ProcessesError, WorkdirError)
_ENDS_ONE_RUN = (ValueError, CheckpointError, TrainingDivergedError)


class RunFailedError(UserError):
    """Some of several runs failed."""


def make_evaluate(
    config: ml_collections.ConfigDict, dataset: Dataset, placement: Placement
) -> Callable:
    """Returns a function from a stacked TrainState to its logits on the config's test sets.

    The logits are float32 ``[seeds, N, outputs]`` for each test set. The programs are compiled when
    they are first called.
    """
    model = make_model(
        config.model, num_classes=len(dataset.class_names), platform=placement.platform
    )
    predict_groups = {
        name: make_predict(
            model,
            PREPROCESS[config.preprocess],
            TEST_SETS[name],
            placement,
            test_flip=config.test_flip,
            test_shift=config.test_shift,
        )
        for name in names(config.test_sets)
    }

    def logits_of(state: TrainState) -> dict[str, np.ndarray]:
        return {
            name: predict_split(
                predict_group, state, dataset.test, placement, batch_size=config.test_batch_size
            )
            for name, predict_group in predict_groups.items()
        }

    return logits_of


def evaluate(
    config: ml_collections.ConfigDict, state: TrainState, dataset: Dataset, placement: Placement
) -> dict[str, np.ndarray]:
    """Tests trained networks once: ``make_evaluate(config, dataset, placement)(state)``."""
    return make_evaluate(config, dataset, placement)(state)


def _run_one(config: ml_collections.ConfigDict, dataset: Dataset, workdir: Path) -> dict:
    """Trains and tests one run; returns its entry for results.json."""
    test_sets, first = names(config.test_sets), processes.is_first()
    # Else it would be noticed only after the training.
    check_smaller(config.test_shift, dataset.test.images.shape[1:], "test_shift")
    source = config.data.name
    processes.in_all(
        lambda: keep_images(workdir, dataset, source=source) if first else None, "images"
    )
    examples = workdir / "examples.png"
    if first and not examples.exists():
        plot_examples(dataset, examples, preprocess=config.preprocess, test_sets=test_sets)

    teacher = None
    if config.train.teacher:
        teacher = processes.in_all(lambda: _restore_teacher(config, dataset, workdir), "teacher")

    # Logits of the newest test during training, by step, so that the last is not done twice.
    tested: dict[int, dict[str, np.ndarray]] = {}

    def make_test(placement: Placement) -> Test:
        logits_of = make_evaluate(config, dataset, placement)

        def test(state) -> dict[str, list[float]]:
            tested.clear()
            logits = tested[_step(state)] = logits_of(state)
            return accuracies(logits, dataset.test.labels)

        return test

    state, placement, records = train(
        config,
        dataset.train,
        num_classes=len(dataset.class_names),
        workdir=workdir,
        make_test=make_test,
        teacher=teacher,
    )
    logits = tested.get(_step(state)) or evaluate(config, state, dataset, placement)
    if first and "clean" in logits:
        plot_mistakes(
            dataset, logits["clean"], workdir / "mistakes.png", preprocess=config.preprocess
        )
    return results.build(
        name=config.name,
        # The study's numbers are for its own test pictures and inputs.
        published=(
            config.published
            if is_comparable(
                config.published,
                data=config.data.name,
                class_names=dataset.class_names,
                validation_share=config.data.validation_share,
                preprocess=config.preprocess,
            )
            else "none"
        ),
        seeds=to_host(state.seed).tolist(),
        records=records,
        class_names=dataset.class_names,
        test_labels=dataset.test.labels,
        test_logits=logits,
    )


def _restore_teacher(config: ml_collections.ConfigDict, dataset: Dataset, workdir: Path) -> Teacher:
    try:
        networks = restore(
            Path(config.train.teacher).expanduser(),
            class_names=dataset.class_names,
            image_shape=dataset.train.images.shape[1:],
        )
    except ValueError as error:
        raise ValueError(f"train.teacher: {error}") from error
    if processes.is_first():
        warn_of_other_pictures(networks, data=config.data.to_dict())
    check_unseen(networks, data=config.data.to_dict())
    taught = config.model.num_outputs or len(dataset.class_names)
    if networks.model.num_outputs != taught:
        raise ValueError(
            f"train.teacher has {networks.model.num_outputs} outputs, the network to be taught "
            f"{taught}: set model.num_outputs to what the teacher was trained with"
        )
    teacher = make_teacher(networks, count=config.train.teachers)
    if processes.is_first():
        keep_teacher(workdir, networks, count=config.train.teachers)
    return teacher


def _load_or_error(fields: ml_collections.ConfigDict) -> Dataset | ValueError:
    """The error is returned, so that the same images are not looked for again for every run."""
    try:
        return load_in_all(fields)
    except ValueError as error:
        return error


def _read_finished(runs: list) -> tuple[dict[str, dict], dict[str, ValueError]]:
    """The results of the runs that have some, and why those of others cannot be read."""
    finished, damaged = {}, {}
    for run, folder in runs:
        try:
            if (result := results.read(folder).get(run.name)) is not None:
                finished[run.name] = result
        except ValueError as error:
            damaged[run.name] = error
    return finished, damaged


def _begin(run_workdir: Path) -> None:
    if processes.is_first():
        provenance.record(run_workdir)
        results.clear_failure(run_workdir)


def _step(state: TrainState) -> int:
    return int(to_host(state.step)[0])


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Runs every named run of a config that is not finished yet; returns the summary.

    A run that fails is reported, in its own ``failure.json`` too, and the others continue. Several
    processes share the workdir: each writes its part of the checkpoints, the first all else.

    Raises:
        RunFailedError: one or more runs failed; raised after all others have finished.
    """
    runs = named_runs(config, workdir)
    # Several processes have devices since they joined.
    if not jax.distributed.is_initialized():
        cfg = config.train
        suitable = cpu_devices_for(
            num_seeds=cfg.num_seeds, batch_size=cfg.batch_size, cores=num_cpu_cores()
        )
        use_cpu_cores(cfg.cpu_devices or suitable)
    with contextlib.ExitStack() as held:
        with processes.first_alone("claimed"):
            claim(workdir, config)
            for run, run_workdir in runs:
                # The workdir itself is already held by the caller.
                if processes.is_first() and run_workdir != workdir:
                    held.enter_context(locked(run_workdir))
                claim(run_workdir, run)
        return _run_each(runs, names(config.only), workdir)


def _run_each(runs: list, only: list[str], workdir: Path) -> str:
    failed, first_error, loaded, dataset, summary = [], None, None, None, ""
    first = processes.is_first()
    finished, damaged = _read_finished(runs)
    for run, run_workdir in runs:
        chosen = not only or run.name in only
        # The others might have read the folder at another moment.
        if processes.as_first(run.name not in finished and chosen):
            try:
                if run.name in damaged:
                    raise damaged[run.name]
                processes.in_all(lambda folder=run_workdir: _begin(folder), "workdir")
                if run.data != loaded:
                    dataset, loaded = _load_or_error(run.data), run.data
                if isinstance(dataset, ValueError):
                    raise dataset
                finished[run.name] = _run_one(run, dataset, run_workdir)
            except _ENDS_ALL_RUNS:
                raise
            # Somebody's own distortion or loss may raise anything.
            except Exception as error:
                foreseen = isinstance(error, _ENDS_ONE_RUN)
                # With several processes, another may have ended, or only this one failed.
                if not foreseen and processes.count() > 1:
                    raise
                if not (foreseen or isinstance(error, JaxRuntimeError)):
                    logging.exception("run %s:", run.name)
                first_error = first_error or error
                if first:
                    results.write_failure(run_workdir, error)
                if len(runs) > 1:
                    logging.error("run %s: %s", run.name, error)
                failed.append(f"run {run.name}: {error}")
                summary = ""
                continue
            if first:
                results.write(run_workdir, {run.name: finished[run.name]})
                results.write(workdir, finished)
                summary = report.write(workdir, [workdir])
    if first and finished:
        results.write(workdir, finished)
    # The summary of the last run covers all, unless one failed since.
    if first and not summary:
        summary = report.write(workdir, [workdir])
    processes.wait("reported")
    if failed:
        raise RunFailedError("; ".join(failed)) from first_error
    return summary
