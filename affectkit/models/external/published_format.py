"""Parts that every kind of published checkpoint shares: how its contents are held, compared and described."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.core.spec import InputSpec

Shapes = dict[str, tuple[int, ...]]

PRECISIONS = {torch.float16: "half", torch.bfloat16: "bfloat16", torch.float32: "single"}


@dataclass(frozen=True)
class Published:
    """Contents of a published file, in our terms.

    Attributes:
        family: its key in ``FORMATS``.
        title: one line on what was recognised.
        model: the registry's name.
        options: for its builder.
        spec: input and outputs.
        state: tensors as they are in the file, by the names of our module.
        summary: the plain numbers beside them (epoch, best_R, ...).
        precision: ``half``, ``bfloat16`` or ``single``, of the frozen part.
        notes: what a user should know of how it was read: which weights, and why images are fitted as they are.
        choices: of ``Choices``, those that a file of this format leaves open.
    """

    family: str
    title: str
    model: str
    options: dict[str, Any]
    spec: InputSpec
    state: dict[str, torch.Tensor] = field(repr=False)
    summary: dict[str, Any]
    precision: str
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """A file as it was read: its tensors by name, without marks, and what stands beside them.

    Attributes:
        description: which of several sets of tensors was taken, under which names; see
            ``external.state_dicts.Weights.description``.
    """

    path: Path
    state: dict[str, torch.Tensor]
    beside: dict[str, Any]
    description: str = ""


@dataclass(frozen=True)
class Choices:
    """A user's choices where a published file leaves something open.

    Attributes:
        outputs: ``valence`` or ``arousal``, of a VCA with one output.
        mode, mask: of a CM-VQVAE: the modalities that it classifies by, and what its mask is turned into.
    """

    outputs: str | None = None
    mode: str | None = None
    mask: str | None = None


@dataclass(frozen=True)
class PublishedFormat:
    """A kind of published checkpoint.

    Attributes:
        title: as users know it.
        faults: what is missing or wrong for a file to be one; empty where it is one.
        read: the contents, once there are no faults.
    """

    title: str
    faults: Callable[[Contents], list[str]]
    read: Callable[[Contents, Choices], Published]


def check_finite_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of ``values`` that are finite numbers (NumPy's and tensors of one element too), or lists of
    them.
    """
    found = {}
    for name, value in values.items():
        plain = [_number(item) for item in value] if isinstance(value, list | tuple) else _number(value)
        if plain is not None and plain != [] and (not isinstance(plain, list) or None not in plain):
            found[name] = plain
    return found


def _number(value: Any) -> int | float | None:
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.numel() == 1):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def differences(given: Mapping[str, torch.Tensor], wanted: Shapes, prefix: str = "") -> list[str]:
    """Return what keeps the tensors ``given`` from being those ``wanted``."""
    faults = [f"no {prefix}{name}" for name in wanted if name not in given]
    faults += [f"{prefix}{name} is not known" for name in given if name not in wanted]
    for name, value in given.items():
        if name in wanted and tuple(value.shape) != wanted[name]:
            faults.append(f"{prefix}{name} is {tuple(value.shape)}, not {wanted[name]}")
        elif name in wanted and value.dtype not in PRECISIONS:
            faults.append(f"{prefix}{name} is of type {str(value.dtype).removeprefix('torch.')}, not half or single")
    return faults
