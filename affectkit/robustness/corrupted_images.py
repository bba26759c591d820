"""Corrupted images for an evaluation: made from clean batches on the way, or read from a folder where they lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from affectkit.core.files import whole_file
from affectkit.core.progress import Reporter, Silent
from affectkit.core.spec import InputSpec
from affectkit.core.text import some
from affectkit.corruptions import base
from affectkit.corruptions.vca_study import luma
from affectkit.data.layouts.discovery import find
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.runtime.context import RunContext


@dataclass
class Recipe:
    """How images are corrupted.

    Attributes:
        contents: of the images seen so far, by sample number: hashing them once is enough for all rows.
    """

    scale: str
    seed: int
    textures: Path | None = None
    contents: dict[int, str] = field(default_factory=dict)

    def corrupted(self, images: torch.Tensor, index: Sequence[int], name: str, severity: int) -> torch.Tensor:
        """uint8 images (B, 3, H, W), corrupted and rounded to uint8, as the published sets are files of 8 bits."""
        values = (images.float() / 255).contiguous()
        fresh = [place for place, number in enumerate(index) if number not in self.contents]
        hashes = base.in_threads(lambda place: base.content_of(values[place]), fresh, numbers=values[0].numel())
        self.contents |= {index[place]: found for place, found in zip(fresh, hashes, strict=True)}
        made = base.corrupt(
            values,
            name,
            severity=severity,
            scale=self.scale,
            seed=self.seed,
            contents=[self.contents[number] for number in index],
            textures=self.textures,
        )
        return made.mul_(255).round_().to(torch.uint8)


class Corrupting:
    """The batches of a loader with their images corrupted, on the device.

    Args:
        spec: of the model; for one with gray input the loader gives colours, of which the luma is taken afterwards.
        save: called with each batch's sample numbers and corrupted colour images, on the CPU.
    """

    def __init__(
        self,
        loader: Any,
        recipe: Recipe,
        *,
        name: str,
        severity: int,
        context: RunContext,
        spec: InputSpec,
        save: Callable[[list[int], torch.Tensor], None] | None = None,
    ) -> None:
        self.loader, self.recipe, self.context, self.spec, self.save = loader, recipe, context, spec, save
        self.name, self.severity = name, severity

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for raw in self.loader:
            if not len(raw["index"]):
                yield raw
                continue
            numbers = raw["index"].tolist()
            images = self.context.to_device({"image": raw["image"]})["image"]
            made = self.recipe.corrupted(images, numbers, self.name, self.severity)
            if self.save is not None:
                self.save(numbers, made.cpu())
            if self.spec.channels == 1:
                made = luma(made.float()).round().to(torch.uint8)
            # Kernels differ by the order in memory, and with them the last digits: as clean images come.
            yield {**raw, "image": made.contiguous(memory_format=torch.channels_last)}


# --- sets on the disk ------------------------------------------------------------------------------------------------


def place_of(split: Split, index: int) -> PurePosixPath:
    """Where an item stands below ``CORRUPTION/SEVERITY``, without suffix: from its class folder on, if it has one."""
    parts = PurePosixPath(split.ids[index]).parts
    if split.labels is not None:
        name = split.classes[split.labels[index]]
        if name in parts[:-1]:
            parts = parts[parts.index(name) :]
    return PurePosixPath(*parts).with_suffix("")


def places_of(split: Split) -> list[PurePosixPath]:
    """``place_of`` of all items; a DataError where two have one place."""
    places = [place_of(split, index) for index in range(len(split))]
    if len(set(places)) < len(places):
        seen: dict[PurePosixPath, int] = {}
        twins = [(seen.setdefault(one, index), index) for index, one in enumerate(places)]
        pairs = [f"{split.ids[a]} and {split.ids[b]}" for a, b in twins if a != b]
        raise DataError(
            f"{len(pairs)} images differ in folder or suffix alone, and corrupted ones would have one name: "
            f"{some(pairs, 3)}.",
            "Rename one of each.",
        )
    return places


class Saver:
    """Writes corrupted images as PNG to ``folder/corruption/severity/...``."""

    def __init__(self, folder: Path, split: Split) -> None:
        self.folder = folder
        self.places = places_of(split)

    def row(self, name: str, severity: int) -> Callable[[list[int], torch.Tensor], None]:
        """What writes the images of a row."""
        below = self.folder / name / str(severity)

        def save(numbers: list[int], images: torch.Tensor) -> None:
            pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
            base.in_threads(lambda pair: self._write(below, *pair), zip(numbers, pixels, strict=True))

        return save

    def _write(self, below: Path, number: int, pixels: np.ndarray) -> None:
        from PIL import Image

        path = below / f"{self.places[number]}.png"
        with whole_file(path, alone=True, durable=False) as part:
            Image.fromarray(pixels).save(part, "PNG", compress_level=3)


def rows_there(root: Path) -> dict[str, list[int]]:
    """The corruptions and severities below ``root``, in order.

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
            f"--corrupted-root {root} holds no corrupted images: looked for CORRUPTION/SEVERITY/CLASS/*, as "
            "gaussian_noise/1/happy/*.png.",
            "Name the folder above the corruptions; affectkit eval-corruptions --save-images makes one.",
        )
    return found


def split_below(
    folder: Path, clean: Split, *, classes: Sequence[str] | None = None, reporter: Reporter | None = None
) -> Split:
    """The items of ``clean`` as they lie corrupted in ``folder``, or what lies there in class folders.

    Images are matched by place and name, without suffix; where none of them is found, class folders are read, whose
    names are matched to the classes.

    Args:
        classes: of the dataset that ``clean`` is from, where the model knows no names: the folders must be theirs.

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
    places = places_of(clean)
    missing = [str(one) for one in places if one not in files]
    if not missing:
        return replace(clean, root=folder, ids=[files[one] for one in places])
    if len(missing) < len(places):
        raise DataError(
            f"{folder} lacks {len(missing):,} of the {len(places):,} images of {clean.name}: {some(missing, 3)}.",
            "Make the set anew with --save-images, or leave --corrupted-root out.",
        )
    if clean.labels is None:
        raise DataError(
            f"{folder} holds none of the {len(places):,} images of {clean.name}, as {places[0]}.*, and class folders "
            "have no targets of this kind.",
            "Name the --data and --split that the images were made of.",
        )
    found = find(folder, reporter=reporter or Silent())
    split = found.splits[next(iter(found.splits))]
    split = split.with_name(clean.name)
    return split if classes is None else split.matched(classes)
