"""Cells to groups: values, bands of numbers, crossed columns, and what ``--by`` refuses."""

from __future__ import annotations

import numpy as np
import pytest

from affectkit.errors import DataError, UsageError
from affectkit.evaluation.group_bands import UNKNOWN, cross, group_cells
from affectkit.settings.by import By, parse_by, parse_groups


def counts(by: str, cells: list[str]) -> dict[str, int]:
    found = group_cells(parse_by(by), cells)
    return dict(zip(found.groups, np.bincount(found.codes, minlength=len(found.groups)).tolist(), strict=True))


def test_values_are_groups_and_unknown_ones_the_last() -> None:
    assert counts("sex", ["m", "f", "", "m"]) == {"f": 1, "m": 2, UNKNOWN: 1}
    assert list(counts("take", ["10", "9", "1"])) == ["1", "9", "10"]  # few numbers are groups, in their order
    found = group_cells(parse_by("sex"), ["m", ""])
    assert group_cells(parse_by("sex"), ["f", "m", "F"]).notes == [
        "sex: groups that differ in small and capital letters alone: F and f"
    ]
    assert found.known == [0] and "not known of 1 of 2 items" in found.notes[-1]


def test_many_numbers_are_bands_of_about_equal_count() -> None:
    found = group_cells(parse_by("age"), [str(age) for age in range(20, 60)])
    assert found.groups == ["<30", "30 to <40", "40 to <50", ">=50"]
    assert np.bincount(found.codes).tolist() == [10, 10, 10, 10]
    assert "40 different numbers, cut into 4 bands" in found.notes[0]
    repeated = group_cells(parse_by("size"), ["48"] * 90 + [str(k) for k in range(20)])
    assert (
        repeated.groups == ["<48", ">=48"] and "2 bands of about equal count, since values repeat" in repeated.notes[0]
    )


def test_own_edges_and_own_values() -> None:
    ages = [str(age) for age in range(20, 60)] + [""]
    assert counts("age=25-40", ages) == {"<25": 5, "25 to <40": 15, ">=40": 20, UNKNOWN: 1}
    assert counts("pose=-1:0.5", ["-2", "0", "3"]) == {"<-1": 1, "-1 to <0.5": 1, ">=0.5": 1}
    assert len(counts("age=values", ages)) == 41
    assert len(counts("ActorID", [str(1000 + k) for k in range(20)])) == 20  # numbers that name someone
    with pytest.raises(DataError, match="edges are for numbers, and it holds m"):
        counts("sex=1-2", ["m", "1"])
    with pytest.raises(DataError, match="known of none of the 2 items"):
        counts("sex", ["", ""])


def test_crossed_columns() -> None:
    sex = group_cells(parse_by("sex"), ["f", "m", "f", "", "f"])
    race = group_cells(parse_by("race"), ["a", "b", "b", "a", "a"])
    found = cross([sex, race])
    assert found.name == "sex*race" and found.groups == ["f & a", "f & b", "m & b", UNKNOWN]
    assert found.codes.tolist() == [0, 2, 1, 3, 0]


def test_what_by_names() -> None:
    assert parse_groups("sex, age=20-30,sex*race,image:size=48-64,id=values") == (
        By(("sex",)), By(("age",), (20, 30)), By(("sex", "race")), By(("image:size",), (48, 64)),
        By(("id",), values=True),
    )  # fmt: skip
    assert parse_groups(r"file:s(\d{1,2})_") == (By((r"file:s(\d{1,2})_",)),)
    for wrong, why in (
        ("", "names no column"), ("sex,sex", "names sex twice"), ("age=30-20", "rising"), ("age=x", "rising"),
        ("sex*", "is not COLUMN"), ("=3", "is not COLUMN"), ("a*b=3", "is not COLUMN"), ("age=", "is not COLUMN"),
        ("a*a", "is not COLUMN"), ("age=nan", "rising"), ("pose=-30-0", "negative"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            parse_groups(wrong)
