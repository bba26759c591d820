"""The folders of AFEW-VA: one a film clip, with its frames and their annotations; they are no classes.

    data/001/00000.png ... 000NN.png    data/001/001.json

The folders may lie in ``data``, in the folder itself, or in groups of fifty (``01/001``), as the parts of the download
unpack. What the annotations hold: see ``prep.images.afew_va``.
"""

from __future__ import annotations

import re
from pathlib import Path

from affectkit.core.folders import is_folder, visible_names
from affectkit.errors import DataError

_VIDEO = re.compile(r"\d{3}")
_GROUP = re.compile(r"data|\d{1,2}|AFEW-VA", re.IGNORECASE)


def video_folders(root: Path, *, first: bool = False) -> list[Path]:
    """Return the folders of clips below ``root``, sorted by name; with ``first``, one of them.

    Raises:
        DataError: a folder cannot be listed.
    """
    found: list[Path] = []
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        for name in visible_names(folder, is_folder):
            if _VIDEO.fullmatch(name) and (folder / name / f"{name}.json").is_file():
                found.append(folder / name)
                if first:
                    return found
            elif depth < 2 and _GROUP.fullmatch(name):
                waiting.append((folder / name, depth + 1))
    return sorted(found, key=lambda path: (path.name, str(path)))


def is_afew_va(root: Path) -> bool:
    """Return whether ``root`` holds clips of AFEW-VA."""
    try:
        return bool(video_folders(root, first=True))
    except DataError:
        return False
