"""The plan of a split: counts as published, targets, draws, names and groups."""

from __future__ import annotations

import math
import random
import time
import unicodedata

import pandas as pd
import pytest
from splitting import PUBLISHED

from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit.plan import SIDES, SplitRules, balanced_sizes, case_folded, make_plan, train_count

BOTH = {"balance_train": True, "balance_test": True}


def names(count: int, form: str = "{:05}.png") -> list[str]:
    return [form.format(number) for number in range(count)]


def sizes_of(plan) -> dict[str, set[int]]:
    return {side: {len(own.originals[side]) + len(own.augmented[side]) for own in plan.classes} for side in SIDES}


@pytest.mark.parametrize(
    ("multiplier", "each", "whole"),
    [(1.0, (4101, 1025), (32808, 8200)), (2.0, (8202, 2050), (65616, 16400)), (3.0, (12303, 3075), (98424, 24600))],
)
def test_published_counts(multiplier, each, whole):
    rules = SplitRules(seed=27, multiplier=multiplier, **BOTH)
    plan = make_plan({label: names(count) for label, count in PUBLISHED.items()}, rules)
    assert sizes_of(plan) == {"train": {each[0]}, "test": {each[1]}}
    totals = [sum(len(own.originals[s]) + len(own.augmented[s]) for own in plan.classes) for s in SIDES]
    assert tuple(totals) == whole
    assert sum(len(own.originals[s]) for own in plan.classes for s in SIDES) == 29042


def test_train_count_is_that_of_pandas_sample():
    checked = 0
    for count in (*range(1, 60), 3218, 5126):
        for share in (0.51, 0.6, 0.75, 0.8, 0.9, 0.95):
            assert train_count(count, share) == len(pd.DataFrame({"x": range(count)}).sample(frac=share)), (
                count,
                share,
            )
            checked += 1
    assert checked == 61 * 6


def test_targets_are_exact_where_floats_are_not():
    assert math.ceil(100 * 0.55) == 56  # the trap
    assert balanced_sizes(100, SplitRules(train_split=0.55, **BOTH)) == {"train": 55, "test": 45}
    assert balanced_sizes(10, SplitRules(balance_train=True, multiplier=1.1)) == {"train": 9}
    assert balanced_sizes(10, SplitRules()) == {}


def test_order_of_the_listing_does_not_matter_and_the_seed_does():
    classes = {"a": names(50), "b": names(21), "Ü": names(8, "é{}.jpg")}
    plan = make_plan(classes, SplitRules(seed=1, **BOTH))
    shuffled = {label: random.Random(0).sample(files, len(files)) for label, files in reversed(classes.items())}
    assert make_plan(shuffled, SplitRules(seed=1, **BOTH)) == plan
    other = make_plan(classes, SplitRules(seed=2, **BOTH))
    assert other.classes[0].originals["test"] != plan.classes[0].originals["test"]
    assert len(set(plan.classes[0].originals["test"]) & set(other.classes[0].originals["test"])) < 9


def test_adding_an_image_elsewhere_moves_nothing():
    small = make_plan({"a": names(50), "b": names(20)}, SplitRules(seed=1))
    large = make_plan({"a": names(50), "b": names(40)}, SplitRules(seed=1))
    assert small.classes[0] == large.classes[0]


def test_composed_and_decomposed_names_fall_on_the_same_side():
    composed = names(40, "é{}.png")
    plan = make_plan({"a": composed}, SplitRules(seed=5)).classes[0]
    other = make_plan({"a": [unicodedata.normalize("NFD", name) for name in composed]}, SplitRules(seed=5)).classes[0]
    assert {unicodedata.normalize("NFC", name) for name in other.originals["test"]} == set(plan.originals["test"])


def test_draws_are_spread_evenly_and_numbered():
    plan = make_plan({"a": names(1000), "b": names(100)}, SplitRules(seed=3, balance_train=True)).classes[1]
    made = plan.augmented["train"]
    assert len(made) == 800 - 80
    assert {item.source for item in made} <= set(plan.originals["train"])
    by_source: dict[str, list[int]] = {}
    for item in made:
        by_source.setdefault(item.source, []).append(item.draw)
    assert all(draws == list(range(len(draws))) for draws in by_source.values())
    # 720 draws into 80: chi-squared with 79 degrees of freedom, 99.9% below 124
    assert sum((len(by_source.get(name, ())) - 9) ** 2 / 9 for name in plan.originals["train"]) < 124
    assert plan.augmented["test"] == []


def test_names_cannot_collide():
    tail = "-aug0-00000000.png"
    twins = ["face.png", "FACE.png", "face.PNG", "face.jpg", "x" * 240 + ".png", "ß" * 120 + ".png", "face" + tail]
    plan = make_plan({"a": twins, "b": names(200)}, SplitRules(train_split=0.6, balance_train=True)).classes[0]
    every = [*twins, *(item.name for item in plan.augmented["train"])]
    assert (
        len({case_folded(name) for name in every}) == len(every) - 2
    )  # three twins that are there already fold to one
    assert max(len(item.name.encode()) for item in plan.augmented["train"]) <= 255
    assert len(plan.augmented["train"]) == 120 - len(plan.originals["train"])


