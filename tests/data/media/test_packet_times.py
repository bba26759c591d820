"""Time stamps of packets: what is put right, what is believed, and what two tracks do together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from affectkit.data.media import packet_times
from affectkit.data.media.packet_times import CORRUPT, DISCARDED, NONE, PacketTimes, TrackTimes

STEP = 40
COUNT = 100


def track(stamps, *, every=2, first=0) -> TrackTimes:
    """Times in milliseconds of a track of which every ``every``-th packet of the file is."""
    found = TrackTimes(Fraction(1, 1000))
    stamps = np.asarray(stamps, np.int64)
    found.dts, found.pts = stamps.copy(), stamps.copy()
    found.lengths, found.flags = np.full(len(stamps), STEP), np.zeros(len(stamps), np.uint8)
    found.places = np.arange(len(stamps)) * every + first
    return found


def put_right(video, sound=None, *, set_anew=False):
    found = PacketTimes(track(video), None if sound is None else track(sound, first=1))
    packet_times._put_right(found, set_anew=set_anew)
    return found


def even(count=COUNT, step=STEP):
    return np.arange(count) * step


@pytest.mark.parametrize("set_anew", [False, True])
def test_stamps_in_line_are_left_alone(set_anew):
    uneven = np.cumsum(np.random.default_rng(0).integers(1, 200, COUNT))
    for stamps in (even(), even() + 10**9, uneven, np.repeat(even(50), 2)):
        found = put_right(stamps, stamps, set_anew=set_anew)
        assert np.array_equal(found.video.pts, stamps) and not found.changed and found.notes == []


@pytest.mark.parametrize(("first", "length", "off"), [(30, 1, -400), (30, 1, 5000), (30, 4, -300), (30, 5, 2000)])
def test_stamps_out_of_line_are_put_in_line_and_no_other(first, length, off):
    stamps = even()
    stamps[first : first + length] += off
    found = put_right(stamps)
    assert np.array_equal(found.video.pts, even()) and found.changed
    assert found.notes == [f"{length} time stamp{'s' * (length > 1)} out of line put in line"]


def test_one_stamp_of_an_uneven_rate_goes_between_its_neighbours():
    stamps = np.cumsum(np.random.default_rng(1).integers(20, 200, COUNT))
    wrong = stamps.copy()
    wrong[50] = stamps[49] - 500
    found = put_right(wrong).video.pts
    assert np.array_equal(np.delete(found, 50), np.delete(stamps, 50)) and stamps[49] <= found[50] <= stamps[51]


def test_a_clock_that_begins_anew_goes_on_in_both_tracks():
    """Two files put together, each 100 pictures and 200 pieces of sound long."""
    video = np.concatenate([even(), even()])
    sound = np.concatenate([even(200, 20), even(200, 20)])
    found = PacketTimes(track(video, every=3), track(sound, every=1))
    found.sound.places = np.arange(400) * 3 // 2 + 1
    packet_times._put_right(found, set_anew=True)
    assert np.array_equal(found.video.pts, even(200)) and np.array_equal(found.sound.pts, even(400, 20))
    assert found.notes == ["its clock was set anew once: the times go on"]


def test_what_comes_after_begins_where_both_tracks_have_ended():
    video = np.concatenate([even(), even()])
    sound = np.concatenate([even(120), even(120)])  # 0.8 s longer
    found = PacketTimes(track(video), track(sound))
    found.video.places = np.concatenate([np.arange(100), np.arange(100) + 120])
    found.sound.places = np.arange(240)
    packet_times._put_right(found, set_anew=True)
    assert found.video.pts[100] == found.sound.pts[120] == 120 * STEP


def test_a_jump_ahead_is_a_gap_where_the_clock_cannot_be_set_anew():
    stamps = even()
    stamps[50:] += 30_000
    assert np.array_equal(put_right(stamps, stamps).video.pts, stamps)
    assert np.array_equal(put_right(stamps, stamps, set_anew=True).video.pts, even())
    short = even()
    short[50:] += 9_000
    assert np.array_equal(put_right(short, short, set_anew=True).video.pts, short)


def test_pictures_stay_beside_the_sound_that_goes_on():
    stamps = even()
    stamps[50:] -= 200
    for set_anew in (False, True):
        found = put_right(stamps, even(), set_anew=set_anew)
        assert np.array_equal(found.video.pts, stamps) and np.array_equal(found.sound.pts, even())
        both = put_right(stamps, stamps, set_anew=set_anew)
        assert np.array_equal(both.video.pts, even()) and np.array_equal(both.sound.pts, even())


def test_damage_that_a_join_explains_is_none_and_other_damage_is():
    found = PacketTimes(track(np.concatenate([even(), even()])), None)
    found.video.flags[[20, 98, 150]] = CORRUPT
    packet_times._put_right(found, set_anew=True)
    assert np.flatnonzero(found.video.flags & CORRUPT).tolist() == [20, 150]


def test_slots_are_of_the_picture_that_came_in():
    pictures = np.array([0, 1, 2, 5, 6, 8, 20, 21, 22, 23])
    for delay in (0, 1, 2, 3):
        # Slot k holds what the encoder hands on when picture k - delay comes in.
        slots = np.concatenate([np.arange(delay), pictures + delay])[: len(pictures)]
        slots[:delay] = np.arange(delay)
        found = packet_times._slots(slots, delay)
        known = len(pictures) - delay
        assert np.array_equal(found[:known], pictures[:known]) and (np.diff(found) > 0).all()


@pytest.mark.parametrize(
    ("picture", "sound", "wanted"),
    [
        ((0,), (0,), (0.0, 0.0)),
        ((60,), (0,), (0.0, -0.06)),  # what encoders put first
        ((500,), (0,), (0.5, 0.0)),
        ((2000,), (-23, 0), (2.0, 0.0)),  # packets of which nothing is heard
        ((200_000,), (198_000,), (2.0, 0.0)),
        ((0,), (1500,), (0.0, 1.5)),
        ((7000,), None, (0.0, None)),
    ],
)
def test_time_0_is_where_the_file_begins(picture, sound, wanted):
    found = PacketTimes(track(picture), None if sound is None else track(sound))
    packet_times._begin(found, delay=0, heard=NONE if sound is None else max(sound))
    assert (found.picture_start, found.sound_start) == pytest.approx(wanted)


def test_packets_that_are_not_shown_do_not_count():
    found = PacketTimes(track([-80, -40, 0, 40]), track([0, 40]))
    found.video.flags[:2] = DISCARDED
    packet_times._begin(found, delay=0, heard=0)
    assert found.picture_start == 0 and found.pictures.tolist() == [0, 40]


def test_memory_of_a_packet_is_small():
    one = track(even())
    assert sum(values.nbytes for values in (one.dts, one.pts, one.lengths, one.places, one.flags)) <= 33 * COUNT


def test_a_long_pause_is_reported_and_a_slow_rate_is_none():
    paused = even()
    paused[60:] += 3_600_000
    for stamps, noted in ((paused, ["its times leave out 3,600 s after 2.4 s: taken as a pause"]), (even() * 500, [])):
        found = PacketTimes(track(stamps), None)
        packet_times._begin(found, delay=0, heard=NONE)
        assert found.notes == noted


def turning(stamps) -> TrackTimes:
    """Ticks of 1/90000 s as a transport stream holds them: without what is above 33 bits."""
    found = track(np.asarray(stamps) % packet_times.TURN)
    found.tick = Fraction(1, 90_000)
    return found


@pytest.mark.parametrize("at", [-90_000, -2000, 0, 1, 50 * 3600])
def test_clocks_that_turn_over_go_on_in_step(at):
    video, sound = even(100, 3600) - at, even(200, 1800) - 2090 - at  # sound leads, as encoders have it
    found = PacketTimes(turning(video), turning(sound))
    packet_times._put_right(found, set_anew=True)
    for one, wanted in ((found.video, video), (found.sound, sound)):
        assert len(set(one.pts - wanted)) == len(set(one.dts - wanted)) == 1
    assert found.video.pts[0] - found.sound.pts[0] == 2090 and found.notes == []
