"""Names of the tensors in published checkpoints of the V1 networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch

DERIVED = ("kernel_dists", "channel_distances", "x_coords", "y_coords", "pooling_masks", "pooling_mask_counts")
"""What follows from shapes alone is computed, not loaded."""
UNUSED = ("dog_conv.bias",)
"""Stored, and never read by the published code."""
# The cortical-magnification network was saved as a plain sequence.
_SEQUENCE = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4", "10": "fc"}
_PLACES = {name: place for place, name in _SEQUENCE.items()}


def is_sequence(state: Mapping[str, torch.Tensor]) -> bool:
    """Return whether the names are those of a plain sequence."""
    return "0.weight" in state and "10.weight" in state


def as_sequence(name: str) -> str:
    """Return a name of ``V1ResNet`` as the plain sequence has it."""
    head, _, rest = name.partition(".")
    return f"{_PLACES[head]}.{rest}" if head in _PLACES else name


def rename_published(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by the names of ``V1ResNet``, without what is derived or unused."""
    sequence = is_sequence(state)
    found = {}
    for name, value in state.items():
        if name.endswith((*DERIVED, *UNUSED)):
            continue
        head, _, rest = name.partition(".")
        found[f"{_SEQUENCE[head]}.{rest}" if sequence and head in _SEQUENCE else name] = value
    return found
