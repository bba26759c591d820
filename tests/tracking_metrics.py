"""Measures of tracks against known ones: CLEAR MOT (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani et al. 2016)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from affectkit.core.boxes import Box, overlap

Frame = Mapping[Hashable, Box]
"""Boxes of a frame by the identity of their faces, or by the numbers of their tracks."""


@dataclass(frozen=True)
class TrackingResult:
    """What a tracker did.

    Attributes:
        truths: true boxes, of all frames together.
        misses: true boxes without a box of the tracker. false: boxes without a true one.
        switches: times that a face is matched to another track than when it was last matched.
        fragmentations: times that a face which was matched is in the film and is not, and is matched again later.
        mota: 1 - (misses + false + switches) / truths.
        idf1: 2 IDTP / (2 IDTP + IDFP + IDFN), faces and tracks being matched one to one over the whole film so that
            this is largest.
        tracks: numbers that were given. people: faces that were in the film.
    """

    truths: int
    misses: int
    false: int
    switches: int
    fragmentations: int
    mota: float
    idf1: float
    tracks: int
    people: int


def measure_tracks(truth: Sequence[Frame], tracked: Sequence[Frame], least: float = 0.5) -> TrackingResult:
    """Measure tracks, frame by frame; boxes match from an intersection over union of ``least`` on."""
    misses = false = switches = fragmentations = 0
    last: dict[Hashable, Hashable] = {}
    lost: set[Hashable] = set()
    for wanted, found in zip(truth, tracked, strict=True):
        matches = _match(wanted, found, last, least)
        for face in wanted:
            if face not in matches:
                misses += 1
                if face in last:
                    lost.add(face)
                continue
            fragmentations += face in lost
            lost.discard(face)
            switches += face in last and last[face] != matches[face]
            last[face] = matches[face]
        false += len(found) - len(matches)
    truths = sum(map(len, truth))
    return TrackingResult(
        truths, misses, false, switches, fragmentations,
        1 - (misses + false + switches) / truths, idf1(truth, tracked, least),
        len({track for frame in tracked for track in frame}), len({face for frame in truth for face in frame}),
    )  # fmt: skip


def idf1(truth: Sequence[Frame], tracked: Sequence[Frame], least: float = 0.5) -> float:
    """Return IDF1: of the best one-to-one assignment of faces to tracks over all frames."""
    faces = sorted({face for frame in truth for face in frame}, key=repr)
    tracks = sorted({track for frame in tracked for track in frame}, key=repr)
    shared = np.zeros((len(faces), len(tracks)))
    for wanted, found in zip(truth, tracked, strict=True):
        for face, box in wanted.items():
            for track, other in found.items():
                shared[faces.index(face), tracks.index(track)] += overlap(box, other) >= least
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return 2 * shared[rows, columns].sum() / (sum(map(len, truth)) + sum(map(len, tracked)))


def _match(wanted: Frame, found: Frame, before: Mapping[Hashable, Hashable], least: float) -> dict[Hashable, Hashable]:
    """Match the boxes of a frame: each face with the track it was last matched to, where their boxes match; the others
    for as many pairs as possible, and of these the nearest.
    """
    matches: dict[Hashable, Hashable] = {}
    for face, track in before.items():
        there = face in wanted and track in found and track not in matches.values()
        if there and overlap(wanted[face], found[track]) >= least:
            matches[face] = track
    faces = [face for face in wanted if face not in matches]
    tracks = [track for track in found if track not in matches.values()]
    if faces and tracks:
        near = np.array([[overlap(wanted[face], found[track]) for track in tracks] for face in faces])
        gains = np.where(near >= least, 1000 + near, 0.0)
        for row, column in zip(*linear_sum_assignment(gains, maximize=True), strict=True):
            if near[row, column] >= least:
                matches[faces[row]] = tracks[column]
    return matches
