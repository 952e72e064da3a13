"""Several processes, on one host or many, that run one job: joining, waiting, agreeing.

Everything here does nothing, and costs nothing, where there is one process.
"""

import asyncio
import contextlib
import platform
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from phash_jax.errors import UserError, is_disk_full
from phash_jax.placement import use_cpu_cores

# One may have many more large pictures to hash than another. An end is noticed by other means.
_MOST_SECONDS_APART = 24 * 3600
# Until the loss of a process is noticed where no collective fails; JAX's default is 100.
_HEARTBEAT_SECONDS = 30


class ProcessesError(UserError):
    """The processes of a job cannot find each other, or one was lost."""


def join(*, coordinator: str, num_processes: int, process_id: int, cpu_devices: int) -> None:
    """Makes this process one of a job's. Call before the first JAX computation.

    Args:
        coordinator: address and port of the first process, as ``host:1234``; empty: what the
            cluster says (Slurm, Open MPI, Kubernetes, TPU pods).
        num_processes: how many there are; 0: what the cluster says.
        process_id: number of this one, from 0; -1: what the cluster says.
        cpu_devices: as for ``placement.use_cpu_cores``.

    Raises:
        ProcessesError: the cluster says nothing, or the others cannot be reached.
    """
    # It would catch SIGTERM, and the process would not stop.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator or None,
            num_processes=num_processes or None,
            process_id=process_id if process_id >= 0 else None,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
        )
    # What jaxlib, gRPC and the detection of clusters raise.
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
        raise ProcessesError(
            f"cannot join the other processes ({str(error).partition(chr(10))[0]}): outside a "
            "cluster that JAX knows, start every process with --distributed "
            "--coordinator=HOST:PORT --num_processes=N --process_id=I"
        ) from error
    # Before anything asks for the number of a process, which starts the devices.
    use_cpu_cores(cpu_devices)
    # Together, since a first collective fails when another process is half a minute late for it.
    wait("joined")
    any_of(False)


def leave() -> None:
    """Ends the membership in the job, in all processes together.

    Without it the first process could end, and with it the service that the others hear from,
    before they have heard that the last wait is over.

    Raises:
        ProcessesError: another one has ended.
    """
    try:
        jax.distributed.shutdown()
    except RuntimeError as error:
        raise lost(error) from error


def lost(error: Exception) -> ProcessesError:
    """What to raise when a collective fails: in all likelihood another process has ended."""
    reason = str(error).partition("\n")[0]
    return ProcessesError(
        f"process {number()} has lost another one, whose own message says why ({reason}): start "
        "the command again in all processes; it resumes from what was saved"
    )


def count() -> int:
    """How many processes run this job."""
    return jax.process_count()


def count_on_this_host() -> int:
    """How many of them run on the host of this one."""
    if count() == 1:
        return 1
    hosts = multihost_utils.process_allgather(np.uint32(zlib.crc32(platform.node().encode())))
    return int(np.sum(hosts == hosts[number()]))


def number() -> int:
    """Which of them this is, from 0."""
    return jax.process_index()


def is_first() -> bool:
    """Whether this process is the one that writes what all would write."""
    return number() == 0


def wait(name: str) -> None:
    """Returns when every process has called it with this name.

    Raises:
        ProcessesError: another one has ended.
    """
    if count() == 1:
        return
    try:
        asyncio.run(
            ocp.multihost.sync_global_processes(
                name, operation_id="phash_jax", timeout=_MOST_SECONDS_APART
            )
        )
    except (OSError, RuntimeError) as error:
        raise lost(error) from error


@contextlib.contextmanager
def first_alone(name: str) -> Iterator[None]:
    """Runs the block in the first process, and in the others when that one has finished."""
    if not is_first():
        wait(name)
    yield
    if is_first():
        wait(name)


def any_of(flag: bool) -> bool:
    """Whether ``flag`` is true in any process; the same answer in all."""
    if count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def as_first(flag: bool) -> bool:
    """What ``flag`` is in the first process; the same answer in all."""
    if count() == 1:
        return flag
    return bool(multihost_utils.broadcast_one_to_all(np.array(flag)))


def in_all(load: Callable[[], Any], what: str) -> Any:
    """What ``load`` returns in this process; an error in one is one in all, so that none waits.

    Args:
        load: must not wait for the other processes.
        what: what is loaded, for the message of the processes in which nothing went wrong.

    Raises:
        ValueError: it cannot be loaded, here or in another process.
        UserError: as ``load`` raises it.
        OSError: the disk is full.
    """
    loaded, failed = None, None
    try:
        loaded = load()
    except (OSError, ValueError, UserError) as error:
        failed = error
    if any_of(failed is not None):
        if isinstance(failed, OSError) and not is_disk_full(failed):
            raise ValueError(str(failed)) from failed
        raise failed or ValueError(
            f"another process could not load its {what}; its message says why"
        )
    return loaded


def all_have(text: str) -> bool:
    """Whether all processes have the same text; the same answer in all."""
    if count() == 1:
        return True
    found = multihost_utils.process_allgather(np.uint32(zlib.crc32(text.encode())))
    return bool(np.all(found == found[0]))
