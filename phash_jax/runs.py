"""From one config to the named runs it describes."""

from pathlib import Path

import ml_collections

from phash_jax.augment import batch_parts
from phash_jax.batches import STREAM, check_shares
from phash_jax.checks import at_least, choose, names, within
from phash_jax.data.load import SOURCES
from phash_jax.distortions import CLEAN, TEST_SETS
from phash_jax.errors import listed
from phash_jax.losses import make_loss
from phash_jax.model import make_model
from phash_jax.optimizers import make_optimizer
from phash_jax.placement import LOOPS
from phash_jax.preprocess import PREPROCESS
from phash_jax.published import PUBLISHED
from phash_jax.train import check_numbers
from phash_jax.workdir import flatten

_OF_ALL_RUNS = {"job", "name", "only", "runs"}
# In a workdir they hold what is of one run, or of all.
_FOLDERS_OF_A_RUN = ("checkpoints", "figures", "tensorboard")

# The choices of other fields are looked up where they are used, in ``_check``.
_CHOICES = {
    "published": PUBLISHED,
    "preprocess": PREPROCESS,
    "data.name": SOURCES,
    "train.loop": LOOPS,
    "train.stream": STREAM,
}


def named_runs(
    config: ml_collections.ConfigDict, workdir: Path
) -> list[tuple[ml_collections.ConfigDict, Path]]:
    """The runs of a config, each with its own locked config and folder.

    Without named runs it is the config itself, in ``workdir``; with them, each is the config with
    its overrides, in ``workdir/<name>``.

    Every choice is looked up and every number checked now, not after the data are loaded or after
    hours of training.

    Raises:
        ValueError: a run overrides a field that does not exist or gives it a value of another
            type, ``only`` names no run, a choice is unknown, or a number out of range.
    """
    unknown = [name for name in names(config.only) if name not in config.runs]
    if unknown:
        raise ValueError(
            f"config.only names unknown runs: {', '.join(unknown)}; "
            f"{config.name} has {', '.join(config.runs) or 'none'}"
        )
    if not config.runs:
        _check(config)
        return [(config, workdir)]
    runs = []
    for name, overrides in config.runs.items():
        if Path(name).name != name or name in _FOLDERS_OF_A_RUN:
            raise ValueError(
                f"run {name!r} of {config.name} cannot be the name of its folder: choose another"
            )
        if of_all := sorted(_OF_ALL_RUNS & set(overrides)):
            raise ValueError(
                f"run {name} of {config.name} overrides {listed(of_all)}, which a run cannot: its "
                "name is its key in runs, and the other fields hold for all runs together"
            )
        run = config.copy_and_resolve_references()
        run.unlock()
        run.runs = ml_collections.ConfigDict()
        run.only = ""
        run.name = name
        run.lock()
        try:
            run.update(overrides)
            _check(run)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"run {name} of {config.name}: {error}") from error
        runs.append((run, workdir / name))
    return runs


def _check(config: ml_collections.ConfigDict) -> None:
    check_numbers(config.train)
    fields = flatten(config.to_dict())
    for field, table in _CHOICES.items():
        choose(table, fields[field], field)
    test_sets = names(config.test_sets)
    for name in test_sets:
        choose(TEST_SETS, name, "test_sets")
    if CLEAN not in test_sets:
        raise ValueError(f"test_sets must include {CLEAN}, got {config.test_sets!r}")
    at_least(1, config.test_batch_size, "test_batch_size")
    at_least(0, config.test_shift, "test_shift")
    at_least(1, config.data.train_repeats, "data.train_repeats")
    within(0, 1, config.data.validation_share, "data.validation_share", below=True)
    parts = batch_parts(config.train.augment, mixup=config.train.mixup)
    # Over more devices it is checked again, when they are known.
    check_shares(config.train.batch_size, parts=parts, shards=1)
    if config.train.teacher and config.loss != "softmax_cross_entropy":
        raise ValueError(f"train.teacher is for loss=softmax_cross_entropy only, not {config.loss}")
    if config.train.teachers != 1 and not config.train.teacher:
        raise ValueError("train.teachers has no effect: name their workdir in train.teacher")
    # Each raises if a choice of its section is unknown or a number out of range.
    make_loss(config.loss, label_smoothing=config.label_smoothing)
    make_optimizer(config.optimizer, num_steps=config.train.num_steps)
    make_model(config.model, num_classes=1, platform="")
