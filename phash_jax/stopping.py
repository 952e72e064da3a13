"""Ending on request: SIGTERM from a scheduler, Ctrl-C from a terminal."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Seconds until a signal that came where nothing can be raised is sent again.
_AGAIN = 0.1


class StopRequestedError(BaseException):
    """The process was asked to end. Not an Exception, so that no error handler continues after it.

    Attributes:
        number: of the signal.
        exit_code: what the process should end with: 0 after SIGTERM, which a scheduler sends to a
            process that did nothing wrong, and 130 after Ctrl-C, as shells expect.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 130 if number == signal.SIGINT else 0


def _stop(number: int, frame: object) -> None:
    # A second one, from somebody impatient, ends the process at once.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise StopRequestedError(number)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within it a signal raises StopRequestedError, wherever the program is.

    In a callback of the garbage collector (JAX has one) or in a destructor, Python would print the
    error and continue: there the signal is sent again. For the main thread, as signals are.
    """
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    usual, sent_again = sys.unraisablehook, []

    def hook(unraisable: Any) -> None:
        stop = unraisable.exc_value
        if not isinstance(stop, StopRequestedError):
            usual(unraisable)
            return
        for each in _SIGNALS:
            signal.signal(each, _stop)
        sent_again.append(threading.Timer(_AGAIN, os.kill, (os.getpid(), stop.number)))
        sent_again[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = usual
        for timer in sent_again:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_where_checked() -> Iterator[Callable[..., None]]:
    """Within it, and within ``stop_on_signals``, a signal waits until the yielded check is called.

    The check may be given a function that decides, from whether this process was asked to stop,
    whether it does: for several processes that must stop together. A signal that no check has seen
    raises StopRequestedError at the end.
    """
    if signal.getsignal(signal.SIGTERM) is not _stop:
        yield lambda agree=None: None
        return
    requested: list[int] = []

    def remember(number: int, frame: object) -> None:
        requested.append(number)
        signal.signal(number, signal.SIG_DFL)

    def check(agree: Callable[[bool], bool] = bool) -> None:
        if agree(bool(requested)):
            raise StopRequestedError(requested.pop() if requested else signal.SIGTERM)

    for number in _SIGNALS:
        signal.signal(number, remember)
    try:
        yield check
    finally:
        for number in _SIGNALS:
            signal.signal(number, _stop)
    check()
