"""Folders that are taken for datasets and hold something else: what it is, and what would be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from affectkit.core.archives import ENDINGS
from affectkit.core.folders import is_file, is_folder, visible_names
from affectkit.core.missing_paths import as_given
from affectkit.core.text import count_text
from affectkit.data.layouts.class_folders import TABLE_NAMES, holds_images
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, file_kind
from affectkit.errors import DataError

RUN_FILES = ("best.safetensors", "history.csv")
SPLITS = {name for names in TABLE_NAMES.values() for name in names}
LOOKED_INTO = 50
"""Folders beside one of pictures among which other classes are looked for."""


def instead_of_file(path: Path) -> str:
    """Return the next step where a file was named as a dataset."""
    name = path.name.lower()
    if name.endswith(ENDINGS):
        return "Unpack the archive first."
    if name.endswith((".csv", ".tsv", ".xlsx")):
        return f"It is a table: name the folder of its images, and the table with --labels {as_given(path)}."
    if file_kind(path.parent, path.name) in (IMAGE_FILE, VIDEO_FILE):
        return f"To predict it: affectkit infer {as_given(path)}."
    return "Name the folder that holds the images or tables."


def what_it_holds(root: Path) -> tuple[str, str] | None:
    """Return what a folder is that fits no layout, for a sentence that names it, and the next step.

    Returns:
        None where that is not known, or the folder holds folders and tables that may be a dataset with a fault.
    """
    files = visible_names(root, is_file)
    if any(name in files for name in RUN_FILES):
        return "it is a run folder of affectkit train", "--data names the dataset, --checkpoint a run folder."
    folders = visible_names(root, is_folder)
    if not files and not folders:
        return "it is empty", "Name the folder that holds the images or tables."
    kinds = Counter(file_kind(root, name) for name in files)
    if folders or any(name.lower().endswith(".csv") for name in files):
        return None
    if kinds[IMAGE_FILE]:
        return _pictures(root, kinds[IMAGE_FILE])
    if kinds[VIDEO_FILE]:
        predict = f"To predict them: affectkit infer {as_given(root)}."
        return f"it holds {count_text(kinds[VIDEO_FILE], 'video')} and no labels", predict
    return None


def _have_pictures(parent: Path, *, besides: str) -> bool:
    """Return whether pictures lie in a folder of ``parent`` other than ``besides``."""
    try:
        others = [name for name in visible_names(parent, is_folder)[:LOOKED_INTO] if name != besides]
        return any(holds_images(parent / name) for name in others)
    except DataError:  # that of others, and none that was named
        return False


def _pictures(root: Path, count: int) -> tuple[str, str]:
    """Describe a folder of pictures alone: that of a class, where beside it there are others, or without labels."""
    parent = root.parent
    if root.name.lower() not in SPLITS and _have_pictures(parent, besides=root.name):
        above = parent.parent if parent.name.lower() in SPLITS else parent
        what = f"it holds {count_text(count, 'picture')}, as the folder of one class does"
        named = above.absolute() if above in (Path(), Path("..")) else as_given(above)
        return what, f"Name the folder that holds all classes: {named}."
    return (
        f"it holds {count_text(count, 'picture')} and no labels",
        "Put each class into a folder of its own, as photos/anger and photos/fear, or name a table with --labels. "
        f"To predict them: affectkit infer {as_given(root)}.",
    )
