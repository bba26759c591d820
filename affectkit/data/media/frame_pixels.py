"""Decoded frames of a video as the pictures that a viewer sees: upright, pixels square, one moment, RGB in 8 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from affectkit.data.media.deinterlacing import FieldOrder, first_field, merge_fields
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.stored_colors import CODES, usual_matrix
from affectkit.data.media.tone_mapping import HDR, WIDE, ToneMapper, peak_luminance, thread_count

SQUARE = (0.25, 4.0)
"""Width of a pixel, in heights of it, that is believed."""
UNSTATED = {2, 3}
"""Code points of H.273 for the matrix that state none: unspecified and reserved."""
MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
"""Matrices that are converted, by their code point of ITU-T H.273."""
UNSUPPORTED = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-R", 17: "YCgCo-R"}
TRANSFERS = {1: "BT.709", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 15: "BT.2020", **HDR}
RANGES = {1: "limited", 2: "full"}
CLEAR_BLACK = "transparency over black"
LIMITED = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""Full range for the levels of limited range."""
LEAST_ROWS = 8
"""Height from which frames are deinterlaced."""
MOST_CONTEXTS = 8
"""Contexts of swscale that are kept, one for each size and format in use."""
NAMED = {
    "DOVI_METADATA": "Dolby Vision: its base layer is shown",
    "SPHERICAL": "a 360-degree video: frames are shown as stored",
}
"""Data beside a frame that change what a viewer sees, and are not made use of."""


@dataclass(frozen=True)
class _Plan:
    """How frames of one kind become RGB.

    Attributes:
        matrix: from Y'CbCr, where the frame does not state it.
        mapper: to SDR BT.709; None where it is that.
        alpha: whether frames may be transparent.
        limited_gray: whether they are gray of limited range, which swscale takes for full.
    """

    matrix: Colorspace | None
    mapper: ToneMapper | None
    alpha: bool
    limited_gray: bool


