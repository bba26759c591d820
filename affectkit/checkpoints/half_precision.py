"""Write a checkpoint in half precision: half the bytes, the same network to about three digits of each weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from affectkit.checkpoints.checkpoint import read_header, save_tensors
from affectkit.checkpoints.convert import check_output
from affectkit.checkpoints.find import find_checkpoint
from affectkit.core.assets import check_shipped, model_file
from affectkit.core.files import sha256
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.checksums import ALGORITHM, Verifier


def halve(source: Path, output: Path, *, force: bool = False, verify: bool = True) -> dict[str, Any]:
    """Write the checkpoint ``source`` with its weights rounded to half precision; computing stays in single.

    Args:
        source: a checkpoint of affectkit, or a run folder.
        output: a ``.safetensors`` file.
        force: replace it.
        verify: compare ``source`` with its checksums.

    Returns:
        what was done: paths, kinds of checksums, sizes in bytes, and the greatest change of a weight in shares of its
            tensor's greatest.

    Raises:
        UsageError: ``output`` exists, or has another ending.
        CheckpointError: ``source`` is no checkpoint, is in half precision already, or holds a value beyond its range.
    """
    path = find_checkpoint(source)
    check_output(output, path, force=force)
    built_in = model_file(source)
    if built_in is not None and verify:
        check_shipped(path, sha256(path))
    header = read_header(path, verify=verify)
    tensors, greatest, singles = {}, 0.0, 0
    with safe_open(path, framework="pt") as file:
        verifier = Verifier(path, header.checksum, file.keys())
        for name in file.keys():  # noqa: SIM118 - not a mapping
            value = file.get_tensor(name)
            verifier.compare(name, value)
            if value.dtype == torch.float32:
                singles += 1
                rounded = value.half()
                if not rounded.isfinite().all():
                    raise CheckpointError(
                        f"{path}: {name} holds {value.abs().max():.3g}, beyond the 65,504 of half precision.",
                        "Leave --fp16 out.",
                    )
                most = float(value.abs().max())
                greatest = max(greatest, float((rounded.float() - value).abs().max()) / most if most else 0.0)
                value = rounded
            tensors[name] = value
    verifier.check()
    if not singles:
        raise UsageError(f"{path} holds no weight in single precision: there is nothing to halve.")
    training = {**header.training, "half": {"of": sha256(path), "greatest_change": greatest}}
    save_tensors(output, tensors, type(header)(header.model, header.options, header.spec, training, header.version))
    return {
        "source": str(path),
        "output": str(output),
        "recognised": f"affectkit's, {header.model}",
        "published": {},
        "source_checksum": _kind(header.checksum, built_in=built_in is not None),
        "checksum": ALGORITHM,
        "greatest_change": greatest,
        "tensors": len(tensors),
        "bytes_before": path.stat().st_size,
        "bytes_after": output.stat().st_size,
    }


def _kind(checksum: Mapping[str, str] | None, *, built_in: bool) -> str:
    """Return the kind of checksum that the source has."""
    return "sha256" if built_in else checksum["algorithm"] if checksum else "none"
