"""The items that are described: a dataset in any layout, or else the images of a folder, without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from affectkit.core.folders import Fault, walk
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.data.layouts.discovery import Labels, NoDatasetError, Source, find_dataset
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, PassedOver, file_kind
from affectkit.data.split import Split
from affectkit.errors import DataError

PLAIN = "images without labels"
"""The layout of a folder that is no dataset."""


def find_items(root: Path, *, labels: Labels, reporter: Reporter) -> Source:
    """Return the dataset in ``root``; where it fits no layout, all images below it as the split ``all``.

    Where labels can be read and the ratings beside them cannot, the ratings are left out, with a warning.

    Raises:
        NoDatasetError: there is neither; what was searched for and found is listed.
        DataError: as ``find_dataset``.
    """
    try:
        return find_dataset(root, labels=labels, reporter=reporter)
    except NoDatasetError as error:
        if labels.file is not None or labels.choice.classes:
            raise
        return _images_below(Path(root), error)
    except DataError as error:
        if not labels.ratings:
            raise
        try:
            found = find_dataset(root, labels=replace(labels, ratings=False), reporter=reporter)
        except DataError:
            raise error from None
        reporter.warn(f"ratings are left out, for they cannot be read: {error.message}")
        return found


def _images_below(root: Path, error: NoDatasetError) -> Source:
    """Return the images in ``root`` and below it; raise ``error``, and what else is there, where there is none."""
    faults: list[Fault] = []
    ids: list[str] = []
    passed, videos = PassedOver(), 0
    for folder, names in walk(root, recursive=True, faults=faults):
        for name in names:
            kind = file_kind(folder, name)
            if kind == IMAGE_FILE:
                ids.append((folder / name).relative_to(root).as_posix())
            elif kind == VIDEO_FILE:
                videos += 1
            else:
                passed.add(name)
    if not ids:
        there = f", and {count_text(videos, 'video')}, which affectkit media-info examines" if videos else ""
        raise NoDatasetError(
            f"{error.message}\nThere is no image in it or below it either{there}.", error.hint
        ) from None
    notes = [f"described as images without labels. {error.near}"] if error.near else []
    notes += [f"{fault.path}: {fault.reason}" for fault in faults]
    if videos:
        notes.append(f"{count_text(videos, 'video')} passed over: affectkit media-info examines them")
    if passed.count:
        files = "file that is no image" if passed.count == 1 else "files that are no images"
        notes.append(f"passed over: {passed.count:,} {files} ({passed.described})")
    return Source(root, PLAIN, {"all": Split("all", root, ids, ())}, (), tuple(notes))
