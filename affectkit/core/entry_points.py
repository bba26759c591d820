"""What installed packages offer under a name: their entry points, read without importing anything of theirs.

``importlib.metadata`` gives the same in ten times the time, most of it for parsing what is not asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = "entry_points.txt"
_ENDINGS = (".dist-info", ".egg-info")


@dataclass(frozen=True)
class EntryPoint:
    """Describe an entry point of an installed package.

    Attributes:
        name: as users type it.
        target: ``"package.module:attribute"``.
        package: name and version of what was installed, ``"retina 1.0"``.
    """

    name: str
    target: str
    package: str


def entry_points(group: str, *, folders: Sequence[str] | None = None) -> list[EntryPoint]:
    """List the entry points of ``group`` of the packages in ``folders``, ordered by name.

    Of a package that is installed in two folders the first one counts, as in an import.

    Args:
        group: the heading in ``entry_points.txt``.
        folders: None: where this Python looks for modules (``sys.path``).
    """
    found, seen = [], set()
    for folder in dict.fromkeys(sys.path if folders is None else folders):
        for path in _metadata_folders(folder or "."):
            name, _, rest = path.stem.partition("-")
            key = name.lower().replace("_", "-")
            if key not in seen:
                seen.add(key)
                package = f"{name} {rest.partition('-')[0]}".strip()
                found += [EntryPoint(*item, package) for item in _read_group(path / _FILE, group)]
    return sorted(found, key=lambda one: (one.name, one.package))


def _metadata_folders(folder: str) -> Iterator[Path]:
    """Yield the folders in ``folder`` that describe a package; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(_ENDINGS))
    except OSError:
        return
    for name in names:
        yield Path(folder, name)


def _read_group(path: Path, group: str) -> list[tuple[str, str]]:
    """Return names and targets of ``group`` in an ``entry_points.txt``; none where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if f"[{group}]" not in text:
        return []
    import configparser  # 5 ms, and few packages have such a group

    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    return [(name, target.split("[")[0].strip()) for name, target in parser.items(group)]
