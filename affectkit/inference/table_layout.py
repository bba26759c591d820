"""Names of the columns and files of prediction tables, those of images and those of videos."""

from __future__ import annotations

NAME = "Image Name"
VIDEO_NAME = "Video Name"
FRAME_COLUMNS = ("Frame", "Time")
"""Number of a frame in its video, from 0; seconds since the first one (empty for pages)."""
FACE_COLUMNS = ("Face", "x", "y", "width", "height", "Detector Score")
"""Number of a face, in an image the largest first, in a video that of its track; its box in pixels of the upright
picture, as the detector gave it."""
VIDEO_COLUMNS = (VIDEO_NAME, *FRAME_COLUMNS, *FACE_COLUMNS)

ROWS = "inference_results"
RECORD = "inference.json"
INPUTS = "inputs.csv"
SKIPPED = "skipped.csv"
SKIPPED_COLUMNS = (NAME, "Reason")
VIDEOS_FOLDER = "videos"
"""Where in the results of images and videos those of videos are, as a command for videos alone leaves them."""

FIRST = 20
"""Entries that a record shows of a longer list."""
