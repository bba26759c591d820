"""Standard output and standard error of a process, through which no control character reaches a terminal.

What affectkit prints itself is escaped where it is printed (``cli.console``). This is the net below it: tracebacks,
warnings, logs and what packages print, all of which may quote the name of a file or a word of its content.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from affectkit.core.text import printable

_REDRAWN = re.compile(r"(?:[\r\n]|\x1b\[A)+")
"""How the progress bars of packages (tqdm's) begin a piece: back to the start of the line, or a line up."""


class EscapedStream:
    """Pass text on to ``stream`` with its control characters escaped; everything else is the stream's own.

    Attributes:
        rich_proxied_file: the stream itself, onto which rich draws by this attribute's name: help, tables and bars
            consist of sequences, and their texts are escaped before.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.rich_proxied_file = unescaped(stream)

    def write(self, text: str) -> int:
        """Write ``text``; a beginning by which a bar is redrawn stays. Returns the length of ``text``."""
        begin = _REDRAWN.match(text)
        head = begin[0] if begin else ""
        self._stream.write(head + printable(text[len(head) :]))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # of a copy that was not initialised
            raise AttributeError(name)
        return getattr(self._stream, name)


def unescaped(stream: Any) -> Any:
    """Return the stream below ``stream``: for sequences that affectkit itself draws with, and for rows in a pipe."""
    while (below := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = below
    return stream


def escape_output() -> None:
    """Escape what is written to ``sys.stdout`` and ``sys.stderr`` from here on, in this process and its forks.

    A spawned process calls it again.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, EscapedStream):
            setattr(sys, name, EscapedStream(stream))
