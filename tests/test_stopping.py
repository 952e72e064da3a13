"""Signals raise where that is safe."""

import gc
import os
import signal
import sys
import time

import pytest

from phash_jax.stopping import StopRequestedError, stop_on_signals, stop_where_checked


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_raises_at_once_or_at_the_next_check(number, exit_code):
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(StopRequestedError, match=number.name) as at_once, stop_on_signals():
        os.kill(os.getpid(), number)
    assert at_once.value.exit_code == exit_code

    reached = []

    def stopped_by_a_check():
        with stop_on_signals(), stop_where_checked() as check:
            check()
            os.kill(os.getpid(), number)
            reached.append("after the signal")
            check()
            reached.append("after the check")

    def stopped_without_one():
        with stop_on_signals():
            with stop_where_checked():
                os.kill(os.getpid(), number)
                reached.append("to the end")
            reached.append("beyond")

    with pytest.raises(StopRequestedError):
        stopped_by_a_check()
    with pytest.raises(StopRequestedError):
        stopped_without_one()
    assert reached == ["after the signal", "to the end"]
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost():
    asked = []

    def ask(phase, _):
        if not asked:
            asked.append(phase)
            os.kill(os.getpid(), signal.SIGTERM)

    def collect_and_wait():
        with stop_on_signals():
            gc.collect()
            assert asked
            time.sleep(30)

    hook = sys.unraisablehook
    gc.callbacks.append(ask)
    try:
        with pytest.raises(StopRequestedError, match="SIGTERM"):
            collect_and_wait()
    finally:
        gc.callbacks.remove(ask)
    assert sys.unraisablehook is hook


def test_a_second_signal_ends_the_process():
    with stop_on_signals():
        with pytest.raises(StopRequestedError):
            os.kill(os.getpid(), signal.SIGTERM)
        assert {signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)} == {signal.SIG_DFL}

    def stop_later():
        with stop_on_signals(), stop_where_checked():
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    with pytest.raises(StopRequestedError):
        stop_later()


def test_without_handlers_of_ours_signals_are_left_alone():
    before = signal.getsignal(signal.SIGTERM)
    with stop_where_checked() as check:
        assert signal.getsignal(signal.SIGTERM) is before
        check()
