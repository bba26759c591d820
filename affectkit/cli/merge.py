"""``affectkit merge``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import merged
from affectkit.config import Resolved, setting
from affectkit.core.missing_paths import instead_of
from affectkit.core.text import count_text
from affectkit.errors import EXIT_PARTIAL, DataError, UsageError

FINISHED = {
    "manifest.json": "prep",
    "inference_results.csv": "infer",
    "inference_results.jsonl": "infer",
    "inference_results.parquet": "infer",
}
"""Files by which a finished output is known where no part is left."""


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """Settings of ``affectkit merge``."""

    folder: Path | None = setting(
        None,
        "Folder with the shards or folds: --results of infer, --output of prep, --output of train --folds.",
        argument=True,
        also="results",
    )
    force: bool = setting(False, "Replace another result table in the folder (infer).")
    remove_shards: bool = setting(
        False, "Remove the shards once they are put together (prep always does).", older="remove_parts"
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.folder is not None else ["FOLDER is needed: the one that holds the shards."]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "merge", MergeSettings, writes=merged, brief=Brief(required=("folder",)))
    def merge(resolved: Resolved[MergeSettings], console: Console) -> None:
        """Put the shards 1/N to N/N of a command together, into the bytes that one run would have written.

        Shards that are missing, unfinished, damaged, of different origin, or that overlap are refused, with a list. Of
        train --folds, the folds 1 to N.

        Examples:
            affectkit merge results/photos
            affectkit merge runs/folds
            affectkit merge results/photos --remove-shards
        """
        s = resolved.settings
        if not s.folder.is_dir():
            hint = "Name the folder that holds the shards."
            if s.folder.exists():
                raise UsageError(f"{s.folder} is a file, not a folder.", hint)
            raise UsageError(f"{s.folder} does not exist.", instead_of(s.folder, advice=hint))
        from affectkit.core.shard_parts import recorded_command
        from affectkit.core.shard_removal import finish_removal, sweep_removed

        sweep_removed(s.folder)
        kind = recorded_command(s.folder)
        if kind is None and (s.folder / "fold_items.csv").is_file():
            from affectkit.cli.folds import render_folds
            from affectkit.training.folds import merge_folds

            render_folds(merge_folds(s.folder, reporter=console), console)
        elif kind is None:
            finish_removal(s.folder)  # of which the note alone was left
            _say_finished(s.folder, console)
        elif kind == "infer":
            from affectkit.inference.merge import merge as run

            _render_inference(run(s.folder, force=s.force, remove_parts=s.remove_shards, reporter=console), console)
        elif kind.startswith("prep "):
            from affectkit.prep.images.merge import merge_preparation as run

            _render_preparation(run(s.folder, reporter=console), console)
        else:
            raise DataError(f"{s.folder} holds shards of {kind!r}, which this version of affectkit cannot merge.")


def _say_finished(folder: Path, console: Console) -> None:
    """Report that no shard is there, which is well where the result is."""
    for name, what in FINISHED.items():
        if (folder / name).is_file():
            console.result({"output": str(folder), "parts": 0, "already_done": True})
            console.note(f"{folder} holds the finished output of {what} and no shard; nothing to do.")
            if what == "infer" and (folder / "skipped.csv").is_file():
                raise typer.Exit(EXIT_PARTIAL)
            return
    raise DataError(
        f"{folder} holds no shard (a folder such as shard-1-of-4).",
        "Run the shards first, for example with --shard 1/4 to --shard 4/4.",
    )


def _render_inference(record: dict[str, Any], console: Console) -> None:
    console.result(record)
    if record["already_done"]:
        console.note(f"{record['results']} is what the {record['parts']} shards make; nothing to do.")
    else:
        shards = count_text(record["parts"], "shard")
        console.note(f"{count_text(record['images'], 'image')} of {shards} in {record['results']}")
    if record["skipped"]:
        console.warn(f"{count_text(record['skipped'], 'image')} skipped; see {record['skipped_list']}")
        raise typer.Exit(EXIT_PARTIAL)


def _render_preparation(record: dict[str, Any], console: Console) -> None:
    console.result(record)
    if record["already_done"]:
        console.note(f"{record['output']} is complete; nothing to do.")
    else:
        console.note(f"tables and images of {count_text(record['parts'], 'shard')}: {record['output']}")
