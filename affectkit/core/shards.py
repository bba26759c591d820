"""Shards: one command as N runs that know nothing of each other, each of every N-th item, put together later.

The items of a command (the images of a listing, the rows of tables) stand in a fixed order that every run sees alike;
an item's place in it is its *position*, from 0. The run ``--shard i/N`` takes the positions p with p mod N = i - 1 and
writes into a folder of its own, ``shard-2-of-4``, tables in CSV or JSON lines with a leading column ``Position``. The
folder's ``shard.json`` says what the part belongs to; once the part is complete, and last of all its files, also how
many items all runs see, a fingerprint of their names, and number of rows and SHA-256 of each table.

Putting together then needs no trust: ``read_parts`` refuses parts that lack, are unfinished, damaged, or of different
origin, and ``merged`` gives every row in order and refuses a position that stands twice or nowhere, or whose name is
not the one listed there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from affectkit.errors import UsageError

POSITION = "Position"
MOST = 10_000
"""The largest number of shards."""


@dataclass(frozen=True, order=True)
class Shard:
    """One of several runs of a command.

    Attributes:
        number: from 1.
        count: how many there are.

    >>> [Shard(2, 3).mine(position) for position in range(5)]
    [False, True, False, False, True]
    >>> Shard(2, 3).folder
    'shard-2-of-3'
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``i/N`` names; a UsageError where it is none."""
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST:
            raise UsageError(
                f"must be I/N with whole numbers 1 <= I <= N <= {MOST}, as 2/4; got {text!r}.",
                "I counts from 1; a Slurm array task from 0: --shard $((SLURM_ARRAY_TASK_ID + 1))/N.",
            )
        return cls(int(match[1]), int(match[2]))

    def mine(self, position: int) -> bool:
        """Return whether the item at ``position`` (from 0) is this shard's."""
        return position % self.count == self.number - 1

    def share(self, items: int) -> int:
        """Return how many of so many ``items`` are this shard's.

        >>> [Shard(number, 3).share(5) for number in (1, 2, 3)]
        [2, 2, 1]
        """
        return len(range(self.number - 1, items, self.count))

    @property
    def folder(self) -> str:
        """Return the name of its folder in the output folder."""
        return f"shard-{self.number}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class Listing:
    """Items that the runs of a command must see alike: their number, and their names in order.

    Attributes:
        count: items so far, which is also the next position.
    """

    def __init__(self) -> None:
        import hashlib  # it loads OpenSSL, and help needs Shard

        self.count = 0
        self._digest = hashlib.sha256()

    def add(self, name: str) -> int:
        """Count the next item; its position."""
        # A file name may hold anything but NUL, bytes that are no text among it.
        self._digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        self.count += 1
        return self.count - 1

    @property
    def fingerprint(self) -> str:
        """Return a hash of all names so far, in hexadecimal."""
        return self._digest.hexdigest()
