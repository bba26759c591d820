"""How long a run still takes, by the length of its epochs; and why its best epoch is the best."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from affectkit.training import time_left as module
from affectkit.training.final_evaluation import advice_on_fine_tuning, describe_best
from affectkit.training.time_left import TimeLeft


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_epochs_that_were_done_tell_how_long_the_others_take(clock):
    left = TimeLeft(10, may_stop=False)
    for epoch, seconds in enumerate((1000, 20, 30, 40), 1):
        left.begin_epoch(0.0)
        clock.now += seconds
        left.end_epoch()
        # The mean of the last three: of 1000, 20 and 30 after the third, of 20, 30 and 40 after the fourth.
        assert left.text(epoch) == {1: "2 h 30 min left", 2: "1 h 8 min left", 3: "41 min left", 4: "3 min left"}[epoch]
    left.begin_epoch(0.0)
    assert left.text(4, 0.5) == "3 min left" and left.text(8, 0.5) == "45 s left" and left.text(9, 0.9) == "3 s left"
    assert left.text(10) == ""


def test_the_first_epoch_tells_by_its_own_speed_once_it_is_known(clock):
    left = TimeLeft(4, may_stop=True)
    left.begin_epoch(0.0)
    assert left.text(0, 0.0) == ""
    clock.now += 0.9
    assert left.text(0, 0.1) == ""
    clock.now += 9.1
    assert left.text(0, 0.5) == "at most 1 min left"  # 20 s an epoch, of which 3.5 are left


def test_what_another_process_did_of_an_epoch_is_not_counted_as_fast(clock):
    left = TimeLeft(2, may_stop=False)
    left.begin_epoch(0.6)
    clock.now += 10
    assert left.text(0, 0.8) == "1 min left"  # 50 s an epoch, of which 1.2 are left
    left.end_epoch()
    left.begin_epoch(0.0)
    clock.now += 20
    assert left.text(1, 0.5) == "20 s left"


@pytest.mark.parametrize(
    ("state", "lower", "wanted"),
    [
        ((10, 7, 3, 0.4119), True, "best epoch 7 of 20: least validation kl, 0.4119; early stop after 3 epochs"),
        ((20, 18, 2, 0.4119), True, "best epoch 18 of 20: least validation kl, 0.4119; the 2 epochs after it were no"),
        ((20, 19, 1, 0.9), False, "best epoch 19 of 20: greatest validation kl, 0.9000; the 1 epoch after it was no"),
        ((20, 20, 0, 0.9), False, "; the last one, so that more epochs may do better"),
        ((20, 17, 3, 0.9), False, "; the 3 epochs after it were no better"),
    ],
)  # fmt: skip
def test_the_best_epoch_is_explained(state, lower, wanted):
    names = ("epoch", "best_epoch", "waited", "best")
    settings = SimpleNamespace(monitor="kl", epochs=20, early_stop=3)
    text = describe_best(SimpleNamespace(**dict(zip(names, state, strict=True))), settings, lower_is_better=lower)
    assert wanted in text


@pytest.mark.parametrize(
    ("epochs", "best", "tune", "init", "wanted"),
    [
        (6, 1, "all", "builtin", "Try --tune last --lr 0.003, which trains the last layer alone, or a lower --lr,"),
        (6, 1, "last", "builtin", "knew. Try a lower --lr, as 0.0001."),
        (6, 2, "all", "builtin", ""),
        (2, 1, "all", "builtin", ""),
        (6, 1, "all", None, ""),
    ],
)  # fmt: skip
def test_fine_tuning_that_only_made_worse_is_told_with_what_to_try(epochs, best, tune, init, wanted):
    state = SimpleNamespace(epoch=epochs, best_epoch=best)
    text = advice_on_fine_tuning(state, SimpleNamespace(init=init, tune=tune, lr=0.001))
    assert wanted in text and bool(text) == bool(wanted)


def test_a_single_epoch_is_the_best_without_a_reason():
    state = SimpleNamespace(epoch=1, best_epoch=1, waited=0, best=2.0)
    settings = SimpleNamespace(monitor="loss", epochs=1, early_stop=0)
    assert describe_best(state, settings, lower_is_better=True) == "best epoch 1 of 1: least validation loss, 2.0000"
