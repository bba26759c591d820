"""Deinterlacing of single frames: what moved between the two fields is shown as it was at the time of the first."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np

COMBED = 9
"""Levels of 255 by which a row differs from both neighbours, to the same side, where it is combed."""
REACH = (9, 5)
"""Width and height of what is replaced around each combed pixel."""


class FieldOrder:
    """Which field of a frame is shown first, by the flag of the frame itself.

    PyAV does not show that flag, and what containers and codecs state of it for the whole track is often wrong: H.264
    of bottom field first says 2 (top) in MP4 and 5 (bottom coded, top shown) in Matroska. FFmpeg's ``select`` sees it.
    """

    def __init__(self) -> None:
        self._kind: tuple | None = None
        self._graph: Any = None

    def first_row(self, frame: Any) -> int:
        """Return the first row of the field that is shown first: 0 or 1."""
        kind = frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range)
        if kind != self._kind:
            self._graph, self._kind = self._built(kind), kind
        self._graph.push(frame)
        try:
            self._graph.pull()
        except BlockingIOError:  # not selected
            return 0
        return 1

    def _built(self, kind: tuple) -> Any:
        width, height, name, matrix, span = kind
        graph = av.filter.Graph()
        stated = {"pix_fmt": name, "colorspace": str(matrix), "range": str(span), "time_base": "1/1000"}
        source = graph.add("buffer", video_size=f"{width}x{height}", **stated)
        select = graph.add("select", expr="eq(interlace_type,BOTTOMFIRST)")
        graph.link_nodes(source, select, graph.add("buffersink")).configure()
        return graph


def first_field(frame: Any, first: int) -> Any:
    """Return the field of an interlaced ``frame`` as a frame of half its height: its rows ``first``, ``first`` + 2...

    Rows of chroma are told apart likewise, as 4:2:0 interlaced has them.
    """
    field = av.VideoFrame(frame.width, (frame.height + 1 - first) // 2, frame.format.name)
    for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
        setattr(field, name, getattr(frame, name))
    for whole, half in zip(frame.planes, field.planes, strict=True):
        rows = np.frombuffer(whole, np.uint8).reshape(whole.height, whole.line_size)[first::2]
        into = np.frombuffer(half, np.uint8).reshape(half.height, half.line_size)
        width = min(whole.line_size, half.line_size)
        into[: len(rows), :width] = rows[: half.height, :width]
        into[len(rows) :] = into[len(rows) - 1]
    return field


def interpolate_field(field: np.ndarray, first: int, *, height: int) -> np.ndarray:
    """Return uint8 (height, W, 3): the rows of ``field`` in their places, from row ``first``, and means between."""
    whole = np.empty((height, *field.shape[1:]), np.uint8)
    whole[first::2] = field
    between = cv2.addWeighted(field[:-1], 0.5, field[1:], 0.5, 0)
    whole[first + 1 : first + 2 * len(between) : 2] = between
    if first:
        whole[0] = field[0]
    if first + 2 * len(field) - 1 < height:
        whole[-1] = field[-1]
    return whole


def combed_mask(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W), 1 where the rows of ``pixels`` (H, W, 3) are combed: not of one moment, and close by.

    A pixel is combed where it is brighter, or darker, than both the row above and the one below by ``COMBED``, and
    the rows next to these are like it rather than like them.
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    inner, before, after = gray[1:-1], gray[:-2], gray[2:]
    above = cv2.subtract(inner, np.maximum(before, after))
    below = cv2.subtract(np.minimum(before, after), inner)
    combed = np.zeros(gray.shape, np.uint8)
    combed[1:-1] = np.maximum(above, below) > COMBED
    if not combed.any():
        return combed
    weights = np.array([1, -3, 4, -3, 1], np.float32)[:, None]
    alternating = cv2.filter2D(gray, cv2.CV_16S, weights, borderType=cv2.BORDER_REFLECT_101)
    combed &= np.abs(alternating) > 6 * COMBED
    return cv2.dilate(combed, np.ones(REACH[::-1], np.uint8))


def merge_fields(woven: np.ndarray, field: np.ndarray, first: int) -> np.ndarray:
    """Return ``woven`` (H, W, 3), both fields of a frame, with what is combed made from the ``field`` alone.

    What stands still keeps all its rows, and so does a progressive picture that is flagged as interlaced. Works in
    place.
    """
    mask = combed_mask(woven)
    if not mask.any():
        return woven
    return cv2.copyTo(interpolate_field(field, first, height=len(woven)), mask, woven)
