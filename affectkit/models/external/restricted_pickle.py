"""Files that ``torch.save`` made, read without running code from them."""

from __future__ import annotations

import argparse
import io
import os
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from affectkit.core.files import open_file
from affectkit.errors import CheckpointError

NO_CODE = (
    "affectkit runs no code from files. Where you trust the origin, load it with its authors' code and save the "
    "tensors alone: torch.save(model.state_dict(), 'weights.pth')."
)
_ZIP = b"PK\x03\x04"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_OF_ZIP = (
    zipfile.BadZipFile, EOFError, OSError, ValueError, LookupError, RuntimeError, OverflowError, zlib.error,
    struct.error,
)  # fmt: skip
"""What zipfile raises of archives that are cut, changed or encrypted; names that are no text are a ValueError."""
MAX_UNPACKING = 100
"""Times the size of a zip archive that its entries may have together; torch packs nothing."""
_LEGACY_BEGINNING = 3
"""In the older format a magic number, a version and facts of the system, a pickle each, stand before the object."""


def is_pickled(path: Path) -> bool:
    """Return whether ``path`` begins as what ``torch.save`` writes: a zip archive, or a pickle.

    The name does not matter.
    """
    with open_file(path) as stream:
        head = stream.read(9)
    length = int.from_bytes(head[:8], "little")
    if head[8:] == b"{" and length <= path.stat().st_size - 8:
        return False  # safetensors: the length of its header can look like the beginning of a pickle
    return head.startswith((_ZIP, *_PICKLES))


def load_pickled(path: Path) -> Any:
    """Load the object in a file that ``torch.save`` made, its tensors on the CPU and, where the format allows it,
    mapped.

    Beyond what torch allows by itself, NumPy's floating-point scalars are read, and what argparse makes of a command
    line, which holds plain values and stands beside the weights in many files.

    Raises:
        CheckpointError: the file is missing, empty, damaged, of another format, or asks for code.
    """
    zipped = _check_looks(path)
    try:
        with torch.serialization.safe_globals(_allowed()):
            wanted = _code_in_zip(path) if zipped else _code_in_legacy(path)
            if not wanted:
                return _loaded(path, zipped=zipped)
    except Exception as error:
        raise _explained(path, error) from error
    raise CheckpointError(f"{path} asks for code to be run or objects to be made: {', '.join(wanted)}.", NO_CODE)


def _loaded(path: Path, *, zipped: bool) -> Any:
    if zipped and path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with _open_bounded(path) as stream:  # torch 2.14 goes by the name of a path, whatever is in it
        return torch.load(stream, map_location="cpu", weights_only=True)


class _Bounded(io.BufferedReader):
    """A file that is asked for no more bytes than it has, whatever lengths stand in it."""

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, or what is left."""
        if size is not None and size > 0:
            size = min(size, max(os.fstat(self.fileno()).st_size - self.tell(), 0))
        return super().read(size)


def _open_bounded(path: Path) -> BinaryIO:
    return _Bounded(open_file(path).detach())


def _allowed() -> list[Any]:
    """Return NumPy's floating-point scalars, under the module names of NumPy 1 and 2,
    and the values of a command line.
    """
    from _codecs import encode

    from numpy._core.multiarray import scalar

    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        np.dtypes.Float64DType,
        np.dtypes.Float32DType,
        encode,
        argparse.Namespace,
    ]


def _check_looks(path: Path) -> bool:
    """Return whether the file is a sound zip archive (True) or a pickle (False);
    raise a CheckpointError for neither.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is a folder, not a file." if path.is_dir() else f"{path} does not exist.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty.", "Was its download cut off? Fetch it again.")
    if not is_pickled(path):
        raise CheckpointError(f"{path} is not a file that torch.save wrote.")
    with open_file(path) as stream:
        head = stream.read(32)
    if not head.startswith(_ZIP):
        if _MAGIC not in head:
            raise CheckpointError(
                f"{path} is a pickle, which can hold code, but not one that torch.save wrote.", NO_CODE
            )
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if (unpacked := sum(entry.file_size for entry in entries)) > MAX_UNPACKING * path.stat().st_size:
                raise zipfile.BadZipFile(f"it states that it unpacks to {unpacked:,} bytes")
            # torch can be set to leave the checksums out, and never compares them.
            damaged = archive.testzip() if any(entry.CRC for entry in entries) else None
    except _OF_ZIP as error:
        raise CheckpointError(
            f"{path} is cut off or damaged: {error}.", "Compare its size with the source's, and fetch it again."
        ) from error
    if damaged:
        raise CheckpointError(f"{path} is damaged: the checksum of {damaged} does not match.", "Fetch it again.")
    if not any(entry.filename.split("/", 1)[-1] == "data.pkl" for entry in entries):
        raise CheckpointError(f"{path} is a zip archive, but not one that torch.save wrote (no data.pkl).")
    return True


def _code_in_zip(path: Path) -> list[str]:
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(os.fspath(path)))


def _code_in_legacy(path: Path) -> list[str]:
    """Return what a file of the older format names beyond torch's own tensors and what is allowed; nothing is run."""
    allowed = {f"{kind.__module__}.{kind.__qualname__}" for kind in (np.dtype, np.dtypes.Float64DType)}
    allowed |= {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtypes.Float32DType"}
    allowed |= {"_codecs.encode", "argparse.Namespace", "collections.OrderedDict", "torch.Size", "torch.device"}
    with _open_bounded(path) as stream:
        found = [name for _ in range(_LEGACY_BEGINNING + 1) for name in _named(stream)]
    tensors = ("torch._utils._rebuild_", "torch._tensor._rebuild_")
    return sorted(
        name
        for name in set(found) - allowed
        if not name.startswith(tensors) and not (name.startswith("torch.") and name.endswith("Storage"))
    )


def _named(stream: BinaryIO) -> list[str]:
    """Return the globals that the next pickle in ``stream`` names; raise a CheckpointError where it names them by
    computing.
    """
    found = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            found.append(str(argument).replace(" ", "."))
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            found.append(f"a global by {opcode.name}")
    return found


def _explained(path: Path, error: Exception) -> CheckpointError:
    """Return an error of torch as a message for a user."""
    text = " ".join(str(error).split())
    if "orch" in text and "script" in text.lower():
        return CheckpointError(
            f"{path} is a TorchScript archive, which holds code.",
            "Use the checkpoint or .safetensors file of the same weights.",
        )
    if "weights_only" in text or "Weights only" in text or "Unsupported" in text:
        why = text.split("WeightsUnpickler error:")[-1].split("Please use")[0].split("Check the doc")[0].strip()
        return CheckpointError(f"{path} holds more than tensors and numbers: {why[:300]}", NO_CODE)
    return CheckpointError(
        f"{path} is cut off, damaged, or not a file that torch.save wrote: {text[:300] or type(error).__name__}",
        "Compare its size with the source's, and fetch it again.",
    )
