"""What stands beside metrics: the most frequent confusions, and a temperature that makes confidences worse."""

from __future__ import annotations

import re

import numpy as np

from affectkit.tasks.remarks import confusions, of_temperature


def test_the_most_frequent_confusions_are_named_with_how_many_of_the_class():
    counts = np.array([[5, 3, 0], [1, 9, 0], [0, 7, 2]])
    assert confusions(counts, "abc") == "most frequent confusions: c as b 7 of 9, a as b 3 of 8, b as a 1 of 10"
    assert confusions(np.diag([3, 4]), "ab") == ""


def test_a_temperature_that_makes_worse_is_told_and_one_that_does_not_is_explained():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (400, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = np.eye(3)[[rng.choice(3, p=row) for row in p]]
    assert of_temperature(logits, target, 1.0) == ""
    assert "makes confidences worse here" in of_temperature(logits, target, 0.3)
    fine = of_temperature(logits / 0.5, target, 2.0)
    assert fine == "loss and *_uncalibrated are without the temperature, 2; nll, ece and brier with it"


def test_a_temperature_for_labels_is_not_told_to_be_worse_for_votes_that_are_spread_wider():
    """Ten raters name what the logits say, and the label is what most of them named."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (600, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    votes = np.stack([rng.multinomial(10, row) for row in p]) / 10
    told = of_temperature(logits, votes, 0.4)
    assert "worse" not in told and "away from the shares of the targets" in told and "--temperature targets" in told
    numbers = [float(number) for number in re.findall(r"0\.\d{4}", told)]
    assert numbers[0] > numbers[1] and numbers[2] < numbers[3]
    assert "away" not in of_temperature(logits, np.eye(3)[votes.argmax(1)], 0.4)
    assert "worse here" in of_temperature(logits, votes, 0.05)
