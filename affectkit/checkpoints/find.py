"""Find the file that a user means by a checkpoint. Importing this loads nothing heavy."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from affectkit.core.assets import BUILTIN, BUILTIN_MODEL, MODELS, PREFIX, model_file
from affectkit.core.folders import is_folder
from affectkit.core.missing_paths import at_home, instead_of
from affectkit.core.registry import nearest_names
from affectkit.core.text import list_some
from affectkit.errors import CheckpointError, UsageError

NAME_ONE = f"Name a checkpoint file, a run folder of affectkit train, or {BUILTIN}."
NO_MODELS = (".csv", ".json", ".yaml", ".yml", ".txt", ".md", ".png", ".jpg", ".html", ".zip")
"""Endings of files that hold no model, as others of a run folder."""
LOOKED_AT = 1_000
"""Files and folders of a folder among which run folders are looked for."""


def find_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint of ``path``: the file, ``best.safetensors`` of a run folder, or a built-in model's."""
    built_in = model_file(path)
    if built_in is not None and Path(path).exists():
        raise UsageError(
            f"{path} is a model that comes with affectkit, and also a file or folder here.",
            f"Name the one as {PREFIX}{BUILTIN_MODEL}, the other by its absolute path.",
        )
    path = built_in or at_home(path)
    if path.is_dir():
        found = path / "best.safetensors"
        if not found.is_file():
            runs = sorted(path.glob("fold-*")) or sorted(path.glob("repeat-*"))
            several = [one for one in runs if (one / found.name).is_file()]
            if several:
                folds = several[0].name.startswith("fold")
                raise CheckpointError(
                    f"{path} holds {len(several)} {'folds' if folds else 'repeats'} of a training, a model each.",
                    f"Name one, as {several[0]}." + (" Each has been tested on what it has not seen." if folds else ""),
                )
            raise _no_model(path)
        return found
    if not path.is_file():
        raise missing_checkpoint(path)
    if path.suffix in NO_MODELS:
        beside = path.parent / "best.safetensors"
        hint = f"Did you mean {path.parent}, the run folder that it is in?" if beside.is_file() else NAME_ONE
        raise CheckpointError(f"{path} is no checkpoint.", hint)
    return path


def missing_checkpoint(path: Path) -> CheckpointError:
    """Return the error that there is no checkpoint ``path``, with what may have been meant."""
    words = [BUILTIN, "built-in", BUILTIN_MODEL, *MODELS]
    if len(path.parts) == 1 and not path.suffix and nearest_names(str(path), words):
        return CheckpointError(f"the checkpoint {path} does not exist.", f"Did you mean {BUILTIN}?")
    runs = [str(one) for folder in (Path(), Path("runs")) for one in _runs_in(folder)]
    there = f" Run folders here: {list_some(runs, 5)}." if runs else ""
    return CheckpointError(f"the checkpoint {path} does not exist.", instead_of(path, advice=f"{NAME_ONE}{there}"))


def _no_model(folder: Path) -> CheckpointError:
    """Return the error that ``folder`` holds no best model, with what is in it instead."""
    message = f"{folder} holds no best.safetensors."
    if (folder / "config.yaml").is_file():
        again = f"resume it, if it has ended: affectkit train --resume {folder}"
        return CheckpointError(message, f"It is a run whose first epoch has not ended. Wait for it, or {again}")
    files = sorted(path for path in folder.glob("*") if path.suffix in (".safetensors", ".onnx", ".pth", ".pt"))
    if found := [*files, *_runs_in(folder)]:
        return CheckpointError(message, f"Name one of what it holds: {list_some(found, 5)}.")
    return CheckpointError(message, NAME_ONE)


def _runs_in(folder: Path) -> list[Path]:
    """Return the run folders in ``folder`` that have a best model, sorted; of many files, among the first alone."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, LOOKED_AT) if is_folder(entry)]
    except OSError:
        return []
    return sorted(folder / name for name in names if (folder / name / "best.safetensors").is_file())
