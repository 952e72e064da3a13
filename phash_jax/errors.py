"""Errors that end in one line, because the user can mend what they name."""

from collections.abc import Sequence


class UserError(RuntimeError):
    """Says what is wrong and what to do; raised by the jobs besides OSError and ValueError."""


def listed(values: Sequence[object]) -> str:
    """Values as a message names them: separated by commas, and no more than ten."""
    shown = ", ".join(str(value) for value in values[:10])
    return f"{shown}, ... ({len(values)} in all)" if len(values) > 10 else shown
