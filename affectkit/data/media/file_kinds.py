"""Kinds of files by name: image, video, or neither; one place for ``infer``, class folders and preps.

A name's ending decides. Two endings say two things, ``.ts`` and ``.mts``: an MPEG transport stream, or TypeScript (or
a Qt translation); there the file's first bytes decide. A picture need not be of a kind that is read: those that are not
have their reason from whoever opens them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from affectkit.core.files import open_file
from affectkit.data.media.image_formats import IMAGE_EXTENSIONS, RAW_EXTENSIONS

IMAGE_FILE, VIDEO_FILE, OTHER_FILE = "image", "video", "other"

VIDEO_EXTENSIONS = (
    ".3g2", ".3gp", ".3gpp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d",
    ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts",
    ".vob", ".webm", ".wmv",
)  # fmt: skip
MORE_EXTENSIONS = (
    ".apng", ".dcm", ".dds", ".eps", ".exr", ".icns", ".ico", ".jxl", ".jxr", ".pcx", ".pnm", ".psb", ".psd", ".svg",
    ".tga", ".wdp", ".xcf",
)  # fmt: skip
"""Of pictures, too: some are read under these names, most are of kinds that are not."""
AMBIGUOUS = frozenset({".ts", ".mts"})
_KINDS = dict.fromkeys((*IMAGE_EXTENSIONS, *RAW_EXTENSIONS, *MORE_EXTENSIONS), IMAGE_FILE) | dict.fromkeys(
    VIDEO_EXTENSIONS, VIDEO_FILE
)

_SYNC = 0x47
_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Lengths of a packet of a transport stream, and where in it the sync byte stands: ISO/IEC 13818-1, Blu-ray's with a
time stamp before each, DVB's with parity behind."""
_LOOKED = 3


def file_suffix(name: str) -> str:
    """Return the ending of a file name, in lower case, with its dot; empty without one."""
    return os.path.splitext(name)[1].lower()


def file_kind(folder: Path, name: str) -> str:
    """Return the kind of the file ``name`` in ``folder``: ``IMAGE_FILE``, ``VIDEO_FILE`` or ``OTHER_FILE``."""
    ending = file_suffix(name)
    kind = _KINDS.get(ending, OTHER_FILE)
    return OTHER_FILE if ending in AMBIGUOUS and not is_transport_stream(folder / name) else kind


def is_video_name(name: str) -> bool:
    """Return whether a file name ends like a video's."""
    return _KINDS.get(file_suffix(name)) is VIDEO_FILE


def is_transport_stream(path: Path) -> bool:
    """Return whether a file begins as an MPEG transport stream does; one that is empty or cannot be read may be one."""
    try:
        with open_file(path) as stream:
            start = stream.read(_PACKETS[-1][0] * _LOOKED)
    except OSError:
        return True
    return not start or any(
        all(start[place : place + 1] in (b"", bytes([_SYNC])) for place in range(offset, length * _LOOKED, length))
        for length, offset in _PACKETS
    )


class PassedOver:
    """Files that were passed over, counted by their endings.

    >>> passed = PassedOver()
    >>> for name in ("a.txt", "b.TXT", "README"):
    ...     passed.add(name)
    >>> passed.described
    '2 .txt, 1 without an ending'
    """

    def __init__(self) -> None:
        self.endings: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count a file, or a folder."""
        self.endings[file_suffix(name)] += 1

    @property
    def count(self) -> int:
        """Return the number of all files passed over."""
        return sum(self.endings.values())

    @property
    def described(self) -> str:
        """Return the counts in words, the largest first."""
        found = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))
        shown = [f"{count:,} {ending or 'without an ending'}" for ending, count in found[:6]]
        more = sum(count for _, count in found[6:])
        return ", ".join([*shown, f"{more:,} others"] if more else shown)
