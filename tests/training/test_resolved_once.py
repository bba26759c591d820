"""A run resolves its device once, and finds, reads and loads each checkpoint once, whatever it is made of."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
from support import settings

from affectkit.checkpoints import checkpoint
from affectkit.core.progress import Silent
from affectkit.runtime import device
from affectkit.training import run

pytestmark = pytest.mark.usefixtures("no_figures")

WATCHED = ((device, "resolve_device"), (checkpoint, "find_checkpoint"), (checkpoint, "read_header"),
           (checkpoint, "load_model"))  # fmt: skip


@pytest.fixture
def calls(monkeypatch, trained, no_figures):
    """Count the calls by function and argument, from every module that has imported the function."""
    found: Counter[tuple[str, str]] = Counter()

    def watch(function):
        def counted(*arguments, **options):
            found[function.__name__, str(arguments[0])] += 1
            return function(*arguments, **options)

        return counted

    for owner, name in WATCHED:
        plain = getattr(owner, name)
        users = [module for module in list(sys.modules.values()) if getattr(module, name, None) is plain]
        assert len(users) > 1, name
        for module in users:
            monkeypatch.setattr(module, name, watch(plain))
    return found


def total(calls) -> Counter[str]:
    """Add up the calls of each function."""
    return sum((Counter({name: count}) for (name, _), count in calls.items()), Counter())


def test_repeats_resolve_the_device_once(votes, tmp_path, calls):
    run.train(settings(votes, tmp_path / "run", repeat=2, epochs=1), reporter=Silent())
    assert total(calls) == {"resolve_device": 1, "find_checkpoint": 2, "read_header": 2}, "the two best epochs"


def test_teacher_and_initial_weights_are_found_and_loaded_once(votes, trained, tmp_path, calls):
    teacher, initial = str(trained), trained / "last.safetensors"
    chosen = settings(votes, tmp_path / "run", task="distribution", teacher=(teacher,), init=initial, epochs=1)
    run.train(chosen, reporter=Silent())
    assert max(calls.values()) == 1, calls
    # The teacher, the initial weights, and the best epoch of the run itself.
    assert total(calls) == {"resolve_device": 1, "load_model": 1, "find_checkpoint": 3, "read_header": 1}
