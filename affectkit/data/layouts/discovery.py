"""Layout of a dataset on the disk, found by inspection: tables, AffectNetFused, or a folder per class.

ImageNet is of the last kind, and so is Tiny-ImageNet, whose class folders hold an ``images`` folder and whose
validation images lie in one folder with a table beside it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from affectkit.core.archives import unpack_or
from affectkit.core.folders import is_file, is_folder, visible_names
from affectkit.core.missing_paths import as_given, instead_of
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.data.layouts import LAYOUTS, affectnet, affectnet_fused, clip_store, published, rafdb, tinyimagenet
from affectkit.data.layouts.afew_va import is_afew_va
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.class_folders import TABLE_NAMES, read_class_folders, split_folders
from affectkit.data.layouts.class_names import refuse_same_number
from affectkit.data.layouts.clip_downloads import COMMANDS, clips_in
from affectkit.data.layouts.emotic import is_emotic
from affectkit.data.layouts.near_datasets import instead_of_file, what_it_holds
from affectkit.data.layouts.rating_scale import Scale, scale_text
from affectkit.data.layouts.stated import made_by, stated_in
from affectkit.data.layouts.stimuli import read_stimuli, stimuli_in
from affectkit.data.layouts.tables import read_header, read_tables
from affectkit.data.split import Split
from affectkit.errors import DataError

_LOOKED_INTO = 20


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


class NoDatasetError(DataError):
    """A folder fits no layout.

    Args:
        near: where the dataset may be instead, in a sentence; empty where nothing was found.
    """

    def __init__(self, message: str, hint: str = "", *, near: str = "") -> None:
        super().__init__(message, hint)
        self.near = near


def find_dataset(root: Path, *, labels: Labels | None = None, reporter: Reporter | None = None) -> Source:
    """Return the dataset in ``root``.

    Tables win over AffectNetFused's layout, and that over class folders. Class names are those of the train split
    (or of the first one there is), in its order; the other splits are matched to them by name.

    Args:
        root: folder with the dataset.
        labels: which targets are wanted, and where they stand, if not in ``root``.
        reporter: hears of long reading.

    Raises:
        NoDatasetError: the folder fits no layout; what was searched for and found is listed.
        DataError: it is missing, or its contents break the layout's rules.
    """
    root, reporter = Path(root), reporter or Silent()
    if not root.exists():
        raise DataError(f"dataset folder {as_given(root)} does not exist.", instead_of(root))
    if not root.is_dir():
        raise DataError(f"dataset {as_given(root)} is not a folder.", instead_of_file(root))
    search = Search(root, labels or Labels(), reporter)
    for entry in LAYOUTS.values():
        found = entry.load()(search)
        if found is not None:
            refuse_same_number(found.classes, f"{found.layout} in {root}")
            return replace(found, notes=(*search.notes, *found.notes))
    near = published.nearby(root)
    if not near and (held := what_it_holds(root)) is not None:
        raise NoDatasetError(f"no dataset found in {as_given(root)}: {held[0]}.", held[1])
    near = near or _one_level_down(root)
    looked_for = "\n".join(f"  - {name}: {entry.summary}" for name, entry in LAYOUTS.items() if entry.summary)
    raise NoDatasetError(
        f"no dataset found in {root}.\nlooked for:\n{looked_for}\nfound: {_contents(root)}.",
        _advice(root, near),
        near=near,
    )


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
        return split_folders(self.root)

    @functools.cached_property
    def tables(self) -> dict[str, Path]:
        """Return tables by split."""
        strict = not self.class_folders and not published.name_of(self.root)
        return dataset_tables(self.root, self.notes, strict=strict)

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


def find_stimuli(search: Search) -> Source | None:
    """Find pictures with mean ratings, OASIS or IAPS, whose scale they state themselves."""
    stimuli = stimuli_in(search.root)
    if stimuli is None:
        return None
    splits, notes = read_stimuli(search.root, stimuli)
    asked = search.labels.scale
    if asked not in (None, stimuli.scale):
        notes.append(f"{stimuli.name} is rated from {scale_text(stimuli.scale)}: no other range is used")
    return search.source(stimuli.name, splits, notes)


def find_tables(search: Search) -> Source | None:
    """Find tables beside the images that they name."""
    labels = search.labels
    if not search.tables:
        return None
    stated = stated_in(search.root)
    splits, notes = read_tables(
        search.tables,
        ratings=labels.ratings,
        scale=labels.scale or stated.scale,
        choice=replace(labels.choice, known=(*labels.choice.known, *stated.classes)),
        follow_links=labels.follow_links,
    )
    if search.class_folders and made_by(search.root) != "datasplit":  # whose tables are of these folders
        search.notes.append("class folders are here as well: the tables are used")
    return search.source("tables", splits, notes, chosen=True)


def find_rafdb(search: Search) -> Source | None:
    """Find a part of RAF-DB, or a copy with class folders by number."""
    if rafdb.is_rafdb(search.root):
        layout, splits, notes = rafdb.read_rafdb(search.root)
        return search.source(layout, splits, notes)
    if rafdb.is_repacked(search.root):
        return search.source("RAF-DB basic", *rafdb.read_repacked(search.root))
    return None


def find_affectnet(search: Search) -> Source | None:
    """Find AffectNet in its later release, and tell of the first one."""
    if (first := affectnet.first_release(search.root)) is not None:
        raise DataError(
            f"{search.root} is of AffectNet's first release: whole pictures, in which faces are still to be cut out.",
            f"Prepare it: affectkit prep affectnet {first} --output NEW.",
        )
    if not affectnet.is_affectnet(search.root):
        return None
    ratings = bool(search.labels.ratings)
    splits, notes = affectnet.read_affectnet(search.root, ratings=ratings, reporter=search.reporter)
    return search.source("AffectNet", splits, notes)


def find_affectnet_fused(search: Search) -> Source | None:
    """Find AffectNetFused."""
    if not affectnet_fused.is_affectnet_fused(search.root):
        return None
    splits, left_out = affectnet_fused.read_affectnet(search.root, reporter=search.reporter)
    return search.source("AffectNetFused", splits, affectnet_fused.describe_left_out(left_out))


def refuse_unprepared(search: Search) -> None:
    """Refuse datasets whose folders are no classes, and which are to be prepared first.

    Raises:
        DataError: the folder is of one of them.
    """
    if is_afew_va(search.root):
        raise DataError(
            f"{search.root} holds the clips of AFEW-VA, whose folders are no classes.",
            f"Prepare it: affectkit prep afew-va {search.root} --output NEW.",
        )
    if is_emotic(search.root):
        raise DataError(
            f"{search.root} holds EMOTIC, in whose pictures persons are still to be cut out.",
            f"Prepare it: affectkit prep emotic {search.root} --output NEW.",
        )
    if name := clips_in(search.root):
        raise DataError(
            f"{search.root} holds {name} as it is downloaded: clips, which are to be decoded once.",
            f"Prepare them: affectkit prep {COMMANDS[name]} {search.root} --output NEW.",
        )


def find_tiny_imagenet(search: Search) -> Source | None:
    """Find Tiny-ImageNet: class folders of which one split is annotated by a table."""
    if not any(map(tinyimagenet.is_annotated, search.class_folders.values())):
        return None
    return search.source("Tiny-ImageNet", *read_class_folders(search.root, search.class_folders))


def find_class_folders(search: Search) -> Source | None:
    """Find a folder for each class."""
    if not search.class_folders:
        return None
    return search.source("class folders", *read_class_folders(search.root, search.class_folders))


def _refuse_choice(root: Path, layout: str, choice: Choice) -> None:
    if choice.classes or choice.ignored:
        option = "--classes" if choice.classes else "--ignore-columns"
        raise DataError(f"{option} is for tables, and {root} holds {layout}.", "Leave it out.")


def _contents(root: Path) -> str:
    names = visible_names(root, lambda entry: True)
    return list_some([name + "/" if (root / name).is_dir() else name for name in names]) if names else "nothing"


def _one_level_down(root: Path) -> str:
    """Return a hint where one folder of ``root``, and no other, holds class folders or tables; else empty."""
    names = visible_names(root, is_folder)[:_LOOKED_INTO]
    found = [path for path in (root / name for name in names) if _holds_dataset(path)]
    return f"Is the dataset one level down, in {found[0]}?" if len(found) == 1 else ""


def _holds_dataset(folder: Path) -> bool:
    try:
        return bool(split_folders(folder) or dataset_tables(folder, [], strict=False))
    except DataError:  # one that cannot be read as it is
        return False


def _advice(root: Path, near: str) -> str:
    """Return the next step for folders that are nearly a dataset; ``near`` where the dataset may be."""
    subfolders = visible_names(root, is_folder)
    if step := unpack_or(root):
        return step
    if near:
        return near
    if len(subfolders) == 1:
        return f"Is the dataset one level down, in {root / subfolders[0]}?"
    return "Name the folder that holds one of these."


def dataset_tables(root: Path, notes: list[str], *, strict: bool) -> dict[str, Path]:
    """Return the tables of a dataset by split; unless ``strict``, without those that lack a ``filename`` column."""
    files = visible_names(root, lambda entry: entry.name.lower().endswith(".csv") and is_file(entry))
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
