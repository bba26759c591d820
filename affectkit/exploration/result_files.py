"""Files of a description: tables, figures, the table of the items that are no copies, and the summary last."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_json
from affectkit.core.progress import Reporter
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.media.images import read_image
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.exploration.copies import EXACT, MIRRORED
from affectkit.exploration.description import Description
from affectkit.exploration.perceptual_hash import dct_hashes
from affectkit.exploration.targets import CELLS
from affectkit.metrics.ambiguity import entropy

RECORD = "describe.json"
KEPT = {False: "without_copies.csv", True: "without_near_copies.csv"}
"""Tables of the items that have no exact copy, or no near copy either, in an earlier split."""
FILES = (
    RECORD, "counts.csv", "images.csv", "near_duplicates.csv", *KEPT.values(), "classes.png", "entropy.png",
    "light.png", "valence_arousal.png", "near_duplicates.png",
)  # fmt: skip
MOST_SHOWN = 40
"""Pairs in ``near_duplicates.png``."""


def write_results(folder: Path, found: Description, *, reporter: Reporter) -> None:
    """Write the files of ``found`` into ``folder``; those that a run before has left there and this one lacks go."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    reporter.start("writing results", None)
    write_table(folder / "counts.csv", _counts(found))
    write_table(folder / "images.csv", _images(found))
    write_table(folder / "near_duplicates.csv", _pairs(found))
    for near, name in KEPT.items():
        if _has_earlier(found, near=near) and next(iter(found.source.splits.values())).store is None:
            write_table(folder / name, _kept(found, near=near))
    _draw(folder, found)
    _draw_pairs(folder / "near_duplicates.png", found, reporter)
    reporter.finish()
    write_json(folder / RECORD, found.summary)


def _counts(found: Description) -> dict[str, list[Any]]:
    rows = [
        (split, name, count, count / max(sum(one["classes"].values()), 1))
        for split, one in found.summary["splits"].items()
        for name, count in one["classes"].items()
    ]
    return _columns(("split", "class", "count", "share"), rows)


