"""Features of images and speech that were computed elsewhere, for the features variant of CM-VQVAE."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from affectkit.core.clipspec import FEATURES
from affectkit.core.csv_tables import read_csv
from affectkit.core.npy_files import NPY_ERRORS
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.table_errors import TableErrors
from affectkit.data.layouts.links import Links
from affectkit.data.media.media_file import ClipError
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, SplitAssignment
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.split import assign_splits
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource, StoredInput

TABLE = "features.csv"
ENDINGS = (".safetensors", ".npz")
LAYERS = 24
READER = "affectkit.prep.av_features.read_features"
"""Names the reader in the marks of stores: literal, so that stores stay good wherever the function stands."""
SHAPES = {"image": FEATURES.features[0], "audio": FEATURES.features[1]}


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(PrepareOptions):
    """Choose what is made of precomputed features.

    Attributes:
        split: ``table`` (its column), ``user`` (nobody in two splits), ``random``, or another table.
        seed: the split follows from it.
        layer: which of the audio layers is taken, from 1.
        follow_links: read links that lead out of the folder.
    """

    split: str = "table"
    seed: int = 0
    layer: int = 7
    follow_links: bool = False


def prepare_features(
    source: Path,
    output: Path,
    options: FeatureOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Write features to a store.

    ``source`` holds features.csv with the columns ``filename`` and ``label``, and ``split`` or ``user`` where there are
    such, and for each filename a file of that name ending in .safetensors or .npz with ``image`` (16, 4096) and
    ``audio`` (64, 1024), or (layers, 64, 1024).

    Args:
        source: the folder with features.csv.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: the table is missing or damaged, or files cannot be used and ``options.on_error`` is ``fail``.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or FeatureOptions()
    rows = read_features_table(source / TABLE)
    _check_column(source / TABLE, rows, options.split)
    links = Links(source, follow=options.follow_links)
    files = {name: _file(links, name) for name in rows}
    for row in rows.values():
        row.setdefault("user", "")
    described = tuple(column for column in ("label", "user") if any(row[column] for row in rows.values()))
    dataset = ClipDataset(
        name="av-features",
        classes=tuple(sorted({row["label"] for row in rows.values()})),
        rows=rows,
        files=files,
        check=check_features_file,
        described=described,
        people="user" if "user" in described else "",
        settings=options.record(),
    )

    def assign(chosen: Mapping[str, Mapping[str, str]]) -> SplitAssignment:
        if options.split == "table":
            return _assign_by_column(chosen)
        return assign_splits(chosen, options.split, group="user", seed=options.seed)

    recipe = ClipRecipe(read=read_features, reader=READER, clip=FEATURES, size=0, extra=(("layer", options.layer),))
    return prepare_clips(dataset, output, recipe, assign=assign, options=options, reporter=reporter, stopping=stopping)


def _check_column(path: Path, rows: Mapping[str, Mapping[str, str]], split: str) -> None:
    """Raise a DataError where the column that ``split`` goes by is missing or has empty cells."""
    column, instead = {"table": ("split", "user or random"), "user": ("user", "random")}.get(split, ("", ""))
    if column and not all(row.get(column) for row in rows.values()):
        raise DataError(f"{path} has no column {column}, or empty cells in it.", f"Use --split-by {instead}.")


def _assign_by_column(rows: Mapping[str, Mapping[str, str]]) -> SplitAssignment:
    """Assign clips by the column ``split`` of their rows."""
    alias = {"val": "valid", "validation": "valid"}
    return SplitAssignment({name: alias.get(row["split"], row["split"]) for name, row in rows.items()})


def read_features_table(path: Path) -> dict[str, dict[str, str]]:
    """Read the rows of features.csv by filename without ending.

    Raises:
        DataError: it is missing, damaged, or names a file twice.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there.", f"{TABLE} names the files: columns filename and label, a row a clip.")
    found: dict[str, dict[str, str]] = {}
    errors = TableErrors(path)
    hint = "It needs the columns filename and label, and a row a clip."
    for line, row in read_csv(path, "filename", "label", hint=hint):
        name = row["filename"].strip()
        name = name.removesuffix(Path(name).suffix) if Path(name).suffix in ENDINGS else name
        if not name or not row["label"].strip():
            errors.add("filename and label must not be empty", line)
        elif name in found:
            errors.add("a clip must have one row", line, name)
        elif row.get("split") and row["split"] not in ("train", "valid", "val", "validation", "test"):
            errors.add("split must be one of train, valid, test", line, repr(row["split"]))
        else:
            kept = {key: row[key].strip() for key in ("label", "user", "split") if key in row}
            found[name] = {**kept, "label": row["label"].strip()}
    errors.check("Correct the table.")
    return found


def _file(links: Links, name: str) -> Path:
    """Find the file of ``name``, which must not leave the folder; see ``data.layouts.links``."""
    paths = [links.path(name + ending) for ending in ENDINGS]
    return next((path for path in paths if path.is_file()), paths[0])


def check_features_file(path: Path) -> None:
    """Refuse what is missing or empty.

    Raises:
        ClipError: it is.
    """
    if not path.is_file():
        raise ClipError("missing", f"features {path}: not there, nor with the ending {ENDINGS[1]}.")
    if not path.stat().st_size:
        raise ClipError("empty", f"features {path}: the file is empty.")


def read_features(source: ClipSource, recipe: ClipRecipe) -> StoredInput:
    """Read image features (1, 16, 4096) and those of the chosen audio layer (64, 1024), float32.

    Raises:
        ClipError: the file is damaged, lacks one, or holds another shape or values that are no numbers.
    """
    path = source.path
    check_features_file(path)
    layer = dict(recipe.extra)["layer"]
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
        else:
            found = load_file(path)
    except (OSError, SafetensorError, zipfile.BadZipFile, zlib.error, NotImplementedError, *NPY_ERRORS) as error:
        raise ClipError("undecodable", f"features {path}: cannot be read ({error}).") from error
    taken = {}
    for name, shape in SHAPES.items():
        if name not in found:
            there = ", ".join(found) or "nothing"
            raise ClipError("undecodable", f"features {path}: holds no {name}; it holds {there}.")
        values = np.asarray(found[name])
        if name == "audio" and values.ndim == len(shape) + 1:
            if layer > len(values):
                raise ClipError("undecodable", f"features {path}: audio has {len(values)} layers, not {layer}.")
            values = values[layer - 1]
        if values.shape != shape:
            raise ClipError("undecodable", f"features {path}: {name} is {values.shape}, not {shape}.")
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ClipError("undecodable", f"features {path}: {name} holds values that are no finite numbers.")
        taken[name] = values.astype(np.float32)
    return StoredInput(taken["image"][None], taken["audio"])
