"""Reconstruct clips from a part of their codes, to show what shared and private codes hold."""

from __future__ import annotations

import torch

from affectkit.errors import UsageError
from affectkit.models.cmvqvae.network import Parts

KINDS = ("all", "shared", "private", "mixed")


def mask_codes(codes: torch.Tensor, mask: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the ``codes`` (B, K, H, W) that ``kind`` keeps, the others 0.

    Args:
        codes: of all channels.
        mask: (K, 1, 1), 1 shared and 0 private.
        kind: ``all``, ``shared``, ``private``; ``mixed``: each sample's shared
            codes with the private ones of the sample before it (the first one's are the last one's).

    Raises:
        UsageError: another ``kind``.
    """
    if kind not in KINDS:
        raise UsageError(f"codes must be one of {', '.join(KINDS)}; got {kind!r}.")
    if kind == "all":
        return codes
    if kind == "shared":
        return codes * mask
    private = codes * (1 - mask)
    return private if kind == "private" else codes * mask + private.roll(1, 0)


@torch.no_grad()
def reconstruct_from(
    model: Parts, image: torch.Tensor | None, audio: torch.Tensor | None, *, kind: str
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Reconstruct both modalities from the codes that ``kind`` keeps; see ``mask_codes``.

    Shared channels are those that are counted as such: a ternarizer's -1 too, and of ``attention`` the binarized ones.

    Raises:
        UsageError: the model reconstructs nothing, or has no mask.
    """
    shape = getattr(model, "shape", None)
    if not getattr(shape, "decoded", False) or not isinstance(model, Parts):
        raise UsageError("this model reconstructs nothing.", "Name a cmvqvae, or its baseline2 with --codes all.")
    if not shape.masked and kind != "all":
        raise UsageError("this model has no mask, so its codes are neither shared nor private.", "Use --codes all.")
    mask = None
    if shape.masked:
        mask = model._classifier.effective_mask().ne(0).float()[:, None, None]
    made = {}
    for name, quantised in model.quantise(image, audio).items():
        half = slice(0, shape.code_size) if name == "image" else slice(shape.code_size, None)
        made[name] = model._decoded(name, mask_codes(quantised.vectors, None if mask is None else mask[half], kind))
    return made.get("image"), made.get("audio")