def _columns(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _images(found: Description) -> dict[str, Any]:
    """Return a row an item; ``cluster`` numbers items that copies connect, ``in_earlier`` says which copy there is."""
    facts, copies = found.facts, found.copies
    splits = found.source.splits
    near, exact = (copies.in_earlier(near=flag).tolist() for flag in (True, False))
    cluster = copies.clusters(near=True).tolist()
    hashes = dct_hashes(facts.small).tolist()
    seen = facts.readable.tolist()
    table: dict[str, Any] = {
        "filename": found.names(),
        "split": [name for name, split in splits.items() for _ in split.ids],
        "label": [found.source.classes[label] if label >= 0 else "" for label in found.labels.tolist()],
    }
    shares = [split.distribution for split in splits.values()]
    if any(one is not None for one in shares):
        parts = [
            np.full(len(split), np.nan) if one is None else entropy(one)
            for one, split in zip(shares, splits.values(), strict=True)
        ]
        table["entropy_bits"] = np.concatenate(parts).tolist()
    if found.group is not None:
        table["group"] = [cell for cells in found.group[1].values() for cell in cells]
    return table | {
        "width": facts.width.tolist(),
        "height": facts.height.tolist(),
        "format": facts.formats,
        "bytes": facts.size.tolist(),
        "colour": [
            ("colour" if one else "gray") if there else "" for one, there in zip(facts.colour, seen, strict=True)
        ],
        "brightness": facts.brightness.tolist(),
        "contrast": facts.contrast.tolist(),
        "dct_hash": [f"{one:016x}" if there else "" for one, there in zip(hashes, seen, strict=True)],
        "cluster": ["" if one < 0 else one for one in cluster],
        "in_earlier": [EXACT if one else "near" if other else "" for one, other in zip(exact, near, strict=True)],
        "unreadable": [facts.reasons.get(place, "") for place in range(len(facts))],
    }


def _pairs(found: Description) -> dict[str, list[Any]]:
    names, copies = found.names(), found.copies
    splits = [copies.splits[number] for number in copies.split.tolist()]
    labels = [found.source.classes[label] if label >= 0 else "" for label in found.labels.tolist()]
    cluster = copies.clusters(near=True).tolist()
    rows = [
        (names[one], splits[one], labels[one], names[other], splits[other], labels[other], *rest, cluster[one])
        for one, other, *rest in copies.rows()
    ]
    header = (
        "filename", "split", "label", "other", "other_split", "other_label", "kind", "bits", "correlation", "cluster",
    )  # fmt: skip
    return _columns(header, rows)


def _has_earlier(found: Description, *, near: bool) -> bool:
    return (found.copies.near is not None or not near) and bool(found.copies.in_earlier(near=near).any())


def _kept(found: Description, *, near: bool) -> dict[str, list[Any]]:
    """Return a table of all items but those that have a copy in an earlier split, as ``--labels`` reads it."""
    left = ~found.copies.in_earlier(near=near)
    table: dict[str, list[Any]] = {}
    begin = 0
    for split in found.source.splits.values():
        part = split.select(left[begin : begin + len(split)])
        begin += len(split)
        for name, values in _table_of(part).items():
            table.setdefault(name, []).extend(values)
    return table


def _table_of(split: Split) -> dict[str, list[Any]]:
    table: dict[str, list[Any]] = {"filename": list(split.ids), "split": [split.name] * len(split)}
    if split.labels is not None:
        table["label"] = [split.classes[label] for label in split.labels.tolist()]
    values = split.votes if split.votes is not None else split.distribution
    if values is not None:
        whole = bool((values == np.floor(values)).all())
        for name, column in zip(split.classes, values.T, strict=True):
            table[name] = column.astype(int).tolist() if whole else column.tolist()
    if split.ratings is not None:
        table |= {name: column.tolist() for name, column in zip(RATINGS, split.ratings.T, strict=True)}
    return table


def _draw(folder: Path, found: Description) -> None:
    """Draw what there is to draw."""
    from affectkit.reports.exploration import class_bars, entropy_histogram, light_histograms, rating_plane

    splits, summary = found.source.splits, found.summary
    counts = {name: one["classes"] for name, one in summary["splits"].items() if sum(one["classes"].values())}
    if counts:
        class_bars(folder / "classes.png", counts=counts, classes=found.source.classes)
    if spread := summary["distributions"]:
        bits = {name: entropy(splits[name].distribution) for name in spread}
        ties = {name: one["ties"] for name, one in spread.items()}
        entropy_histogram(folder / "entropy.png", entropy=bits, most=next(iter(spread.values()))["most"], ties=ties)
    values = {"brightness": found.facts.brightness, "contrast": found.facts.contrast}
    if found.facts.readable.any() and found.facts.small.any():
        by_split: dict[str, dict[str, NDArray[np.float64]]] = {
            kind: {name: one[found.split == number] for number, name in enumerate(splits)}
            for kind, one in values.items()
        }
        light_histograms(folder / "light.png", **by_split)
    if (rated := summary["ratings"]) and any(one["both"] for one in rated.values()):
        rating_plane(
            folder / "valence_arousal.png",
            ratings={name: splits[name].ratings for name in rated},
            scale=tuple(next(iter(rated.values()))["scale"]),
            cells=CELLS,
            r={name: one["r"] for name, one in rated.items()},
        )


def _draw_pairs(path: Path, found: Description, reporter: Reporter) -> None:
    """Draw near copies from the least alike to the most: those across splits, or all where there are none."""
    from affectkit.reports.contact_sheet import pair_sheet

    pairs = [row for row in found.copies.rows() if row[2] != EXACT]
    split = found.split
    across = [row for row in pairs if split[row[0]] != split[row[1]]]
    chosen = sorted(across or pairs, key=lambda row: row[4])
    if not chosen:
        return
    step = max(len(chosen) / MOST_SHOWN, 1)
    names, roots = found.names(), list(found.source.splits.values())
    labels, classes = found.labels, found.source.classes
    shown = []
    for one, other, kind, bits, value in (chosen[int(k * step)] for k in range(min(MOST_SHOWN, len(chosen)))):
        with contextlib.suppress(DataError):  # it has changed since: the pair is left out
            pictures = [read_image(roots[split[place]].root / names[place]) for place in (one, other)]
            sides = [
                " ".join(filter(None, (*classes[labels[place] : labels[place] + 1], roots[split[place]].name)))
                + f" {Path(names[place]).name}"
                for place in (one, other)
            ]
            first = f"{value:.3f}, {bits} bits{', mirrored' if kind == MIRRORED else ''}"
            shown.append((*pictures, (first, *sides)))
    if shown:
        where = "across splits" if across else "within a split"
        heading = (
            f"Near copies {where}: {len(shown)} of {len(chosen):,} pairs, from the least alike; correlation, bits of 64"
        )
        pair_sheet(path, shown, heading=heading)
    else:
        reporter.warn("the files of near copies have changed: near_duplicates.png is left out.")