def test_tag_changes_names():
    classes = {"a": names(10), "b": names(5)}
    one, other = (make_plan(classes, SplitRules(**BOTH), tag=tag).classes[1].augmented["train"] for tag in "xy")
    assert [item.source for item in one] == [item.source for item in other]
    assert not {item.name for item in one} & {item.name for item in other}


def test_planning_is_linear():
    def seconds(count: int) -> float:
        classes = {label: names(count // 4) for label in "abcd"}
        began = time.perf_counter()
        make_plan(classes, SplitRules(balance_train=True, multiplier=1.5))
        return time.perf_counter() - began

    seconds(4000)
    ratio = min(seconds(80_000) for _ in range(2)) / min(seconds(8_000) for _ in range(3))
    assert ratio < 30, f"10 times the images took {ratio:.0f} times as long"


# --- groups ---------------------------------------------------------------------------------------------------------


def grouped(seed: int, subjects: int, labels: str = "abc") -> dict[str, list[str]]:
    rng = random.Random(seed)
    return {
        label: [f"subj{s:02}_{k}.png" for s in range(subjects) for k in range(rng.randint(0 if s else 1, 12))]
        for label in labels
    }


def test_groups_stay_whole_and_the_share_is_near():
    checked = 0
    for seed in range(8):
        classes = grouped(seed, 30)
        plan = make_plan(classes, SplitRules(seed=seed, group_by=r"subj(\d+)_"))
        sides: dict[str, set[str]] = {}
        for own in plan.classes:
            for side in SIDES:
                for name in own.originals[side]:
                    sides.setdefault(name[:6], set()).add(side)
                    checked += 1
            share = len(own.originals["train"]) / len(classes[own.label])
            assert abs(share - 0.8) < 0.06, (seed, own.label, share)
        assert all(len(found) == 1 for found in sides.values())
        assert "groups: 30, each kept on one side" in plan.notes[0]
    assert checked > 3000


def test_groups_of_one_class_meet_the_share_exactly_where_it_can_be_met():
    plan = make_plan({"a": [f"{g}_{k}.png" for g in range(10) for k in range(g + 1)]}, SplitRules(group_by=r"^(\d+)_"))
    assert len(plan.classes[0].originals["test"]) == 11  # of 55


def test_balancing_with_groups_makes_classes_equal():
    for seed in range(4):
        plan = make_plan(grouped(seed, 12), SplitRules(seed=seed, group_by=r"subj(\d+)_", **BOTH))
        assert all(len(found) == 1 for found in sizes_of(plan).values())


def test_two_groups_of_a_class_stand_on_both_sides():
    plan = make_plan({"a": [f"{g}_{k}.png" for g in "xy" for k in range(50)]}, SplitRules(group_by=r"^(\w)_"))
    assert [len(plan.classes[0].originals[side]) for side in SIDES] == [50, 50]


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [
        (r"subj\d+", UsageError, r"subj\d+: parentheses are missing in the expression"),
        (r"(s)(\d+)", UsageError, "has 2 groups"),
        (r"(", UsageError, "no regular expression: a ( is not closed"),
        (r"person(\d+)", UsageError, "matches none of the"),
        (r"subj(0\d)_", DataError, "does not match"),
    ],
)
def test_bad_patterns(pattern, error, words):
    with pytest.raises(error, match="--group-by") as caught:
        make_plan(grouped(0, 30), SplitRules(group_by=pattern))
    assert words in str(caught.value)


def test_a_class_of_one_group_is_told_and_not_balanced_on_test():
    classes = {"a": [f"x_{k}.png" for k in range(10)], "b": [f"{g}_{k}.png" for g in "uvwxyz" for k in range(5)]}
    plan = make_plan(classes, SplitRules(group_by=r"^(\w)_"))
    assert len(plan.classes[0].originals["train"]) == 10
    assert any("class a has no test image" in text for text in plan.notes)
    with pytest.raises(DataError, match="puts all images of class a into one group, 'x'"):
        make_plan(classes, SplitRules(group_by=r"^(\w)_", balance_test=True))


# --- small classes --------------------------------------------------------------------------------------------------


def test_a_class_of_one_image():
    classes = {"a": names(10), "b": names(1)}
    plan = make_plan(classes, SplitRules(balance_train=True))
    assert len(plan.classes[1].augmented["train"]) == 7
    assert any("class b has no test image" in text for text in plan.notes)
    with pytest.raises(DataError, match=r"classes without a test original: b \(1\)") as caught:
        make_plan(classes, SplitRules(**BOTH))
    assert "a class needs 3 images" in str(caught.value)
    assert train_count(3, 0.8) == 2 and train_count(2, 0.8) == 2


def test_empty_classes():
    with pytest.raises(DataError, match="classes without an image: b"):
        make_plan({"a": names(3), "b": []}, SplitRules())
    with pytest.raises(DataError, match="no classes"):
        make_plan({}, SplitRules())
