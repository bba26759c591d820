"""Tensors from weight files, without running code from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from affectkit.errors import CheckpointError
from affectkit.models.pickled import load_pickled

NESTED = ("state_dict_ema", "state_dict", "model")
"""Keys under which training scripts keep the tensors."""


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a state dict that torch saved, by name without ``module.``.

    Raises:
        CheckpointError: the file is missing, damaged, asks for code, or holds something else.
    """
    if path.suffix == ".safetensors":
        state: Any = _load_safetensors(path)
    else:
        state = load_pickled(path)
    return unwrapped(state, path)[0]


def unwrapped(found: Any, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors in what a training script saved, by name without ``module.``, and what stands beside them.

    Raises:
        CheckpointError: ``found`` is not a state dict of plain tensors on the CPU, nor holds one under ``NESTED``.
    """
    beside: dict[str, Any] = {}
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            beside |= {str(name): value for name, value in found.items() if name != key}
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        what = f"an empty {type(found).__name__}" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise CheckpointError(f"{path} holds {what}, not a state dict of tensors.")
    strange = [str(name) for name, value in found.items() if not _is_plain(name, value)]
    if strange:
        raise CheckpointError(
            f"{path} is not a state dict of tensors: {', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''} "
            f"{'is' if len(strange) == 1 else 'are'} something else."
        )
    return {name.removeprefix("module."): value.detach() for name, value in found.items()}, beside


def classes_of(path: Path) -> tuple[str, ...] | None:
    """The class names in an affectkit checkpoint's header; None where there is none."""
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("affectkit")
    return tuple(json.loads(text)["spec"]["classes"]) if text else None


def _is_plain(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist.")
    try:
        return load_file(path)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as weights: {' '.join(str(error).split())[:300]}") from error
