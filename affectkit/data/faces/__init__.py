"""Detect faces in images, crop them, and follow them through a video as face tracks.

The network that recognises faces is in ``models``; what is drawn around a face is in ``reports``.

``DETECTORS`` names the detectors; importing it loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.registry import Entry, Registry

SEARCH_SIDE = 720
"""Pixels of the longer side at which a frame of a video is searched, at most, unless set otherwise."""
SEARCH_SIDES = (100, 1600)
"""Least and most of these; at the most, frames are searched as photographs are."""


@dataclass(frozen=True)
class DetectorEntry(Entry):
    """A face detector: called with its file (None without one), it returns a function of a picture.

    The picture is uint8 (H, W, 3) RGB or (H, W, 1); the function returns a list of boxes (left, top, width, height) in
    pixels, a score, higher is surer, and points (x, y), eyes first, or none.

    Between searched frames of a video it is given square regions about the faces of these. A function with a true
    attribute ``takes_sides`` is then called with ``sides=(least, most)`` too, pixels of the sides of boxes in question;
    of others boxes of other sizes are left out afterwards.

    Attributes:
        file: ending of the file that it needs; empty where it needs none.
    """

    file: str = ""


DETECTORS = Registry("face detector", entry=DetectorEntry)
DETECTORS.add("haar", "affectkit.data.faces.haar:HaarDetector", "OpenCV's cascade")
DETECTORS.add("yunet", "affectkit.data.faces.detection:YuNetDetector", "OpenCV's FaceDetectorYN", file=".onnx")


def detector_forms() -> list[str]:
    """List what ``--faces`` may name beside ``auto`` and ``none``: ``haar``, ``yunet:FILE.onnx``."""
    return [f"{name}:FILE{entry.file}" if entry.file else name for name, entry in DETECTORS.items()]
