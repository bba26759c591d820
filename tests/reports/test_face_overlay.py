from __future__ import annotations

import numpy as np
import pytest

from affectkit.reports.face_overlay import COLOURS, Mark, draw_face_marks

BARS = (("neutral", 0.25), ("happiness", 0.75), ("überraschung", 0.0))


def changed(mark, height=480, width=640):
    """Where a gray picture was drawn on, and the picture."""
    plain = np.full((height, width, 3), 128, np.uint8)
    made = draw_face_marks(plain, [mark] if isinstance(mark, Mark) else mark)
    assert made.shape == plain.shape and made.dtype == np.uint8 and np.all(plain == 128)
    return (made != 128).any(axis=2), made


def colour(number):
    return tuple(int(COLOURS[number % len(COLOURS)][k : k + 2], 16) for k in (1, 3, 5))


def test_the_box_is_where_it_was_said_to_be():
    where, made = changed(Mark((100, 150, 80, 60), "", number=1))
    rows, columns = np.nonzero(where)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (100, 150, 180, 210)
    assert tuple(made[150, 140]) == colour(1) and not where[180, 140]  # a frame, nothing in it


def test_bars_are_as_long_as_their_values():
    _, made = changed(Mark((100, 150, 80, 60), "title", BARS))
    blue = (made == colour(0)).all(axis=2)[:, 200:]  # right of the box
    lengths = sorted(int(row.sum()) for row in blue if row.any())
    rows = np.nonzero(blue.any(axis=1))[0]
    groups = np.split(rows, np.nonzero(np.diff(rows) > 1)[0] + 1)
    assert len(groups) == 3  # of nothing there is a line a pixel wide
    found = [int(blue[group[len(group) // 2]].sum()) for group in groups]
    assert found[0] / found[1] == pytest.approx(1 / 3, abs=0.06) and found[2] <= 1 and lengths[-1] == found[1]


@pytest.mark.parametrize(
    "box",
    [(0, 0, 60, 60), (600, 440, 60, 60), (-30, -30, 80, 80), (560, 10, 79, 79), (2, 2, 636, 476), (300, 470, 9, 9)],
)
def test_everything_stays_in_the_picture_whatever_the_box(box):
    where, _ = changed(Mark(box, "happiness 75%", BARS))
    assert where.any()


def test_what_does_not_fit_is_left_out():
    where, _ = changed(Mark((5, 5, 30, 30), "happiness 75%", BARS * 20), 60, 60)
    assert where.any()
    tiny, _ = changed(Mark((0, 0, 8, 8), "x", BARS), 8, 8)
    assert tiny.shape == (8, 8)


def test_bars_leave_the_faces_beside_them_to_be_seen():
    boxes = [(20, 60, 100, 100), (130, 60, 100, 100), (60, 180, 50, 50)]
    where, _ = changed([Mark(box, "happiness 75%", BARS, number=k) for k, box in enumerate(boxes)], 240, 320)
    for left, top, width, height in boxes:
        inner = where[top + 4 : top + height - 4, left + 4 : left + width - 4]
        assert inner.mean() < 0.35, inner.mean()  # a title may lie on it
    alone, _ = changed(Mark(boxes[0], "", BARS), 240, 320)
    assert alone[:, 130:].any()  # where there is room the bars are drawn


def test_marks_have_their_own_colours_and_the_first_lies_on_top():
    _, made = changed([Mark((100, 100, 50, 50), "", number=0), Mark((100, 100, 50, 50), "", number=2)])
    assert tuple(made[100, 120]) == colour(0)
    _, made = changed([Mark((100, 100, 50, 50), "", number=k) for k in (len(COLOURS),)])
    assert tuple(made[100, 120]) == colour(0)


def test_landmarks_are_dots_where_there_is_room_for_them():
    points = ((130.0, 180.0), (150.0, 180.0))
    _, made = changed(Mark((100, 150, 80, 60), "", number=1, points=points))
    assert all(tuple(made[int(y), int(x)]) == colour(1) for x, y in points)
    plain, _ = changed(Mark((100, 150, 80, 60), "", number=1))
    dotted = (made != 128).any(axis=2) & ~plain
    assert 2 * 9 < dotted.sum() < 2 * 40
    small, _ = changed(Mark((100, 150, 40, 40), "", points=((110.0, 160.0),)))
    bare, _ = changed(Mark((100, 150, 40, 40), ""))
    assert (small == bare).all(), "a dot would hide an eye"
    changed(Mark((100, 150, 400, 400), "", points=((-50.0, 2000.0), (639.9, 479.9))))  # outside: nothing fails
