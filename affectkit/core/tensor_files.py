"""What stands at the beginning of a .safetensors file, bounded before a library reads it."""

from __future__ import annotations

from pathlib import Path

from affectkit.core.files import open_file
from affectkit.core.limits import MAX_TENSOR_TABLE, over
from affectkit.errors import AffectkitError, CheckpointError

SIZE_BYTES = 8


def check_tensor_table(path: Path, *, error: type[AffectkitError] = CheckpointError) -> int:
    """Return the bytes of the tensors of a .safetensors file, once its table is known to be of a size that is read.

    The format (huggingface/safetensors): 8 bytes with the length of the table, little-endian; the table, JSON; the
    tensors.

    Raises:
        AffectkitError: of the kind ``error``: the file ends before its table does, or that is too long.
        OSError: the file cannot be read.
    """
    with open_file(path) as stream:
        stated = int.from_bytes(stream.read(SIZE_BYTES), "little")
    size = path.stat().st_size
    if size < SIZE_BYTES + 2 or stated > size - SIZE_BYTES:
        raise error(
            f"{path} is no whole .safetensors file: it has {size:,} bytes, and states a table of {stated:,}.",
            "Was it copied to its end?",
        )
    if stated > MAX_TENSOR_TABLE:
        raise error(
            over(f"{path}: the table of its tensors", stated, MAX_TENSOR_TABLE, "bytes"), "Is it the right file?"
        )
    return size - SIZE_BYTES - stated
