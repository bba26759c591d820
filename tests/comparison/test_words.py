"""What compare says of rows whose interval and test do not agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from affectkit.comparison.differences import Row
from affectkit.comparison.words import describe_rows, describe_scope

ROW = Row(
    metric="accuracy", better="max", first="a", second="b", first_value=0.396, second_value=0.442, difference=0.046,
    low=0.003, high=0.089, interval="jackknife t over 24 clusters", p=0.073, p_holm=0.218, test="permutation",
    effect_size=0.11, effect="cohens_g", detectable=0.061, n=240, clusters=24, error=0.021, item_error=0.021,
    repeat_error=None, item_low=0.003, item_high=0.089, first_repeats=1, second_repeats=1,
)  # fmt: skip
SAID = "of the interval and the test of one row one finds a difference and the other does not"


@pytest.mark.parametrize(
    ("low", "high", "p", "told"),
    [
        (0.003, 0.089, 0.073, True),
        (-0.003, 0.089, 0.04, True),
        (-0.089, -0.003, 0.073, True),
        (0.003, 0.089, 0.03, False),
        (-0.003, 0.089, 0.073, False),
        (0.003, 0.089, float("nan"), False),
        (float("nan"), float("nan"), 0.01, False),
    ],
)
def test_an_interval_and_a_test_that_disagree_are_told(low, high, p, told):
    scope = " ".join(describe_scope([replace(ROW, low=low, high=high, p=p, p_holm=p)], "subject"))
    assert (SAID in scope) == told and ("accuracy: of the interval" in scope) == told


def test_the_verdict_is_that_of_the_test():
    assert "not shown to differ" in describe_rows([ROW])[0]


def test_out_of_fold_no_model_is_one_training():
    told = " ".join(describe_scope([replace(ROW, clusters=None)], "", "out_of_fold"))
    assert "Each item is predicted by one of several trainings" in told and "name it with --cluster" in told
    assert "each model is one training" not in told
    assert "--cluster" not in " ".join(describe_scope([ROW], "subject", "out_of_fold"))
