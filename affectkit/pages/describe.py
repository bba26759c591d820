"""The page of a description of a dataset: counts, distributions, ratings, images, copies, groups, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.forms import Count, check_form
from affectkit.pages.figures import other_figures
from affectkit.pages.page import Page, Source
from affectkit.pages.tables import HINT, SKIPPED_FORM, read_record, read_table, to_float

_SPREAD = dict[str, float | None]
_COPIES = {
    "splits": dict[str, Any], "clusters": Count, "largest": Count, "labelled_clusters": Count, "labels_differ": Count,
    "pairs": Count, "pairs_labels_differ": float | None,
}  # fmt: skip
FORM = {
    "data": str, "layout": str, "notes": list[str], "items": Count, "classes": list[str], "affectkit": str,
    "splits": dict[str, Any], "distributions": dict[str, Any] | None, "raters": dict[str, dict[str, Any]] | None,
    "ratings": dict[str, Any] | None, "images": dict[str, Any], "unreadable": SKIPPED_FORM, "copies": Any,
    "near_copies": Any, "near_search": dict[str, Any] | None, "groups": Any, "clips?": Any,
}  # fmt: skip
"""What the page takes from the record; parts in ``PARTS``."""
PARTS = {
    "splits": {"items": Count, "labelled": Count, "classes": dict[str, Count]},
    "distributions": {
        "entropy": _SPREAD, "most": float, "entropy_by_class": _SPREAD, "ties": Count, "without_majority": Count,
    },
    "ratings": {
        "valence": _SPREAD, "arousal": _SPREAD, "r": float | None, "scale": list[float], "both": Count,
        "cells": list[list[Count]],
    },
    "images": {
        "readable": Count, "brightness": _SPREAD, "contrast": _SPREAD, "width": _SPREAD, "height": _SPREAD,
        "bytes": _SPREAD, "sizes": list[list[Count]], "different_sizes": Count, "formats": dict[str, Count],
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
    """Refuse a record whose parts have another form."""
    title = f"cannot read {folder / 'describe.json'}"
    for name, form in PARTS.items():
        for split, part in (record[name] or {}).items():
            check_form(part, form, f"{title}: {name}.{split}", hint=HINT)
    for kinds in (record["raters"] or {}).values():
        for shown, part in kinds.items():
            check_form(part, _RATERS, f"{title}: raters.{shown}", hint=HINT)
    for name in ("copies", "near_copies"):
        if record[name] is not None:
            check_form(record[name], _COPIES, f"{title}: {name}", hint=HINT)
            for split, part in record[name]["splits"].items():
                check_form(part, _COPY, f"{title}: {name}.{split}", hint=HINT)
    if record["groups"] is not None:
        check_form(record["groups"], _GROUPS, f"{title}: groups", hint=HINT)
        for split, part in record["groups"]["splits"].items():
            check_form(part, _GROUP, f"{title}: groups.{split}", hint=HINT)
