"""Write corrupted images into folders, and read such a set: ``CORRUPTION/SEVERITY/CLASS/*``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from affectkit.core.files import whole_file
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import count_text, list_some
from affectkit.corruptions import base
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError


def relative_path(split: Split, index: int) -> PurePosixPath:
    """Return an item's path below ``CORRUPTION/SEVERITY``, without suffix: from its class folder on, if it has one."""
    parts = PurePosixPath(split.ids[index]).parts
    if split.labels is not None:
        name = split.classes[split.labels[index]]
        if name in parts[:-1]:
            parts = parts[parts.index(name) :]
    return PurePosixPath(*parts).with_suffix("")


def relative_paths(split: Split) -> list[PurePosixPath]:
    """Return ``relative_path`` of all items; a DataError where two have the same."""
    paths = [relative_path(split, index) for index in range(len(split))]
    if len(set(paths)) < len(paths):
        seen: dict[PurePosixPath, int] = {}
        twins = [(seen.setdefault(one, index), index) for index, one in enumerate(paths)]
        pairs = [f"{split.ids[a]} and {split.ids[b]}" for a, b in twins if a != b]
        raise DataError(
            f"{len(pairs)} images differ in folder or suffix alone, and corrupted ones would have one name: "
            f"{list_some(pairs, 3)}.",
            "Rename one of each.",
        )
    return paths


class CorruptedImageWriter:
    """Write corrupted images as PNG to ``folder/corruption/severity/...``."""

    def __init__(self, folder: Path, split: Split) -> None:
        self.folder = folder
        self.paths = relative_paths(split)

    def saver(self, name: str, severity: int) -> Callable[[list[int], torch.Tensor], None]:
        """Return a function that writes the images of a condition."""
        below = self.folder / name / str(severity)

        def save(numbers: list[int], images: torch.Tensor) -> None:
            pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
            base.map_in_threads(lambda pair: self._write(below, *pair), zip(numbers, pixels, strict=True))

        return save

    def _write(self, below: Path, number: int, pixels: np.ndarray) -> None:
        from PIL import Image

        path = below / f"{self.paths[number]}.png"
        with whole_file(path, alone=True, durable=False) as part:
            Image.fromarray(pixels).save(part, "PNG", compress_level=3)


def conditions_in(root: Path) -> dict[str, list[int]]:
    """Return the corruptions and severities below ``root``, in order.

    Raises:
        DataError: there is none.
    """
    if not root.is_dir():
        raise DataError(f"--corrupted-root {root} is not a folder.")
    found: dict[str, list[int]] = {}
    for folder in sorted(root.iterdir()):
        if folder.is_dir():
            levels = [level for level in range(1, 6) if (folder / str(level)).is_dir()]
            if levels:
                found[folder.name] = levels
    if not found:
        raise DataError(
            f"--corrupted-root {root} holds no corrupted images: expected CORRUPTION/SEVERITY/CLASS/*, as "
            "gaussian_noise/1/happy/*.png.",
            "Name the folder above the corruptions; affectkit eval-corruptions --save-images makes one.",
        )
    return found


def corrupted_split(
    folder: Path, clean: Split, *, classes: Sequence[str] | None = None, reporter: Reporter | None = None
) -> Split:
    """Return the items of ``clean`` as they lie corrupted in ``folder``, or the class folders there.

    Images are matched by path, without suffix; where none of them is found, class folders are read, whose
    names are matched to the classes.

    Args:
        folder: of one corruption and severity.
        clean: the split as it is.
        classes: of the dataset that ``clean`` is from, where the model knows no names: the folders must be theirs.
        reporter: gets notes of the layout that was found.

    Raises:
        DataError: some of the images are missing, or there are neither these nor class folders, or folders are of
            other classes.
    """
    files: dict[PurePosixPath, str] = {}
    for below, names, leaves in os.walk(folder):
        names.sort()
        for leaf in leaves:
            if is_image_name(leaf):
                path = PurePosixPath(Path(below, leaf).relative_to(folder).as_posix())
                files[path.with_suffix("")] = str(path)
    paths = relative_paths(clean)
    missing = [str(one) for one in paths if one not in files]
    if not missing:
        return replace(clean, root=folder, ids=[files[one] for one in paths])
    if len(missing) < len(paths):
        raise DataError(
            f"{folder} lacks {len(missing):,} of the {count_text(len(paths), 'image')} of "
            f"{clean.name}: {list_some(missing, 3)}.",
            "Make the set anew with --save-images, or leave --corrupted-root out.",
        )
    if clean.labels is None:
        raise DataError(
            f"{folder} holds none of the {len(paths):,} images of {clean.name}, as {paths[0]}.*, and class folders "
            "have no targets of this kind.",
            "Name the --data and --split that the images were made of.",
        )
    found = find_dataset(folder, reporter=reporter or Silent())
    split = found.splits[next(iter(found.splits))]
    split = split.with_name(clean.name)
    return split if classes is None else split.matched(classes)
