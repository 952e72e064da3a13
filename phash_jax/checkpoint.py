"""Orbax checkpoints: asynchronous, the last and the best kept, damage noticed and passed over."""

import contextlib
import errno
import hashlib
import logging as standard_logging
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from phash_jax import processes
from phash_jax.errors import UserError
from phash_jax.placement import to_host

_policies = ocp.training.preservation_policies

_MOST_SECONDS_TO_WRITE = 30 * 24 * 3600


class CheckpointError(UserError):
    """A checkpoint folder holds checkpoints, none of which can be read."""


@contextlib.contextmanager
def open_checkpoints(directory: Path, *, keep_last: int) -> Iterator[ocp.training.Checkpointer]:
    """Opens (or makes) a folder of checkpoints, one per saved step; waits for writes at the end.

    Args:
        directory: where the checkpoints live.
        keep_last: how many of the newest to keep; the one with the lowest loss is kept besides.

    Raises:
        OSError: a checkpoint cannot be written (errno ENOSPC: no space). Raised by the next save
            or at the end, since they are written in the background.
    """
    # Orbax measures time by the wall clock, which may be set forward while it writes.
    patient = ocp.Context()
    patient.asynchronous.timeout_secs = _MOST_SECONDS_TO_WRITE
    with patient, _full_disk_by_its_name(directory), _without_what_is_raised_again():
        checkpoints = ocp.training.Checkpointer(
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
        lost_a_process = False
        try:
            yield checkpoints
        except jax.errors.JaxRuntimeError:
            lost_a_process = processes.count() > 1
            raise
        finally:
            # Else closing would wait for that process, since all finish a checkpoint together.
            if not lost_a_process:
                checkpoints.close()


@contextlib.contextmanager
def _full_disk_by_its_name(directory: Path) -> Iterator[None]:
    """Makes an OSError of the error by which the array library reports a full disk."""
    try:
        yield
    except ValueError as error:
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory)) from error


