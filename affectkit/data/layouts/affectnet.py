"""AffectNet in its later release: cut faces beside annotations in small NumPy files, read once and cached.

    train_set/images/17.jpg     train_set/annotations/17_exp.npy  17_val.npy  17_aro.npy  17_lnd.npy
    val_set/...                 the same

``exp`` is the expression, 0 to 7 here and up to 10 in the first release; ``val`` and ``aro`` are valence and arousal
from -1 to 1, or -2 where nobody gave one. Each is an array without dimensions of text or of a number, so that nothing
in it has to be unpickled. Landmarks (``lnd``) are not read. Copies without ``train_set`` and ``val_set`` hold
``images`` and ``annotations`` themselves.

Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the
Wild", IEEE TAFFC 2019 (arXiv 1708.03985). Files and numbers agree in readers that are independent of one another, among
them affectnet.py in yaoing/DAN and, of the numbers, emonet/data/affecnet.py in face-analysis/emonet and
expression_classes.csv in hhj1897/AffectNet_Scripts. The published test set has no labels: papers test on ``val_set``.
The first release, whole pictures with a table, is for ``affectkit prep affectnet``.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from affectkit.core.npy_files import array_of_bytes
from affectkit.core.progress import Reporter, Silent
from affectkit.data.layouts.annotation_files import Kind, images_by_stem, read_annotation_files
from affectkit.data.layouts.left_out import LeftOut
from affectkit.data.layouts.rating_scale import SIGNED
from affectkit.data.split import Split
from affectkit.errors import DataError

CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Names of the expressions 0 to 7."""
OTHERS = {8: "none", 9: "uncertain", 10: "non-face"}
"""What the other expressions are called; they are left out."""
NOT_RATED = -2.0
FIRST_RELEASE = ("Manually_Annotated", "Manually_Annotated_Images", "Manually_Annotated_file_lists")
"""Folders of the first release."""
FOLDERS = {"train": "train_set", "valid": "val_set"}
NO_EMOTION = "expression none, uncertain or non-face"
NO_RATING = "valence or arousal not known"
OUT_OF_RANGE = "valence or arousal outside -1 to 1"
NO_ANNOTATION = "image without annotation"
NO_IMAGE = "annotation without image"
_LOOKED_AT = 2000


def is_affectnet(root: Path) -> bool:
    """Return whether ``root`` looks like AffectNet's later release, and not like AffectNetFused."""
    return any(_is_split(root / folder) for folder in (*FOLDERS.values(), ""))


def first_release(root: Path) -> Path | None:
    """Return the folder of AffectNet's first release: ``root``, or one that it lies in; None where it is of none.

    Its images lie in a thousand folders called by numbers, which are no classes.
    """
    here = root.resolve()
    for folder in (here, *here.parents[:2]):
        if any((folder / name).is_dir() for name in FIRST_RELEASE):
            inside = here.relative_to(folder).parts[:1]
            return folder if folder == here or inside[0] in FIRST_RELEASE else None
    return None


