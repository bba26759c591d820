"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten raters' votes for the faces of FER-2013, as tables and images.

The authors' rule: a class with a single vote counts as zero. *majority*: an image keeps its top class if that has
more than half of the remaining votes (those for unknown and not-a-face among them), and is dropped otherwise or if
the top is one of these two. *distribution*: the remaining votes of the eight emotions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.data.layouts.duplicates import COPY, Copies, file_content_hashes, find_copies
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.ferplus_download import EMOTIONS, FerplusLabels, find_download
from affectkit.prep.images.ferplus_pixels import USAGES, draw_pixels
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies

RULES = {
    "majority": "single votes count as zero; the top class is kept if it has more than half of the remaining votes "
    "and is one of the eight emotions",
    "distribution": "single votes count as zero; the remaining votes of the eight emotions are kept if there are any",
}
UNNAMED = "no image name in the label file"
NO_VOTES = "no class has more than one vote"
NO_EMOTION = "no emotion has more than one vote"
NO_MAJORITY = "no class has more than half of the votes"
TOP_UNKNOWN = "most raters: unknown"
TOP_NO_FACE = "most raters: not a face"
REPEATED = "repeats the image of an earlier row"
REPEATED_OTHER = "repeats the image of an earlier row, with other votes"
MISSING = "image file not there"


def drop_single_votes(votes: np.ndarray) -> np.ndarray:
    """Set single votes in ``votes`` (N, 10) to zero."""
    return np.where(votes == 1, 0, votes)


def apply_vote_rule(votes: np.ndarray, target: str) -> tuple[np.ndarray, list[str]]:
    """Apply the authors' rule to raw votes.

    Args:
        votes: int (N, 10), as in the label file, in the order of ``COLUMNS``.
        target: "majority" or "distribution".

    Returns:
        the top class of each row, int (N,), the first of several; and for each row "" or why it is dropped.
    """
    if target not in RULES:
        raise UsageError(f"target must be one of {', '.join(RULES)}, got {target!r}.")
    cleaned = drop_single_votes(votes)
    if target == "distribution":
        shares = cleaned[:, : len(EMOTIONS)]
        return shares.argmax(axis=1), np.where(shares.sum(axis=1) > 0, "", NO_EMOTION).tolist()
    top, total = cleaned.argmax(axis=1), cleaned.sum(axis=1)
    reasons = np.select(
        [total == 0, 2 * cleaned.max(axis=1) <= total, top == len(EMOTIONS), top > len(EMOTIONS)],
        [NO_VOTES, NO_MAJORITY, TOP_UNKNOWN, TOP_NO_FACE],
        default="",
    )
    return top, reasons.tolist()


@dataclass(frozen=True, kw_only=True)
class FerplusOptions(ImageOptions):
    """Choose what is made of FER+.

    Attributes:
        target: "distribution" or "majority".
    """

    target: str = "distribution"


