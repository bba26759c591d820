"""Tensors from weight files, without running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
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
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} is not a state dict of tensors.")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist.")
    try:
        return load_file(path)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as weights: {' '.join(str(error).split())[:300]}") from error
