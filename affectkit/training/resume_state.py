"""The state for resuming a run exactly: saved whole, verified before it is used, never executed.

A state is a folder ``state-<step>`` (``state-<step>-002`` where a step is saved again) with ``tensors.safetensors``,
``values.json`` and, written last, ``manifest.json`` with the hashes of both. It is made under another name, flushed,
and renamed; older ones are removed afterwards.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from affectkit.core.contained_paths import is_regular, refuse_link
from affectkit.core.files import read_json, sha256, whole_folder
from affectkit.core.forms import Hash, matcher, parse_json, shown
from affectkit.core.tensor_files import check_tensor_table
from affectkit.errors import AffectkitError, CheckpointError, RunError

TENSORS, VALUES, MANIFEST = "tensors.safetensors", "values.json", "manifest.json"
_PAIR = matcher(tuple[str | int | float | bool | None, dict[str, Any]])


def save_state(folder: Path, tree: dict[str, Any], *, step: int, keep: int = 2) -> Path:
    """Write ``tree`` (nested dicts and lists of tensors and plain values) as ``folder/state-<step>``.

    Args:
        step: position in the run; the newest state is the one of the highest step.
        keep: how many states stay, this one counted. States of a later step go: they were damaged, or belong to a
            course of the run that was given up.
    """
    tensors: dict[str, torch.Tensor] = {}
    values = _pack(tree, tensors)
    final = folder / _free_name(folder, step)
    for left in folder.glob(".state-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        with whole_folder(final) as part:
            save_file(tensors, str(part / TENSORS))
            (part / VALUES).write_text(json.dumps(values), encoding="utf-8")
            hashes = {name: sha256(part / name) for name in (TENSORS, VALUES)}
            (part / MANIFEST).write_text(json.dumps({"step": step, "sha256": hashes}), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the state could not be saved in {folder}: {error}",
            "What was saved before is intact: free some space, then continue with --resume.",
        ) from error
    earlier = [state for state in states(folder) if state.name <= final.name]
    for old in set(states(folder)) - set(earlier[:keep]):
        shutil.rmtree(old, ignore_errors=True)
    return final


def _free_name(folder: Path, step: int) -> str:
    """Return ``state-<step>``; with a number behind it that sorts last where that step was saved before.

    A folder cannot be renamed onto another one, and to put the other aside first would leave a moment without any.
    """
    name = f"state-{step:09d}"
    taken = [state.name for state in states(folder) if state.name.startswith(name)]
    return f"{name}-{int(taken[0][len(name) + 1 :] or 1) + 1:03d}" if taken else name


def states(folder: Path) -> list[Path]:
    """List the state folders, newest first."""
    return sorted(folder.glob("state-*"), reverse=True) if folder.is_dir() else []


def newest_state(folder: Path) -> tuple[Path | None, dict[str, Any], list[str]]:
    """Find the newest state that matches its manifest (None: there is none), what it holds, and what was passed over.

    Of what was passed over there is a sentence each.
    """
    skipped = []
    for candidate in states(folder):
        try:
            return candidate, read_state(candidate), skipped
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, AffectkitError) as error:
            skipped.append(f"{candidate}: {error}")
    return None, {}, skipped


def read_state(folder: Path) -> dict[str, Any]:
    """Read the tree that ``save_state`` wrote as ``folder``; an error where it does not match its manifest."""
    refuse_link(folder, "the state")
    manifest = read_json(folder / MANIFEST, {"sha256": dict.fromkeys((TENSORS, VALUES), Hash)})
    for name in (TENSORS, VALUES):
        if not is_regular(folder / name) or sha256(folder / name) != manifest["sha256"][name]:
            raise CheckpointError(f"{name} does not match its hash")
    check_tensor_table(folder / TENSORS)
    tensors = load_file(folder / TENSORS)
    values = parse_json((folder / VALUES).read_bytes(), VALUES, error=CheckpointError)
    return _unpack(values, tensors, VALUES)


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Pack ``value`` as JSON: tensors moved to ``tensors``, dicts as lists of pairs so that integer keys survive."""
    if isinstance(value, torch.Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise TypeError(f"a state cannot hold a {type(value).__name__}")


def _unpack(value: Any, tensors: dict[str, torch.Tensor], place: str) -> Any:
    """Return the inverse of ``_pack``; a CheckpointError names the place of what it never wrote."""
    kind, content = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", None)
    if kind == "value" and not isinstance(content, dict | list):
        return content
    if kind == "tensor" and isinstance(content, str) and content in tensors:
        return tensors[content]
    if kind == "list" and isinstance(content, list):
        return [_unpack(item, tensors, f"{place}[{number}]") for number, item in enumerate(content)]
    if kind == "dict" and isinstance(content, list) and all(map(_PAIR, content)):
        return {key: _unpack(item, tensors, f"{place}.{key}") for key, item in content}
    raise CheckpointError(f"{place} must be a value, tensor, list or dict of a state, got {shown(value)}")
