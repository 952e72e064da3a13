"""Training: many seeds of one configuration at once, on all devices.

In order: the state of one seed, one training step, the steps between two log lines; the functions
that build these from a config; and ``train``, which runs them, logging, checkpointing and resuming.
"""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from flax import struct
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, Int32, PyTree, UInt8
from tqdm import tqdm

from phash_jax import checkpoint, processes
from phash_jax.augment import (
    Augment,
    Mixup,
    augment_names,
    batch_parts,
    check_smaller,
    make_augment,
    make_mixup,
    make_move,
    partners,
)
from phash_jax.batches import check_shares, draw_indices, is_streamed, make_next_batch, take_share
from phash_jax.checks import at_least, choose, within
from phash_jax.data.dataset import Split
from phash_jax.errors import UserError
from phash_jax.keys import AUGMENT, DROPOUT, INIT, seed_key, step_key
from phash_jax.losses import Loss, Teacher, make_loss, with_teacher
from phash_jax.metrics import MetricsLog, last_step, read_until
from phash_jax.model import ConvNet, make_model
from phash_jax.optimizers import make_optimizer
from phash_jax.placement import (
    BATCH,
    SEED,
    Placement,
    join_groups,
    over_seeds,
    place,
    put,
    split_groups,
    to_host,
)
from phash_jax.preprocess import PREPROCESS, Preprocess
from phash_jax.stopping import StopRequestedError, stop_where_checked

# From the state of all seeds to their accuracies on each test set.
Test = Callable[["TrainState"], dict[str, list[float]]]

# Steps whose metrics one program puts together.
_STACKED = 50


class TrainingDivergedError(UserError):
    """The loss or a gradient stopped being finite."""


@struct.dataclass
class TrainState:
    """One seed's training state, or several seeds' stacked on a leading axis.

    Attributes:
        seed: int32 scalar; with ``step`` it gives every random key, so nothing else is needed to
            resume.
        step: int32 scalar, updates made so far.
        params: parameters of the network, float32.
        batch_stats: running statistics of batch norm, empty without it.
        opt_state: state of the optimizer.
    """

    # Not annotated as arrays: tree maps also make states of shapes and of shardings.
    seed: PyTree
    step: PyTree
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree


def make_init(
    model: ConvNet,
    optimizer: optax.GradientTransformation,
    preprocess: Preprocess,
    *,
    image_shape: tuple[int, int, int],
) -> Callable[[Int32[Array, " seeds"]], TrainState]:
    """Returns a jitted function from int32 seeds ``[S]`` to their stacked start states.

    ``image_shape`` is that of the uint8 images before preprocessing.
    """
    input_shape = jax.eval_shape(preprocess, jax.ShapeDtypeStruct(image_shape, jnp.uint8)).shape

    def init(seed: Int32[Array, ""]) -> TrainState:
        variables = model.init(seed_key(seed, INIT), jnp.zeros((1, *input_shape)), train=False)
        params = variables["params"]
        return TrainState(
            seed=seed,
            step=jnp.zeros((), jnp.int32),
            params=params,
            batch_stats=variables.get("batch_stats", {}),
            opt_state=optimizer.init(params),
        )

    return jax.jit(jax.vmap(init))


def make_train_step(
    model: ConvNet,
    optimizer: optax.GradientTransformation,
    loss_fn: Loss,
    preprocess: Preprocess,
    *,
    batch_size: int,
    move: Augment | None = None,
    mixup: Mixup | None = None,
    augment: Augment | None = None,
    parts: int = 1,
    teacher: Teacher | None = None,
    teacher_share: float = 0.0,
    streamed: bool = False,
) -> Callable:
    """Returns ``(state, images, labels) -> (state, metrics)``, one update of one seed.

    The function runs inside a mesh axis ``batch``. ``images`` and ``labels`` are the whole training
    split, of which every shard draws the same ``batch_size`` indices (with replacement) and takes
    its share; if ``streamed``, they are already that share. Gradients are averaged over the shards.
    Metrics are float32 scalars of the batch before the update: ``loss``, ``accuracy`` and
    ``grad_norm``. Before preprocessing, ``move``, ``mixup`` and ``augment`` change the images, in
    this order; the shares of ``mixup`` also weight the losses against the two labels. ``parts`` is
    ``batch_parts`` of the last two. A ``teacher`` sees the images before ``augment``; its answers
    make up ``teacher_share`` of the loss. Accuracy counts the label with the larger share. Only
    dropout depends on the number of shards.
    """

    def train_step(
        state: TrainState, images: UInt8[Array, "n h w c"], labels: Int[Array, " n"]
    ) -> tuple[TrainState, dict[str, Array]]:
        if not streamed:
            indices = draw_indices(
                state.seed, state.step, num_images=len(images), batch_size=batch_size
            )
            indices = take_share(indices, parts=parts)
            images, labels = images[indices], labels[indices]
        augment_key = step_key(state.seed, AUGMENT, state.step)
        if move is not None:
            images = move(augment_key, images)
        if mixup is not None:
            images, shares = mixup(augment_key, images)
        taught = None if teacher is None else teacher(images, state.step)
        if augment is not None:
            images = augment(augment_key, images)
        inputs = jax.vmap(preprocess)(images)
        dropout_key = jax.random.fold_in(
            step_key(state.seed, DROPOUT, state.step), lax.axis_index(BATCH)
        )

        def loss_of(params):
            logits, updated = model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                inputs,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": dropout_key},
            )
            accuracy = jnp.mean(jnp.argmax(logits, -1) == labels)
            loss = loss_fn(logits, labels)
            if mixup is not None:
                loss = shares * loss + (1 - shares) * loss_fn(logits, partners(labels))
            if taught is not None:
                loss = with_teacher(loss, logits, taught, share=teacher_share)
            return loss.mean(), (accuracy, updated.get("batch_stats", {}))

        (loss, (accuracy, batch_stats)), grads = jax.value_and_grad(loss_of, has_aux=True)(
            state.params
        )
        loss, accuracy, grads = lax.pmean((loss, accuracy, grads), BATCH)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, {
            "loss": loss,
            "accuracy": accuracy,
            "grad_norm": optax.tree.norm(grads),
        }

    return train_step


