"""Errors that are shown in one line, because the user can fix what they name."""

import errno
from collections.abc import Sequence


class UserError(RuntimeError):
    """Says what is wrong and what to do; raised by the jobs besides OSError and ValueError."""


def listed(values: Sequence[object]) -> str:
    """Values as a message names them: separated by commas, and no more than ten."""
    shown = ", ".join(str(value) for value in values[:10])
    return f"{shown}, ... ({len(values)} in all)" if len(values) > 10 else shown


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused; XLA and JAX say so by errors of other types."""
    said = str(error)
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in said or "bad_alloc" in said


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a write failed because the disk is full, however often the error was wrapped."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False