@contextlib.contextmanager
def _without_what_is_raised_again() -> Iterator[None]:
    """Silences what Orbax's threads log of an error that is then raised in this one too.

    Reads and writes still under way then find their event loop closed, which Python would print.
    """

    def is_news(record: standard_logging.LogRecord) -> bool:
        return not (record.exc_info and "orbax" in Path(record.pathname).parts)

    logger, hook = logging.get_absl_logger(), sys.unraisablehook

    def unless_closed(unraisable):
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            hook(unraisable)

    logger.addFilter(is_news)
    sys.unraisablehook = unless_closed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        logger.removeFilter(is_news)


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

    Every process of a job writes what lies on its devices.

    Args:
        checkpoints: an open folder.
        step: steps trained so far.
        state: a pytree of arrays.
        loss: mean training loss, the measure for the best checkpoint.
    """
    # Orbax does not notice a flipped bit in an array, so a digest is saved too.
    checkpoints.save_async(
        step,
        state,
        overwrite=True,
        metrics={"loss": loss},
        custom_metadata={"sha256": digest(to_host(state))},
    )


def _reason(error: BaseException) -> str:
    """One short line: Orbax wraps the cause in messages that print the whole state."""
    while error.__cause__ is not None:
        error = error.__cause__
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200)


def restore_newest(directory: Path, state: Any, *, logged: int | None = None) -> Any | None:
    """The newest checkpoint that can be read, or None where there is none at all.

    Damaged ones (unreadable, or not the bytes that were saved) are reported and moved to
    ``<step>.passed_over``, so that training resumed from an older one can write those steps again,
    and nothing is lost where the disk was merely unreadable for a while. All processes of a job
    must call it, and each reads by itself, so that damage found by one leaves no other waiting.

    Args:
        directory: a folder of checkpoints, which need not exist.
        state: pytree of arrays of the saved shapes.
        logged: the last step of the log that goes with them, if there is one. Checkpoints after it
            are treated as damaged, unless there are no others.

    Returns:
        The state as NumPy arrays.

    Raises:
        CheckpointError: all checkpoints there are damaged, or not the same for all processes.
        MemoryError: there is not enough to read one.
    """
    with _by_itself():
        restored, damaged = _newest_good(directory, state, logged=logged)
        if not processes.all_have(f"{digest(restored)} {damaged}"):
            raise CheckpointError(
                f"not all processes read the same checkpoint in {directory}: start again when all "
                "see the same folder (if only one of them reports a damaged checkpoint, the fault "
                "is in its disk)"
            )
        if restored is None and damaged:
            raise _all_damaged(directory, damaged, "to train from the start")
        if processes.is_first():
            for step in damaged:
                _put_aside(Path(directory) / str(step))
    processes.wait("damaged ones put aside")
    return jax.tree.map(np.asarray, restored)


def read_newest(directory: Path, abstract_state: Any) -> tuple[Any, str]:
    """The newest checkpoint that can be read, and its digest; the folder stays as it is.

    Each process of a job reads by itself.

    Args:
        directory: a folder of checkpoints, perhaps of a run that is still training.
        abstract_state: pytree of ``jax.ShapeDtypeStruct`` of the saved shapes; the arrays are put
            on the first device.

    Raises:
        ValueError: there is no checkpoint.
        CheckpointError: there are checkpoints, but every one is damaged.
    """
    with _by_itself():
        state, damaged = _newest_good(directory, abstract_state)
    if state is None:
        raise _all_damaged(directory, damaged, "and train again") if damaged else _none(directory)
    return state, digest(state)


def parameter_shapes(directory: Path) -> dict[str, tuple[int, ...]] | None:
    """Shape of every parameter in the newest checkpoint, by path; None where it is damaged.

    Raises:
        ValueError: there is no checkpoint.
    """
    paths = _saved(directory)
    if not paths:
        raise _none(directory)
    try:
        saved = ocp.metadata(paths[0]).metadata["params"]
    except Exception:  # Orbax raises many kinds of error for a damaged file.
        return None
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(saved)
    }


def _by_itself() -> contextlib.AbstractContextManager:
    """Within it Orbax does not wait for the other processes of a job."""
    if processes.count() == 1:
        return contextlib.nullcontext()
    this, alone = processes.number(), ocp.Context()
    alone.multiprocessing.primary_host = this
    alone.multiprocessing.active_processes = {this}
    alone.multiprocessing.barrier_sync_key_prefix = f"process_{this}"
    return alone


def _none(directory: Path) -> ValueError:
    return ValueError(
        f"no checkpoint in {directory}: the run was stopped before its first one; start its "
        "command again"
    )


def _all_damaged(directory: Path, damaged: list[int], then: str) -> CheckpointError:
    return CheckpointError(
        f"all {len(damaged)} checkpoints in {directory} are damaged (steps {sorted(damaged)}): "
        f"move the folder away {then}"
    )


def _saved(directory: Path) -> list[Path]:
    """The checkpoints of a folder, which need not exist, newest first."""
    # One that is still being written has a longer name.
    paths = [path for path in Path(directory).absolute().glob("*") if path.name.isdigit()]
    return sorted(paths, key=lambda path: int(path.name), reverse=True)


def _put_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}.passed_over")
    if aside.exists():
        shutil.rmtree(aside)
    path.rename(aside)


def _newest_good(
    directory: Path, state: Any, *, logged: int | None = None
) -> tuple[Any | None, list[int]]:
    """The newest state that can be read, or None; and the steps of the damaged ones passed over.

    The state is put on the first device of this process.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), state
    )
    damaged, saved_paths = [], _saved(directory)
    ahead = [path for path in saved_paths if logged is not None and int(path.name) > logged]
    if len(ahead) == len(saved_paths):
        ahead = []
    for path in saved_paths:
        if path in ahead:
            logging.warning(
                "checkpoint of step %s in %s is passed over: the log ends at step %d, and what "
                "follows is trained again",
                path.name,
                directory,
                logged,
            )
            damaged.append(int(path.name))
            continue
        try:
            restored = ocp.load(path, abstract)
            saved = (ocp.metadata(path).custom_metadata or {}).get("sha256")
            if digest(restored) != saved:
                raise ValueError("its arrays are not the ones that were saved")
        except MemoryError:
            raise
        except Exception as error:  # Orbax raises many kinds of error for a damaged file.
            logging.warning(
                "checkpoint of step %s in %s is damaged and is passed over: %s",
                path.name,
                directory,
                _reason(error),
            )
            damaged.append(int(path.name))
            continue
        return restored, damaged
    return None, damaged
