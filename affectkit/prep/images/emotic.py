"""EMOTIC (Kosti et al. 2019, IEEE TPAMI, arXiv 2003.13401), brought into tables and pictures of single persons.

Persons are cut at their boxes, as the bodies of the published baseline are. A person has one to many of 26 categories;
in a table they are shares, all alike, that sum to 1: what affectkit trains is a distribution. The published measure,
the average precision of 26 separate decisions, is not computed here. Valence and arousal are from 1 to 10; dominance,
which nothing here predicts, is left out. The splits are the published ones. Pictures come from data sets with licences
of their own (COCO, ADE20K).
"""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from affectkit.core.archives import unpack_or
from affectkit.core.files import sha256
from affectkit.core.npy_files import load_npy
from affectkit.core.progress import Reporter, Silent
from affectkit.data.layouts.duplicates import COPY, find_copies
from affectkit.data.layouts.emotic import array_tables, csv_tables, image_folder, mat_file
from affectkit.data.layouts.left_out import LeftOut
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.crops import QUALITY, clip_box, cut, cut_hashes, picture_sizes
from affectkit.prep.images.emotic_persons import (
    CATEGORIES,
    Person,
    persons_of_arrays,
    persons_of_mat,
    persons_of_tables,
)
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies
from affectkit.prep.source_folder import check_source_folder

TARGETS = ("categories", "ratings")
SCALE = (1.0, 10.0)
MISSING = "picture not there"
NO_PICTURE = "picture cannot be decoded"
NO_BOX = "box of the person not in the picture"
NO_CATEGORY = "no category"
STRANGE = "a category that is none of the 26"
NO_RATING = "valence or arousal not known"
OUT_OF_RANGE = "valence or arousal outside 1 to 10"
ONE_SHARE = (
    "the categories of a person are shares alike that sum to 1; average precision, EMOTIC's measure, is not computed"
)


@dataclass(frozen=True, kw_only=True)
class EmoticOptions(ImageOptions):
    """Choose what is made of EMOTIC.

    Attributes:
        target: "categories", 26 of them as shares; or "ratings", valence and arousal.
    """

    target: str = "categories"


