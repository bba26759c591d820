"""Layout of a dataset on the disk, found by inspection: tables, AffectNetFused, or a folder per class.

ImageNet is of the last kind, and so is Tiny-ImageNet, whose class folders hold an ``images`` folder and whose
validation images lie in one folder with a table beside it.
"""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from affectkit.core.folders import broken_links, is_file, is_folder, is_hidden
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.data.layouts import LAYOUTS, affectnet_fused, clip_store, tinyimagenet
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.class_names import refuse_same_number
from affectkit.data.layouts.rating_scale import Scale
from affectkit.data.layouts.tables import read_header, read_tables
from affectkit.data.media.file_kinds import PassedOver
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError


@dataclass(frozen=True)
class Labels:
    """The targets that are wanted, and where they are.

    Attributes:
        file: a table with the labels of the images in the dataset folder; None: what the folder holds.
        ratings: whether valence and arousal are read; None: where there is no other target.
        scale: of the ratings; None: the likely one.
        alone: what the items of ``file`` are called where it has no ``split`` column.
        whole: pass over that column of ``file``.
        choice: what the user states about the columns of tables.
        follow_links: whether links that lead out of a table's folder are read, whoever made them.
    """

    file: Path | None = None
    ratings: bool | None = None
    scale: Scale | None = None
    alone: str = "all"
    whole: bool = False
    choice: Choice = field(default_factory=Choice)
    follow_links: bool = False


TABLE_NAMES = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset as it was found.

    Attributes:
        root: its folder.
        layout: its name in ``LAYOUTS``, or what else says how it was found.
        splits: by name, in the order train, valid, test, all; all have the same classes in the same order.
        classes: class names in that order.
        notes: what a user should know (folders without images, files passed over, ...).
    """

    root: Path
    layout: str
    splits: dict[str, Split] = field(repr=False)
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_dataset(root: Path, *, labels: Labels | None = None, reporter: Reporter | None = None) -> Source:
    """Return the dataset in ``root``.

    Tables win over AffectNetFused's layout, and that over class folders. Class names are those of the train split
    (or of the first one there is), in its order; the other splits are matched to them by name.

    Args:
        root: folder with the dataset.
        labels: which targets are wanted, and where they stand, if not in ``root``.
        reporter: hears of long reading.

    Raises:
        DataError: the folder is missing, fits no layout (what was searched for and found is listed), or its contents
            break the layout's rules.
    """
    root, reporter = Path(root), reporter or Silent()
    if not root.exists():
        raise DataError(f"dataset folder {root} does not exist.")
    if not root.is_dir():
        raise DataError(f"dataset {root} is not a folder.", "Name the folder that holds the images or tables.")
    search = Search(root, labels or Labels(), reporter)
    for entry in LAYOUTS.values():
        found = entry.load()(search)
        if found is not None:
            refuse_same_number(found.classes, f"{found.layout} in {root}")
            return replace(found, notes=(*search.notes, *found.notes))
    looked_for = "\n".join(f"  - {name}: {entry.summary}" for name, entry in LAYOUTS.items() if entry.summary)
    raise DataError(f"no dataset found in {root}.\nlooked for:\n{looked_for}\nfound: {_contents(root)}.", _advice(root))


@dataclass(frozen=True)
class Search:
    """The arguments of a search for a layout.

    Attributes:
        root: the folder, which exists.
        labels: which targets are wanted, and where they stand.
        reporter: progress of long reading.
        notes: what a user should know, whatever layout it turns out to be.
    """

    root: Path
    labels: Labels
    reporter: Reporter
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def class_folders(self) -> dict[str, Path]:
        """Return folders that hold class folders, by split."""
        return _class_folders(self.root)

    @functools.cached_property
    def tables(self) -> dict[str, Path]:
        """Return tables by split."""
        strict = not self.class_folders and not affectnet_fused.is_affectnet_fused(self.root)
        return _tables(self.root, self.notes, strict=strict)

    def source(self, layout: str, splits: dict[str, Split], notes: Iterable[str], *, chosen: bool = False) -> Source:
        """Make the ``Source`` of ``splits``.

        Args:
            layout: its name.
            splits: by name.
            notes: what a user should know.
            chosen: whether columns of tables can be chosen in it.

        Raises:
            DataError: columns are chosen where there are no tables.
        """
        if not chosen:
            _refuse_choice(self.root, layout, self.labels.choice)
        return Source(self.root, layout, splits, next(iter(splits.values())).classes, tuple(notes))


def find_clips(search: Search) -> Source | None:
    """Find prepared clips."""
    if not clip_store.is_prepared(search.root):
        return None
    _refuse_choice(search.root, "prepared clips", search.labels.choice)
    splits, _, notes = clip_store.read_prepared(search.root)
    return search.source("prepared clips", splits, notes)


def find_labelled(search: Search) -> Source | None:
    """Find images whose labels stand in a table that the user named."""
    labels = search.labels
    if labels.file is None:
        return None
    splits, notes = read_tables(
        {labels.alone: labels.file},
        root=search.root,
        ratings=labels.ratings,
        scale=labels.scale,
        whole=labels.whole,
        choice=labels.choice,
        follow_links=labels.follow_links,
    )
    refuse_same_number(next(iter(splits.values())).classes, f"table {labels.file}")
    return search.source(f"{labels.file.name} on the images", splits, notes, chosen=True)


def find_tables(search: Search) -> Source | None:
    """Find tables beside the images that they name."""
    labels = search.labels
    if not search.tables:
        return None
    splits, notes = read_tables(
        search.tables,
        ratings=labels.ratings,
        scale=labels.scale,
        choice=labels.choice,
        follow_links=labels.follow_links,
    )
    if search.class_folders:
        search.notes.append("class folders are here as well: the tables are used")
    return search.source("tables", splits, notes, chosen=True)


def find_affectnet(search: Search) -> Source | None:
    """Find AffectNetFused."""
    if not affectnet_fused.is_affectnet_fused(search.root):
        return None
    splits, left_out = affectnet_fused.read_affectnet(search.root, reporter=search.reporter)
    return search.source("AffectNetFused", splits, affectnet_fused.describe_left_out(left_out))


def find_tiny_imagenet(search: Search) -> Source | None:
    """Find Tiny-ImageNet: class folders of which one split is annotated by a table."""
    if not any(map(tinyimagenet.is_annotated, search.class_folders.values())):
        return None
    return search.source("Tiny-ImageNet", *_read_folders(search.root, search.class_folders))


def find_class_folders(search: Search) -> Source | None:
    """Find a folder for each class."""
    if not search.class_folders:
        return None
    return search.source("class folders", *_read_folders(search.root, search.class_folders))


def _refuse_choice(root: Path, layout: str, choice: Choice) -> None:
    if choice.classes or choice.ignored:
        option = "--classes" if choice.classes else "--ignore-columns"
        raise DataError(f"{option} is for tables, and {root} holds {layout}.", "Leave it out.")


def _visible(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    """Return the sorted names in ``folder`` that are neither hidden nor a system's and that ``wanted`` holds for."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not is_hidden(entry.name) and wanted(entry))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error


