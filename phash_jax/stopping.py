"""Ending on request: SIGTERM from a scheduler, Ctrl-C from a terminal."""

import contextlib
import signal
from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequestedError(BaseException):
    """The process was asked to end. No Exception, so that no handler of errors goes on after it.

    Attributes:
        exit_code: what the process should end with: 0 after SIGTERM, which a scheduler sends to a
            process that did nothing wrong, and 130 after Ctrl-C, as shells expect.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 130 if number == signal.SIGINT else 0


def _stop(number: int, frame: object) -> None:
    # A second one, from somebody impatient, ends the process at once.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise StopRequestedError(number)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within it a signal raises StopRequestedError, wherever the program is.

    For the main thread, as signals are.
    """
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_where_checked() -> Iterator[Callable[..., None]]:
    """Within it, and within ``stop_on_signals``, a signal waits until the yielded check is called.

    The check may be given a function from whether this process was asked to stop to whether it
    shall, for several processes that must stop together. A signal that no check has seen raises
    StopRequestedError at the end.
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