def prepare_emotic(
    source: Path, output: Path, options: EmoticOptions | None = None, *, reporter: Reporter | None = None
) -> PrepReport:
    """Write EMOTIC as train.csv, valid.csv, test.csv and images/<split>/<database>_<picture>_<person>.jpg.

    The tables hold ``filename``, the 26 categories, or ``valence`` and ``arousal``; and ``gender`` and ``age``.

    Args:
        source: folder with the annotations and pictures.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults. Persons are cut out and written, never linked.
        reporter: gets progress and notes.

    Raises:
        UsageError: the options are wrong, or ``output`` holds something else.
        DataError: annotations or pictures are missing, or malformed (listed).
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or EmoticOptions()
    if options.target not in TARGETS:
        raise UsageError(f"target must be one of {', '.join(TARGETS)}, got {options.target!r}.")
    reporter.note("reading the annotations")
    files, persons = read_persons(source)
    identity: dict[str, Any] = {
        "preparation": "emotic",
        "target": options.target,
        "annotations": [sha256(path) for path in files],
    }
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep emotic", identity, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    left_out = LeftOut()
    kept = {
        split: _with_pictures(
            [person for person in found if not _left_out(person, split, options.target, left_out)],
            split, left_out, reporter,
        )
        for split, found in persons.items()
    }  # fmt: skip
    by_rule = {split: len(found) for split, found in kept.items()}
    cuts = {split: [(person.path, person.box) for person in found] for split, found in kept.items()}
    copies = find_copies(cut_hashes(cuts, reporter=reporter))
    for split, found in copies.items() if options.drop_copies else ():
        flags = found.any().tolist()
        for person, copy in zip(kept[split], flags, strict=True):
            if copy:
                left_out.add(split, COPY, person.name)
        kept[split] = [person for person, copy in zip(kept[split], flags, strict=True) if not copy]
    kept = {split: found for split, found in kept.items() if found}
    if not kept:
        raise DataError(f"no picture of {files[0]} is there: {left_out.notes()[0]}.", "Unpack the pictures beside it.")
    _write(folder, kept, options.target, reporter)
    report = PrepReport(
        preparation="emotic",
        output=output,
        target=options.target,
        kept={split: _counts(found, options.target) for split, found in kept.items()},
        by_rule=by_rule,
        dropped=left_out.counts(),
        images=sum(map(len, kept.values())),
        notes=(*([ONE_SHARE] if options.target == "categories" else []), *left_out.notes()),
    )
    about = {"source": str(source.resolve()), "target": options.target, "annotations": [path.name for path in files]}
    stated = {"rating_scale": list(SCALE)} if options.target == "ratings" else {"classes": list(CATEGORIES)}
    return folder.end(with_copies(report, copies, dropped=options.drop_copies), about=about | stated)


def read_persons(source: Path) -> tuple[list[Path], dict[str, list[Person]]]:
    """Return the files of annotations, and the persons in them by split: Annotations.mat wins over tables.

    Raises:
        DataError: there are none, or the pictures are missing.
    """
    check_source_folder(source)
    mat, tables, arrays = mat_file(source), csv_tables(source), array_tables(source)
    if mat is None and not tables and arrays:
        place = next(iter(arrays.values())).parent
        images = next((path for path in (place.parent / "img_arrs", place / "img_arrs") if path.is_dir()), None)
        if images is None:
            raise DataError(
                f"{place} is there, and img_arrs with the pictures is not.",
                unpack_or(source, "Put the folder img_arrs beside it."),
            )
        return list(arrays.values()), persons_of_arrays(arrays, images)
    if mat is None and not tables:
        raise DataError(
            f"{source} holds neither Annotations.mat, nor tables that mat2py.py makes of it, nor annots_arrs.",
            unpack_or(source, "Name the folder of EMOTIC's annotations."),
        )
    images = image_folder(source)
    if images is None:
        raise DataError(
            f"{mat or next(iter(tables.values()))} is there, and the pictures (mscoco, framesdb, ...) are not.",
            unpack_or(source, "They belong into a folder 'emotic' beside it."),
        )
    if mat is not None:
        return [mat], persons_of_mat(mat, images)
    return list(tables.values()), persons_of_tables(tables, images)


def _left_out(person: Person, split: str, target: str, left_out: LeftOut) -> bool:
    """Decide by the annotations alone whether a person is left out, and count it."""
    if target == "categories":
        why = "" if person.categories else NO_CATEGORY
        why = why or ("" if set(person.categories) <= set(CATEGORIES) else STRANGE)
    else:
        values = (person.valence, person.arousal)
        why = NO_RATING if any(map(math.isnan, values)) else ""
        why = why or ("" if SCALE[0] <= min(values) <= max(values) <= SCALE[1] else OUT_OF_RANGE)
    if why:
        left_out.add(split, why, person.name)
    return bool(why)


def _with_pictures(persons: list[Person], split: str, left_out: LeftOut, reporter: Reporter) -> list[Person]:
    """Return the persons whose pictures are there and hold their boxes, which become whole pixels; count the others."""
    there = {path: path.is_file() for path in {person.path for person in persons}}
    paths = [path for path, flag in there.items() if flag and path.suffix != ".npy"]
    sizes = dict(zip(paths, picture_sizes(paths, reporter=reporter), strict=True))
    kept = []
    for person in persons:
        why = "" if there[person.path] else MISSING
        if not why and person.box is not None:
            size = sizes.get(person.path)
            box = clip_box(person.box, size) if size and all(map(math.isfinite, person.box)) else None
            person.box, why = box, NO_PICTURE if size is None else "" if box else NO_BOX
        elif not why and _pixels(person.path) is None:
            why = NO_PICTURE
        if why:
            left_out.add(split, why, person.name)
        else:
            kept.append(person)
    return kept


def _write(folder: OutputFolder, kept: dict[str, list[Person]], target: str, reporter: Reporter) -> None:
    """Write the images of all splits, then the tables; of a shard, its share."""
    own = {
        split: [found[index] for index in folder.share(split, [_place(person, split) for person in found])]
        for split, found in kept.items()
    }
    for split, found in own.items():
        folder.place_all(split, ((_place(person, split), _picture(person)) for person in found), len(found), reporter)
    header = [*CATEGORIES] if target == "categories" else ["valence", "arousal"]
    for split, found in own.items():
        table = []
        for person in found:
            share = f"{1 / len(person.categories):.6f}" if target == "categories" else ""
            cells = [share if name in person.categories else 0 for name in CATEGORIES]
            cells = cells if target == "categories" else [f"{person.valence:g}", f"{person.arousal:g}"]
            table.append([_place(person, split), *cells, person.gender, person.age])
        folder.table(split, ["filename", *header, "gender", "age"], table)


def _place(person: Person, split: str) -> str:
    return f"images/{split}/{person.name}.jpg"


def _picture(person: Person) -> bytes:
    """Return a person's picture as a JPEG file: cut out, or as an array holds it."""
    if person.box is not None:
        return cut(person.path, person.box)
    if (pixels := _pixels(person.path)) is None:
        raise DataError(f"{person.path} has changed since it was looked at.", "Run the command again.")
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=QUALITY, subsampling=0)
    return written.getvalue()


def _pixels(path: Path) -> np.ndarray | None:
    """Return the picture in a .npy file, mapped: uint8 (H, W, 3); None where it is damaged or holds something else."""
    try:
        pixels = load_npy(path, mapped=True)
    except (OSError, ValueError):
        return None
    return pixels if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size else None


def _counts(persons: list[Person], target: str) -> dict[str, int]:
    """Count persons by their first category, as the order of the columns has it; without categories, all."""
    if target == "ratings":
        return {"persons": len(persons)}
    found = Counter(next(name for name in CATEGORIES if name in person.categories) for person in persons)
    return {name: found[name] for name in CATEGORIES}
