"""Faces framed as the faces of FER-2013 are: level, centred and as large, whatever box a detector gives.

A network of ours looks through a round window within the face and tells how that is turned, moved and scaled beside
the mean of FER+'s training faces (tests/benchmarks/train_face_aligner.py made it). Detectors' own points do not do:
YuNet sees the eyes of a head that is tilted by 20 degrees turned by 3.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import cv2
import numpy as np

from affectkit.core.assets import FOLDER
from affectkit.core.boxes import Box
from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.data.faces.squares import Square, cut_square

FILE = "face-aligner.onnx"
SHA256 = "4e812be4455c3c6436862b33d6a588773cc64fe9774838f6d8d0ac7192359a89"
SIDE = 40
"""Pixels of the window."""
WINDOW = 0.72
"""Its side in sides of the square that frames the face."""
ROUNDS = 2
"""How often the network looks: it was trained for turns up to 60 degrees and takes great ones for smaller."""
BOX = (0.0, 0.03, 1.03)
"""Centre (x, y) of the square of FER-2013's framing off that of a box, against its roll, and its side, in the longer
sides of the box: of YuNet's boxes in 488 of 600 training faces of FER+, enlarged three times with their edges
continued, the medians are (0.015, 0.03, 1.034); of OpenCV's cascade in 400 of its validation faces (0, 0, 1.04).
"""
MOST_MOVED, MOST_SCALED = 0.25, 0.4
"""By how much the square may move, in its sides, and grow or shrink, as an exponent, from where the box puts it."""


def box_square(box: Box, *, angle: float = 0.0) -> Square:
    """Return where a face is framed by its box alone, (left, top, width, height), turned clockwise by ``angle``."""
    left, top, width, height = box
    across, down, side = (share * max(width, height) for share in BOX)
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = left + width / 2, top + height / 2
    return x + across * cosine - down * sine, y + across * sine + down * cosine, side, angle


def align_square(picture: np.ndarray, square: Square) -> Square:
    """Return the square that frames the face about where ``square`` does.

    Args:
        picture: uint8 (H, W, 3) RGB or (H, W, 1).
    """
    x, y, side, angle = square
    for _ in range(ROUNDS):
        roll, across, down, growth = _look(picture, x, y, side, angle)
        cosine, sine = math.cos(angle), math.sin(angle)
        reach = WINDOW * side
        x, y = x + reach * (across * cosine - down * sine), y + reach * (across * sine + down * cosine)
        side, angle = side * math.exp(growth), angle + roll
    away, most = math.hypot(x - square[0], y - square[1]), MOST_MOVED * square[2]
    if away > most:
        x, y = (place + (own - place) * most / away for place, own in zip(square[:2], (x, y), strict=True))
    grown = math.log(side / square[2])
    side = square[2] * math.exp(min(max(grown, -MOST_SCALED), MOST_SCALED))
    return x, y, side, math.remainder(angle, 2 * math.pi)


def _look(picture: np.ndarray, x: float, y: float, side: float, angle: float) -> list[float]:
    """Return what the network says of a face: roll in radians clockwise, centre off the window's in the window's
    sides, logarithm of the side beside that of the square.
    """
    window = cut_square(picture, (x, y, WINDOW * side, angle), SIDE)
    if window.shape[2] == 3:
        window = cv2.cvtColor(window, cv2.COLOR_RGB2GRAY)
    image = window.reshape(1, 1, SIDE, SIDE).astype(np.float32)
    return [float(value) for value in _session().run(None, {"image": image})[0][0]]


@functools.cache
def _session() -> Any:
    """Return the network's session, of one thread; sessions may be used by several at once."""
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(FOLDER / FILE), options, providers=["CPUExecutionProvider"])
