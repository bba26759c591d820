"""Photographs with marked faces: what the list of marks holds, and pictures that are turned."""

from __future__ import annotations

from pathlib import Path

import face_photographs
import matplotlib
import numpy as np
import pytest
from face_judge import Mark, judge
from face_photographs import EDGE, can_turn, entries, marks_of, turned
from face_scenes import Scene

from affectkit.data.faces.haar import HaarDetector

SAMPLES = Path(matplotlib.get_data_path()) / "sample_data"
"""Matplotlib ships one photograph of a person, a work of the US Navy: in the public domain."""


def test_marks_lie_in_their_pictures():
    listed = entries()
    assert len(listed) >= 60 and len({entry["sha256"] for entry in listed}) == len(listed)
    groups = {}
    for entry in listed:
        width, height = entry["size"]
        assert len(entry["sha256"]) == 64 and all(entry[key] for key in ("source", "version", "path", "licence"))
        marks = marks_of(entry)
        group = face_photographs.group_of(marks, (height, width))
        groups[group] = groups.get(group, 0) + sum(not mark.ignore for mark in marks)
        for mark in marks:
            left, top, across, down = mark.box
            assert min(across, down) > 0 and 0 <= left + across / 2 <= width and 0 <= top + down / 2 <= height
            assert mark.ignore or mark.side >= 16
            for x, y in mark.eyes:
                assert left < x < left + across and top < y < top + 0.65 * down, entry["name"]
            if mark.eyes:
                assert mark.eyes[0][0] < mark.eyes[1][0] and abs(mark.roll) < 45
    assert set(groups) == {"no face", "portraits", "groups", "crops"}
    assert groups["portraits"] >= 35 and groups["groups"] >= 100


def test_a_photograph_is_known_by_its_bytes_and_turned():
    upright, *others = face_photographs.scenes(SAMPLES)
    assert upright.group == "portraits" and upright.picture.shape == (600, 512, 3)
    assert [scene.group for scene in others] == [f"turned {turn}" for turn in face_photographs.TURNS for _ in range(2)]
    found = HaarDetector()(upright.picture)
    assert judge(upright.marks, [face[0] for face in found], [face[1] for face in found]).found == (0,)


def test_a_folder_without_them_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds none of the"):
        next(face_photographs.scenes(tmp_path))


def drawn(box, eyes=()):
    picture = np.zeros((120, 160, 3), np.uint8)
    left, top, width, height = box
    picture[top : top + height, left : left + width] = 250
    return Scene("drawn", picture, (Mark(box, eyes),), ("",), "portraits")


@pytest.mark.parametrize("degrees", [15, -30, 45, -60, 90])
def test_a_turned_photograph_is_marked_where_its_face_went(degrees):
    scene = drawn((100, 30, 20, 20), ((104, 38), (116, 38)))
    after = turned(scene, degrees)
    mark = after.marks[0]
    rows, columns = np.nonzero(after.picture[..., 0] > 125)
    centre = (columns.mean() + 0.5, rows.mean() + 0.5)
    assert (mark.box[0] + mark.box[2] / 2, mark.box[1] + mark.box[3] / 2) == pytest.approx(centre, abs=0.3)
    assert mark.box[2:] == pytest.approx((20, 20)) and mark.roll == degrees
    (right_x, right_y), (left_x, left_y) = mark.eyes
    assert np.hypot(left_x - right_x, left_y - right_y) == pytest.approx(12)
    assert np.degrees(np.arctan2(left_y - right_y, left_x - right_x)) == pytest.approx(degrees)
    assert after.group == f"turned {abs(degrees)}"


def test_faces_cut_by_the_edge_are_not_turned():
    assert can_turn(drawn((100, 30, 20, 20)))
    assert not can_turn(Scene("cut", np.zeros((9, 9, 3), np.uint8), (Mark((-EDGE - 1, 0, 5, 5)),), ("",), "portraits"))
    ignored = Mark((2, 2, 5, 5), ignore=True)
    assert not can_turn(Scene("ignored", np.zeros((9, 9, 3), np.uint8), (ignored,), ("",), "portraits"))
    assert not can_turn(Scene("none", np.zeros((9, 9, 3), np.uint8), (), (), "no face"))
