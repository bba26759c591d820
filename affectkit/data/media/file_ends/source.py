"""What is known of the end of a file, and the reader of its pieces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO

MOST_STEPS = 1 << 20
"""Pieces of a file that are walked over: seconds of work; a file of more is left to the decoder."""


@dataclass(frozen=True)
class FileEnd:
    """Whether a file was cut off.

    Attributes:
        whole: True: its structure shows that it goes to its end; False: certainly cut off; None: cannot be known.
        missing: bytes that it lacks, at least; None where that is not known.
        reason: a phrase for messages: what shows it, or why it cannot be known.
    """

    whole: bool | None
    missing: int | None = None
    reason: str = ""


def lacking(piece: str, missing: int) -> FileEnd:
    """Return the end of a file whose last ``piece`` lacks ``missing`` bytes."""
    return FileEnd(False, missing, f"{piece} lacks {missing:,} byte{'s' * (missing != 1)}")


class Source:
    """An open file whose pieces are read by place; ``size``: its bytes."""

    def __init__(self, stream: FileIO) -> None:
        self._stream = stream
        self.size = os.fstat(stream.fileno()).st_size

    def read(self, place: int, length: int) -> bytes:
        """Return ``length`` bytes from ``place``, fewer where the file ends before."""
        if not 0 <= place < self.size:
            return b""
        self._stream.seek(place)
        data = self._stream.read(min(length, self.size - place)) or b""
        while data and len(data) < min(length, self.size - place):
            more = self._stream.read(min(length, self.size - place) - len(data))
            if not more:
                break  # the file has shrunk meanwhile
            data += more
        return data

    def read_tail(self, length: int) -> tuple[int, bytes]:
        """Return the last ``length`` bytes, or the whole file, and their place."""
        place = max(self.size - length, 0)
        return place, self.read(place, length)