class FrameConverter:
    """Conversion of the frames of one video track to pixels; made once for a file and track, before it is decoded.

    Args:
        stream: track of video (PyAV), for what it states and its frames do not.

    Attributes:
        notes: what was done beyond what the file states, or left undone: each once, in the order in which it was met.
        described: facts of the first frame, for reports: ``width``, ``height`` as stored, ``format``, ``rotation``
            (degrees clockwise), ``mirrored``, ``pixel_aspect``, ``matrix``, ``range``, ``transfer``, ``interlaced``,
            ``alpha``, ``hdr``; empty before the first.
    """

    def __init__(self, stream: Any) -> None:
        self.notes: list[str] = []
        self.described: dict[str, Any] = {}
        self._codec = stream.codec_context
        # What the container states counts for more than what the codec does, but only the latter may change.
        own, whole = self._codec.sample_aspect_ratio, stream.sample_aspect_ratio
        self._aspect = whole if whole and whole != own else None
        if str(stream.metadata.get("alpha_mode", "")) == "1" and self._codec.name == "vp9":
            self._note("transparency of VP9 is not decoded: colours are shown as stored")
        # One for each use: a frame by itself would make a context, and threads for it, of its own.
        self._contexts: dict[tuple, VideoReformatter] = {}
        self._plans: dict[tuple, _Plan] = {}
        self._mappers: dict[tuple, ToneMapper] = {}
        self._fields = FieldOrder()
        self._peak: float | None = None

    def __call__(self, frame: Any, *, longest: int | None = None) -> np.ndarray:
        """Return the pixels of a decoded ``frame`` as they are to be seen: uint8 (H, W, 3), RGB, contiguous.

        Args:
            longest: side in pixels to which larger pictures are reduced.

        Raises:
            ClipError: its colours are of a kind that cannot be converted.
            FFmpegError: its format is.
        """
        matrix = display_matrix(frame)
        plan, aspect = self._planned(frame), self._pixel_aspect()
        if not self.described:
            self._describe(frame, matrix, plan, aspect)
        width, height = round(frame.width * aspect), frame.height
        if longest is not None and max(width, height) > longest:
            scale = longest / max(width, height)
            width, height = max(round(width * scale), 1), max(round(height * scale), 1)
        pixels = self._one_moment(frame, plan, width, height)
        return pixels if matrix is None else self._turned(pixels, matrix)

    def _one_moment(self, frame: Any, plan: _Plan, width: int, height: int) -> np.ndarray:
        """Return RGB of the size given, not turned yet, of the first field where the frame is interlaced."""
        if not frame.interlaced_frame or frame.height < LEAST_ROWS or frame.format.has_palette:
            return self._rgb(frame, plan, width, height)
        if any(plane.line_size < 0 for plane in frame.planes):  # stored from the bottom up, uncompressed
            return self._rgb(frame, plan, width, height)
        self._note("interlaced: what moves between the two fields of a frame is made from the first one alone")
        first = self._fields.first_row(frame)
        field = first_field(frame, first)
        if height <= field.height:
            return self._rgb(field, plan, width, height)
        if height == frame.height:
            woven = self._rgb(frame, plan, width, height)
            return merge_fields(woven, self._rgb(field, plan, width, field.height), first)
        whole = self._one_moment(frame, plan, width, frame.height)
        return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)

    def _rgb(self, frame: Any, plan: _Plan, width: int, height: int) -> np.ndarray:
        if plan.mapper is None:
            pixels = self._reformatted(frame, plan, width, height, "rgba" if plan.alpha else "rgb24").to_ndarray()
            if plan.limited_gray:
                pixels = cv2.LUT(pixels, LIMITED)
            return self._over_black(pixels[:, :, :3], pixels[:, :, 3:]) if plan.alpha else pixels
        pixels = plan.mapper(self._reformatted(frame, plan, width, height, "gbrp16le"))
        if not plan.alpha:
            return pixels
        return self._over_black(pixels, self._reformatted(frame, plan, width, height, "rgba").to_ndarray()[:, :, 3:])

    def _over_black(self, colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        if alpha.min() == 255:
            return np.ascontiguousarray(colors)
        if self._codec.name == "rawvideo" and not alpha.any():  # 32 bits a pixel, of which screen recorders use 24
            self._note("fourth channel is empty: not taken for transparency")
            return np.ascontiguousarray(colors)
        self._note(CLEAR_BLACK)
        return ((colors.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)

    def _reformatted(self, frame: Any, plan: _Plan, width: int, height: int, kind: str) -> Any:
        use = (frame.width, frame.height, frame.format.name, width, height, kind)
        if use not in self._contexts:
            if len(self._contexts) >= MOST_CONTEXTS:
                self._contexts.clear()
            self._contexts[use] = VideoReformatter()
        threads = thread_count(frame) if plan.mapper is not None else 1
        return self._contexts[use].reformat(
            frame,
            width=width,
            height=height,
            format=kind,
            src_colorspace=None if frame.format.is_rgb else plan.matrix,
            threads=threads,
        )

    def _planned(self, frame: Any) -> _Plan:
        """Return how a frame like this one is converted; made once for each kind."""
        transfer, primaries, matrix = int(frame.color_trc), int(frame.color_primaries), int(frame.colorspace)
        if self._peak is None and transfer in HDR:
            self._peak = peak_luminance(frame)  # of the first for all: the picture would pump otherwise
        peak = self._peak if transfer in HDR else 0.0
        kind = frame.format.name, int(frame.color_range), matrix, transfer, primaries, peak
        key = (frame.width, frame.height, *kind)
        if key not in self._plans:
            if self._plans and (before := next(reversed(self._plans)))[:2] != key[:2]:
                self._note(f"the size of frames changes (from {before[0]}x{before[1]} to {key[0]}x{key[1]})")
            self._plans[key] = self._new_plan(frame, transfer, primaries, peak)
        return self._plans[key]

    def _new_plan(self, frame: Any, transfer: int, primaries: int, peak: float) -> _Plan:
        for name, why in NAMED.items():
            if frame.side_data.get(name) is not None:
                self._note(why)
        mapped = transfer in HDR or primaries in WIDE
        if transfer in HDR:
            self._note(f"HDR ({HDR[transfer]}, to {peak:,.0f} cd/m2) tone-mapped to SDR by BT.2390")
        elif mapped:
            self._note(f"colours of {WIDE[primaries]} converted to BT.709")
        kind = transfer, peak, primaries
        if mapped and kind not in self._mappers:
            self._mappers[kind] = ToneMapper(transfer, peak, primaries=primaries)
        parts = frame.format.components
        alpha = frame.format.has_palette or any(part.is_alpha for part in parts)
        gray = len(parts) == 1 and not frame.format.has_palette and int(frame.color_range) == 1
        return _Plan(assumed_matrix(frame), self._mappers[kind] if mapped else None, alpha, gray)

    def _pixel_aspect(self) -> float:
        aspect = float(self._aspect or self._codec.sample_aspect_ratio or 1)
        if not SQUARE[0] <= aspect <= SQUARE[1]:
            self._note(f"pixels stated to be {aspect:.4g} times as wide as high are taken as square")
            return 1.0
        return aspect

    def _turned(self, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        angle, _ = display_rotation(matrix)
        if abs(angle - 90 * round(angle / 90)) > 1:
            self._note(f"turned by {angle:.0f} degrees: shown to the nearest quarter of a turn")
        return rotate_frame(pixels, matrix)

    def _describe(self, frame: Any, matrix: np.ndarray | None, plan: _Plan, aspect: float) -> None:
        angle, mirrored = (0.0, False) if matrix is None else display_rotation(matrix)
        stated = MATRICES.get(int(frame.colorspace))
        if frame.format.is_rgb or frame.format.has_palette:
            stated = "RGB"
        elif stated is None:
            stated = f"{MATRICES[CODES[plan.matrix]]} (assumed)"
        full = frame.format.is_rgb or frame.format.name.startswith("yuvj")
        self.described = {
            "width": frame.width,
            "height": frame.height,
            "format": frame.format.name,
            "rotation": round(angle, 1),
            "mirrored": mirrored,
            "pixel_aspect": round(aspect, 4),
            "matrix": stated,
            "range": RANGES.get(int(frame.color_range), "full" if full else "limited (assumed)"),
            "transfer": TRANSFERS.get(int(frame.color_trc), "unspecified"),
            "interlaced": frame.interlaced_frame,
            "alpha": plan.alpha,
            "hdr": int(frame.color_trc) in HDR,
        }

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def assumed_matrix(frame: Any) -> Colorspace | None:
    """Return the matrix of the colours of a frame that states none; None for one that does, and for RGB.

    Raises:
        ClipError: it states one that cannot be converted.
    """
    stated = int(frame.colorspace)
    if frame.format.is_rgb or frame.format.has_palette:
        return None
    if stated in UNSUPPORTED:
        raise ClipError(
            "undecodable",
            f"the colours of the video are coded as {UNSUPPORTED[stated]}, which cannot be converted.",
            "Convert the video to BT.709 first: ffmpeg -i IN -vf format=yuv420p,setparams=colorspace=bt709 OUT.",
        )
    if stated not in UNSTATED:
        return None
    if int(frame.color_trc) in HDR or int(frame.color_primaries) == 9:
        return Colorspace.BT2020
    return usual_matrix(frame.width, frame.height)


def display_matrix(frame: Any) -> np.ndarray | None:
    """Return the display matrix of a frame, int32 (9,); None where it has none."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32)


def display_rotation(matrix: np.ndarray) -> tuple[float, bool]:
    """Return by how many degrees clockwise, on [0, 360), a display ``matrix`` turns, and whether it mirrors.

    A picture that is mirrored is turned first, then mirrored from left to right.
    """
    a, b, c, d = (float(matrix[place]) for place in (0, 1, 3, 4))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c
    return math.degrees(math.atan2(b, a)) % 360, mirrored


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
