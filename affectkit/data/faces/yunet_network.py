"""YuNet (Wu, Peng and Yu 2023, Machine Intelligence Research 20), the network alone, run by ONNX Runtime.

ONNX Runtime takes a third of the time of OpenCV's FaceDetectorYN, whose boxes and scores these are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affectkit.core.onnx_bytes import Damaged, refuse_external_data
from affectkit.core.onnx_edit import with_float_weights, with_open_sizes
from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.errors import CheckpointError

STRIDES = (8, 16, 32)
"""Pixels of a cell, each way, of the three grids of cells that look for small, medium and large faces."""
SMALLEST, LARGEST = 10, 300
"""Pixels of the faces that it was trained for."""
POINTS = 5
"""Right eye, left eye, nose, right and left corner of the mouth."""
ROW = 5 + 2 * POINTS
"""Numbers of a face: centre (x, y), width, height, score in [0, 1], points (x, y)."""
OUTPUTS = tuple(f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
MAX_BYTES = 100_000_000
"""Of a file of weights."""
GET_IT = "affectkit pull face-detector downloads face_detection_yunet_2023mar.onnx of OpenCV's model zoo."


class YuNetNetwork:
    """The network of a file.

    Raises:
        CheckpointError: ``file`` is not there, or not a YuNet of March 2023 or later.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise CheckpointError(f"the face detector {file} does not exist.", GET_IT)
        try:
            self._session = _make_session(file)
            self(np.zeros((64, 96, 3), np.uint8), 0.5)
        except CheckpointError:
            raise
        except Exception as error:  # ONNX Runtime has a dozen classes of its own
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(f"{file} is not a YuNet that can be run: {why}", GET_IT) from error

    def __call__(self, picture: np.ndarray, least: float) -> np.ndarray:
        """Return the faces of ``picture``, uint8 (H, W, 3) RGB or (H, W, 1), as the network sees them, (F, 15).

        Args:
            least: score of the faces that are returned. A face has many rows; see ``drop_doubles``.
        """
        tensor = _as_input(picture)
        outputs = dict(zip(OUTPUTS, self._session.run(OUTPUTS, {"input": tensor}), strict=True))
        return np.concatenate([_decode(outputs, stride, tensor.shape[3] // stride, least) for stride in STRIDES])


def _make_session(file: Path) -> object:
    """Return an inference session of one thread: what it computes does not depend on the machine's processors."""
    if file.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{file} has {file.stat().st_size} bytes, and is no YuNet.", GET_IT)
    refuse_external_data(file)
    try:
        data = with_open_sizes(with_float_weights(file.read_bytes()), "input", (1, 3, "height", "width"))
    except Damaged as error:
        raise CheckpointError(f"{file} is not a YuNet, or is damaged.", GET_IT) from error
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    missing = sorted(set(OUTPUTS) - {one.name for one in session.get_outputs()})
    if missing or [one.name for one in session.get_inputs()] != ["input"]:
        raise CheckpointError(f"{file} is not a YuNet of March 2023 or later: it has no {missing or 'input'}.", GET_IT)
    return session


def _as_input(picture: np.ndarray) -> np.ndarray:
    """Return ``picture`` as float32 (1, 3, H, W) BGR in [0, 255], black up to full cells of the largest stride."""
    height, width, channels = picture.shape
    side = STRIDES[-1]
    tensor = np.zeros((1, 3, height + -height % side, width + -width % side), np.float32)
    if channels == 1:
        tensor[0, :, :height, :width] = picture[:, :, 0]
    else:
        for place in range(3):
            tensor[0, place, :height, :width] = picture[:, :, 2 - place]
    return tensor


def _decode(outputs: dict[str, np.ndarray], stride: int, columns: int, least: float) -> np.ndarray:
    """Return rows (F, 15) of the cells of one stride with a score of ``least`` or more.

    The score is the geometric mean of those for a face and for an object; centre, sides and points are relative to the
    cell, the sides as exponents (libfacedetection.train, YuNet's head).
    """
    scores = np.sqrt(np.clip(outputs[f"cls_{stride}"], 0, 1) * np.clip(outputs[f"obj_{stride}"], 0, 1)).ravel()
    cells = np.flatnonzero(scores >= least)
    corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float64)
    boxes = outputs[f"bbox_{stride}"].reshape(-1, 4)[cells].astype(np.float64)
    points = outputs[f"kps_{stride}"].reshape(-1, POINTS, 2)[cells] + corner[:, None]
    sides = np.exp(np.clip(boxes[:, 2:], -20, 20))
    return np.concatenate(
        [
            (corner + boxes[:, :2]) * stride,
            sides * stride,
            scores[cells, None],
            points.reshape(-1, 2 * POINTS) * stride,
        ],
        axis=1,
    )


def drop_doubles(rows: np.ndarray, overlap: float) -> np.ndarray:
    """Return ``rows`` (F, 15 or more) that overlap no surer one by more than ``overlap``, the surest first.

    Args:
        overlap: intersection over union.
    """
    left = rows[np.argsort(-rows[:, 4], kind="stable")]
    kept = []
    while len(left):
        kept.append(left[0])
        left = left[1:][overlaps(left[0], left[1:]) <= overlap]
    return np.array(kept).reshape(-1, rows.shape[1])


def overlaps(row: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the intersection over union of the box of ``row`` with those of ``rows``."""
    shared = np.ones(len(rows))
    for axis in (0, 1):
        half, other = row[2 + axis] / 2, rows[:, 2 + axis] / 2
        inner = np.minimum(row[axis] + half, rows[:, axis] + other) - np.maximum(
            row[axis] - half, rows[:, axis] - other
        )
        shared *= np.clip(inner, 0, None)
    return shared / (row[2] * row[3] + rows[:, 2] * rows[:, 3] - shared)