def prepare_ferplus(
    source: Path,
    output: Path,
    options: FerplusOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> PrepReport:
    """Write FER+ as train.csv, valid.csv, test.csv (as far as they have images) and images/<split>/fer#######.png.

    The tables hold ``filename``, with "majority" ``label``, and the cleaned votes of the eight emotions. An image
    that several rows of a split name is written once.

    Args:
        source: folder with fer2013new.csv (in it or one level down) and FER-2013's images: fer2013.csv,
            icml_face_data.csv, another CSV file with the columns of these, or fer#######.png files.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.

    Raises:
        UsageError: the options are wrong or ``output`` holds something else.
        DataError: the label file or the images are missing or not FER+'s.
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or FerplusOptions()
    target = options.target
    if target not in RULES:
        raise UsageError(f"target must be one of {', '.join(RULES)}, got {target!r}.")
    download = find_download(source, output)
    labels, pixel_file = download.labels, download.pixel_file
    identity = {"preparation": "ferplus", "target": target, **download.identity()}
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep ferplus", identity, link=options.link, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    top, reasons = _select(labels, target, None if pixel_file else download.images)
    contents = download.contents or download.images
    copies = _copies(labels, reasons, contents, drop=options.drop_copies, reporter=reporter)
    kept = [row for row, reason in enumerate(reasons) if not reason]
    if not kept:
        raise DataError(f"no row of {download.label_file} has an image in {source}.")
    tops = top if target == "majority" else None
    _write(folder, labels, kept, tops=tops, images=pixel_file or download.images, reporter=reporter)
    report = with_copies(_report(folder, labels, target, top, reasons), copies, dropped=options.drop_copies)
    if download.note:
        report = replace(report, notes=(*report.notes, download.note))
    about = {"source": str(source.resolve()), "target": target, "rule": RULES[target]}
    about["label_file"] = download.label_file.name
    if pixel_file:
        about["pixel_file"] = pixel_file.name
    return folder.end(report, about=about)


def _select(labels: FerplusLabels, target: str, images: dict[str, Path] | None) -> tuple[np.ndarray, list[str]]:
    """Choose top classes, and for each row "" or why it is dropped: unnamed, by rule, repeated, image missing."""
    top, reasons = apply_vote_rule(labels.votes, target)
    first: dict[tuple[str, str], int] = {}
    for row, (split, name) in enumerate(zip(labels.splits, labels.names, strict=True)):
        if not name:
            reasons[row] = UNNAMED
        if reasons[row]:
            continue
        earlier = first.setdefault((split, name), row)
        if earlier != row:
            same = np.array_equal(labels.votes[earlier], labels.votes[row])
            reasons[row] = REPEATED if same else REPEATED_OTHER
        elif images is not None and name not in images:
            reasons[row] = MISSING
    return top, reasons


def _copies(
    labels: FerplusLabels, reasons: list[str], images: list[bytes] | dict[str, Path], *, drop: bool, reporter: Reporter
) -> dict[str, Copies]:
    """Find the exact copies across splits among the kept rows; with ``drop`` they get a reason.

    Args:
        images: image files by name, whose bytes count, or what stands for the pixels of each row.
    """
    rows: dict[str, list[int]] = {}
    for row, reason in enumerate(reasons):
        if not reason:
            rows.setdefault(labels.splits[row], []).append(row)
    if isinstance(images, dict):
        files = {split: [images[labels.names[row]] for row in own] for split, own in rows.items()}
        found = find_copies(file_content_hashes(files, reporter=reporter))
    else:
        found = find_copies({split: [images[row] for row in own] for split, own in rows.items()})
    if drop:
        for split, copies in found.items():
            for place in np.flatnonzero(copies.any()):
                reasons[rows[split][place]] = COPY
    return found


def _write(
    folder: OutputFolder,
    labels: FerplusLabels,
    kept: Sequence[int],
    *,
    tops: np.ndarray | None,
    images: Path | dict[str, Path],
    reporter: Reporter,
) -> None:
    """Write the images of all splits, then the tables; of a shard, its share.

    Args:
        folder: the output.
        labels: of all rows.
        kept: the rows that are written.
        tops: the top class of each row, for a column label; None: no such column.
        images: the table of pixels, or image files by name.
        reporter: gets progress.
    """
    cleaned = drop_single_votes(labels.votes)[:, : len(EMOTIONS)].tolist()
    by_split = {split: [row for row in kept if labels.splits[row] == split] for split in USAGES.values()}
    own = {}
    for split, rows in by_split.items():
        if rows:
            own[split] = [rows[index] for index in folder.share(split, [_file(labels, row) for row in rows])]
    for split, rows in own.items():
        if isinstance(images, dict):
            items: Iterator[tuple[str, Any]] = ((_file(labels, row), images[labels.names[row]]) for row in rows)
        else:
            items = ((_file(labels, row), data) for row, data in draw_pixels(images, set(rows)))
        folder.place_all(split, items, len(rows), reporter)
    header = ["filename", *([] if tops is None else ["label"]), *EMOTIONS]
    for split, rows in own.items():
        table = []
        for row in rows:
            label = [] if tops is None else [EMOTIONS[tops[row]]]
            table.append([_file(labels, row), *label, *cleaned[row]])
        folder.table(split, header, table)


def _file(labels: FerplusLabels, row: int) -> str:
    """Return the place of the image of a row, relative to the folder."""
    return f"images/{labels.splits[row]}/{labels.names[row]}"


def _report(
    folder: OutputFolder, labels: FerplusLabels, target: str, top: np.ndarray, reasons: list[str]
) -> PrepReport:
    splits = [split for split in USAGES.values() if split in set(labels.splits)]
    rows = {split: [row for row, name in enumerate(labels.splits) if name == split] for split in splits}
    kept, dropped, by_rule = {}, {}, {}
    for split in splits:
        numbers = Counter(int(top[row]) for row in rows[split] if not reasons[row])
        if numbers:
            kept[split] = {name: numbers[index] for index, name in enumerate(EMOTIONS)}
        dropped[split] = dict(Counter(reasons[row] for row in rows[split] if reasons[row]))
        by_rule[split] = sum(reasons[row] in ("", REPEATED, REPEATED_OTHER, MISSING, COPY) for row in rows[split])
    notes = []
    for reason in (REPEATED, REPEATED_OTHER, MISSING):
        names = [labels.names[row] for row, why in enumerate(reasons) if why == reason]
        if names:
            notes.append(f"{reason}: {list_some(names)}")
    notes += [f"no image of the {split} split is there: no {split}.csv" for split in splits if split not in kept]
    owners: dict[str, set[str]] = {}
    for row, reason in enumerate(reasons):
        if not reason:
            owners.setdefault(labels.names[row], set()).add(labels.splits[row])
    shared = [name for name, where in owners.items() if len(where) > 1]
    if shared:
        notes.append(f"{len(shared)} images are in more than one split, as in the label file: {list_some(shared)}")
    images = sum(sum(numbers.values()) for numbers in kept.values())
    return PrepReport("ferplus", folder.folder, target, kept, by_rule, dropped, images, notes=tuple(notes))
