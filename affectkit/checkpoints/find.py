"""Find the file that a user means by a checkpoint. Importing this loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from affectkit.core.assets import BUILTIN_MODEL, PREFIX, model_file
from affectkit.errors import CheckpointError, UsageError


def find_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint of ``path``: the file, ``best.safetensors`` of a run folder, or a built-in model's."""
    built_in = model_file(path)
    if built_in is not None and Path(path).exists():
        raise UsageError(
            f"{path} is a model that comes with affectkit, and also a file or folder here.",
            f"Name the one as {PREFIX}{BUILTIN_MODEL}, the other by its absolute path.",
        )
    path = built_in or Path(path).expanduser()
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
            raise CheckpointError(
                f"{path} holds no best.safetensors.", "Name a checkpoint file, or a run folder of affectkit train."
            )
        return found
    if not path.is_file():
        raise CheckpointError(f"the checkpoint {path} does not exist.")
    return path
