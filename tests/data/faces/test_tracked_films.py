"""Tracks of generated films with known faces: crossings, cuts, people who come back, sizes, a camera that shakes."""

from __future__ import annotations

import pytest
from face_film_kinds import make_film
from face_films import detect, schematic_people
from tracking_metrics import measure_tracks

from affectkit.core.boxes import overlap
from affectkit.data.faces.tracking import FrameLook, Tracker


def tracked(film, rate, *, tracker=None, seen=True, **errors):
    """What a tracker makes of ``film``, with or without pixels: measures, and the numbers of each frame by person."""
    tracker, found = tracker or Tracker(), detect(film, rate, **errors)
    frames, people = [], []
    for time, truth, boxes, pixels in zip(found.times, found.truth, found.boxes, found.pixels, strict=True):
        numbers = tracker.update(time, boxes, FrameLook.of(pixels, boxes) if seen else None)
        frames.append(dict(zip(numbers, boxes, strict=True)))
        people.append(
            {max(truth, key=lambda one: overlap(truth[one], box)): number for number, box in frames[-1].items()}
        )
    return measure_tracks(found.truth, frames), found.times, people


EXACT = {"jitter": 0.03, "missed": 0.0, "false": 0.0}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faces_that_cross_and_look_different_are_not_switched(seed):
    people = schematic_people(8, seed)[:2]
    found, _, _ = tracked(make_film("cross", people, seed), 10, missed=0.03, false=0.0)
    assert (found.switches, found.tracks) == (0, 2) and found.truths > 120
    assert found.idf1 > 0.97


def test_pixels_help_where_places_do_not():
    film = make_film("cross", schematic_people(4, 5), 5)
    blind, _, _ = tracked(film, 2, seen=False, **EXACT)
    seeing, _, _ = tracked(film, 2, **EXACT)
    assert seeing.switches < blind.switches / 2 and seeing.idf1 > blind.idf1 + 0.1


@pytest.mark.parametrize("rate", [10, 2])
def test_a_face_keeps_its_number_over_a_second_of_something_else(rate):
    """Into the same shot; and the numbers do not come back once the gap is longer than it may be."""
    film = make_film("cutaway", schematic_people(2, 1), 1)
    _, times, people = tracked(film, rate, **EXACT)
    back = [own for time, own in zip(times, people, strict=True) if 3.5 <= time < 5]
    assert len(back) >= 3 and all(own == people[0] for own in [*people[: round(2.5 * rate)], *back])
    _, times, people = tracked(film, rate, tracker=Tracker(0.4), **EXACT)
    assert not {number for own in people[: round(2.5 * rate)] for number in own.values()} & set(people[-1].values())


@pytest.mark.parametrize("rate", [10, 2])
def test_others_after_a_cut_get_new_numbers(rate):
    for seed in (1, 2):
        _, times, people = tracked(make_film("strangers", schematic_people(4, seed), seed), rate, **EXACT)
        first = {number for time, own in zip(times, people, strict=True) if time < 4.5 for number in own.values()}
        second = {number for time, own in zip(times, people, strict=True) if time >= 4.5 for number in own.values()}
        assert len(first) == 2 and not first & second
        blind, _, _ = tracked(make_film("strangers", schematic_people(4, seed), seed), rate, seen=False, **EXACT)
        assert blind.tracks == 2  # by their places they are the same


def test_speakers_keep_their_numbers_from_cut_to_cut():
    found, _, _ = tracked(make_film("dialogue", schematic_people(3, 2), 2), 10, **EXACT)
    assert found.people == 3 and found.tracks <= 4 and found.idf1 > 0.85


@pytest.mark.parametrize("kind", ["walk", "shake", "zoom"])
@pytest.mark.parametrize("count", [2, 8])
def test_faces_in_their_places_keep_their_numbers(kind, count):
    for rate in (10, 2):
        found, _, _ = tracked(make_film(kind, schematic_people(count, 3), 3), rate, jitter=0.04, missed=0.1, false=0.0)
        assert found.switches == 0 and found.tracks == count


def test_numbers_depend_on_times_boxes_and_pixels_alone():
    film = make_film("cutaway", schematic_people(3, 4), 4)
    assert tracked(film, 5)[2] == tracked(film, 5)[2]


def test_pixels_may_be_missing_in_between():
    film = detect(make_film("walk", schematic_people(2, 1), 1), 5, **EXACT)
    tracker = Tracker()
    for number, (time, boxes, pixels) in enumerate(zip(film.times, film.boxes, film.pixels, strict=True)):
        numbers = tracker.update(time, boxes, FrameLook.of(pixels, boxes) if number % 3 else None)
        assert sorted(numbers) == [1, 2]
    assert tracker.update(time + 1, [], None) == [] and tracker.update(time + 2, boxes, None) == numbers
