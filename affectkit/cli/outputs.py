"""What a command writes, from its settings: the folders and files that are locked while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from affectkit.config import option_name, value_of
from affectkit.core.folder_lock import Output
from affectkit.core.missing_paths import no_place
from affectkit.errors import UsageError

Outputs = Callable[[Any], Sequence[Output]]

READ = ("data", "source")
"""Settings that name a folder of data that is read alone."""
VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv")


FILE_ENDINGS = (
    ".csv", ".json", ".jsonl", ".parquet", ".xlsx", ".txt", ".html", ".png", ".jpg", ".jpeg", ".gif", ".pdf", ".zip",
    ".safetensors", ".onnx", ".pth", ".pt", ".yaml", *VIDEO_ENDINGS,
)  # fmt: skip
"""Endings of names that are a file's: a folder that is called so is a mistake."""


def check_places(outputs: Sequence[Output], settings: Any) -> None:
    """Refuse folders that are files, are called like one, or are read, and what is no path here; before all else.

    Raises:
        UsageError: names the option.
    """
    for output in outputs:
        if output.make and (why := no_place(output.path)):
            raise UsageError(f"{_option_of(output.path, settings)} {output.path} {why[0]}.", why[1])
        if output.make and (read := _read_from(output.path, settings)):
            what = f"{_option_of(output.path, settings)} {output.path} is the folder of {read}"
            raise UsageError(f"{what}: what is written there would be read as part of it.", "Name another folder.")
        path = output.path if output.kind == "folder" else output.path.parent
        option = _option_of(path, settings)
        if not output.make or output.kind == "file" or not option or path.is_dir():
            continue
        there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not there.is_dir():
            what = "is a file" if there == path else f"cannot be made: {there} is a file"
            raise UsageError(f"{option} {path} {what}; a folder is needed.", "Name a folder, or a new one.")
        if path.suffix.lower() in FILE_ENDINGS:
            raise UsageError(
                f"{option} {path} is called like a file, and a folder is made.", f"Name it {path.with_suffix('')}."
            )


def _read_from(path: Path, settings: Any) -> str:
    """Return the option that names ``path`` as a dataset to read; empty where none does."""
    for entry in fields(settings):
        given = getattr(settings, entry.name) if entry.name in READ else None
        if isinstance(given, Path) and given.is_dir() and path.is_dir() and given.samefile(path):
            return option_name(entry)
    return ""


def _option_of(path: Path, settings: Any) -> str:
    """Return the option that names ``path``; empty where it is none's own."""
    found = [entry for entry in fields(settings) if getattr(settings, entry.name) == path]
    return next((option_name(entry) for entry in sorted(found, key=lambda entry: entry.name in READ)), "")


def nothing(settings: Any) -> list[Output]:
    """Return no output: the command writes none, or locks its files itself as it learns their names."""
    return []


def folders(*names: str) -> Outputs:
    """Return a function for the folders that the settings ``names`` name; with a shard, for its share of them."""

    def outputs(settings: Any) -> list[Output]:
        shard = value_of(getattr(settings, "shard", None))
        paths = [path for name in names if (path := getattr(settings, name)) is not None]
        return [Output(path) if shard is None else Output(path / shard.folder, "shard") for path in paths]

    return outputs


def files(*names: str) -> Outputs:
    """Return a function for the files that the settings ``names`` name."""

    def outputs(settings: Any) -> list[Output]:
        return [Output(path, "file") for name in names if (path := getattr(settings, name)) is not None]

    return outputs


def results_and_annotations(settings: Any) -> list[Output]:
    """Return the outputs of ``infer``: what it annotates goes into a folder, or one video into a file."""
    path: Path | None = settings.annotate
    if path is not None and path.suffix.lower() in VIDEO_ENDINGS and not path.is_dir():
        return [*folders("results")(settings), *files("annotate")(settings)]
    return folders("results", "annotate")(settings)


def resumed_or_new(settings: Any) -> list[Output]:
    """Return the run folder of ``train``; with ``--fold``, that of the fold in it."""
    root, new = settings.resume or settings.output, settings.resume is None
    return [
        Output(root, make=new) if settings.fold is None else Output(root / f"fold-{settings.fold}", "shard", make=new)
    ]


def changed_or_new(settings: Any) -> list[Output]:
    """Return the folder of ``datasplit`` and ``relabel``, changed in place or made, and the preview of the first."""
    if settings.dry_run:
        return []
    new = settings.output_path is not None and not settings.undo
    preview = getattr(settings, "preview", None)
    more = [Output(preview, "file")] if preview is not None else []
    return [Output(settings.output_path or settings.path, make=new), *more]


def merged(settings: Any) -> list[Output]:
    """Return the folder that ``merge`` puts shards together in."""
    return [Output(settings.folder, make=False)]