def make_train_steps(
    train_step: Callable,
    placement: Placement,
    *,
    num_steps: int | None = None,
    streamed: bool = False,
) -> Callable:
    """Returns a jitted ``(group, images, labels) -> (group, metrics)`` for a group of seeds.

    The function makes one update, or ``num_steps`` of them in one scan; then metrics have a further
    axis for the steps. The group passed in is donated.
    """

    def scan(state, images, labels):
        return lax.scan(lambda state, _: train_step(state, images, labels), state, length=num_steps)

    of_batch = PartitionSpec(SEED, BATCH) if streamed else PartitionSpec()
    steps = over_seeds(
        train_step if num_steps is None else scan,
        placement,
        other_specs=(of_batch, of_batch),
        out_specs=(PartitionSpec(SEED), PartitionSpec(SEED)),
    )
    return jax.jit(steps, donate_argnums=0, compiler_options=placement.compiler_options)


def make_train_interval(
    train_step: Callable, placement: Placement, *, streamed: bool = False
) -> Callable:
    """Returns ``(groups, next_batch, num_steps, progress) -> (groups, metrics)``.

    Runs ``num_steps`` updates of every group of seeds, as one scan or dispatched one by one as the
    placement says; ``progress(n)`` is called with the seed-steps just finished. ``next_batch()``
    gives images and labels: those of the next step where they are ``streamed``, else all. The
    groups given are donated. Metrics come back as NumPy float32 ``[seeds, num_steps]``.
    """
    step_group = make_train_steps(train_step, placement, streamed=streamed)
    scan_group = functools.cache(
        lambda num_steps: make_train_steps(train_step, placement, num_steps=num_steps)
    )
    stack = jax.jit(lambda steps: jax.tree.map(lambda *m: jnp.stack(m, 1), *steps))

    def to_host_in_pieces(steps):
        # Each array that several processes gather takes a round of messages; but the time to
        # compile a piece grows faster than its length.
        pieces = [
            to_host(stack(steps[start : start + _STACKED]))
            for start in range(0, len(steps), _STACKED)
        ]
        return jax.tree.map(lambda *m: np.concatenate(m, 1), *pieces)

    def train_group(group, next_batch, num_steps, progress):
        if placement.scan and not streamed:
            group, metrics = scan_group(num_steps)(group, *next_batch())
            metrics = to_host(metrics)
            progress(num_steps * placement.seeds_at_once)
            return group, metrics
        steps = []
        for _ in range(num_steps):
            group, metrics = step_group(group, *next_batch())
            steps.append(metrics)
            progress(placement.seeds_at_once)
        return group, to_host_in_pieces(steps)

    def interval(groups, next_batch, num_steps, progress=lambda n: None):
        trained = [train_group(group, next_batch, num_steps, progress) for group in groups]
        groups = [group for group, _ in trained]
        return groups, jax.tree.map(lambda *m: np.concatenate(m), *(m for _, m in trained))

    return interval


