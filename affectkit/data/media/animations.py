"""Pictures of several frames: animations (GIF, APNG, WebP, AVIF) and TIFF files of several pages.

Read as pictures, their first frame is taken; ``moving.AnimationStream`` gives all of them, as a video does.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from affectkit.core.files import open_file
from affectkit.data.media.image_formats import open_image, refuse_raw

STILL = (".jpg", ".jpeg", ".jpe", ".jfif")
"""Names of files that are not opened to see whether they move. (What an MPO holds beside its picture are previews.)"""
_REDUCED = 254  # TIFF 6.0: bit 0 of this tag says that a page is a smaller copy of another one


def count_frames(path: Path) -> int:
    """Count the frames of an image file; 1 where it cannot be read.

    >>> count_frames(Path("face.jpg"))
    1
    """
    if path.name.lower().endswith(STILL):
        return 1
    try:
        with open_file(path) as stream:
            if not _may_move(stream):
                return 1
            stream.seek(0)
            with open_image(stream) as image:
                refuse_raw(path, image)
                return max(len(frame_times(image)), 1)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, who reads the picture says it
        return 1


def may_be_animated(folder: Path, name: str) -> bool:
    """Return whether a file has more than one frame."""
    return count_frames(folder / name) > 1


def frame_times(image: Any) -> list[int]:
    """Return which frames of an opened picture count: of an APNG not what is shown where it cannot be played, of a TIFF
    no smaller copy of another page.
    """
    places = range(getattr(image, "n_frames", 1))
    if image.format == "MPO":
        return [0]
    if image.format == "TIFF":
        kept = []
        for place in places:
            image.seek(place)
            if not image.tag_v2.get(_REDUCED, 0) & 1:
                kept.append(place)
        image.seek(0)
        return kept or [0]
    return list(places)[1:] if getattr(image, "default_image", False) else list(places)


def _may_move(stream: IO[bytes]) -> bool:
    """Return whether a file may hold an image with several frames, as far as its bytes show without a decoder."""
    start = stream.read(32)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _is_apng(stream)
    if start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X":
        return bool(start[20] & 2)
    if start[4:8] == b"ftyp":
        return start[8:12] in (b"avis", b"hevc", b"hevx", b"msf1")
    return start.startswith((b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def _is_apng(stream: IO[bytes]) -> bool:
    """Return whether a chunk ``acTL`` stands before the pixels (PNG, third edition, 11.3.4)."""
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        if head[4:] in (b"acTL", b"IDAT", b"IEND"):
            return head[4:] == b"acTL"
        stream.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False
