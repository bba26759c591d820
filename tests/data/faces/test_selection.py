"""Limits of the faces that are taken, and what is counted of the others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from affectkit.core.boxes import Box
from affectkit.data.faces.selection import REASONS, Selection, sum_left_out
from affectkit.errors import UsageError


@dataclass(frozen=True)
class Face:
    box: Box
    score: float | None


FACES = [Face((0, 0, 100, 80), 0.9), Face((0, 0, 60, 61), 0.5), Face((0, 0, 50, 50), 0.99), Face((0, 0, 30, 20), 0.7)]


@pytest.mark.parametrize(
    ("limits", "kept", "left"),
    [
        ({}, [0, 1, 2, 3], {}),
        ({"min_score": 0.7}, [0, 2, 3], {"below_min_score": 1}),
        ({"min_face": 61}, [0, 1], {"below_min_face": 2}),
        ({"max_faces": 1}, [0], {"beyond_max_faces": 3}),
        # The largest of those that the other limits leave.
        ({"min_score": 0.95, "max_faces": 1}, [2], {"below_min_score": 3}),
        (
            {"min_score": 0.6, "min_face": 40, "max_faces": 1},
            [0],
            {"below_min_score": 1, "below_min_face": 1, "beyond_max_faces": 1},
        ),
    ],
)
def test_limits(limits, kept, left):
    selection = Selection(**limits)
    assert selection.apply(FACES) == ([FACES[place] for place in kept], left)
    assert selection.is_set == bool(limits)
    assert selection.summary() == {"min_score": None, "min_face": None, "max_faces": None, **limits}
    assert set(left) <= set(REASONS)


def test_sizes_are_those_of_the_picture():
    """Boxes of a picture that was decoded at half its size."""
    kept, left = Selection(min_face=120).apply(FACES, scale=2.0)
    assert kept == FACES[:2] and left == {"below_min_face": 2}


def test_a_picture_taken_whole_stays():
    whole = Face((0, 0, 48, 48), None)
    assert Selection(min_score=0.99, min_face=1000).apply([whole]) == ([whole], {})


def test_counts_are_summed():
    assert sum_left_out([]) == dict.fromkeys(REASONS, 0)
    assert sum_left_out([{"below_min_face": 2}, {"below_min_face": 1, "beyond_max_faces": 4}]) == {
        "below_min_score": 0, "below_min_face": 3, "beyond_max_faces": 4,
    }  # fmt: skip


@pytest.mark.parametrize("score", [-0.1, 1.5])
def test_a_score_out_of_range_is_refused(score):
    with pytest.raises(UsageError, match=r"the score of the face detector yunet is in \[0, 1\]"):
        Selection(min_score=score).check("yunet")
    Selection(min_score=score).check("haar")
    Selection(min_score=0.5).check("yunet")
    Selection(max_faces=1).check("yunet")
