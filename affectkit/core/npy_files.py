"""Read .npy files that may be damaged: the header is judged by the size of the file before memory is taken."""

from __future__ import annotations

import functools
import io
import math
import os
import stat
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NPY_ERRORS = (
    ValueError, SyntaxError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, MemoryError,
    RecursionError, tokenize.TokenError,
)  # fmt: skip
"""What NumPy, which reads headers as Python text, raises of damaged ones."""


def load_npy(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Return the array in a .npy file.

    Args:
        path: the file.
        mapped: map it, rather than read it.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
        ValueError: it is no such file, its header is damaged, or states another size than it has.
    """
    import numpy as np

    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
        raise ValueError("it is no file")
    with path.open("rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran_order, dtype = headers[version](stream)
        except NPY_ERRORS as error:
            raise ValueError("its header is damaged") from error
        start = stream.tell()
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    stated = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stated != found.st_size - start:
        raise ValueError(f"its header states {stated:,} bytes of numbers, and it has {found.st_size - start:,}")
    if not stated:
        return np.empty(shape, dtype)
    if mapped:
        order = "F" if fortran_order else "C"
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    return np.load(path, allow_pickle=False)


def array_of_bytes(data: bytes) -> np.ndarray:
    """Return the array in the bytes of a whole .npy file, for many small ones.

    Raises:
        ValueError: it is no such file, its header is damaged, or states another size than it has; or it holds Python
            objects.
    """
    import numpy as np

    start = 10 if data[6:7] == b"\x01" else 12
    length = int.from_bytes(data[8:start], "little")
    dtype, shape, order = _header(data[: start + length])
    rest = data[start + length :]
    if math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError(f"its header states {math.prod(shape) * dtype.itemsize:,} bytes, and it has {len(rest):,}")
    return np.frombuffer(rest, dtype).reshape(shape, order=order) if rest else np.empty(shape, dtype)


@functools.lru_cache(maxsize=1024)
def _header(data: bytes) -> tuple[np.dtype, tuple[int, ...], str]:
    """Return dtype, shape and order in the header of a .npy file; most small files have one of a few headers."""
    import numpy as np

    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran_order, dtype = headers[version](stream)
    except NPY_ERRORS as error:
        raise ValueError("its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if min(shape, default=0) < 0:
        raise ValueError("its header is damaged")
    return dtype, shape, "F" if fortran_order else "C"
