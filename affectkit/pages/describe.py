"""The page of a description of a dataset: counts, distributions, ratings, images, copies, groups, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.forms import Count, check_form
from affectkit.core.text import list_some
from affectkit.errors import DataError
from affectkit.exploration.copies import look_alikes
from affectkit.pages.figures import other_figures
from affectkit.pages.page import Page, Source
from affectkit.pages.tables import HINT, SKIPPED_FORM, read_record, read_table, to_float

_NAMES = ("mean", "sd", "min", "q05", "q25", "q50", "q75", "q95", "max")
_SPREAD = dict.fromkeys(_NAMES, float | None)
_CELLS = tuple[Count, Count, Count]
_RATING = {**_SPREAD, "missing": Count}
_COPIES = {
    "splits": dict[str, Any], "clusters": Count, "largest": Count, "labelled_clusters": Count, "labels_differ": Count,
    "pairs": Count, "pairs_labels_differ": float | None,
}  # fmt: skip
FORM = {
    "data": str, "layout": str, "notes": list[str], "items": Count, "classes": list[str], "affectkit": str,
    "splits": dict[str, Any], "distributions": dict[str, Any] | None, "raters": dict[str, dict[str, Any]] | None,
    "ratings": dict[str, Any] | None, "images": {"all": Any}, "unreadable": SKIPPED_FORM, "copies": Any,
    "near_copies": Any, "near_search": dict[str, Any] | None, "groups": Any, "clips?": Any,
}  # fmt: skip
"""What the page takes from the record; parts in ``PARTS``."""
PARTS = {
    "splits": {"items": Count, "labelled": Count, "classes": dict[str, Count]},
    "distributions": {
        "entropy": _SPREAD, "most": float, "entropy_by_class": dict[str, float | None], "ties": Count,
        "without_majority": Count,
    },
    "ratings": {
        "valence": _RATING, "arousal": _RATING, "r": float | None, "scale": tuple[float, float], "both": Count,
        "cells": tuple[_CELLS, _CELLS, _CELLS],
    },
    "images": {
        "readable": Count, "brightness": _SPREAD, "contrast": _SPREAD, "width": _SPREAD, "height": _SPREAD,
        "bytes": _SPREAD, "sizes": list[_CELLS], "different_sizes": Count, "formats": dict[str, Count],
        "gray": Count, "colour": Count,
    },
}  # fmt: skip
"""The form of each split's part."""
_RATERS = {
    "number": _SPREAD, "agreement": float | None, "fleiss_kappa": float | None, "krippendorff_alpha": float | None,
    "leave_one_out": float | None, "ceiling": float | None,
}  # fmt: skip
_COPY = {"items": Count, "within": Count, "of": dict[str, Count], "in_earlier": Count}
_GROUPS = {
    "column": str, "splits": dict[str, Any], "across_count": Count, "across": dict[str, dict[str, Count]],
}  # fmt: skip
_SEARCH = {"distance": Count, "correlation": float, "mirrored": bool}
_GROUP = {"groups": Count, "items": Count, "without": Count, "largest": Count}
CAPTIONS = {
    "classes.png": "classes by split", "entropy.png": "entropy of the distributions",
    "light.png": "light of the images",
    "valence_arousal.png": "the valence-arousal plane", "near_duplicates.png": "near copies",
}  # fmt: skip
MOST_PAIRS, MOST_GROUPS = 50, 100


def build(source: Source) -> Page:
    """Return the page of a folder with ``describe.json``.

    Raises:
        DataError: the record is damaged.
    """
    folder = source.folder
    record = read_record(folder / "describe.json", FORM)
    _check_parts(record, folder)
    pairs = [row for row in read_table(folder / "near_duplicates.csv") if row.get("kind") != "exact"]
    across = [row for row in pairs if row.get("split") != row.get("other_split")]
    pairs.sort(key=lambda row: (row.get("split") == row.get("other_split"), to_float(row.get("correlation"))))
    splits, noun = list(record["splits"]), "clips" if "clips" in record else "images"
    figures = other_figures(source, [folder], drawn=False)
    for one in figures:
        one["caption"] = CAPTIONS.get(one["name"], one["caption"])
    values = {
        "record": record, "noun": noun, "splits": splits,
        "counts": {name: one["classes"] for name, one in record["splits"].items()},
        "labelled": any(one["labelled"] for one in record["splits"].values()),
        "raters": [
            (split if shown == "all" else f"{split}, {shown} shown", one)
            for split, kinds in (record["raters"] or {}).items()
            for shown, one in kinds.items()
            if len(kinds) == 1 or shown != "all"
        ],
        "alike": look_alikes(record["near_copies"]),
        "copies": [
            (kind, record[name])
            for kind, name in (("exact", "copies"), ("near or exact", "near_copies"))
            if record[name] is not None
        ],
        "pairs": pairs[:MOST_PAIRS], "pair_count": len(pairs), "pairs_across": len(across),
        "groups": list(record["groups"]["across"].items())[:MOST_GROUPS] if record["groups"] else [],
        "unreadable": [(one.get("image", ""), one.get("reason", "")) for one in record["unreadable"]],
        "figures": {one["name"]: one for one in figures},
    }  # fmt: skip
    return Page("describe.html", f"Dataset: {Path(record['data']).absolute().name}", values)


def _check_parts(record: dict[str, Any], folder: Path) -> None:
    """Refuse a record whose parts have another form, or are of other splits."""
    title = f"cannot read {folder / 'describe.json'}"
    splits = dict.fromkeys(record["splits"], Any)
    parts = [(name, record[name], form) for name, form in PARTS.items()]
    for shown in (record["raters"] or {}).values():
        parts.append(("raters", shown, _RATERS))
    for name, form, inner in (("copies", _COPIES, _COPY), ("near_copies", _COPIES, _COPY), ("groups", _GROUPS, _GROUP)):
        if record[name] is not None:
            check_form(record[name], {**form, "splits": splits}, f"{title}: {name}", hint=HINT)
            parts.append((name, record[name]["splits"], inner))
    if record["near_search"] is not None:
        check_form(record["near_search"], _SEARCH, f"{title}: near_search", hint=HINT)
    for name, found, form in parts:
        for key, part in (found or {}).items():
            check_form(part, form, f"{title}: {name}.{key}", hint=HINT)
    if strange := set(record["distributions"] or ()) - set(splits):
        raise DataError(f"{title}: distributions of splits that there are not: {list_some(sorted(strange))}.", HINT)
