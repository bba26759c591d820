"""Tensors from weight files, without running code from them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from affectkit.core.assets import called
from affectkit.core.forms import parse_json
from affectkit.core.tensor_files import check_tensor_table
from affectkit.core.text import count_text
from affectkit.errors import CheckpointError
from affectkit.models import checksums
from affectkit.models.external.restricted_pickle import load_pickled
from affectkit.models.external.state_dicts import Form, Weights, unwrap

SPEC = {"model?": {"name?": str}, "spec": {"classes?": list[str], "named?": bool, "clip?": dict[str, Any] | None}}
"""What is read of the header of a checkpoint of ours here; see ``core.forms``."""


def read_weights(path: Path, *, forms: Sequence[Form] = (), key: str | None = None, verify: bool = True) -> Weights:
    """Read the tensors of a ``.safetensors`` file, or of what a training script saved with torch; see
    ``external.state_dicts.unwrap``.

    Args:
        path: the file.
        forms, key: as of ``unwrap``.
        verify: compare a checkpoint of ours with the checksums in it.

    Raises:
        CheckpointError: the file is missing, damaged, asks for code, or holds something else.
    """
    found = _load_safetensors(path, verify=verify) if path.suffix == ".safetensors" else load_pickled(path)
    return unwrap(found, path, forms=forms, key=key)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of ``read_weights`` by name, where the network that they are for is not known."""
    return read_weights(path).state


def unwrap_weights(found: Any, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Unwrap the tensors in what a training script saved, by name without marks, and what stands beside them.

    Raises:
        CheckpointError: ``found`` is not a state dict of plain tensors on the CPU, nor holds one.
    """
    weights = unwrap(found, path)
    return weights.state, weights.beside


def is_weights_file(text: str) -> bool:
    """Return whether ``text`` names a file with weights, by its form, not a tag of a library."""
    return os.sep in text or Path(text).suffix in (".safetensors", ".pt", ".pth", ".bin")


def tensor_shapes(model: nn.Module) -> Form:
    """Return the tensors of ``model``, as their shapes by name."""
    return {name: value.shape for name, value in model.state_dict().items()}


def read_classes(path: Path) -> tuple[str, ...] | None:
    """Read the class names in an affectkit checkpoint's header; None where there is none,
    or the names are not known.
    """
    spec = _header_of(path).get("spec")
    return tuple(spec["classes"]) if spec is not None and spec.get("named", True) else None


def read_sound_level(path: Path) -> str | None:
    """Read the level of the sound that an affectkit checkpoint takes; None where it hears none, or has no header."""
    clip = _header_of(path).get("spec", {}).get("clip") if path.suffix == ".safetensors" else None
    if not clip or not clip.get("sound") or clip.get("needs") == "image":
        return None
    return clip["sound"].get("level", "unit")


def _header_of(path: Path) -> dict[str, Any]:
    """Read the header of an affectkit checkpoint; an empty one of another file."""
    check_tensor_table(path)
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("affectkit")
    return parse_json(text, f"{path}: the header is damaged", form=SPEC, error=CheckpointError) if text else {}


def _verify(tensors: Mapping[str, torch.Tensor], header: str, path: Path) -> None:
    """Raise a CheckpointError where header or tensors are not as the checksums say that a checkpoint of ours has."""
    values = parse_json(header, f"{path}: the header is damaged", form=dict[str, Any], error=CheckpointError)
    try:
        entry = checksums.check_header(values)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    verifier = checksums.Verifier(path, entry, tensors)
    for name, tensor in tensors.items():
        verifier.compare(name, tensor)
    verifier.check()


def copy_weights(
    model: nn.Module, given: Mapping[str, torch.Tensor], source: Weights, *, top: str, what: str, hint: str
) -> str:
    """Copy tensors into ``model`` by name; returns a sentence on what was taken.

    A 3-channel stem is summed for a 1-channel model; the classifier is left out where it is of another size.

    Args:
        given: out of ``source``, by the names of ``model``.
        top: how the names of the classifier begin.
        what: the model, and hint: the next step, for the error.

    Raises:
        CheckpointError: a weight below the classifier is missing, of another shape, or not finite; or the file is of
            a deeper network of the same kind.
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
            f"{source.path} does not hold the weights of this {what}: {len(missing)} of {len(needed)} are not there "
            f"({listed}). It holds {count_text(len(source.tensors), 'tensor')}{source.description()}: "
            f"{listed_names(source.tensors)}.",
            _named_model(hint, source.path),
        )
    _check_depth(given, wanted, source, top=top, what=what, hint=hint)
    unfinite = [name for name, tensor in taken.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if unfinite:
        raise CheckpointError(f"{source.path} holds NaN or infinity in {', '.join(unfinite[:5])}.")
    model.load_state_dict(taken, strict=False)
    left = sorted(set(wanted) - set(taken))
    told = f"{count_text(len(taken), 'tensor')} from {called(source.path)}{source.description()}"
    told += f"; left at their initial values: {listed_names(left)}" if left else ""
    idle = sorted(set(given) - set(taken))
    told += f"; not used: {listed_names(idle)}" if idle else ""
    return told + ("; --init-key takes another of its sets" if source.others else "")


def _named_model(hint: str, path: Path) -> str:
    """Return ``hint`` with the model that a checkpoint of ours was made with."""
    made = _header_of(path).get("model", {}).get("name") if path.suffix == ".safetensors" else None
    return f"{hint} It was made with --model {made}." if made else hint


def listed_names(names: Collection[str]) -> str:
    """List the first four of ``names``, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(sorted(names)[:4]) + more


def _check_depth(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, Any], source: Weights, *, top: str, what: str, hint: str
) -> None:
    """Raise a CheckpointError where ``given`` are of a deeper network: further blocks of a row that is ``wanted``.

    All of ResNet-18 stands in a ResNet-34 under the same names, in the same shapes.
    """
    beyond = []
    for name in given:
        if name in wanted or name.startswith(top):
            continue
        parts = name.split(".")
        for place, part in enumerate(parts):
            before = [".".join([*parts[:place], str(k), *parts[place + 1 :]]) for k in range(_number(part))]
            if any(other in wanted for other in before):
                beyond.append(name)
                break
    if beyond:
        raise CheckpointError(
            f"{source.path} is of a deeper network than this {what}: it has {len(beyond)} more tensors of the same "
            f"kind ({listed_names(beyond)}).",
            hint,
        )


def _number(part: str) -> int:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 4 else 0


def copy_own(
    model: nn.Module,
    given: Mapping[str, torch.Tensor],
    source: Weights,
    *,
    classes: tuple[str, ...],
    top: str,
    hint: str,
) -> str:
    """Do ``copy_weights`` for a network that is ours as a whole: of an affectkit checkpoint the classifier is taken
    only where it has the same ``classes`` in the same order, of another file where it has as many outputs.

    Raises:
        CheckpointError: as ``copy_weights``.
    """
    own = read_classes(source.path) if source.path.suffix == ".safetensors" else None
    named = {"top": top, "what": "network", "hint": hint}
    if own is None or own == classes:
        return copy_weights(model, given, source, **named)
    given = {name: value for name, value in given.items() if not name.startswith(top)}
    told = copy_weights(model, given, source, **named)
    return f"{told}; the last layer is new: it gives {listed_names(classes)}, the file's {listed_names(own)}"


def _load_safetensors(path: Path, *, verify: bool) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist.")
    try:
        check_tensor_table(path)
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("affectkit")
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if text is not None and verify:
            _verify(found, text, path)
        return found
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as weights: {' '.join(str(error).split())[:300]}") from error
