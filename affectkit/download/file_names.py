"""Names that a server chose for files, before one of them is made here."""

from __future__ import annotations

import re

from affectkit.core.text import printable
from affectkit.errors import DataError

LONGEST = 200
"""Bytes of one part of a name: file systems take 255, and what has arrived carries ``.xxxxxxxx.part`` behind it."""
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *(?:\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever ending follows (learn.microsoft.com, Naming Files, Paths)."""


def check_name(name: str, *, folders: bool = False) -> None:
    """Refuse a name that hides a file, reads as an option, or is something else than a file on some system.

    Args:
        name: as the server writes it.
        folders: whether ``a/b.pth`` may stand for a file in a folder, as in records that GitHub made
            (``owner/repository-1.0.zip``); each part is checked.

    Raises:
        DataError: the name, and which rule it breaks.
    """
    for part in name.split("/") if folders else [name]:
        fault = _fault(part)
        if fault:
            raise DataError(
                f"{name!r} is not taken as the name of a file: {fault}.",
                "Whoever made the record or address chose it. Choose others with --file, or save it from a browser "
                "under a name of your own.",
            )


def _fault(part: str) -> str:
    """Return what is wrong with a part of a name; empty where nothing is."""
    if part in ("", "..") or "/" in part or "\\" in part:
        return "it is no plain name, or leads to another folder"
    if part.startswith("."):
        return "it begins with a dot, which hides it and is how settings of programs are called"
    if part.startswith("-"):
        return "it begins with a dash, as options do"
    if part[0] == "~":
        return "it begins with '~', as home folders do"
    if printable(part) != part or not part.isprintable():
        return "it holds control characters"
    if part != part.strip(" ") or part.endswith("."):
        return "it begins or ends with a space, or ends with a dot, which Windows drops"
    if _DEVICE.fullmatch(part):
        return "Windows takes it for a device"
    if len(part.encode(errors="surrogatepass")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return ""
