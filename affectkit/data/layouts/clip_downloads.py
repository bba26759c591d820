"""Datasets of clips as they are downloaded: known by their names, so that a user is told which preparation reads them.

What the names mean: see ``prep.clips.cremad``, ``ravdess`` and ``meld``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from affectkit.core.folders import is_file, is_folder, visible_names
from affectkit.errors import DataError

COMMANDS = {"CREMA-D": "cremad", "RAVDESS": "ravdess", "MELD": "meld"}
"""The command of ``affectkit prep`` for each."""
_ACTOR = re.compile(r"(?:(?:Video|Audio)_(?:Speech|Song)_)?Actors?_?\d\d(?:-\d\d)?", re.IGNORECASE)
_RECORDING = re.compile(r"0[1-3]-0[12](?:-0[1-8])(?:-0[12]){3}-\d\d\.(?:mp4|wav)", re.IGNORECASE)
_TABLE = re.compile(r"(?:train|dev|test)_sent_emo\.csv")
_PARTS = ("train", "dev", "test")


def clips_in(root: Path) -> str:
    """Return the name of the dataset of clips in ``root``, a key of ``COMMANDS``; empty where there is none."""
    try:
        if _has(root, lambda entry: entry.name == "SentenceFilenames.csv") and (root / "VideoFlash").is_dir():
            return "CREMA-D"
        if _has_recording(root, depth=2):
            return "RAVDESS"
        folders = [root, *(root / name for name in visible_names(root, is_folder) if name in _PARTS)]
        if any(_has(folder, lambda entry: bool(_TABLE.fullmatch(entry.name))) for folder in folders):
            return "MELD"
    except DataError:  # a folder that may not be listed
        pass
    return ""


def _has_recording(folder: Path, *, depth: int) -> bool:
    """Return whether a recording of RAVDESS lies in ``folder``, or in those of actors below it."""
    if _has(folder, lambda entry: bool(_RECORDING.fullmatch(entry.name)) and is_file(entry)):
        return True
    below = (
        visible_names(folder, lambda entry: bool(_ACTOR.fullmatch(entry.name)) and is_folder(entry)) if depth else []
    )
    return any(_has_recording(folder / name, depth=depth - 1) for name in below)


def _has(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> bool:
    return bool(visible_names(folder, wanted))
