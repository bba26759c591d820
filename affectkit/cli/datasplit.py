"""``affectkit datasplit``: class folders into train and test, balanced by augmentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import changed_or_new
from affectkit.cli.rendering import render_undo
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.pixels import pixels_up_to
from affectkit.core.text import count_text
from affectkit.errors import EXIT_PARTIAL
from affectkit.settings.common import needed, pixel_limit
from affectkit.slurm.job_policy import PREP

LINKS = ("copy", "hardlink", "symlink", "reflink")


def parse_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression with one group; help and completion need not wait for what does it."""
    from affectkit.prep.datasplit.groups import check_pattern

    return check_pattern(pattern)


@dataclass(frozen=True, kw_only=True)
class DatasplitSettings:
    """Settings of ``affectkit datasplit``."""

    path: Path | None = setting(
        None, "Folder with train/<label>/<image>, or <label>/<image>.", argument=True, metavar="DATA", also="data"
    )
    output_path: Path | None = setting(
        None, "Folder to make; without it DATA is changed in place, by a journal.", renamed="output", metavar="FOLDER"
    )
    train_split: float = setting(
        0.8, "Share of each class that trains, above 0.5 and below 1.", above=0.5, below=1, metavar="SHARE"
    )
    seed: int = setting(0, "Everything random follows from it.", low=0)
    group_by: Parsed[re.Pattern[str]] | None = setting(
        None,
        "Regular expression with one group, searched in file names, as 'file:subject(\\d+)_'; "
        "what it finds stays on one "
        "side.",
        parse=parse_pattern,
        metavar="file:REGEX",
    )
    on_error: str = setting("fail", "Of files that cannot be read.", choices=("skip", "fail"))
    balance: bool = setting(False, "Grow all classes to one size, in train and in test.", group="Balancing")
    balance_train: bool = setting(False, "Balance the train side.", group="Balancing")
    balance_test: bool = setting(False, "Balance the test side.", group="Balancing")
    global_multiplier: float = setting(
        1.0,
        "Grow the classes of a balanced side to this many times the size.",
        low=1,
        group="Balancing",
        metavar="FACTOR",
    )
    pipeline_yaml: Path | None = setting(
        None,
        "Albumentations pipeline in place of the built-in one (affectkit pipeline show).",
        group="Balancing",
        metavar="FILE.yaml",
    )
    quality: int = setting(95, "Quality of JPEGs that are made; 0 takes each original's own.", low=0, high=100)
    preview: Path | None = setting(None, "Draw originals beside what was made of them.", metavar="FILE.png")
    link: str | None = setting(None, "How originals get to --output.", choices=LINKS, default_text="copy")
    label_col: str = setting(
        "label", "Column of the labels in train.csv and test.csv.", group="Tables", metavar="COLUMN"
    )
    filename_col: str = setting(
        "filename", "Column of the files in train.csv and test.csv.", group="Tables", metavar="COLUMN"
    )
    plain_csv: bool = setting(
        False, "Those two columns alone, with bare file names, as published: no source and draw.", group="Tables"
    )
    workers: int | None = setting(None, "Processes.", low=1, high=1024, default_text="one a processor")
    max_pixels: Parsed[int] | None = pixel_limit("Options")
    scheduler: str | None = setting(None, "Dask scheduler whose workers do the work.", metavar="tcp://HOST:PORT")
    dry_run: bool = setting(False, "Show what would happen; change nothing.")
    undo: bool = setting(False, "Put every original back and remove what was made.")
    force: bool = setting(
        False, "Undo another split that is in the way; with --undo, continue where files have changed since."
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = needed(self, path="the folder with the classes")
        if self.label_col == self.filename_col:
            faults.append(f"--label-col and --filename-col are both {self.label_col!r}; they must differ.")
        if not self.plain_csv and {self.label_col, self.filename_col} & {"source", "draw"}:
            faults.append("--label-col or --filename-col is 'source' or 'draw', columns of their own; add --plain-csv.")
        if self.link is not None and self.output_path is None and not self.undo:
            faults.append("--link needs --output; in place, images are moved.")
        if self.dry_run and self.preview is not None:
            faults.append("--preview shows what was made, and --dry-run makes nothing.")
        return faults


BRIEF = Brief(
    options={
        "Data": "path output_path link",
        "Split": "train_split group_by seed",
        "Balancing": "balance global_multiplier pipeline_yaml preview",
        "Safety": "dry_run undo force",
    },
    required=("path",),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "datasplit", DatasplitSettings, writes=changed_or_new, slurm=PREP, brief=BRIEF)
    def datasplit(resolved: Resolved[DatasplitSettings], console: Console) -> None:
        """Split class folders into train and test, and balance the classes by augmentation.

        Test images are chosen by a hash of seed and name, and augmented test images are made of test originals alone.
        The same command finishes what a kill cut short, and --undo puts every original back.

        Examples:
            affectkit datasplit faces --output faces-split
            affectkit datasplit faces --output faces-split --balance --seed 27
            affectkit datasplit faces-split --undo
        """
        from affectkit.runtime.shutdown import StopFlag

        with StopFlag(console) as stopping, pixels_up_to(value_of(resolved.settings.max_pixels)):
            if resolved.settings.undo:
                _undo(resolved.settings, console, stopping)
            else:
                _split(resolved, console, stopping)


def _undo(s: DatasplitSettings, console: Console, stopping: Any) -> None:
    from affectkit.prep.datasplit.split import undo_split

    root = s.output_path or s.path
    done = undo_split(root, force=s.force, dry_run=s.dry_run, reporter=console, stopping=stopping)
    render_undo(done, root, s.dry_run, console)


def _split(resolved: Resolved[DatasplitSettings], console: Console, stopping: Any) -> None:
    from affectkit.prep.augmentation.pipeline import load_pipeline
    from affectkit.prep.datasplit.plan import SplitRules
    from affectkit.prep.datasplit.split import SplitOptions, split_folder

    s = resolved.settings
    train, test = s.balance or s.balance_train, s.balance or s.balance_test
    if not (train or test):
        for name in ("global_multiplier", "pipeline_yaml", "quality"):
            if resolved.sources[name] != "default":
                console.warn(
                    f"--{name.replace('_', '-')} counts only when a side is balanced, and none is: it has no effect. "
                    "Add --balance, --balance-train or --balance-test."
                )
    rules = SplitRules(
        train_split=s.train_split, seed=s.seed, balance_train=train, balance_test=test,
        multiplier=s.global_multiplier, group_by=s.group_by and s.group_by.value.pattern,
    )  # fmt: skip
    options = SplitOptions(
        output=s.output_path, link=s.link or "copy", label_col=s.label_col, filename_col=s.filename_col,
        plain_csv=s.plain_csv, quality=s.quality or None, skip=s.on_error == "skip", workers=s.workers,
        scheduler=s.scheduler, dry_run=s.dry_run, force=s.force, preview=s.preview,
    )  # fmt: skip
    pipeline = load_pipeline(s.pipeline_yaml)
    for text in pipeline.notes:
        console.note(text)
    report = split_folder(s.path, rules=rules, options=options, pipeline=pipeline, reporter=console, stopping=stopping)
    _render(report, console)
    if report.skipped:
        raise typer.Exit(EXIT_PARTIAL)


def _render(report: Any, console: Console) -> None:
    console.result(report.to_dict())
    rows = [
        [row.label, *(f"{n:,}" for n in (row.originals, row.train, row.test, row.augmented_train, row.augmented_test)),
         f"{row.bytes / 1e6:,.1f}"]
        for row in report.rows
    ]  # fmt: skip
    names = ("originals", "train", "test", "augmented_train", "augmented_test")
    sums = [f"{sum(getattr(row, name) for row in report.rows):,}" for name in names]
    rows.append(["all", *sums, f"{sum(row.bytes for row in report.rows) / 1e6:,.1f}"])
    console.table(["class", "originals", "train", "test", "train augmented", "test augmented", "MB needed"], rows)
    counts = f"{report.train:,} train + {count_text(report.test, 'test image')}"
    if report.dry_run:
        console.note(f"{counts} in {report.output}; nothing was changed.")
    elif report.already_done:
        console.note(f"{report.output} is complete with {counts}; nothing to do.")
    else:
        console.note(f"{counts} in {report.output}; train.csv, test.csv and manifest.json describe each.")
        console.note(f"affectkit datasplit {_quoted(report.output)} --undo takes it all back.")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
