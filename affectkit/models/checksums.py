"""Checksums of the tensors of a checkpoint, which its header records: weights that changed on the disk are noticed.

CRC-32 (ISO 3309; ``zlib.crc32``) finds every change of a single bit, and every one within 32 bits; others escape it
once in four thousand million. It is computed at the speed of memory, four times as fast as SHA-256. It is no proof
against somebody who means to deceive: he would write the checksum anew, as he could any hash in the same file.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from affectkit.core.forms import check_form
from affectkit.errors import CheckpointError

ALGORITHM = "crc32"
KEY = "checksum"
FORM = {"algorithm": str, "tensors": str, "header": str}
DIGITS = 8
NEXT = "Copy it again from where it is whole, or write it again; --no-verify loads it as it is."


def tensor_checksum(name: str, tensor: torch.Tensor) -> str:
    """Compute the checksum of a tensor on the CPU, its name, number format and shape included, as 8 digits."""
    front = f"{name} {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}\n".encode()
    flat = tensor.detach().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy() if flat.numel() else b""
    return f"{zlib.crc32(data, zlib.crc32(front)):08x}"


def checksum_entry(values: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the entry ``checksum`` of a header.

    Args:
        values: the rest of the header.
        tensors: those of the file.

    Returns:
        ``algorithm``; ``tensors``: their checksums one after the other, by sorted name; ``header``: 16 digits of the
        SHA-256 of all other entries, those two included, as JSON with sorted keys.
    """
    found = "".join(tensor_checksum(name, tensors[name]) for name in sorted(tensors))
    entry = {"algorithm": ALGORITHM, "tensors": found}
    return {**entry, "header": header_digest({**values, KEY: entry})}


def check_header(values: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the entry ``checksum`` of a header that agrees with it; None where there is none: it is an older file.

    Raises:
        CheckpointError: the header changed since it was written, or has checksums of a kind that is not known.
    """
    entry = values.get(KEY)
    if KEY not in values:
        return None
    check_form(entry, FORM, f"the header is damaged, {KEY}", hint=NEXT, error=CheckpointError)
    # First, for a digit of it may have changed as well.
    rest = {name: value for name, value in entry.items() if name != "header"}
    if header_digest({**values, KEY: rest}) != entry["header"]:
        raise CheckpointError("the header does not match its own checksum: it changed since it was written.", NEXT)
    if entry["algorithm"] != ALGORITHM:
        raise CheckpointError(
            f"the tensors have checksums by {entry['algorithm']}; this affectkit knows {ALGORITHM}.",
            "Upgrade with pip install -U affectkit; --no-verify loads it unverified.",
        )
    return dict(entry)


class Verifier:
    """Compares the tensors of a file with the checksums in its header.

    Args:
        path: the file, for messages.
        entry: what ``check_header`` gave; None: nothing is compared.
        names: of all tensors in the file.
    """

    def __init__(self, path: Path, entry: Mapping[str, str] | None, names: Iterable[str]) -> None:
        self.path = path
        self._changed: list[str] = []
        self._wanted: dict[str, str] = {}
        if entry is None:
            return
        names, digits = sorted(names), entry["tensors"]
        if len(digits) != DIGITS * len(names):
            raise CheckpointError(
                f"{path} holds {len(names):,} tensors, and checksums of {len(digits) / DIGITS:,g}: it changed since it "
                "was written.",
                NEXT,
            )
        parts = (digits[at : at + DIGITS] for at in range(0, len(digits), DIGITS))
        self._wanted = dict(zip(names, parts, strict=True))

    def compare(self, name: str, tensor: torch.Tensor) -> None:
        """Compare one tensor; ``check`` reports it."""
        if name in self._wanted and tensor_checksum(name, tensor) != self._wanted[name]:
            self._changed.append(name)

    def check(self) -> None:
        """Raise a CheckpointError that names the tensors which changed."""
        if self._changed:
            more = f" and {len(self._changed) - 3} more" if len(self._changed) > 3 else ""
            raise CheckpointError(
                f"{self.path}: weights changed on the disk since they were written: {', '.join(self._changed[:3])}"
                f"{more} of {len(self._wanted):,} tensors do not match their checksums ({ALGORITHM}).",
                NEXT,
            )


def weights_digest(tensors: str) -> str:
    """Compute 16 digits of the SHA-256 of the ``tensors`` of an entry: of weights alone, whatever a header says."""
    return hashlib.sha256(tensors.encode()).hexdigest()[:16]


def header_digest(values: Mapping[str, Any]) -> str:
    """Compute 16 digits of the SHA-256 of ``values`` as JSON with sorted keys."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