def check_numbers(cfg: ml_collections.ConfigDict) -> None:
    """ValueError if a number of ``config.train`` is out of range; needs no data and no devices."""
    for field in (
        "num_steps",
        "num_seeds",
        "batch_size",
        "prefetch",
        "log_every",
        "checkpoint_every",
        "keep_checkpoints",
        "teachers",
    ):
        at_least(1, cfg[field], f"train.{field}")
    for field in ("max_shift", "cutout", "seed", "cpu_devices"):
        at_least(0, cfg[field], f"train.{field}")
    for field, high in (("max_zoom", 1), ("mixup", 100), ("teacher_share", 1)):
        within(0, high, cfg[field], f"train.{field}")
    if cfg.seed + cfg.num_seeds > 2**31:
        raise ValueError(f"train.seed must leave every seed below 2**31, got {cfg.seed}")
    if cfg.checkpoint_every % cfg.log_every:
        raise ValueError(
            f"train.checkpoint_every ({cfg.checkpoint_every}) must be a multiple of "
            f"train.log_every ({cfg.log_every})"
        )
    if cfg.test_every < 0 or cfg.test_every % cfg.log_every:
        raise ValueError(
            f"train.test_every ({cfg.test_every}) must be 0 or a multiple of "
            f"train.log_every ({cfg.log_every})"
        )


def make_init_and_step(
    config: ml_collections.ConfigDict,
    placement: Placement,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    teacher: Teacher | None = None,
    streamed: bool = False,
) -> tuple[Callable, Callable]:
    """``make_init`` and ``make_train_step`` for a config.

    Raises:
        ValueError: a field of the config is unknown or out of range.
    """
    cfg = config.train
    model = make_model(config.model, num_classes=num_classes, platform=placement.platform)
    optimizer = make_optimizer(config.optimizer, num_steps=cfg.num_steps)
    preprocess = choose(PREPROCESS, config.preprocess, "preprocess")
    for field in ("max_shift", "cutout"):
        check_smaller(cfg[field], image_shape, f"train.{field}")
    distortions = augment_names(cfg.augment)
    parts = batch_parts(cfg.augment, mixup=cfg.mixup)
    check_shares(cfg.batch_size, parts=parts, shards=placement.mesh.shape[BATCH])
    moves = {field: cfg[field] for field in ("flip", "max_shift", "max_zoom", "cutout")}
    train_step = make_train_step(
        model,
        optimizer,
        make_loss(config.loss, label_smoothing=config.label_smoothing),
        preprocess,
        batch_size=cfg.batch_size,
        move=make_move(**moves) if any(moves.values()) else None,
        mixup=make_mixup(alpha=cfg.mixup) if cfg.mixup else None,
        augment=make_augment(distortions) if distortions else None,
        parts=parts,
        teacher=teacher,
        teacher_share=cfg.teacher_share,
        streamed=streamed,
    )
    return make_init(model, optimizer, preprocess, image_shape=image_shape), train_step


_copied = jax.jit(functools.partial(jax.tree.map, jnp.copy))


