"""From ``config.optimizer`` to an Optax optimizer: update rule, learning rate, averaged weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jaxtyping import Array, Int32, PyTree

from phash_jax.checks import at_least, choose, within

Rate = float | Callable[[Any], Any]


def _without_decay(rule: Callable[[Rate], optax.GradientTransformation]) -> Callable:
    def make(rate: Rate, weight_decay: float) -> optax.GradientTransformation:
        if weight_decay:
            raise ValueError("optimizer.weight_decay is for optimizer.name=adamw or muon only")
        return rule(rate)

    return make


def _kernels(params: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _adamw(rate: Rate, weight_decay: float) -> optax.GradientTransformation:
    """Decays kernels; biases and the scales of batch norm are left alone."""
    return optax.adamw(
        rate,
        weight_decay=weight_decay,
        mask=_kernels,
    )


def _in_float32(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer, whose state has the same types whether or not 64 bits are enabled.

    Else checkpoints written with them could not be read without.
    """

    def init(params: PyTree) -> PyTree:
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf,
            optimizer.init(params),
        )

    return optax.GradientTransformation(init, optimizer.update)


def _muon(rate: Rate, weight_decay: float) -> optax.GradientTransformation:
    """Muon for convolution kernels, with updates scaled so that Adam's rates suit it; else AdamW.

    Orthogonalising the update of a dense kernel of 1024x256 would cost more than those of all
    convolutions together. Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural
    networks" (2024); the scale is that of Liu et al., "Muon is Scalable for LLM Training" (2025).
    """
    height_width_in, out = (0, 1, 2), 3
    muon = optax.contrib.muon(
        rate,
        weight_decay=weight_decay,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=optax.contrib.MuonDimensionNumbers(height_width_in, out),
    )
    return optax.partition(
        {"convolution": _in_float32(muon), "other": _adamw(rate, weight_decay)},
        lambda params: jax.tree.map(
            lambda leaf: "convolution" if leaf.ndim == 4 else "other", params
        ),
    )


OPTIMIZERS: dict[str, Callable[[Rate, float], optax.GradientTransformation]] = {
    "adam": _without_decay(optax.adam),
    "adamw": _adamw,
    "muon": _muon,
    "sgd": _without_decay(optax.sgd),
    "adagrad": _without_decay(optax.adagrad),
}

# From the peak rate, the steps of the run and those of the warm-up to a rate at each step.
SCHEDULES: dict[str, Callable[[float, int, int], Rate]] = {
    "constant": lambda peak, steps, warmup: (
        optax.schedules.linear_schedule(0.0, peak, warmup) if warmup else peak
    ),
    # Half a cosine down to 0.
    "cosine": lambda peak, steps, warmup: optax.schedules.warmup_cosine_decay_schedule(
        0.0 if warmup else peak, peak, warmup, steps
    ),
    # Straight up and straight down to 0.
    "triangle": lambda peak, steps, warmup: optax.schedules.join_schedules(
        [
            optax.schedules.linear_schedule(0.0, peak, max(1, warmup)),
            optax.schedules.linear_schedule(peak, 0.0, steps - warmup),
        ],
        [warmup],
    ),
}


class AverageState(NamedTuple):
    """Moving average of the parameters.

    Attributes:
        count: int32 scalar, updates so far.
        average: parameters, float32.
    """

    count: Int32[Array, ""]
    average: PyTree[Array]


def average_parameters(decay: float) -> optax.GradientTransformation:
    """Keeps an exponential moving average of the parameters and leaves the updates as they are.

    Must be last in a chain. The decay grows from 2/11 in the first updates, ``(1 + n) / (10 + n)``
    from n = 1, so that the start values are soon forgotten, as in TensorFlow's
    ExponentialMovingAverage.

    Args:
        decay: share of the old average that is kept at each update, below 1.
    """

    def init(params: PyTree) -> AverageState:
        # A copy: a donated state must not hold one buffer twice.
        return AverageState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.copy, params))

    def update(updates: PyTree, state: AverageState, params: PyTree):
        count = state.count + 1
        kept = jnp.minimum(decay, (1 + count) / (10 + count))
        moved = optax.apply_updates(params, updates)
        average = optax.incremental_update(moved, state.average, 1 - kept)
        return updates, AverageState(count, average)

    return optax.GradientTransformation(init, update)


def averaged(params: PyTree, opt_state: PyTree) -> PyTree:
    """The parameters to test: their moving average where the optimizer keeps one."""
    found = [
        leaf.average
        for leaf in jax.tree.leaves(opt_state, is_leaf=lambda x: isinstance(x, AverageState))
        if isinstance(leaf, AverageState)
    ]
    return found[0] if found else params


def make_optimizer(
    fields: ml_collections.ConfigDict, *, num_steps: int
) -> optax.GradientTransformation:
    """The optimizer that ``config.optimizer`` describes.

    Args:
        fields: ``config.optimizer``.
        num_steps: updates of the whole run, at the end of which the schedule ends.

    Raises:
        ValueError: a choice is unknown or a number out of range.
    """
    for field in ("learning_rate", "weight_decay"):
        at_least(0, fields[field], f"optimizer.{field}")
    for field in ("warmup", "average_decay"):
        within(0, 1, fields[field], f"optimizer.{field}", below=True)
    # Even a short run keeps one step to come down in.
    warmup = min(round(fields.warmup * num_steps), num_steps - 1)
    rate = choose(SCHEDULES, fields.schedule, "optimizer.schedule")(
        fields.learning_rate, num_steps, warmup
    )
    optimizer = choose(OPTIMIZERS, fields.name, "optimizer.name")(rate, fields.weight_decay)
    if fields.average_decay:
        optimizer = optax.chain(optimizer, average_parameters(fields.average_decay))
    return optimizer
