"""The position of a picture in the pixels that a JPEG decoder gave of it at 1/2, 1/4 or 1/8 of its size.

Such a decoder scales blocks of 8 x 8 pixels (ITU-T T.81), and the last block of a row or column reaches beyond the
picture where its side is no multiple of 8. It gives ceil(side / scale) pixels, of which the last stands in part for
nothing: the picture ends at side / scale, between two pixels. Resized whole, all would be squeezed, by up to
(scale - 1) / side. Once the picture is turned upright, the spare strip may lie at any of its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels of the upright image, (0, 0) being its upper left corner."""

SCALES = (8, 4, 2)
"""How many pixels of the file, each way, one decoded pixel can stand for; 1 aside."""


@dataclass(frozen=True)
class Extent:
    """A whole picture, upright, within its decoded pixels.

    Attributes:
        height, width: of the picture in the file, in pixels.
        scale: pixels of the file, each way, to a decoded pixel: 1, 2, 4 or 8.
        left, top: where the picture begins, in decoded pixels; not 0 where a spare strip lies before it.
    """

    height: int
    width: int
    scale: int = 1
    left: float = 0.0
    top: float = 0.0

    @classmethod
    def of(cls, size: tuple[int, int], scale: int, orientation: int) -> Extent:
        """Return the extent of a picture stored as ``size`` (width, height), decoded at 1 / ``scale``, then turned
        upright.

        Args:
            orientation: EXIF's, 1 to 8: where the stored first row and first column belong (Exif 2.3, tag 274).
        """
        width, height = size
        right, bottom = -width % scale / scale, -height % scale / scale  # the spare strips as stored
        if orientation >= 5:  # rows are columns
            height, width, right, bottom = width, height, bottom, right
        mirrored, upended = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
        return cls(height, width, scale, right if mirrored else 0.0, bottom if upended else 0.0)

    @property
    def box(self) -> Box:
        """Return the whole picture in decoded pixels."""
        return self.inner((0, 0, self.width, self.height))

    def inner(self, box: Box) -> Box:
        """Return ``box`` of the picture in the file, in decoded pixels."""
        left, top, right, bottom = (value / self.scale for value in box)
        return left + self.left, top + self.top, right + self.left, bottom + self.top

    def outer(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the decoded pixels in the picture in the file."""
        return (x - self.left) * self.scale, (y - self.top) * self.scale


def scale_for(size: tuple[int, int], wanted: tuple[int, int], limit: int) -> int:
    """Return the largest scale, 1 to 8, at which no side of ``size`` falls below that of ``wanted``; larger to keep
    ``limit``.

    Args:
        size, wanted: (width, height) as stored.
        limit: of decoded pixels; may not be kept even at 8.
    """
    least = min(have // max(want, 1) for have, want in zip(size, wanted, strict=True))
    scale = next((scale for scale in SCALES if scale <= least), 1)
    while scale < SCALES[0] and pixels_at(size, scale) > limit:
        scale *= 2
    return scale


def pixels_at(size: tuple[int, int], scale: int) -> int:
    """Return how many pixels are decoded of a picture of ``size`` at 1 / ``scale``."""
    return -(-size[0] // scale) * -(-size[1] // scale)
