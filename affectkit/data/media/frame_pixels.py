"""Decoded frames of a video as the pictures that a viewer sees: upright, pixels square, RGB in 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

SQUARE = (0.25, 4.0)
"""Width of a pixel, in heights of it, that is believed."""


class FrameConverter:
    """Conversion of the frames of one video track to pixels; made once for a file and track.

    Args:
        stream: track of video (PyAV), for what it states and its frames do not.

    Attributes:
        notes: what was inferred or done beyond what the file states, each once, in the order in which it was met.
    """

    def __init__(self, stream: Any) -> None:
        self.notes: list[str] = []
        self._aspect = float(stream.sample_aspect_ratio or 1)
        # One for all: a frame by itself would make a context, and threads for it, of its own.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        """Return the pixels of a decoded ``frame`` as they are to be seen: uint8 (H, W, 3), RGB."""
        return upright_rotation(frame, self._aspect, self._reformatter)


def upright_rotation(frame: Any, aspect: float = 1.0, converter: VideoReformatter | None = None) -> np.ndarray:
    """Return the pixels of a decoded frame as they are to be seen: uint8 (H, W, 3), RGB.

    A phone stores what its sensor saw and how to turn it (the display matrix); other videos store pixels that are not
    square. Both are made up for.

    Args:
        aspect: width of a stored pixel, in heights of it.
    """
    width = round(frame.width * aspect) if SQUARE[0] <= aspect <= SQUARE[1] else frame.width
    # One for all: a frame by itself would make a context, and threads for it, of its own.
    converter = converter or VideoReformatter()
    pixels = converter.reformat(frame, width=width, format="rgb24", threads=1).to_ndarray()
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return pixels if matrix is None else rotate_frame(pixels, np.frombuffer(bytes(matrix), np.int32))


def rotate_frame(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return ``pixels`` (H, W, C) as the display ``matrix`` (9,) of FFmpeg says, to the nearest quarter of a turn.

    It takes a point (x, y) of the picture, y downwards, to (a x + c y, b x + d y) on the screen, with a, b, c, d its
    elements 0, 1, 3 and 4.
    """
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, down, across = pixels.transpose(1, 0, 2), b, c
    else:
        down, across = d, a
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
