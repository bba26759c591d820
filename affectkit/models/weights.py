"""Tensors from weight files, without running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from affectkit.errors import CheckpointError

NESTED = ("state_dict_ema", "state_dict", "model")
"""Keys under which training scripts keep the tensors."""


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a state dict that torch saved, by name without ``module.``.

    Raises:
        CheckpointError: the file is missing, damaged, asks for code, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist.") from error
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        hint = ""
        if "TorchScript" in text:
            hint = "This is a TorchScript archive, which holds code: use the .safetensors file of the same weights."
        raise CheckpointError(f"{path} cannot be read as weights: {text}", hint) from error
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} is not a state dict of tensors.")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
