"""Identities: what a record was made with, compared with what is asked for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from affectkit.core.record_identity import check_same, differences, differing_keys
from affectkit.errors import CheckpointError, UsageError


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ({"classes": ["a", "b"]}, {"classes": ("a", "b")}),  # JSON has no tuples
        ({"root": "x/y"}, {"root": Path("x/y")}),
        ({"drop_copies": None}, {}),
        ({}, {"drop_copies": None}),
        ({"scale": None}, {"scale": math.nan}),
        ({"a": {"b": [1, 2]}, "c": 1}, {"c": 1, "a": {"b": (1, 2)}}),
    ],
)
def test_values_are_compared_as_a_record_holds_them(recorded, asked):
    assert differing_keys(recorded, asked) == [] and differences(recorded, asked) == ""
    check_same(recorded, asked, what="x", hint="y")


@pytest.mark.parametrize(
    ("recorded", "asked", "text"),
    [
        ({"seed": 1}, {"seed": 2}, "seed 1 there, 2 now"),
        ({"seed": 0}, {"seed": False}, None),  # equal in Python, and so in JSON that is read
        ({"faces_by": None}, {"faces_by": "yunet"}, "--faces none there, yunet now"),
        ({}, {"fit": "crop"}, "--fit not recorded there, crop now"),
        ({"drop_copies": True}, {}, "--drop-copies yes there, none now"),
        ({"a_b": [1], "c": 1}, {"a_b": [2], "c": 2}, "a b [1] there, [2] now; c 1 there, 2 now"),
        ({"paths": ["x" * 80]}, {"paths": ["y"]}, f'inputs ["{"x" * 22}...{"x" * 22}"] there, ["y"] now'),
    ],
)
def test_every_difference_is_named_as_users_know_it(recorded, asked, text):
    assert differences(recorded, asked) == (text or "")


def test_a_refusal_names_record_differences_and_next_step():
    with pytest.raises(UsageError, match=r"^output x holds another preparation: seed 1 there, 2 now\.\nName") as caught:
        check_same({"seed": 1}, {"seed": 2}, what="output x holds another preparation", hint="Name another folder.")
    assert caught.value.hint == "Name another folder."
    with pytest.raises(CheckpointError):
        check_same({"seed": 1}, {"seed": 2}, what="x", hint="", error=CheckpointError)
    check_same({"seed": 1, "path": "a"}, {"seed": 1, "path": "b"}, what="x", hint="", keys=("seed",))
