from __future__ import annotations

import os
import signal

import pytest
from support import Heard

from affectkit.runtime import shutdown
from affectkit.runtime.shutdown import StopFlag


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


def test_a_second_ctrl_c_forces_unless_it_is_the_first_heard_twice(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(shutdown.time, "monotonic", lambda: clock[0])
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), StopFlag(heard) as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.requested
        assert "SIGINT: stopping at the end of this step. Ctrl-C again" in heard.notes[0]
        clock[0] += 0.5  # from the terminal and from a launcher
        os.kill(os.getpid(), signal.SIGINT)
        clock[0] += 1.0
        os.kill(os.getpid(), signal.SIGINT)
    assert clock[0] == 101.5 and len(heard.notes) == 1


def test_handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    with StopFlag():
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
    assert {number: signal.getsignal(number) for number in before} == before
