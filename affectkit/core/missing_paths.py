"""Paths that do not exist: what was meant, from what is there. Importing this loads nothing heavy."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from affectkit.core.registry import nearest_names
from affectkit.core.text import one_of, readable

_ADDRESS = re.compile(r"(https?|ftp|s3|gs|hf):/+(.+)")
_DRIVE = re.compile(r"([A-Za-z]):[\\/]+(.*)", re.DOTALL)


def instead_of(path: str | Path, *, advice: str = "") -> str:
    """Return the next step for a ``path`` that is not there: the one that was probably meant, or where it was looked
    for.

    A path with its quotes, a comma or spaces, or with the separators of another system, is found as it was meant; so is
    one with a slip in its name. Of a web address it is said that it is none.

    Args:
        path: as it was given; a relative one was looked up from the current folder.
        advice: what may be named, where nothing near is found.
    """
    text = as_given(path)
    if address := _ADDRESS.fullmatch(text):
        url = f"{address[1]}://{address[2]}"
        fetch = f"affectkit download {url} --output DIR fetches a file" if url.startswith("http") else "fetch it first"
        return readable(f"It is a web address, not a path: {fetch}.")
    for meant in _respelled(text):
        if os.path.lexists(Path(meant).expanduser()):
            return readable(f"Did you mean {shlex.quote(meant)}?")
    if os.sep == "/" and (_DRIVE.fullmatch(text) or "\\" in text):
        return readable(f"It is written as on Windows; here a path is written /home/me/photos. {advice}".rstrip())
    there, wanted = _reached(Path(text).expanduser())
    try:
        near = nearest_names(wanted, os.listdir(there)) if there.is_dir() else []
    except OSError:
        near = []
    if near:
        return readable(f"In {there} there is {one_of(near)}.")
    if advice:
        return advice
    if not there.is_dir():
        return readable(f"{there} is a file, not a folder.")
    looked_up = "" if os.path.isabs(text) else f"; names are looked up from {Path.cwd()}"
    return readable(f"There is nothing called {wanted} in {there}{looked_up}.")


def as_given(path: str | Path) -> str:
    """Return ``path`` as it was probably typed: settings hold some made absolute."""
    text, here = str(path), f"{Path.cwd()}{os.sep}"
    return text.removeprefix(here) if isinstance(path, Path) else text


def _respelled(text: str) -> Iterator[str]:
    """Yield other spellings of a path, the likeliest first."""
    from urllib.parse import unquote

    bare = text.strip().strip("\"'`,").strip()
    if bare.startswith("file:"):
        bare = unquote(re.sub(r"file:/*", "/", bare))
    yield bare
    if "%" in bare:
        yield unquote(bare)
    if os.sep == "/" and "\\" in bare:
        yield bare.replace("\\", "/")
        yield bare.replace("\\ ", " ")
    if os.sep == "/" and (drive := _DRIVE.fullmatch(bare)):
        yield f"/mnt/{drive[1].lower()}/{drive[2]}".replace("\\", "/")  # of the Windows Subsystem for Linux
    if bare.startswith("/") and not bare.startswith("//"):
        yield bare.lstrip("/")  # meant from here


def _reached(path: Path) -> tuple[Path, str]:
    """Return the part of ``path`` that is there, and the first name behind it."""
    whole = path.absolute()
    there = next(parent for parent in (whole, *whole.parents) if os.path.lexists(parent))
    return there, whole.relative_to(there).parts[0] if whole != there else ""
