"""A skip that is not listed fails CI."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from allowed_skips import ALLOWED, is_allowed
from conftest import Skips


def session_after(reason: str, *, only_allowed: bool = True, status: int = 0) -> SimpleNamespace:
    """A session in which one test was skipped for ``reason``, as it is at its end."""
    skips, session = Skips(only_allowed=only_allowed), SimpleNamespace(exitstatus=status)
    report = SimpleNamespace(skipped=True, longrepr=("test_x.py", 3, f"Skipped: {reason}"), nodeid="test_x.py::test")
    skips.pytest_runtest_logreport(report)
    skips.pytest_sessionfinish(session)
    return session


@pytest.mark.parametrize(("reason", "status"), [("there is no CUDA device", 0), ("submitit is not installed", 1)])
def test_an_unlisted_skip_fails(reason, status):
    assert session_after(reason).exitstatus == status
    assert session_after(reason, only_allowed=False).exitstatus == 0


def test_a_failure_stays_a_failure():
    assert session_after("submitit is not installed", status=2).exitstatus == 2


def test_expected_failures_are_no_skips():
    skips = Skips(only_allowed=True)
    skips.pytest_runtest_logreport(
        SimpleNamespace(skipped=True, wasxfail="", longrepr=("x", 1, "Skipped: y"), nodeid="t")
    )
    assert skips.unlisted == {}


def test_every_entry_says_why():
    assert len(ALLOWED) > 5
    assert all(len(why) > 10 for why in ALLOWED.values())
    assert not is_allowed("")
