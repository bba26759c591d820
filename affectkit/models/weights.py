"""Tensors from weight files, without running code from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from affectkit.errors import CheckpointError, UsageError
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
    """The class names in an affectkit checkpoint's header; None where there is none, or the names are not known."""
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("affectkit")
    if not text:
        return None
    spec = json.loads(text)["spec"]
    return tuple(spec["classes"]) if spec.get("named", True) else None


def copy_weights(
    model: nn.Module, given: Mapping[str, torch.Tensor], path: Path, *, top: str, what: str, hint: str
) -> str:
    """Copy tensors into ``model`` by name; returns a sentence on what was taken.

    A 3-channel stem is summed for a 1-channel model; the classifier is left out where it is of another size.

    Args:
        given: of the file ``path``, by the names of ``model``. top: how the names of the classifier begin.
        what: the model, and hint: the next step, for the error.

    Raises:
        CheckpointError: a weight below the classifier is missing, of another shape, or not finite.
    """
    wanted = model.state_dict()
    taken, wrong = {}, []
    for name, value in wanted.items():
        tensor = given.get(name)
        if tensor is None:
            continue
        if tensor.shape != value.shape and tensor.dim() == 4 and tensor.shape[1] == 3 and value.shape[1] == 1:
            tensor = tensor.sum(1, keepdim=True)
        if tensor.shape == value.shape:
            taken[name] = tensor
        elif not name.startswith(top):  # a classifier of another size is no fault
            wrong.append(f"{name} {tuple(tensor.shape)} for {tuple(value.shape)}")
    needed = [name for name in wanted if not name.startswith(top) and not name.endswith("num_batches_tracked")]
    missing = sorted(set(needed) - set(taken))
    if missing:
        listed = "; ".join((wrong or [f"no {name}" for name in missing])[:5])
        raise CheckpointError(
            f"{path} does not hold the weights of this {what}: {len(missing)} of {len(needed)} are not there "
            f"({listed}).",
            hint,
        )
    unfinite = [name for name, tensor in taken.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if unfinite:
        raise CheckpointError(f"{path} holds NaN or infinity in {', '.join(unfinite[:5])}.")
    model.load_state_dict(taken, strict=False)
    left = sorted(set(wanted) - set(taken))
    if not left:
        return f"{len(taken)} tensors from {path}"
    more = f" and {len(left) - 4} more" if len(left) > 4 else ""
    return f"{len(taken)} tensors from {path}; left at their initial values: {', '.join(left[:4])}{more}"


def copy_own(
    model: nn.Module, given: Mapping[str, torch.Tensor], path: Path, *, classes: tuple[str, ...], top: str, hint: str
) -> str:
    """``copy_weights`` of a network that is ours as a whole: of an affectkit checkpoint the classifier is taken only
    where it has the same ``classes`` in the same order, of another file where it has as many outputs.

    Raises:
        CheckpointError: as ``copy_weights``.
    """
    own = classes_of(path) if path.suffix == ".safetensors" else None
    if own is not None and own != classes:
        given = {name: value for name, value in given.items() if not name.startswith(top)}
    return copy_weights(model, given, path, top=top, what="network", hint=hint)


def without_clip(options: Mapping[str, Any], clip_weights: str | None) -> dict[str, Any]:
    """``options`` of a model that is not on CLIP; a UsageError where weights for one are named."""
    if clip_weights:
        raise UsageError("--clip-weights has no effect: the model of the checkpoint is not on CLIP.")
    return dict(options)


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
