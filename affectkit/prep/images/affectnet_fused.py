"""AffectNetFused as downloaded, brought into tables: one CSV per split instead of a text file per image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from affectkit.core.archives import unpack_or
from affectkit.core.progress import Reporter, Silent
from affectkit.data.layouts.affectnet_fused import (
    CLASSES,
    FOLDERS,
    describe_left_out,
    is_affectnet_fused,
    read_affectnet,
)
from affectkit.data.layouts.duplicates import COPY, content_hashes, find_copies
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies
from affectkit.prep.source_folder import check_source_folder

RULE = "every image with an annotation; its 13 probabilities as annotated, as float32"


def prepare_affectnet_fused(
    source: Path,
    output: Path,
    options: ImageOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> PrepReport:
    """Write AffectNetFused as train.csv and valid.csv (``filename`` and 13 shares) and images/<split>/NNN.jpg.

    Args:
        source: folder with train_set and val_set, or one of them.
        output: folder to write; absent, empty, or left by the same command.
        options: how images get there; None: the defaults.
        reporter: gets progress and notes.

    Raises:
        UsageError: ``output`` holds something else.
        DataError: ``source`` is not AffectNetFused, or annotations are malformed (listed).
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or ImageOptions()
    _check_source(source)
    splits, left_out = read_affectnet(source, reporter=reporter)
    identity = {
        "preparation": "affectnet-fused",
        "target": "distribution",
        **{name: split.fingerprint() for name, split in splits.items()},
    }
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep affectnet-fused", identity, link=options.link, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    by_rule = {name: len(split) for name, split in splits.items()}
    copies = find_copies(content_hashes(splits, reporter=reporter))
    if options.drop_copies:
        for name, found in copies.items():
            splits[name] = splits[name].select(~found.any())
            left_out = {**left_out, name: {**left_out.get(name, {}), COPY: int(found.any().sum())}}
    _write(folder, splits, reporter)
    report = PrepReport(
        preparation="affectnet-fused",
        output=output,
        target="distribution",
        kept={name: split.counts() for name, split in splits.items()},
        by_rule=by_rule,
        dropped=left_out,
        images=sum(len(split) for split in splits.values()),
        notes=tuple(describe_left_out(left_out)),
    )
    report = with_copies(report, copies, dropped=options.drop_copies)
    return folder.end(report, about={"source": str(source.resolve()), "target": "distribution", "rule": RULE})


def _check_source(source: Path) -> None:
    """Raise a DataError where ``source`` is no folder of AffectNetFused."""
    check_source_folder(source)
    if not is_affectnet_fused(source):
        raise DataError(
            f"{source} is not AffectNetFused: it needs {' or '.join(FOLDERS.values())} with images/ and annotations/.",
            unpack_or(source, "Name the folder that holds them."),
        )


def _write(folder: OutputFolder, splits: dict[str, Split], reporter: Reporter) -> None:
    """Write the images of all splits, then the tables; of a shard, its share."""
    rows = {name: _rows(name, split) for name, split in splits.items()}
    own = {name: folder.share(name, [row[0] for row in rows[name]]) for name in splits}
    for name, split in splits.items():
        items = ((rows[name][index][0], split.path(index)) for index in own[name])
        folder.place_all(name, items, len(own[name]), reporter)
    for name in splits:
        folder.table(name, ["filename", *CLASSES], [rows[name][index] for index in own[name]])


def _rows(name: str, split: Split) -> list[list[str]]:
    assert split.distribution is not None
    # The shortest text that reads back as the same float32.
    shares = split.distribution.astype("U").tolist()
    return [
        [f"images/{name}/{PurePosixPath(identity).name}", *row] for identity, row in zip(split.ids, shares, strict=True)
    ]
