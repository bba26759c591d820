"""AffectNetFused as downloaded, brought into tables: one CSV a split instead of a text file an image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from affectkit.core.progress import Reporter, Silent
from affectkit.core.shards import Shard
from affectkit.data.layouts.affectnet_fused import CLASSES, FOLDERS, fits, notes_on, read_affectnet
from affectkit.data.layouts.duplicates import COPY, contents_of, find_copies
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.prep.images.output_folder import Output, PrepReport, with_copies

RULE = "every image with an annotation; its 13 probabilities as annotated, as float32"


def prepare_affectnet_fused(
    source: Path,
    output: Path,
    *,
    link: str = "copy",
    drop_copies: bool = False,
    shard: Shard | None = None,
    reporter: Reporter | None = None,
) -> PrepReport:
    """Write AffectNetFused as train.csv and valid.csv (``filename`` and 13 shares) and images/<split>/NNN.jpg.

    Args:
        source: folder with train_set and val_set, or one of them.
        output: folder to write; absent, empty, or left by the same command.
        link: "copy", or "hardlink" to save space (copies where links cannot be made).
        drop_copies: leave images out of valid that are exact copies of images in train.
        shard: write this share of the images and a part; ``merging.merge`` makes the tables of all parts.

    Raises:
        UsageError: ``output`` holds something else.
        DataError: ``source`` is not AffectNetFused, or annotations are malformed (listed).
    """
    source, output, reporter = Path(source), Path(output), reporter or Silent()
    if not source.is_dir():
        raise DataError(f"source folder {source} does not exist.")
    if not fits(source):
        raise DataError(
            f"{source} is not AffectNetFused: it needs {' or '.join(FOLDERS.values())} with images/ and annotations/.",
            "Unpack the download and name the folder that holds them.",
        )
    splits, left_out = read_affectnet(source, reporter=reporter)
    identity = {
        "preparation": "affectnet-fused",
        "target": "distribution",
        **{name: split.fingerprint() for name, split in splits.items()},
    }
    if drop_copies:
        identity["drop_copies"] = True
    folder = Output(output, "prep affectnet-fused", identity, link=link, shard=shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    by_rule = {name: len(split) for name, split in splits.items()}
    copies = find_copies(contents_of(splits, reporter=reporter))
    if drop_copies:
        for name, found in copies.items():
            splits[name] = splits[name].select(~found.any())
            left_out = {**left_out, name: {**left_out.get(name, {}), COPY: int(found.any().sum())}}
    rows = {name: _rows(name, split) for name, split in splits.items()}
    own = {name: folder.share(name, [row[0] for row in rows[name]]) for name in splits}
    for name, split in splits.items():
        items = ((rows[name][index][0], split.path(index)) for index in own[name])
        folder.place_all(name, items, len(own[name]), reporter)
    for name in splits:
        folder.table(name, ["filename", *CLASSES], [rows[name][index] for index in own[name]])
    notes = tuple(notes_on(left_out))
    report = PrepReport(
        preparation="affectnet-fused",
        output=output,
        target="distribution",
        kept={name: split.counts() for name, split in splits.items()},
        by_rule=by_rule,
        dropped=left_out,
        images=sum(len(split) for split in splits.values()),
        notes=notes,
    )
    report = with_copies(report, copies, dropped=drop_copies)
    return folder.end(report, about={"source": str(source.resolve()), "target": "distribution", "rule": RULE})


def _rows(name: str, split: Split) -> list[list[str]]:
    assert split.distribution is not None
    # The shortest text that reads back as the same float32.
    shares = split.distribution.astype("U").tolist()
    return [
        [f"images/{name}/{PurePosixPath(identity).name}", *row] for identity, row in zip(split.ids, shares, strict=True)
    ]
