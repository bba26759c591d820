"""What the manifest of a prepared dataset states about its tables, so that it need not be told from their cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.core.files import read_json
from affectkit.data.layouts.rating_scale import Scale
from affectkit.errors import DataError

MANIFEST = "manifest.json"
_FORM = {"rating_scale?": tuple[float, float], "classes?": list[str]}


@dataclass(frozen=True)
class Stated:
    """What is stated.

    Attributes:
        scale: least and greatest rating; None where it is not stated.
        classes: names of columns that are classes; empty where they are not stated.
    """

    scale: Scale | None = None
    classes: tuple[str, ...] = ()


def stated_in(root: Path) -> Stated:
    """Return what the manifest in ``root`` states; nothing where there is none, or one of another program."""
    try:
        found = read_json(root / MANIFEST, _FORM)
    except DataError:
        return Stated()
    low, high = found.get("rating_scale", (0.0, 0.0))
    return Stated((float(low), float(high)) if low < high else None, tuple(found.get("classes", ())))


def made_by(root: Path) -> str:
    """Return the command that the manifest in ``root`` says has made it; empty where it says none."""
    try:
        return str(read_json(root / MANIFEST, {"command?": str}).get("command", ""))
    except DataError:
        return ""
