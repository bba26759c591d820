"""What the preparations of datasets of images share: their settings, and the table of what was kept and left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.prep_clips import options_from
from affectkit.config import Parsed, setting, value_of
from affectkit.core.shards import Shard
from affectkit.settings.common import shard_option

LINKS = ("copy", "hardlink")
PICTURES = "Pictures"
BRIEF = Brief(required=("source", "output"), paragraphs=2)
SHARD = "Write every N-th image alone, as the I-th of N runs; affectkit merge OUTPUT then makes the tables."


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """Settings that all preparations of downloaded datasets share."""

    source: Path | None = setting(None, "Folder with the dataset as it was downloaded.", argument=True)
    output: Path | None = setting(None, "Folder to make: tables and images.", metavar="FOLDER")
    link: str = setting("copy", "How image files get there.", choices=LINKS)
    shard: Parsed[Shard] | None = shard_option(SHARD)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        missing = [] if self.source is not None else ["SOURCE is needed: the folder with the dataset."]
        return missing + ([] if self.output is not None else ["--output is needed: the folder to make."])


@dataclass(frozen=True, kw_only=True)
class PrepSettings(ImageSettings):
    """Those of datasets with splits of their own, which can hold copies of one another's images."""

    drop_copies: bool = setting(
        False, "Leave images out of validation and test that are exact copies of images in an earlier split."
    )


def run(prepare: Callable[..., Any], options: type, settings: ImageSettings, console: Console) -> None:
    """Prepare with the settings that are among ``options``, and report."""
    chosen = options_from(options, settings, shard=value_of(settings.shard))
    render(prepare(settings.source, settings.output, chosen, reporter=console), settings.output, console)


def nothing_to_do(output: Path, shard: str | None) -> str:
    """Return the note on an output, or a shard in it, that is complete."""
    return f"{f'shard {shard} in {output}' if shard else output} is complete; nothing to do."


def render(report: Any, output: Path, console: Console) -> None:
    """Show what was kept by split and class, and what was dropped and why."""
    console.result(report.to_dict())
    splits = list(dict.fromkeys([*report.kept, *report.dropped]))
    kept = [report.kept.get(split, {}) for split in splits]
    classes = list(next(iter(report.kept.values())))
    rows = [[name, *(f"{counts.get(name, 0):,}" for counts in kept)] for name in classes]
    totals = [sum(counts.values()) for counts in kept]
    rows.append(["kept", *(f"{total:,}" for total in totals)])
    by_rule = [report.by_rule.get(split, 0) for split in splits]
    if by_rule != totals:
        rows.append(["kept by the rule alone", *(f"{count:,}" for count in by_rule)])
    dropped = [report.dropped.get(split, {}) for split in splits]
    for why in dict.fromkeys(reason for reasons in dropped for reason in reasons):
        rows.append([f"dropped: {why}", *(f"{reasons.get(why, 0):,}" for reasons in dropped)])
    console.table(["images", *splits], rows)
    for text in report.notes:
        console.note(text)
    if report.already_done:
        console.note(nothing_to_do(output, report.shard))
    elif report.shard is None:
        console.note(f"tables and images: {output}")