def _contents(root: Path) -> str:
    names = _visible(root, lambda entry: True)
    return list_some([name + "/" if (root / name).is_dir() else name for name in names]) if names else "nothing"


def _advice(root: Path) -> str:
    """Return the next step for folders that are nearly a dataset."""
    subfolders = _visible(root, is_folder)
    if _visible(root, lambda entry: entry.name.lower().endswith((".zip", ".tar", ".gz", ".7z", ".rar"))):
        return "Unpack the archive first."
    if len(subfolders) == 1:
        return f"Is the dataset one level down, in {root / subfolders[0]}?"
    return "Name the folder that holds one of these."


def _tables(root: Path, notes: list[str], *, strict: bool) -> dict[str, Path]:
    """Return the tables of a dataset by split; unless ``strict``, without those that lack a ``filename`` column."""
    files = _visible(root, lambda entry: entry.name.lower().endswith(".csv") and is_file(entry))
    stems: dict[str, list[str]] = {}
    for name in files:
        stems.setdefault(os.path.splitext(name)[0].lower(), []).append(name)
    chosen: dict[str, Path] = {}
    for split, names in TABLE_NAMES.items():
        fitting = [file for name in names for file in stems.get(name, [])]
        if len(fitting) > 1:
            raise DataError(
                f"{root} has several tables for the {split} split: {list_some(fitting)}.", "Keep one of them."
            )
        if fitting:
            chosen[split] = root / fitting[0]
    if not chosen and len(files) == 1:
        chosen["all"] = root / files[0]
    if not strict:
        without = [path.name for path in chosen.values() if "filename" not in read_header(path)]
        if without:
            notes.append(f"no 'filename' column in {list_some(without)}: not used")
            return {}
    others = [name for name in files if root / name not in chosen.values()]
    if chosen and others:
        notes.append(f"other tables are not used: {list_some(others)}")
    return chosen


def _class_folders(root: Path) -> dict[str, Path]:
    """Return folders that hold class folders, by split; ``{"all": root}`` without split folders;
    empty where none fits.
    """
    subfolders = _visible(root, is_folder)
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


def _has_image(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(is_image_name(entry.name) and not is_hidden(entry.name) for entry in entries)
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error


def _has_classes(folder: Path, number: int = 1, *, inner: bool = False) -> bool:
    """Return whether at least ``number`` folders in ``folder`` hold images; ``inner``: or do so in their folder
    ``images``.
    """
    for name in _visible(folder, is_folder):
        deeper = folder / name / tinyimagenet.IMAGES
        number -= _has_image(folder / name) or (inner and deeper.is_dir() and _has_image(deeper))
        if number == 0:
            return True
    return False


def _read_folders(root: Path, folders: dict[str, Path]) -> tuple[dict[str, Split], list[str]]:
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
    text = f"{_relative(root, folder)}/{tinyimagenet.IMAGES}: {len(split):,} images without labels are not used"
    if split.name != "valid":
        return text
    raise DataError(
        f"{folder / tinyimagenet.IMAGES} holds {len(split):,} images, and {folder / tinyimagenet.TABLE}, which says "
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
    for entry in _visible(folder, is_folder):
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
        notes.append(f"{where}: {others.count:,} files or folders that are no images passed over ({others.described})")
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
    files = _visible(folder / entry, lambda entry: True)
    images = [file for file in files if is_image_name(file)]
    if images or not inner or not (folder / entry / tinyimagenet.IMAGES).is_dir():
        return entry, images, [file for file in files if not is_image_name(file)]
    beside = [file for file in files if file != tinyimagenet.IMAGES and not file.endswith(tinyimagenet.BOXES)]
    inside, images, strange = _class_images(folder, f"{entry}/{tinyimagenet.IMAGES}", inner=False)
    return inside, images, strange + beside


def _relative(root: Path, folder: Path) -> str:
    return folder.name if folder != root else str(root)
