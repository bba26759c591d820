"""Where EMOTIC's annotations are in a folder, in the three forms in which they are shared.

    Annotations/Annotations.mat                         with emotic/mscoco/images/*.jpg, ...: as the authors share it
    emotic_pre/train.csv  val.csv  test.csv             the same pictures, and tables that mat2py.py makes of that file
    annots_arrs/annot_arrs_train.csv  ...               with img_arrs/*.npy: persons already cut out

What they hold: see ``prep.images.emotic``.
"""

from __future__ import annotations

from pathlib import Path

MAT = "Annotations.mat"
MAT_PLACES = ("", "Annotations", "Annotations/Annotations", "emotic/Annotations")
TABLE_PLACES = ("", "emotic_pre")
ARRAY_PLACES = ("", "annots_arrs", "archive/annots_arrs")
DATABASES = ("mscoco", "framesdb", "emodb_small", "ade20k")
"""The folders of the pictures, after the data sets that they come from."""
IMAGE_PLACES = ("emotic", "emotic/emotic", "", "..", "../emotic", "../..", "../../emotic")
SPLITS = {"train": "train", "valid": "val", "test": "test"}


def mat_file(root: Path) -> Path | None:
    """Return the authors' annotations below ``root``; None where there are none."""
    return next((path for place in MAT_PLACES if (path := root / place / MAT).is_file()), None)


def array_tables(root: Path) -> dict[str, Path]:
    """Return tables of arrays by split."""
    return _tables(root, ARRAY_PLACES, "annot_arrs_{}.csv")


def csv_tables(root: Path) -> dict[str, Path]:
    """Return tables as mat2py.py makes them, by split: those called so whose first line has its columns."""
    found = _tables(root, TABLE_PLACES, "{}.csv")
    return {split: path for split, path in found.items() if {b"BBox", b"Categorical_Labels"} <= _first_line(path)}


def is_emotic(root: Path) -> bool:
    """Return whether ``root`` holds EMOTIC's annotations and pictures, or tables of arrays."""
    if array_tables(root) or csv_tables(root):
        return True
    return mat_file(root) is not None and image_folder(root) is not None


def image_folder(root: Path) -> Path | None:
    """Return the folder that holds the folders of the pictures; None where there is none."""
    for place in IMAGE_PLACES:
        if any((root / place / name).is_dir() for name in DATABASES):
            return root / place
    return None


def _tables(root: Path, places: tuple[str, ...], form: str) -> dict[str, Path]:
    for place in places:
        found = {split: root / place / form.format(name) for split, name in SPLITS.items()}
        if there := {split: path for split, path in found.items() if path.is_file()}:
            return there
    return {}


def _first_line(path: Path) -> set[bytes]:
    try:
        with path.open("rb") as stream:
            return {cell.strip().strip(b'"') for cell in stream.readline(4096).split(b",")}
    except OSError:
        return set()
