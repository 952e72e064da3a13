"""Errors that end in one line, because the user can mend what they name."""


class UserError(RuntimeError):
    """Says what is wrong and what to do; raised by the jobs besides OSError and ValueError."""
