"""Names of the columns and files of prediction tables, those of images and those of videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.data.faces.selection import LIMITS
from affectkit.tasks.decision import ABSTAINED, ENTROPY, MARGIN

NAME = "Image Name"
VIDEO_NAME = "Video Name"
FRAME_COLUMNS = ("Frame", "Time")
"""Number of a frame in its video, from 0; seconds since the first one (empty for pages)."""
BOX_COLUMNS = ("Face", "x", "y", "width", "height", "Detector Score")
"""Number of a face, in an image the largest first, in a video that of its track; its box in pixels of the upright
picture, as the detector gave it, which may reach beyond. The columns of faces in tables of earlier versions."""
POSE_COLUMNS = ("Box Outside", "Head Roll")
"""The share of the box that lies beyond the picture, in [0, 1]; degrees by which the line from the right to the left
eye is turned clockwise in the picture, in (-180, 180], where the eyes are known."""
LANDMARK_COLUMNS = tuple(
    f"{name} {axis}" for name in ("Right Eye", "Left Eye", "Nose", "Right Mouth", "Left Mouth") for axis in "xy"
)
"""Landmarks in pixels of the upright picture, where they are known. Right is the person's, left in the picture."""
FACE_COLUMNS = (*BOX_COLUMNS, *POSE_COLUMNS, *LANDMARK_COLUMNS)
LATER_COLUMNS = (MARGIN, ENTROPY)
"""Columns that tables of earlier versions lack. Nothing else depends on them: such a table goes on without."""
BEHIND_SHARES = (*LATER_COLUMNS, ABSTAINED)
"""Columns that stand behind those of the classes, where they are there."""
VIDEO_COLUMNS = (VIDEO_NAME, *FRAME_COLUMNS, *FACE_COLUMNS)

ROWS = "inference_results"
RECORD = "inference.json"
INPUTS = "inputs.csv"
SKIPPED = "skipped.csv"
SKIPPED_COLUMNS = (NAME, "Reason")
VIDEOS_FOLDER = "videos"
"""Where in the results of images and videos those of videos are, as a command for videos alone leaves them."""

LEFT_OUT_COLUMNS = ("Below Min Score", "Below Min Face", "Beyond Max Faces")
"""Of an image in ``inputs.csv``, where there are limits: how many faces were left out, in the order of
``data.faces.selection.REASONS``."""

FIRST = 20
"""Entries that a record shows of a longer list."""


def has_limits(record: Mapping[str, Any]) -> bool:
    """Return whether a record, or what one says from the start, limits which faces are taken."""
    return any(record.get(name) is not None for name in LIMITS)
