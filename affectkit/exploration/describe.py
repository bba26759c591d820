"""Describe a dataset: find it, read every image once, search copies, and put together what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.files import fresh_folder
from affectkit.core.progress import Reporter
from affectkit.core.version import VERSION
from affectkit.data.layouts.discovery import Labels, Source
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.exploration.clip_facts import clip_facts, describe_store
from affectkit.exploration.copies import Contents, Copies, group_contents
from affectkit.exploration.description import Description
from affectkit.exploration.groups import describe_groups, group_column
from affectkit.exploration.image_facts import ImageFacts, read_facts
from affectkit.exploration.near_copies import CORRELATION, DISTANCE, NearCopies, TooManyPairsError, find_near_copies
from affectkit.exploration.properties import describe_images
from affectkit.exploration.sources import find_items
from affectkit.exploration.targets import (
    all_votes,
    describe_counts,
    describe_distributions,
    describe_raters,
    describe_ratings,
)


@dataclass(frozen=True)
class NearSearch:
    """How near copies are searched; see ``near_copies.find_near_copies``."""

    distance: int = DISTANCE
    correlation: float = CORRELATION
    mirrored: bool = False


def describe(
    root: Path,
    *,
    labels: Labels | None = None,
    group_by: str | None = None,
    groups: Path | None = None,
    near: NearSearch | None = None,
    workers: int = 1,
    results: Path | None = None,
    force: bool = False,
    reporter: Reporter,
) -> dict[str, Any]:
    """Describe the dataset in ``root``, or the images in it; writes tables and figures where ``results`` is given.

    Nothing of the dataset is changed. A file that cannot be read is counted and named, and is no error.

    Args:
        root: the folder.
        labels: which targets are read, and where they stand.
        group_by, groups: see ``groups.group_column``.
        near: how near copies are searched; None: exact ones alone.
        workers: threads that read and compare.
        results: folder for the files of ``result_files.write_results``.
        force: write into a folder that holds something.

    Returns:
        what ``--json`` prints; see ``_summary``.

    Raises:
        UsageError: ``results`` lies in ``root`` or holds something, or ``group_by`` is no column.
        DataError: there are no images, or what says what they show is not as it must be.
    """
    if results is not None:
        _refuse_inside(root, results)
        fresh_folder(results, force=force, name="--results")
    labels = labels or Labels(ratings=True)
    source = find_items(root, labels=labels, reporter=reporter)
    for text in source.notes:
        reporter.note(text)
    group = group_column(source.splits, Path(root), labels=labels.file, table=groups, asked=group_by)
    found = _describe(source, group, near, workers, reporter)
    if results is not None:
        from affectkit.exploration.result_files import write_results

        write_results(results, found, reporter=reporter)
    return found.summary


def _refuse_inside(root: Path, results: Path) -> None:
    """Refuse a folder for the results in the dataset: tables could be replaced, and figures be described next time."""
    if Path(results).resolve().is_relative_to(Path(root).resolve()):
        raise UsageError(f"--results {results} lies in DATA {root}.", "Name a folder outside of it.")


def _describe(source: Source, group: Any, near: NearSearch | None, workers: int, reporter: Reporter) -> Description:
    splits = source.splits
    split = np.concatenate([np.full(len(one), number, np.int64) for number, one in enumerate(splits.values())])
    tops = [one.top() for one in splits.values()]
    labels = [np.full(len(one), -1) if top is None else top for top, one in zip(tops, splits.values(), strict=True)]
    store = next(iter(splits.values())).store
    if store is None:
        paths = [path for one in splits.values() for path in (f"{one.root}/{name}" for name in one.ids)]
        facts = read_facts(paths, workers=workers, reporter=reporter)
    else:
        if near is not None:
            reporter.note("near copies are not searched among clips: the frames of one person are alike.")
        facts, near = clip_facts(splits, reporter=reporter), None
    contents = group_contents(facts.digests)
    pairs = None if near is None else _near_pairs(facts, contents, near, workers, reporter)
    copies = Copies(contents, pairs, tuple(splits), split)
    found = Description(source, split, np.concatenate(labels).astype(np.int64), facts, copies, group, {})
    found.summary.update(_summary(found, near if pairs is not None else None))
    if store is not None:
        found.summary["clips"] = describe_store(store)
    return found


def _near_pairs(
    facts: ImageFacts, contents: Contents, near: NearSearch, workers: int, reporter: Reporter
) -> NearCopies | None:
    """Return pairs of contents that are near copies; None where there are too many to be told.

    What cannot be decoded has a flat picture, which has no copies.
    """
    try:
        return find_near_copies(
            facts.small[contents.first],
            distance=near.distance,
            correlation=near.correlation,
            mirrored=near.mirrored,
            workers=workers,
            reporter=reporter,
        )
    except TooManyPairsError as error:
        reporter.finish()
        reporter.warn(
            f"near copies are not told: there are {error} among {len(contents.first):,} images, as among frames of "
            "films. --correlation 0.99 asks for pairs that are more alike."
        )
        return None


def _summary(found: Description, near: NearSearch | None) -> dict[str, Any]:
    """Return the description as plain values.

    ``data``, ``layout``, ``notes``, ``items``, ``classes``; ``splits``, ``absent``, ``distributions``, ``raters`` (by
    split and what they were shown, "all" being all that they were shown or the one thing), ``ratings`` by split;
    ``images`` by split and ``all``; ``unreadable``; ``copies`` and ``near_copies`` (``Copies.summary``);
    ``near_search``; ``groups``.
    """
    source, facts = found.source, found.facts
    splits, names = source.splits, found.names()
    every = {name: found.split == number for number, name in enumerate(splits)}
    counts = describe_counts(splits)
    by_split = {name: describe_images(facts, chosen) for name, chosen in every.items()}
    return {
        "affectkit": VERSION,
        "data": str(source.root),
        "layout": source.layout,
        "notes": list(source.notes),
        "items": len(names),
        "classes": list(source.classes),
        "splits": counts,
        "absent": {
            name: lacking
            for name, one in counts.items()
            if (lacking := [label for label, number in one["classes"].items() if not number])
        },
        "distributions": _by_split(splits, describe_distributions),
        "raters": _by_split(splits, _raters),
        "ratings": _by_split(splits, describe_ratings),
        "images": {**by_split, "all": describe_images(facts, np.ones(len(names), bool))},
        "unreadable": [{"image": names[place], "reason": reason} for place, reason in facts.reasons.items()],
        "copies": found.copies.summary(found.labels, near=False),
        "near_copies": None if near is None else found.copies.summary(found.labels, near=True),
        "near_search": None if near is None else vars(near),
        "groups": None if found.group is None else describe_groups(*found.group),
    }


def _by_split(splits: Mapping[str, Split], describe_one: Any) -> dict[str, Any] | None:
    found = {name: text for name, split in splits.items() if (text := describe_one(split))}
    return found or None


def _raters(split: Split) -> dict[str, Any]:
    votes = all_votes(split)
    found = {shown: text for shown, values in votes.items() if (text := describe_raters(values))}
    if not found:
        return {}
    every = found.get("") or found.get("both") or next(iter(found.values()))
    return {"all": every, **{shown: text for shown, text in found.items() if shown}}
