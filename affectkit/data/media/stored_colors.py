"""The matrix by which videos store colours: assumed where none is stated, and stated where a video is written."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

HD = (1279, 576)
"""Width and height above which colours that no matrix is stated for are BT.709, else BT.601, as players take them."""
CODES = {Colorspace.ITU709: 1, Colorspace.ITU601: 6, Colorspace.BT2020: 9}
"""Code points of ITU-T H.273."""
NAMES = {Colorspace.ITU709: "bt709", Colorspace.ITU601: "smpte170m"}
"""FFmpeg's names."""
LIMITED_RANGE = 1


def usual_matrix(width: int, height: int) -> Colorspace:
    """Return the matrix that players assume for a video of a size, as it is stored."""
    return Colorspace.ITU709 if width > HD[0] or height > HD[1] else Colorspace.ITU601


def ffmpeg_options(width: int, height: int) -> list[str]:
    """Return FFmpeg's options that store RGB by the matrix of its size, and state it."""
    name = NAMES[usual_matrix(width, height)]
    return ["-vf", f"scale=out_color_matrix={name}:out_range=tv", "-colorspace", name, "-color_range", "tv"]


class StoredFrames:
    """RGB pixels as frames of 4:2:0 to encode, by the matrix of their size; ``stream`` is made to state it.

    Args:
        stream: of the video to write (PyAV), its size known and nothing encoded yet.
    """

    def __init__(self, stream: Any) -> None:
        self._matrix = usual_matrix(stream.width, stream.height)
        self._context = VideoReformatter()
        stream.codec_context.colorspace, stream.codec_context.color_range = CODES[self._matrix], LIMITED_RANGE

    def __call__(self, pixels: np.ndarray) -> Any:
        """Return the frame of ``pixels``, uint8 (H, W, 3)."""
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        stored = {"dst_colorspace": self._matrix, "dst_color_range": LIMITED_RANGE}
        return self._context.reformat(frame, format="yuv420p", threads=1, **stored)
