"""Orbax checkpoints: asynchronous, the last and the best kept, damage noticed and stepped over."""

import hashlib
import textwrap
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from phash_jax.errors import UserError

_policies = ocp.training.preservation_policies


class CheckpointError(UserError):
    """A checkpoint folder holds checkpoints, none of which can be read."""


def open_checkpoints(directory: Path, *, keep_last: int) -> ocp.training.Checkpointer:
    """Opens (or makes) a folder of checkpoints, one per saved step.

    Args:
        directory: where the checkpoints live.
        keep_last: how many of the newest to keep; the one with the lowest loss is kept besides.
    """
    return ocp.training.Checkpointer(
        Path(directory).absolute(),
        save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=_policies.AnyPreservationPolicy(
            [
                _policies.LatestN(keep_last),
                _policies.BestN(n=1, get_metric_fn=lambda metrics: -metrics["loss"]),
            ]
        ),
        cleanup_tmp_directories=True,
    )


def digest(state: Any) -> str:
    """SHA-256 over the bytes, shapes, dtypes and paths of all arrays of a pytree."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = np.asarray(leaf)
        header = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}"
        sha.update(header.encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def save(checkpoints: ocp.training.Checkpointer, step: int, state: Any, *, loss: float) -> None:
    """Starts writing ``state`` as step ``step``; returns before it is on disk.

    Args:
        checkpoints: an open folder.
        step: steps trained so far.
        state: a pytree of arrays.
        loss: mean training loss, the measure for the best checkpoint.
    """
    # Orbax does not notice a flipped bit in an array, so the digest goes along.
    checkpoints.save_async(
        step,
        state,
        overwrite=True,
        metrics={"loss": loss},
        custom_metadata={"sha256": digest(state)},
    )


def _reason(error: BaseException) -> str:
    """One short line: Orbax wraps the cause in messages that print the whole state."""
    while error.__cause__ is not None:
        error = error.__cause__
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200)


def restore_newest(checkpoints: ocp.training.Checkpointer, abstract_state: Any) -> Any | None:
    """The newest checkpoint that can be read, or None where there is none at all.

    Damaged ones (unreadable, or not the bytes that were saved) are reported and deleted, so that
    training on from an older one can write them again.

    Args:
        checkpoints: an open folder.
        abstract_state: pytree of ``jax.ShapeDtypeStruct`` with shardings, as saved.

    Raises:
        CheckpointError: there are checkpoints, but every one is damaged.
    """
    state, damaged = _newest_good(checkpoints, abstract_state)
    if state is None and damaged:
        raise _all_damaged(checkpoints.directory, damaged, "to train from the start")
    for step in damaged:
        checkpoints.delete(step)
    return state


def read_newest(directory: Path, abstract_state: Any) -> tuple[Any, str]:
    """The newest checkpoint that can be read, and its digest; the folder stays as it is.

    Args:
        directory: a folder of checkpoints, perhaps of a run that is still training.
        abstract_state: pytree of ``jax.ShapeDtypeStruct`` of the saved shapes; the arrays are put
            on the first device.

    Raises:
        ValueError: there is no checkpoint.
        CheckpointError: there are checkpoints, but every one is damaged.
    """
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), abstract_state
    )
    with _open_to_read(directory) as checkpoints:
        state, damaged = _newest_good(checkpoints, abstract)
        if state is None:
            raise _all_damaged(directory, damaged, "and train again")
    return state, digest(state)


def parameter_shapes(directory: Path) -> dict[str, tuple[int, ...]] | None:
    """Shape of every parameter in the newest checkpoint, by path; None where it is damaged.

    Raises:
        ValueError: there is no checkpoint.
    """
    with _open_to_read(directory) as checkpoints:
        try:
            saved = checkpoints.metadata(checkpoints.latest.step).metadata["params"]
        except Exception:  # Orbax raises many kinds for a damaged file.
            return None
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(saved)
    }


def _open_to_read(directory: Path) -> ocp.training.Checkpointer:
    checkpoints = ocp.training.Checkpointer(Path(directory).absolute())
    if not checkpoints.checkpoints:
        checkpoints.close()
        raise ValueError(f"no checkpoint in {directory}: the run was stopped before its first one")
    return checkpoints


def _all_damaged(directory: Any, damaged: list[int], then: str) -> CheckpointError:
    return CheckpointError(
        f"all {len(damaged)} checkpoints in {directory} are damaged (steps {sorted(damaged)}): "
        f"move the folder away {then}"
    )


def _newest_good(
    checkpoints: ocp.training.Checkpointer, abstract_state: Any
) -> tuple[Any | None, list[int]]:
    """The newest state that can be read, or None; and the steps of the damaged ones passed over."""
    damaged = []
    for info in sorted(checkpoints.checkpoints, key=lambda c: c.step, reverse=True):
        try:
            state = checkpoints.load(info.step, abstract_state)
            saved = (checkpoints.metadata(info.step).custom_metadata or {}).get("sha256")
            if digest(state) != saved:
                raise ValueError("its arrays are not the ones that were saved")
        except Exception as error:  # Orbax raises many kinds for a damaged file.
            logging.warning(
                "checkpoint of step %d in %s is damaged and is passed over: %s",
                info.step,
                checkpoints.directory,
                _reason(error),
            )
            damaged.append(info.step)
            continue
        return state, damaged
    return None, damaged
