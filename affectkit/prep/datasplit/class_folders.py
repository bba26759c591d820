"""The class folders that a split starts from: what is in them, in an order that no file system decides, and whether
each file is a whole image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectkit.core.files import digest_bytes
from affectkit.core.missing_paths import instead_of
from affectkit.data.layouts.links import INSIDE, Links
from affectkit.errors import DataError, UsageError

_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82"}  # of a whole JPEG and PNG
_SPLITS = ("train", "test", "valid", "val", "validation")


@dataclass
class ClassFolders:
    """List the class folders of a dataset.

    Attributes:
        root: the folder.
        base: "train/" where the class folders stand in it, else "".
        classes: size of each image in bytes, by name, by label; both sorted.
        faults: (path relative to root, reason) of what cannot be taken.
        passed: files that are no images, and folders in class folders, which stay where they are.
    """

    root: Path
    base: str
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


def no_folder(root: Path) -> UsageError:
    """Return the error that ``root``, which DATA names, is no folder."""
    if root.exists():
        return UsageError(f"DATA {root} is not a folder.", "Name the folder that holds the class folders.")
    return UsageError(f"DATA {root} does not exist.", instead_of(root))


def list_classes(root: Path, *, in_place: bool) -> ClassFolders:
    """List the images in ``root``/train/<label>, or in ``root``/<label> where there is no folder train.

    Links that lead out of ``root`` are faults, but for those of git-annex and DVC (``data.layouts.links``); so are all
    links where files are to be moved.

    Raises:
        UsageError: ``root`` is no folder.
        DataError: it has no class folders, or holds a split already.
    """
    if not root.is_dir():
        raise no_folder(root)
    from affectkit.core.folders import is_folder, is_hidden, link_fault

    base = "train/" if (root / "train").is_dir() else ""
    top = root / "train" if base else root
    _check_folder(top, root, in_place)
    with os.scandir(top) as entries:
        found = sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    folders = [entry for entry in found if is_folder(entry)]
    if not base and any(entry.name in _SPLITS for entry in folders):
        there = ", ".join(entry.name for entry in folders if entry.name in _SPLITS)
        raise DataError(f"DATA {root} has no folder train, but {there}: it seems to be split already.")
    if not folders:
        raise DataError(
            f"there are no class folders in {top}.", "Images are looked for in DATA/train/<label>, or DATA/<label>."
        )
    listing = ClassFolders(root, base)
    for entry in found:
        if entry.is_symlink() and (why := link_fault(Path(entry.path))):
            listing.faults.append((base + entry.name, why))
        elif entry not in folders and entry.name != "manifest.json":
            listing.passed.append(base + entry.name)
    for entry in folders:
        if not _is_text(entry.name):
            raise DataError(f"the class folder {entry.name!a} in {top} has a name that is not UTF-8.", "Rename it.")
        if entry.is_symlink():
            _check_folder(Path(entry.path), root, in_place)
        listing.classes[entry.name] = _list_class(listing, entry, in_place)
    if in_place:
        _refuse_split(root)
    return listing


def _check_folder(folder: Path, root: Path, in_place: bool) -> None:
    if not folder.is_symlink():
        return
    if in_place:
        raise DataError(f"{folder} is a link; in place, class folders must be real ones.", "Use --output.")
    if not folder.resolve().is_relative_to(root.resolve()):
        raise DataError(
            f"{folder} is a link that leads out of {root}, to {folder.resolve()}.",
            "Give the folder that it leads to, or copy it into the tree.",
        )


def _list_class(listing: ClassFolders, folder: os.DirEntry[str], in_place: bool) -> dict[str, int]:
    from affectkit.core.folders import is_hidden
    from affectkit.data.media.images import is_image_name

    images: dict[str, int] = {}
    place = listing.base + folder.name
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{place}/{entry.name}"
        if is_hidden(entry.name):
            continue
        if not _is_text(entry.name):
            listing.faults.append((ascii(name)[1:-1], "the name is not UTF-8"))
        elif not is_image_name(entry.name) or entry.is_dir(follow_symlinks=False):
            listing.passed.append(name)
        elif entry.is_symlink() and (why := _bad_link(Path(entry.path), listing.root, in_place)):
            listing.faults.append((name, why))
        elif not entry.is_file():
            listing.faults.append((name, "not a regular file"))
        else:
            images[entry.name] = entry.stat().st_size
    return images


def _bad_link(path: Path, root: Path, in_place: bool) -> str:
    if in_place:
        return "a link, and moving it may break it; use --output"
    from affectkit.core.folders import link_fault

    links, there = Links(root), os.path.realpath(path)
    if links.way(path.relative_to(root).as_posix()) not in (INSIDE, "git-annex", "DVC"):
        return f"a link that leads out of the folder, to {there}"
    return "" if os.path.isfile(there) else link_fault(path) or "a link to what is not a file"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_split(root: Path) -> None:
    """Refuse to work in place where what the split would make is there."""
    test = root / "test"
    if test.exists() and (not test.is_dir() or any(files for _, _, files in os.walk(test))):
        raise UsageError(
            f"DATA {root} holds a test side already ({test} is not empty).", "Move it away, or use --output."
        )
    for name in ("train.csv", "test.csv", "manifest.json"):
        if (root / name).exists():
            raise UsageError(
                f"DATA {root} holds a {name} that this split would replace.", "Rename it, or use --output."
            )


def case_collisions(classes: dict[str, dict[str, int]]) -> list[tuple[str, str]]:
    """Find pairs of names, of classes or of files of one class, that a file system without case takes for one."""
    from affectkit.prep.datasplit.plan import case_folded

    pairs: list[tuple[str, str]] = []
    for place, names in [("", classes), *((f"{label}/", files) for label, files in classes.items())]:
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(case_folded(name), name)
            if other != name:
                pairs.append((place + other, place + name))
    return pairs


def ignores_case(folder: Path) -> bool:
    """Return whether the file system of ``folder`` takes ``a`` and ``A`` for one name."""
    trial = folder / f".affectkit-Case.{os.urandom(4).hex()}.part"
    trial.touch()
    try:
        return trial.with_name(trial.name.swapcase()).exists()
    finally:
        trial.unlink()


def hash_and_check(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Return (content hash, fault) of each file; the fault is empty for a whole JPEG or PNG, by its two ends.

    Any other file is decoded, to know.
    """
    return [_examine(path) for path in paths]


def _examine(path: str) -> tuple[str, str]:
    try:
        with open(path, "rb", buffering=0) as stream:
            data = stream.read()
    except OSError as error:
        if not isinstance(error, PermissionError | FileNotFoundError):
            raise
        return "", (error.strerror or str(error)).lower()
    digest = digest_bytes(data)
    end = _ENDS.get(data[:3]) or _ENDS.get(data[:8])
    if end and data.endswith(end):
        return digest, ""
    from affectkit.prep.augmentation.lossless_images import read_lossless

    try:
        read_lossless(Path(path))
    except DataError as error:
        return digest, error.message.removeprefix(f"image {path}: ").rstrip(".")
    return digest, ""
