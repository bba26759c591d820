"""The judge of face detectors on cases made by hand: what is found, false and double."""

from __future__ import annotations

import numpy as np
import pytest
from face_judge import Judgement, Mark, Tally, is_of, judge, wilson
from scipy.stats import binomtest

FACE = Mark((100, 100, 40, 40))


@pytest.mark.parametrize(
    ("box", "same"),
    [
        ((100, 100, 40, 40), True),
        ((110, 110, 40, 40), False),  # 900 of 2300, a centre 0.35 sides away
        ((108, 108, 40, 40), True),  # 1024 of 2176: 0.47
        ((109, 100, 24, 40), True),  # 0.6 of the area, about the centre
        ((107, 107, 25, 25), True),  # 0.39 of the area, but a side ratio of 0.625 about the centre
        ((109, 109, 22, 22), False),  # side ratio 0.55
        ((87, 87, 66, 66), True),  # 0.37 of the area, 1.65 sides
        ((84, 84, 72, 72), False),  # 1.8 sides
        ((140, 100, 40, 40), False),
        ((100, 100, 0, 40), False),
    ],
)
def test_a_box_of_a_face(box, same):
    assert is_of(box, FACE.box) is same


def test_the_surest_box_chooses_first_and_the_other_is_double():
    boxes = [(102, 102, 40, 40), (100, 100, 40, 40)]
    assert judge([FACE], boxes, [0.9, 0.6]) == Judgement((0,), (), (1,))
    assert judge([FACE], boxes, [0.6, 0.9]) == Judgement((1,), (), (0,))
    assert judge([FACE], boxes) == Judgement((0,), (), (1,))


def test_each_box_goes_to_the_face_that_it_overlaps_most():
    beside = Mark((110, 100, 40, 40))
    assert judge([FACE, beside], [(109, 100, 40, 40), (101, 100, 40, 40)], [0.9, 0.8]).found == (1, 0)


def test_a_second_box_takes_a_face_beside_it_rather_than_the_taken_one():
    beside = Mark((110, 100, 40, 40))
    assert judge([FACE, beside], [(104, 100, 40, 40), (104, 100, 40, 40)]) == Judgement((0, 1), (), ())


def test_a_part_of_a_found_face_is_double_and_of_a_missed_one_false():
    nose, other = (110, 110, 18, 18), (300, 300, 40, 40)
    assert judge([FACE], [(100, 100, 40, 40), nose, other]) == Judgement((0,), (2,), (1,))
    assert judge([FACE], [nose]) == Judgement((None,), (0,), ())


def test_boxes_on_ignored_marks_are_neither_found_nor_false():
    crowd = Mark((0, 0, 200, 60), ignore=True)
    judgement = judge([crowd, FACE], [(10, 10, 20, 20), (50, 10, 20, 20), (100, 100, 40, 40)])
    assert judgement == Judgement((None, 2), (), ())
    tally = Tally()
    tally.add([crowd, FACE], judgement)
    assert (tally.faces, tally.found, tally.false, tally.missed) == (1, 1, 0, [])


def test_a_face_beside_an_ignored_one_counts():
    near = Mark((105, 105, 40, 40), ignore=True)
    assert judge([near, FACE], [(105, 105, 40, 40)]).found == (None, 0)


def test_tallies_add_up():
    tally = Tally()
    tally.add([FACE, Mark((0, 0, 30, 30))], Judgement((0, None), (1, 2), (3,)))
    tally.add([], Judgement((), (0,), ()))
    assert (tally.pictures, tally.faces, tally.found, tally.false, tally.double) == (2, 2, 1, 3, 1)
    assert tally.recall == 0.5 and [mark.side for mark in tally.missed] == [30]
    assert np.isnan(Tally().recall)


def test_scores_must_be_as_many_as_boxes():
    with pytest.raises(ValueError, match="2 boxes, 1 scores"):
        judge([FACE], [FACE.box, FACE.box], [1.0])


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (10, 10), (8, 10), (97, 100), (1, 3000)])
def test_wilson(successes, count):
    expected = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-5)


def test_wilson_of_nothing():
    assert wilson(0, 0) == (0, 1)


def test_wilson_refuses_more_than_all():
    with pytest.raises(ValueError, match=r"in \[0, 3\], got 4"):
        wilson(4, 3)
