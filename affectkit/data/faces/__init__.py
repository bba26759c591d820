"""Detect faces in images, crop them, and follow them through a video as face tracks.

The network that recognises faces is in ``models``; what is drawn around a face is in ``reports``.

``DETECTORS`` names the detectors; importing it loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.registry import Entry, Registry


@dataclass(frozen=True)
class DetectorEntry(Entry):
    """A face detector: called with its file (None without one), it returns a function of a picture.

    The picture is uint8 (H, W, 3) RGB or (H, W, 1); the function returns a list of boxes (left, top, width, height) in
    pixels, a score, higher is surer, and points (x, y), eyes first, or none.

    Attributes:
        file: ending of the file that it needs; empty where it needs none.
    """

    file: str = ""


DETECTORS = Registry("face detector", entry=DetectorEntry)
DETECTORS.add("haar", "affectkit.data.faces.detection:HaarDetector", "OpenCV's cascade")
DETECTORS.add("yunet", "affectkit.data.faces.detection:YuNetDetector", "OpenCV's FaceDetectorYN", file=".onnx")


def detector_forms() -> list[str]:
    """List what ``--faces`` may name beside ``auto`` and ``none``: ``haar``, ``yunet:FILE.onnx``."""
    return [f"{name}:FILE{entry.file}" if entry.file else name for name, entry in DETECTORS.items()]
