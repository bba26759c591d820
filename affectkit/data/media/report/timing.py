"""Facts of the times of a file: where picture and sound begin and end, gaps between pictures, key frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from affectkit.data.media.packet_times import KEY, NONE, PacketTimes, TrackTimes


def describe_length(times: PacketTimes) -> dict[str, Any]:
    """Return where picture and sound begin and end on a player's clock, in seconds; None for what there is not.

    ``by_stamps`` is the end of the later of the two, ``stated`` what the container says.
    """
    picture_end, sound_end = end_of_pictures(times), _end_of_sound(times)
    ends = [end for end in (picture_end, sound_end) if end is not None]
    return {
        "by_stamps": _rounded(max(ends)) if ends else None,
        "stated": _rounded(times.stated) if times.stated else None,
        "picture_start": _rounded(times.picture_start),
        "picture_end": _rounded(picture_end),
        "sound_start": _rounded(times.sound_start),
        "sound_end": _rounded(sound_end),
    }


def describe_pictures(times: PacketTimes) -> dict[str, Any] | None:
    """Return the number of pictures, the gaps between them, rate and key frames; None where there are none.

    The rate is constant where no gap differs from another by more than a tick of the clock. Key frames are those at
    which decoding can begin.
    """
    pictures, track = times.pictures, times.video
    if track is None or not len(pictures):
        return None
    tick = float(track.tick)
    gaps = np.diff(pictures)
    return {
        "count": len(pictures),
        "times": "slots of packets" if times.slotted else "stated",
        "rate": _rounded(len(gaps) / (float(gaps.sum()) * tick)) if gaps.any() else None,
        "constant": bool(np.ptp(gaps) <= 1) if len(gaps) else None,
        "gap_smallest": _rounded(float(gaps.min()) * tick) if len(gaps) else None,
        "gap_usual": _rounded(float(np.median(gaps)) * tick) if len(gaps) else None,
        "gap_largest": _rounded(float(gaps.max()) * tick) if len(gaps) else None,
        "equal_times": int((gaps == 0).sum()),
        **_key_frames(track),
    }


def end_of_pictures(times: PacketTimes) -> float | None:
    """Return the seconds at which the last picture ends by the stamps; None without pictures."""
    if times.video is None or not len(times.pictures):
        return None
    tick = float(times.video.tick)
    return (int(times.pictures[-1]) + _last_length(times)) * tick - float(times.zero)


def _last_length(times: PacketTimes) -> int:
    """Return how long the last picture is shown, in ticks: as its packet states, or as the gap between others is."""
    gaps = np.diff(times.pictures)
    usual = int(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0
    last = int(np.argmax(_stamps(times.video)))
    return int(times.video.lengths[last]) or usual


def _end_of_sound(times: PacketTimes) -> float | None:
    if times.sound is None or not len(times.sound):
        return None
    end = times.sound.end()
    return end - float(times.zero) if np.isfinite(end) else None


def _key_frames(track: TrackTimes) -> dict[str, Any]:
    places = np.flatnonzero(track.flags & KEY)
    stamps = _stamps(track)[places]
    stamps = np.sort(stamps[stamps != NONE])
    apart = len(places) > 1
    return {
        "key_frames": len(places),
        "key_gap_usual": _rounded(float(np.median(np.diff(stamps))) * float(track.tick)) if len(stamps) > 1 else None,
        "key_gap_pictures": int(np.median(np.diff(places))) if apart else None,
    }


def _stamps(track: TrackTimes) -> np.ndarray:
    return np.where(track.pts == NONE, track.dts, track.pts)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
