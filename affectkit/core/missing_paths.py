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


def at_home(text: str | Path) -> Path:
    """Return a path with the home folder in place of ``~`` or ``~user``; of a user who is not there as it stands."""
    return Path(os.path.expanduser(text))


def unknown_user(text: str) -> str:
    """Return the sentence for a path that begins with a user who is not there; empty for every other path.

    What is called so in the current folder, as ``~$notes.csv``, is a path like others.
    """
    user = Path(text).parts[0] if text.startswith("~") else ""
    if not user or os.path.lexists(user) or str(at_home(user)) != user:
        return ""
    return f"~{user[1:]} is the home folder of a user, and there is no user {user[1:]!r} here; your own is ~"


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
        if os.path.lexists(at_home(meant)):
            return readable(f"Did you mean {shlex.quote(meant)}?")
    if os.sep == "/" and (_DRIVE.fullmatch(text) or "\\" in text):
        return readable(f"It is written as on Windows; here a path is written /home/me/photos. {advice}".rstrip())
    if several := several_paths(text):
        return readable(f"These are {len(several)} paths: {', '.join(map(shlex.quote, several))}. Name each by itself.")
    if stranger := unknown_user(text):
        return readable(f"{stranger}.")
    there, wanted = _reached(at_home(text))
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


def several_paths(text: str) -> list[str]:
    """Return the paths in a ``text`` that joins some by commas or spaces; none where one of them is not there."""
    for parts in (text.split(","), text.split()):
        found = [part.strip() for part in parts if part.strip()]
        if len(found) > 1 and all(os.path.lexists(at_home(part)) for part in found):
            return found
    return []


def no_place(path: Path) -> tuple[str, str] | None:
    """Return why nothing should be written at ``path``, and the next step: a web address, or a new path with the
    separators of another system, which would be one odd name here. None for every other path.
    """
    text = as_given(path)
    if _ADDRESS.fullmatch(text):
        return "is a web address", "Name a place on this machine, and copy from there."
    if os.sep != "/" or os.path.lexists(path):
        return None
    drive = _DRIVE.fullmatch(text)
    if not drive and "\\" not in text:
        return None
    meant = "" if drive else text.replace("\\ ", " ").replace("\\", "/")
    hint = f"Write {shlex.quote(meant)}." if meant else "Here a path is written /home/me/results."
    return "is written as on Windows", hint


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
    if "$" in bare:
        yield os.path.expandvars(bare)  # in single quotes
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
