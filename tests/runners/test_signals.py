from __future__ import annotations

import os
import signal

import pytest

from affectkit.runners.signals import StopFlag


@pytest.mark.parametrize(
    ("number", "code", "unsaved"), [(signal.SIGTERM, 75, 143), (signal.SIGUSR1, 75, 143), (signal.SIGINT, 130, 130)]
)
def test_a_signal_sets_the_flag_and_says_how_to_exit(number, code, unsaved):
    with StopFlag() as stopping:
        assert not stopping.requested
        os.kill(os.getpid(), number)
        assert stopping.requested
    error = stopping.error("saved.", "go on")
    assert error.exit_code == code and number.name in error.message and error.hint == "go on"
    assert stopping.error("", "", resumable=False).exit_code == unsaved


def test_a_second_ctrl_c_forces():
    with pytest.raises(KeyboardInterrupt), StopFlag() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.requested
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    with StopFlag():
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
    assert {number: signal.getsignal(number) for number in before} == before
