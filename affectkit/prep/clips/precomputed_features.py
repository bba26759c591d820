"""Features of images and speech that were computed elsewhere, for the features variant of CM-VQVAE."""

from __future__ import annotations

import csv
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from affectkit.core.clipspec import FEATURES
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import some
from affectkit.data.layouts.links import Links
from affectkit.data.media.video_clip import ClipFault
from affectkit.errors import DataError
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import Dataset, Sides, divided, run
from affectkit.prep.clips.store_writer import Item, Recipe

TABLE = "features.csv"
ENDINGS = (".safetensors", ".npz")
LAYERS = 24
READER = "affectkit.prep.av_features.read_features"
"""Names the reader in the marks of stores: literal, so that stores stay good wherever the function stands."""
SHAPES = {"image": FEATURES.features[0], "audio": FEATURES.features[1]}


def prepare_features(
    source: Path,
    output: Path,
    *,
    split: str = "table",
    seed: int = 0,
    layer: int = 7,
    follow_links: bool = False,
    workers: int | None = None,
    on_error: str = "fail",
    drop_copies: bool = False,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Bring features into a store.

    ``source`` holds features.csv with the columns ``filename`` and ``label``, and ``split`` or ``user`` where there are
    such, and for each filename a file of that name ending in .safetensors or .npz with ``image`` (16, 4096) and
    ``audio`` (64, 1024), or (layers, 64, 1024).

    Args:
        split: ``table`` (its column), ``user`` (nobody in two parts), ``random``, or another table.
        layer: which of the audio layers is taken, from 1. follow_links: read links that lead out of ``source``.

    Raises:
        DataError: the table is missing or damaged, or files cannot be used and ``on_error`` is ``fail``.
    """
    rows = read_features_table(source / TABLE)
    if split == "table" and not all(row.get("split") for row in rows.values()):
        raise DataError(f"{source / TABLE} has no column split, or empty cells in it.", "Use --split user or random.")
    if split == "user" and not all(row.get("user") for row in rows.values()):
        raise DataError(f"{source / TABLE} has no column user, or empty cells in it.", "Use --split random.")
    links = Links(source, follow=follow_links)
    files = {name: _file(links, name) for name in rows}
    classes = tuple(sorted({row["label"] for row in rows.values()}))
    for row in rows.values():
        row.setdefault("user", "")
    told = tuple(column for column in ("label", "user") if any(row[column] for row in rows.values()))
    dataset = Dataset(
        "av-features", classes, rows, files, check_features_file, told, people="user" if "user" in told else ""
    )
    return run(
        dataset,
        output,
        Recipe(read_features, replace(FEATURES), 0, more=(("layer", layer),), reader=READER),
        lambda chosen: _given(chosen) if split == "table" else divided(chosen, split, group="user", seed=seed),
        frames=1,
        bytes_each=sum(int(np.prod(shape)) * 4 for shape in SHAPES.values()),
        settings={"split": split, "seed": seed, "layer": layer},
        workers=workers,
        on_error=on_error,
        drop_copies=drop_copies,
        reporter=reporter,
        stopping=stopping,
    )


def _given(rows: Any) -> Sides:
    alias = {"val": "valid", "validation": "valid"}
    return Sides({name: alias.get(row["split"], row["split"]) for name, row in rows.items()})


def read_features_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of features.csv by filename without ending.

    Raises:
        DataError: it is missing, damaged, or names a file twice.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there.", f"{TABLE} names the files: columns filename and label, a row a clip.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    if not rows or not {"filename", "label"} <= set(rows[0]):
        raise DataError(f"{path} needs the columns filename and label, and a row a clip.")
    found: dict[str, dict[str, str]] = {}
    faults = []
    for number, row in enumerate(rows, 2):
        name = (row["filename"] or "").strip()
        name = name.removesuffix(Path(name).suffix) if Path(name).suffix in ENDINGS else name
        if not name or not (row["label"] or "").strip():
            faults.append(f"line {number}: filename or label is empty")
        elif name in found:
            faults.append(f"line {number}: {name} has come before")
        elif row.get("split") and row["split"] not in ("train", "valid", "val", "validation", "test"):
            faults.append(f"line {number}: split {row['split']!r} is none of train, valid, test")
        else:
            kept = {key: (row.get(key) or "").strip() for key in ("label", "user", "split") if key in row}
            found[name] = {**kept, "label": row["label"].strip()}
    if faults:
        raise DataError(f"{path}: {some(faults, 5)}.", "Correct the table.")
    return found


def _file(links: Links, name: str) -> Path:
    """The file of ``name``, which must not leave the folder; see ``data.layouts.links``."""
    paths = [links.path(name + ending) for ending in ENDINGS]
    return next((path for path in paths if path.is_file()), paths[0])


def check_features_file(path: Path) -> None:
    """Refuse what is missing or empty.

    Raises:
        ClipFault: it is.
    """
    if not path.is_file():
        raise ClipFault("missing", f"features {path}: not there, nor with the ending {ENDINGS[1]}.")
    if not path.stat().st_size:
        raise ClipFault("empty", f"features {path}: the file is empty.")


def read_features(item: Item, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Image features (1, 16, 4096) and those of the chosen audio layer (64, 1024), float32.

    Raises:
        ClipFault: the file is damaged, lacks one, or holds another shape or values that are no numbers.
    """
    path = item.path
    check_features_file(path)
    layer = dict(recipe.more)["layer"]
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
        else:
            found = load_file(path)
    except (OSError, EOFError, ValueError, SafetensorError, zipfile.BadZipFile, zlib.error) as error:
        raise ClipFault("undecodable", f"features {path}: cannot be read ({error}).") from error
    taken = {}
    for name, shape in SHAPES.items():
        if name not in found:
            there = ", ".join(found) or "nothing"
            raise ClipFault("undecodable", f"features {path}: holds no {name}; it holds {there}.")
        values = np.asarray(found[name])
        if name == "audio" and values.ndim == len(shape) + 1:
            if layer > len(values):
                raise ClipFault("undecodable", f"features {path}: audio has {len(values)} layers, not {layer}.")
            values = values[layer - 1]
        if values.shape != shape:
            raise ClipFault("undecodable", f"features {path}: {name} is {values.shape}, not {shape}.")
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ClipFault("undecodable", f"features {path}: {name} holds values that are no finite numbers.")
        taken[name] = values.astype(np.float32)
    return taken["image"][None], taken["audio"]
