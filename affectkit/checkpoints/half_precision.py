"""Write a checkpoint in half precision: half the bytes, the same network to about three digits of each weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from affectkit.checkpoints.checkpoint import find_checkpoint, read_header, save_tensors
from affectkit.checkpoints.convert import check_output
from affectkit.core.files import sha256
from affectkit.errors import CheckpointError, UsageError


def halve(source: Path, output: Path, *, force: bool = False) -> dict[str, Any]:
    """Write the checkpoint ``source`` with its weights rounded to half precision; computing stays in single.

    Args:
        source: a checkpoint of affectkit, or a run folder.
        output: a ``.safetensors`` file.
        force: replace it.

    Returns:
        what was done: paths, sizes in bytes, and the greatest change of a weight in shares of its tensor's greatest.

    Raises:
        UsageError: ``output`` exists, or has another ending.
        CheckpointError: ``source`` is no checkpoint, is in half precision already, or holds a value beyond its range.
    """
    path = find_checkpoint(source)
    check_output(output, path, force=force)
    header = read_header(path)
    tensors, greatest, singles = {}, 0.0, 0
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            value = file.get_tensor(name)
            if value.dtype == torch.float32:
                singles += 1
                rounded = value.half()
                if not rounded.isfinite().all():
                    raise CheckpointError(
                        f"{path}: {name} holds {value.abs().max():.3g}, beyond the 65,504 of half precision.",
                        "Leave --half out.",
                    )
                most = float(value.abs().max())
                greatest = max(greatest, float((rounded.float() - value).abs().max()) / most if most else 0.0)
                value = rounded
            tensors[name] = value
    if not singles:
        raise UsageError(f"{path} holds no weight in single precision: there is nothing to halve.")
    training = {**header.training, "half": {"of": sha256(path), "greatest_change": greatest}}
    save_tensors(output, tensors, type(header)(header.model, header.options, header.spec, training, header.version))
    return {
        "source": str(path),
        "output": str(output),
        "recognised": f"affectkit's, {header.model}",
        "published": {},
        "greatest_change": greatest,
        "tensors": len(tensors),
        "bytes_before": path.stat().st_size,
        "bytes_after": output.stat().st_size,
    }
