"""Warm restarts of the learning rate in a run: resumed, refused, and told of; the curve is in tests/schedules."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from support import Heard, set_up, settings, stop_after

from affectkit.core.progress import Silent
from affectkit.errors import Stopped, UsageError
from affectkit.training import run as runs
from affectkit.training.resume_check.verify import find_cause, shorten

pytestmark = pytest.mark.usefixtures("no_figures")
RESTARTS = {"schedule": "cosine", "cycles": 2, "cycle_decay": 0.5, "lr": 0.01, "epochs": 4, "early_stop": 0}


def test_a_run_that_is_stopped_in_its_second_cycle_ends_as_if_it_had_not_been(votes, tmp_path, monkeypatch):
    runs.train(settings(votes, tmp_path / "whole", **RESTARTS), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "cut", **RESTARTS), reporter=Silent())
    with pytest.raises(UsageError, match="--cycles cannot be changed"):
        chosen = replace(settings(votes, tmp_path / "cut", **RESTARTS), resume=tmp_path / "cut")
        runs.train(chosen, given=frozenset({"resume", "cycles"}), reporter=Silent())
    runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())
    for name in ("history.csv", "last.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with (tmp_path / "whole" / "history.csv").open(newline="") as stream:
        rates = [float(row["lr"]) for row in csv.DictReader(stream)]  # of the last step of each epoch, of three
    assert rates[2] > rates[1] and rates[0] == pytest.approx(2 * rates[2]) and rates[1] == pytest.approx(2 * rates[3])


def test_what_does_not_go_with_cycles_is_refused_or_told(votes, tmp_path):
    for changes, message in (
        ({"schedule": "step"}, "--cycles 2 needs --schedule cosine; got step"),
        ({"cycles": 5}, r"--cycles must be at most the epochs after the warm-up \(4\); got 5"),
        ({"warmup": 2.5}, r"--cycles must be at most the epochs after the warm-up \(1.5\); got 2"),
        ({"lr_min": 0.006}, r"--lr-min must be at most the --lr of the last of the --cycles \(0.005\); got 0.006"),
    ):
        with pytest.raises(UsageError, match=message):
            settings(votes, tmp_path / "run", **{**RESTARTS, **changes})
    given = frozenset({"cycle_decay"})
    told = runs.without_effect(settings(votes, tmp_path / "run", schedule="cosine", cycle_decay=0.5), given)
    assert told == ["--cycle-decay has no effect with --cycles 1."]
    assert runs.without_effect(settings(votes, tmp_path / "run", **RESTARTS), given) == []
    for stop, count in ((0, 0), (2, 1)):
        heard = Heard()
        set_up(settings(votes, tmp_path / "run", **{**RESTARTS, "early_stop": stop}), reporter=heard)
        assert sum("after a restart of --cycles 2" in text for text in heard.notes) == count


def test_a_short_run_and_the_search_for_a_cause_keep_the_settings_in_order(votes):
    chosen = settings(votes, votes, **{**RESTARTS, "cycles": 3})
    short, _ = shorten(chosen, (72, 36), steps=4, images=None, reporter=Silent())
    assert short.cycles == 2 and short.rules() == []
    assert shorten(replace(chosen, warmup=0.5), (72, 36), steps=4, images=None, reporter=Silent())[0].rules() == []
    tried = []
    found = find_cause(chosen, lambda one: tried.append(one) or one.schedule == "cosine")
    assert found == ["--schedule cosine"] and all(one.cycle_faults() == [] for one in tried)
