"""Class folders: the splits of a dataset that keeps one folder per class, found and read.

Tiny-ImageNet's class folders hold an ``images`` folder; that is read too.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np

from affectkit.core.folders import broken_links, is_folder, is_hidden, visible_names
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts import tinyimagenet
from affectkit.data.media.file_kinds import PassedOver
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError

TABLE_NAMES = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}


def split_folders(root: Path) -> dict[str, Path]:
    """Return folders that hold class folders, by split; ``{"all": root}`` without split folders;
    empty where none fits.
    """
    subfolders = visible_names(root, is_folder)
    by_name: dict[str, list[str]] = {}
    for name in subfolders:
        by_name.setdefault(name.lower(), []).append(name)
    chosen: dict[str, Path] = {}
    for split, names in TABLE_NAMES.items():
        fitting = [
            folder for name in names for folder in by_name.get(name, []) if _has_classes(root / folder, inner=True)
        ]
        if len(fitting) > 1:
            raise DataError(
                f"{root} has several folders for the {split} split: {list_some(fitting)}.", "Keep one of them."
            )
        if fitting:
            chosen[split] = root / fitting[0]
    if chosen:
        # One folder of images ("train/images") is no set of classes.
        first = next(iter(chosen.values()))
        return chosen if tinyimagenet.is_annotated(first) or _has_classes(first, 2, inner=True) else {}
    return {"all": root} if _has_classes(root, 2) else {}


def holds_images(folder: Path) -> bool:
    """Return whether a picture lies in ``folder`` itself.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return any(is_image_name(entry.name) and not is_hidden(entry.name) for entry in entries)
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error


def _has_classes(folder: Path, number: int = 1, *, inner: bool = False) -> bool:
    """Return whether at least ``number`` folders in ``folder`` hold images; ``inner``: or do so in their folder
    ``images``.
    """
    for name in visible_names(folder, is_folder):
        deeper = folder / name / tinyimagenet.IMAGES
        number -= holds_images(folder / name) or (inner and deeper.is_dir() and holds_images(deeper))
        if number == 0:
            return True
    return False


def read_class_folders(root: Path, folders: dict[str, Path]) -> tuple[dict[str, Split], list[str]]:
    """Read the splits in ``folders``; returns them and notes on what was passed over."""
    splits: dict[str, Split] = {}
    notes: list[str] = []
    for name, folder in folders.items():
        classes = next(iter(splits.values())).classes if splits else ()
        if tinyimagenet.is_annotated(folder):
            splits[name] = tinyimagenet.read_annotated(name, root, folder, classes)
            continue
        split, empty, found = _read_split(name, root, folder)
        if splits and split.classes == (tinyimagenet.IMAGES,) and tinyimagenet.IMAGES not in classes:
            notes.append(_unlabelled(root, folder, split))
            continue
        notes += found
        if not splits:
            splits[name] = split
            continue
        # An empty folder has no item that could be misread, but it is a difference all the same.
        strange = [label for label in empty if label not in classes]
        if strange:
            notes.append(f"{_relative(root, folder)}: empty folders that are no class of train: {list_some(strange)}")
        missing = [label for label in classes if label not in split.classes]
        if missing:
            notes.append(f"{_relative(root, folder)} has no folder for {list_some(missing)}")
        splits[name] = split.matched(classes)
    return splits, [*notes, *_on_wnids(root, next(iter(splits.values())).classes)]


def _unlabelled(root: Path, folder: Path, split: Split) -> str:
    """Return a note on a split that is one folder of images; a DataError where that is the validation split."""
    text = f"{_relative(root, folder)}/{tinyimagenet.IMAGES}: {count_text(len(split), 'image')} without labels not used"
    if split.name != "valid":
        return text
    raise DataError(
        f"{folder / tinyimagenet.IMAGES} holds {count_text(len(split), 'image')}, and "
        f"{folder / tinyimagenet.TABLE}, which says "
        "what they show, is not there.",
        f"Put it there, or sort the images into class folders in {folder}.",
    )


def _on_wnids(root: Path, classes: tuple[str, ...]) -> list[str]:
    """Return notes on classes in wnids.txt that the dataset lacks, or has beside them."""
    listed = tinyimagenet.listed_classes(root)
    if not listed or listed == classes:
        return []
    lacking, beside = sorted(set(listed) - set(classes)), sorted(set(classes) - set(listed))
    differences = {f"have no folder, of those in {tinyimagenet.WNIDS}": lacking}
    differences[f"have one and are not in {tinyimagenet.WNIDS}"] = beside
    return [f"classes that {what}: {len(names):,} ({list_some(names)})" for what, names in differences.items() if names]


def _read_split(name: str, root: Path, folder: Path) -> tuple[Split, list[str], list[str]]:
    """Return the split in ``folder/<class>/*``, its classes without images, and notes."""
    where = _relative(root, folder)
    prefix = "" if folder == root else f"{folder.name}/"
    ids, labels, notes, others = [], [], [], PassedOver()
    classes: dict[str, str] = {}
    empty: list[str] = []
    for entry in visible_names(folder, is_folder):
        inside, images, strange = _class_images(folder, entry, inner=name != "all")
        if not images and name == "all":
            notes.append(f"{entry}/ holds no images: not a class")
            continue
        label = unicodedata.normalize("NFC", entry)
        if label in classes:
            raise DataError(f"{folder} has two folders for the class {label!r}.", "Merge them.")
        classes[label] = entry
        if not images:
            empty.append(label)
        for other in strange:
            others.add(other)
        ids += [f"{prefix}{inside}/{image}" for image in images]
        labels += [label] * len(images)
    if empty:
        notes.append(f"{where}: no images in {list_some(empty)}")
    if others.count:
        passed = count_text(others.count, "entry that is no image", "entries that are no images")
        notes.append(f"{where}: {passed} passed over ({others.described})")
    if broken := broken_links(folder):
        notes.append(f"{where}: links that cannot be followed: {list_some(broken)}")
    names = tuple(sorted(classes))
    position = {label: index for index, label in enumerate(names)}
    numbers = np.array([position[label] for label in labels], dtype=np.int64)
    return Split(name, root, ids, names, labels=numbers), empty, notes


def _class_images(folder: Path, entry: str, *, inner: bool) -> tuple[str, list[str], list[str]]:
    """Return where in ``folder`` the images of the class folder ``entry`` lie, their names, and those of what else
    does.

    Args:
        inner: search its folder ``images`` where it has none itself.
    """
    files = visible_names(folder / entry, lambda entry: True)
    images = [file for file in files if is_image_name(file)]
    if images or not inner or not (folder / entry / tinyimagenet.IMAGES).is_dir():
        return entry, images, [file for file in files if not is_image_name(file)]
    beside = [file for file in files if file != tinyimagenet.IMAGES and not file.endswith(tinyimagenet.BOXES)]
    inside, images, strange = _class_images(folder, f"{entry}/{tinyimagenet.IMAGES}", inner=False)
    return inside, images, strange + beside


def _relative(root: Path, folder: Path) -> str:
    return folder.name if folder != root else str(root)
