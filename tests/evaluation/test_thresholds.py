"""``--fail-under``: metrics by either of their names, and what is said of bounds that were met."""

from __future__ import annotations

import pytest
from support import Heard

from affectkit.errors import UsageError
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds

DISTRIBUTION = {"loss": "min", "top1": "max", "gap:top1": "min", "ece": "min"}


def test_accuracy_is_top1_where_the_task_has_no_other():
    assert check_thresholds({"accuracy": 0.8, "gap:accuracy": 0.1}, DISTRIBUTION) == {"top1": 0.8, "gap:top1": 0.1}
    assert check_thresholds({"top1": 0.8}, {"accuracy": "max"}) == {"accuracy": 0.8}
    both = {"accuracy": "max", "top1": "max"}
    assert check_thresholds({"accuracy": 0.8, "top1": 0.7}, both) == {"accuracy": 0.8, "top1": 0.7}


def test_one_metric_under_both_names_is_refused_and_others_are_as_before():
    with pytest.raises(UsageError, match="one metric here, top1; name it once"):
        check_thresholds({"accuracy": 0.8, "top1": 0.7}, DISTRIBUTION)
    with pytest.raises(UsageError, match="there is no metric 'accuracy'"):
        check_thresholds({"accuracy": 0.8}, {"ccc": "max"})
    with pytest.raises(UsageError, match="top1 is at most 1"):
        check_thresholds({"accuracy": 80}, DISTRIBUTION)


def test_a_bound_that_was_met_is_said():
    heard = Heard()
    missed = missed_thresholds({"top1": 0.8, "ece": 0.05}, {"top1": 0.85, "ece": 0.1}, DISTRIBUTION, reporter=heard)
    assert missed == ["ece is 0.1; at most 0.05 was asked for"]
    assert heard.notes == ["--fail-under met: top1 0.85 (at least 0.8)"]


def test_the_best_epoch_goes_by_either_name(tmp_path):
    from affectkit.core.spec import InputSpec
    from affectkit.data.split import Split
    from affectkit.tasks import make_task
    from affectkit.training.data_setup import choose_monitor

    split, heard = Split("valid", tmp_path, [], ("a", "b")), Heard()
    for kind, given, own in (("distribution", "accuracy", "top1"), ("classification", "top1", "accuracy")):
        task = make_task(InputSpec(kind, 8, 8, classes=("a", "b")))
        assert choose_monitor(given, "resnet18", task, split, heard) == own
    with pytest.raises(UsageError, match="no metric 'ccc'"):
        choose_monitor("ccc", "resnet18", task, split, heard)
