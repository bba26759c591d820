"""Files shipped with the package, by name. Importing this loads nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectkit.core.registry import unknown_name
from affectkit.errors import CheckpointError, UsageError

FOLDER = Path(__file__).resolve().parent.parent / "assets"
PREFIX, SAFETENSORS, ONNX = "affectkit:", ".safetensors", ".onnx"
BUILTIN = "builtin"
BUILTIN_MODEL = "ferplus-small"
"""What ``builtin`` stands for: the newest edition of the model."""
NEWEST = {BUILTIN_MODEL: "ferplus-small-2"}
"""The edition that a name without a number stands for. Editions stay as they were published, so that what a result
names can be had again."""
BUILTIN_NETWORK = "face-seresnet"
"""What it is, for ``train --model``."""
MODELS = {
    "ferplus-small-1": "eight emotions of FER+ as a distribution, from 48-pixel gray face crops, 4 M parameters",
    "ferplus-small-2": "the same network, trained further: more often right, and steadier under changed images",
}

SHA256 = {
    "ferplus-small-1": "e59e8e4b97b729c3c24ba61b6e78da0661d2a56825dc2c883bf0eed685836537",
    "ferplus-small-2": "2fd5c2319fa2f80c078863ac683abf6e45aed6d8ebb01344bf0441f655cd9d85",
}
"""Of their files, which stay as they were published: results name them by it."""
SHA256_ONNX = {
    "ferplus-small-1": "6d46d2550e967655b55658451e658ec8509fdb31dedd0e055d0d4e58b9d1f178",
    "ferplus-small-2": "3c3bc2c8478941472ddd03482ceaba3a5005c909fc815d95d900efa28cab10fe",
}
"""Of the same models for ONNX Runtime, made of those files by ``affectkit export``."""


def check_shipped(path: Path, found: str) -> None:
    """Refuse the file of a built-in model whose SHA-256, ``found``, is not the one that is known of it.

    Raises:
        CheckpointError: it changed on the disk.
    """
    known = (SHA256_ONNX if path.suffix == ONNX else SHA256)[path.stem]
    if found != known:
        raise CheckpointError(
            f"{path} changed on the disk since affectkit was installed: its SHA-256 is {found}, and must be {known}.",
            "Install it again: pip install --force-reinstall --no-deps affectkit. --no-verify loads the file as it is.",
        )


def model_file(name: str | Path) -> Path | None:
    """Return the checkpoint that ``builtin`` or ``affectkit:NAME`` stands for; None for any other text.

    Raises:
        UsageError: there is no such model.
    """
    text = str(name)
    if text != BUILTIN and not text.startswith(PREFIX):
        return None
    return FOLDER / f"{_known(text, 'built-in model')}.safetensors"


def called(path: str | Path) -> str:
    """Return how messages and tables call a checkpoint: a built-in model by its name, any other by its path.

    The path may be that of another machine, as records hold it.

    >>> called("/opt/lib/affectkit/assets/ferplus-small-1.onnx"), called("runs/a/best.safetensors")
    ('the built-in model (ferplus-small-1)', 'runs/a/best.safetensors')
    """
    text = str(path)
    parts = text.replace("\\", "/").rsplit("/", 3)
    stem, _, ending = parts[-1].rpartition(".")
    if parts[-3:-1] == ["affectkit", FOLDER.name] and f".{ending}" in (SAFETENSORS, ONNX):
        return f"the built-in model ({stem})" if stem in (*NEWEST, *MODELS) else text
    return text


def edition_of(sha256: object) -> str:
    """Return by which name a built-in model is had whose file has that SHA-256, as ``affectkit:ferplus-small-1``; empty
    for any other."""
    known = {value: name for table in (SHA256, SHA256_ONNX) for name, value in table.items()}
    return f"{PREFIX}{known[sha256]}" if isinstance(sha256, str) and sha256 in known else ""


def onnx_file(name: str | Path) -> Path | None:
    """Return the ONNX file of the model that ``builtin`` or ``affectkit:NAME`` stands for; None for any other text, and
    for an edition that has none.

    Raises:
        UsageError: there is no such model.
    """
    found = model_file(name)
    return found.with_suffix(ONNX) if found is not None and found.stem in SHA256_ONNX else None


def config_file(path: Path) -> Path:
    """Return ``path``, or the recipe that ``affectkit:NAME`` stands for.

    Raises:
        UsageError: there is no such recipe.
    """
    text = str(path)
    return FOLDER / f"{_known(text, 'recipe')}.yaml" if text.startswith(PREFIX) else path


def training_prior_file(hashes: Sequence[str]) -> Path | None:
    """Return the table of the class shares that a built-in model was trained on.

    Args:
        hashes: SHA-256 of the model's file, and of the checkpoint that this was made from.

    Returns:
        None where none of them is of the first edition, whose weights do not say it and stay as they were published.
    """
    names = (edition_of(one).removeprefix(PREFIX) for one in hashes)
    file = next((FOLDER / f"{name}.training-prior.csv" for name in names if name), None)
    return file if file is not None and file.is_file() else None


def card_file(name: str) -> Path:
    """Return the model card of a built-in model."""
    return FOLDER / f"{_known(name, 'built-in model')}.md"


def _known(text: str, kind: str) -> str:
    name = text.removeprefix(PREFIX)
    name = BUILTIN_MODEL if name == BUILTIN else name
    name = NEWEST.get(name, name)
    if name not in MODELS:
        raise UsageError(unknown_name(kind, name, [*NEWEST, *MODELS]))
    return name
