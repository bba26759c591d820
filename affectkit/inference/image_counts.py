"""Counts of the images of a prediction table, as records and merged records have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class ImageCounts:
    """Count images with rows, their faces and rows, images skipped, those of which only the first frame was read."""

    images: int = 0
    faces: int = 0
    rows: int = 0
    skipped: int = 0
    moving: int = 0
    frames: int = 0

    def summary(self, *, with_faces: bool) -> dict[str, Any]:
        """Return the counts as records have them."""
        found = {"images": self.images, **({"faces": self.faces} if with_faces else {}), "skipped": self.skipped}
        if self.moving:
            found["more_frames"] = {"images": self.moving, "frames_not_looked_at": self.frames}
        return found

    def add_frames(self, frames: int) -> None:
        """Count an image that has so many frames, the first of which was read."""
        self.moving += frames > 1
        self.frames += frames - 1