def read_affectnet(
    root: Path, *, ratings: bool = False, reporter: Reporter | None = None
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits of AffectNet that are there, with labels, and notes.

    Args:
        root: the folder.
        ratings: read valence and arousal too; images without either are left out.
        reporter: hears of long reading.

    Raises:
        DataError: annotation files that are malformed (listed), or a split without a single image.
    """
    reporter, left_out = reporter or Silent(), LeftOut()
    folders = {name: folder for name, folder in FOLDERS.items() if (root / folder).is_dir()} or {"all": ""}
    splits = {
        name: _read_split(name, root, folder, ratings=ratings, left_out=left_out, reporter=reporter)
        for name, folder in folders.items()
    }
    if "all" in folders and root.resolve().name in FOLDERS.values() and is_affectnet(root.resolve().parent):
        reporter.note(f"{root} is one part of AffectNet; {root.resolve().parent} holds the splits")
    lacking = [folder for name, folder in FOLDERS.items() if name not in folders and "all" not in folders]
    return splits, [*(f"{folder} is not there" for folder in lacking), *left_out.notes()]


def ratings_fault(valence: float, arousal: float) -> str:
    """Return why an image's ratings are not used; empty where they are."""
    if NOT_RATED in (valence, arousal):
        return NO_RATING
    low, high = SIGNED
    return "" if low <= valence <= high and low <= arousal <= high else OUT_OF_RANGE


def _is_split(folder: Path) -> bool:
    if not (folder / "images").is_dir():
        return False
    try:
        with os.scandir(folder / "annotations") as entries:
            names = [entry.name for entry in itertools.islice(entries, _LOOKED_AT)]
    except OSError:
        return False
    return any(name.endswith("_exp.npy") for name in names) and not any(name.endswith(".txt") for name in names)


def _read_split(name: str, root: Path, folder: str, *, ratings: bool, left_out: LeftOut, reporter: Reporter) -> Split:
    place = root / folder
    for needed in ("annotations", "images"):
        if not (place / needed).is_dir():
            raise DataError(
                f"{place / needed} is not there; AffectNet has images and annotations in each folder.",
                "Was everything downloaded and unpacked?",
            )
    kinds = (EXPRESSION, VALENCE, AROUSAL) if ratings else (EXPRESSION,)
    found = {kind: _by_stem(place / "annotations", kind, reporter) for kind in kinds}
    images = images_by_stem(place / "images")
    rows: list[tuple[str, int, tuple[float, float]]] = []
    for stem, expression in found[EXPRESSION].items():
        rated = tuple(found[kind].get(stem, NOT_RATED) if ratings else 0.0 for kind in (AROUSAL, VALENCE))
        why = NO_IMAGE if stem not in images else NO_EMOTION if expression in OTHERS else ""
        why = why or (ratings_fault(rated[1], rated[0]) if ratings else "")
        if why:
            left_out.add(name, why, images.get(stem, f"{stem}_exp.npy"))
        else:
            rows.append((images[stem], int(expression), rated))
    for stem in sorted(images.keys() - found[EXPRESSION].keys()):
        left_out.add(name, NO_ANNOTATION, images[stem])
    if not rows:
        raise DataError(f"{place}: no image has an annotation of its number that is used (NNN.jpg and NNN_exp.npy).")
    prefix = f"{folder}/images" if folder else "images"
    labels = np.array([label for _, label, _ in rows], dtype=np.int64)
    split = Split(name, root, [f"{prefix}/{image}" for image, _, _ in rows], CLASSES, labels=labels)
    return replace(split, ratings=np.array([rated for *_, rated in rows]), scale=SIGNED) if ratings else split


def _by_stem(folder: Path, kind: Kind, reporter: Reporter) -> dict[str, float]:
    stems, values = read_annotation_files(folder, kind, reporter=reporter)
    return dict(zip(stems, values[:, 0].tolist(), strict=True))


def _number(data: bytes) -> tuple[Sequence[float], str]:
    """Return the number in a file, whether it is written as text or as a number, and what is wrong with it."""
    try:
        array = array_of_bytes(data)
    except ValueError as error:
        return (), str(error)
    if array.size != 1 or array.dtype.kind not in "USiuf":
        return (), f"an array {array.shape} of {array.dtype}"
    value = array.reshape(-1)[0]
    try:
        number = float(value.decode("ascii") if isinstance(value, bytes) else value)
    except ValueError:
        return (), f"{str(value)[:20]!r} is no number"
    return ((number,), "") if math.isfinite(number) else ((), f"{number}")


def _expression(data: bytes) -> tuple[Sequence[float], str]:
    numbers, why = _number(data)
    if why or (numbers[0] in range(len(CLASSES)) or numbers[0] in OTHERS):
        return numbers, why
    return (), f"{numbers[0]:g}"


EXPRESSION = Kind("_exp.npy", 1, _expression, "one expression from 0 to 10", "affectkit-affectnet-exp-1", "_exp")
VALENCE = Kind("_val.npy", 1, _number, "one number", "affectkit-affectnet-val-1", "_val")
AROUSAL = Kind("_aro.npy", 1, _number, "one number", "affectkit-affectnet-aro-1", "_aro")
