"""The quick tests are of every room, and what takes long is found and stopped."""

from __future__ import annotations

import os
import subprocess
import sys

import films
import pytest
from quick import QUICK, TESTS, guarded, is_quick, slow_names
from support import in_ranks

from affectkit.training.trainer import Trainer


def helper():
    return in_ranks(2, int)


def indirectly():
    def inner():
        return helper()

    return inner


def test_every_room_is_listed():
    rooms = {path.name for path in TESTS.iterdir() if any(path.rglob("test_*.py"))} - {"benchmarks", "fuzz"}
    assert {name.partition("/")[0] for name in QUICK if "/" in name} == rooms
    assert len(rooms) > 15


def test_every_room_that_was_collected_has_a_quick_test(request):
    collected = {item.path for item in request.session.items}
    quick = {item.path.parent for item in request.session.items if is_quick(item)}
    assert TESTS in quick
    for room in {path.name for path in TESTS.iterdir() if path.is_dir()}:
        listed = {TESTS / f"{name}.py" for name in QUICK if name.startswith(f"{room}/")}
        if listed and listed <= collected:  # a single file may have been asked for
            assert any(folder.is_relative_to(TESTS / room) for folder in quick), room


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (helper, {"in_ranks", "multiprocessing"}),
        (indirectly, {"in_ranks", "multiprocessing"}),
        (films.write_film, {"av"}),
        (test_every_room_is_listed, set()),
    ],
)
def test_what_takes_long_is_found_through_helpers(function, names):
    assert slow_names(function) >= names and bool(slow_names(function)) == bool(names)


def test_a_quick_test_can_start_no_process():
    with guarded("this"), pytest.raises(AssertionError, match="this is a quick test and starts a process"):
        os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    with guarded("this"), pytest.raises(AssertionError, match="starts a process"):
        subprocess.Popen([sys.executable, "-c", ""])


def test_a_quick_test_can_neither_train_nor_open_a_video(tmp_path):
    with guarded("this"), pytest.raises(AssertionError, match="trains"):
        Trainer.fit(None, None, None)
    with guarded("this"), pytest.raises(AssertionError, match="opens a video"):
        films.av.open(str(tmp_path / "x.mp4"))