def train(
    config: ml_collections.ConfigDict,
    split: Split,
    *,
    num_classes: int,
    workdir: Path,
    devices: Sequence[jax.Device] | None = None,
    make_test: Callable[[Placement], Test] | None = None,
    teacher: Teacher | None = None,
) -> tuple[TrainState, Placement, list[dict[str, Any]]]:
    """Trains ``config.train.num_seeds`` networks; resumes from the newest good checkpoint.

    Args:
        config: a whole config, see ``configs/default.py``.
        split: training images and labels.
        num_classes: number of classes of the dataset.
        workdir: gets ``metrics.jsonl``, ``tensorboard/`` and ``checkpoints/``.
        devices: devices to train on, by default all.
        make_test: from the layout to what ``train.test_every`` asks for: a function from a state
            to accuracies by test set, one per seed, which join the records.
        teacher: of ``config.train.teacher``, from ``distillation.make_teacher``.

    Returns:
        The final state stacked over seeds, its placement, and all records of metrics.jsonl.

    Raises:
        ValueError: a field of the config is unknown or out of range, or the log of the steps until
            the checkpoint is damaged.
        TrainingDivergedError: a loss or gradient is not finite; names step and seed.
        CheckpointError: there are checkpoints, and all are damaged.
        StopRequestedError: a signal came; what was trained up to the last log line is saved.
    """
    cfg = config.train
    check_numbers(cfg)
    seeds = list(range(cfg.seed, cfg.seed + cfg.num_seeds))
    placement = place(
        num_seeds=cfg.num_seeds,
        batch_size=cfg.batch_size,
        parts=batch_parts(cfg.augment, mixup=cfg.mixup),
        loop=cfg.loop,
        devices=devices,
    )
    streamed = is_streamed(cfg.stream, split, placement)
    init, train_step = make_init_and_step(
        config,
        placement,
        image_shape=split.images.shape[1:],
        num_classes=num_classes,
        teacher=teacher,
        streamed=streamed,
    )
    interval = make_train_interval(train_step, placement, streamed=streamed)
    state = to_host(init(jnp.array(seeds, jnp.int32)))
    test = make_test(placement) if make_test is not None and cfg.test_every else None
    logged = processes.in_all(lambda: last_step(workdir), "metrics.jsonl")
    restored = checkpoint.restore_newest(workdir / "checkpoints", state, logged=logged)
    state = state if restored is None else restored
    step = saved = int(state.step[0])
    state = put(state, placement.sharding(SEED))
    groups = split_groups(state, placement)
    next_batch = make_next_batch(
        split,
        placement,
        streamed=streamed,
        seeds=seeds,
        batch_size=cfg.batch_size,
        start=step,
        num_steps=cfg.num_steps,
        interval=cfg.log_every,
        prefetch=cfg.prefetch,
    )
    first = processes.is_first()
    # Together, so that none waits for one that has read something else.
    processes.in_all(lambda: read_until(workdir, step), "metrics.jsonl")
    with (
        # First, so that a signal does not cut the last checkpoint short either.
        stop_where_checked() as stop_if_asked,
        checkpoint.open_checkpoints(
            workdir / "checkpoints", keep_last=cfg.keep_checkpoints
        ) as checkpoints,
        MetricsLog(workdir, step=step, write=first) as log,
        tqdm(
            total=cfg.num_steps * cfg.num_seeds,
            initial=step * cfg.num_seeds,
            desc=config.name,
            unit="step",
            dynamic_ncols=True,
            disable=not first,
        ) as bar,
    ):

        def progress(num_steps: int) -> None:
            bar.update(num_steps)
            # Several processes must stop at the same step: between two intervals.
            if processes.count() == 1:
                stop_if_asked()

        seconds = log.records[-1]["seconds"] if log.records else 0.0
        while step < cfg.num_steps:
            start = time.monotonic()
            num_steps = min(cfg.log_every, cfg.num_steps - step)
            try:
                stop_if_asked(processes.any_of)
                groups, metrics = interval(groups, next_batch, num_steps, progress)
            except StopRequestedError:
                if step > saved:
                    loss = float(np.mean(log.records[-1]["loss"]))
                    checkpoint.save(checkpoints, step, state, loss=loss)
                raise
            _check_finite(metrics, seeds=seeds, step=step, checkpoints=checkpoints)
            step += num_steps
            seconds += time.monotonic() - start
            # A copy: the next steps reuse the buffers of ``groups``.
            state = _copied(join_groups(groups, placement))
            record = _record(metrics, step=step, seconds=seconds)
            if test is not None and (step % cfg.test_every == 0 or step == cfg.num_steps):
                record["test_accuracy"] = test(state)
            log.write(record, seeds)
            if first:
                bar.write(f"{config.name}: {_as_line(record)}")
            if step % cfg.checkpoint_every == 0 or step == cfg.num_steps:
                checkpoint.save(checkpoints, step, state, loss=float(np.mean(record["loss"])))
                saved = step
                log.histograms(_named_parameters(to_host(state.params)), step)
        records = log.records
    return join_groups(groups, placement), placement, records


def _record(metrics: dict[str, np.ndarray], *, step: int, seconds: float) -> dict[str, Any]:
    """A record of metrics.jsonl, from the metrics ``[seeds, num_steps]`` of the steps before."""
    return {
        "step": step,
        "seconds": round(seconds, 3),
        "loss": metrics["loss"].mean(1).tolist(),
        "accuracy": metrics["accuracy"].mean(1).tolist(),
        "batch_accuracy": metrics["accuracy"][:, -1].tolist(),
        "grad_norm": metrics["grad_norm"].mean(1).tolist(),
    }


def _as_line(record: dict[str, Any]) -> str:
    tested = (
        f", {name} {100 * np.mean(values):.1f} %"
        for name, values in record.get("test_accuracy", {}).items()
    )
    return (
        f"step {record['step']}, training accuracy {100 * np.mean(record['accuracy']):.1f} %, "
        f"loss {np.mean(record['loss']):.4f}" + "".join(tested)
    )


def _check_finite(metrics, *, seeds: list[int], step: int, checkpoints) -> None:
    finite = np.isfinite(metrics["loss"]) & np.isfinite(metrics["grad_norm"])
    if finite.all():
        return
    first = int(np.argmin(finite.all(0)))
    broken = [seed for seed, ok in zip(seeds, finite[:, first], strict=True) if not ok]
    checkpoints.wait()
    kept = (
        f"the last good checkpoint is of step {checkpoints.latest.step} in {checkpoints.directory}"
        if checkpoints.latest
        else "no checkpoint had been written yet"
    )
    raise TrainingDivergedError(
        f"the loss or its gradient is not finite at step {step + first + 1} for seed "
        f"{', '.join(map(str, broken))}; {kept}. Try a smaller optimizer.learning_rate or another "
        "model.kernel_init."
    )


def _named_parameters(params: PyTree[np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of the first seed by path, for histograms."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf[0] for path, leaf in leaves
    }
