"""The layout of a page of help: headings, terms with their texts, examples; wrapped, and in colours on a terminal.

Typer's own pages need rich, a fifth of the time of a ``--help``, and give metavars a column that narrows every text.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from affectkit.cli.brief import NO_BREAK
from affectkit.core.streams import unescaped
from affectkit.core.text import printable

LEAST_WIDTH, MOST_WIDTH = 40, 120
"""Characters of a line; longer lines are hard to follow."""
BOLD, CYAN, RED = "1", "1;36", "31"


@dataclass(frozen=True)
class Row:
    """An option, argument or command with what is said of it.

    Attributes:
        term: as it is typed, ``--epochs N``.
        text: of any length.
        mark: words that stand behind the text, as ``[required]``, without a line break in them.
    """

    term: str
    text: str
    mark: str = ""


def terminal_width() -> int:
    """Return the characters of a line: ``COLUMNS``, else those of the terminal, also where a pager stands between."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    for number in (1, 2, 0):
        try:
            return os.get_terminal_size(number).columns or 80
        except OSError:
            continue
    return 80


def in_colours() -> bool:
    """Return whether standard output takes colours: ``NO_COLOR`` wins over ``FORCE_COLOR``, that over the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


class Page:
    """Lines of help for a width, in order.

    Args:
        width: characters of a line; None: the terminal's, within ``LEAST_WIDTH`` and ``MOST_WIDTH``.
        colours: whether to use them; None: where standard output takes them.
    """

    def __init__(self, *, width: int | None = None, colours: bool | None = None) -> None:
        self.width = min(max(width or terminal_width(), LEAST_WIDTH), MOST_WIDTH)
        self.colours = in_colours() if colours is None else colours
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        """Add a sentence at the margin."""
        self.lines += self._wrapped(text, "")

    def paragraph(self, text: str) -> None:
        """Add a text and a blank line; each line of the text is wrapped by itself."""
        for line in text.splitlines():
            self.lines += self._wrapped(line, "  ")
        self.lines.append("")

    def usage(self, program: str, pieces: Iterable[str]) -> None:
        """Add the usage line; it goes on below the program's end where it is long."""
        head = f"Usage: {program}"
        wrapped = self._wrapped(" ".join([head, *pieces]), "", " " * (len("Usage: ") + 4))
        self.lines += [self._styled(BOLD, head) + wrapped[0][len(head) :], *wrapped[1:], ""]

    def examples(self, lines: Iterable[str]) -> None:
        """Add lines to be copied, which are never wrapped."""
        lines = list(lines)
        if lines:
            title = "Example" if len(lines) == 1 else "Examples"
            self.lines += [self._styled(BOLD, title), *(f"  {printable(line)}" for line in lines), ""]

    def sections(self, sections: Iterable[tuple[str, list[Row]]]) -> None:
        """Add headings, each with its rows below it; all texts begin in one column."""
        sections = [(title, rows) for title, rows in sections if rows]
        column = self._column([row.term for _, rows in sections for row in rows])
        for title, rows in sections:
            self.lines.append(self._styled(BOLD, printable(title)))
            for row in rows:
                self._row(row, column)
            self.lines.append("")

    def text(self) -> str:
        """Return the page, without a line end behind its last line."""
        return "\n".join(self.lines).rstrip("\n").replace(NO_BREAK, " ")

    def show(self) -> None:
        """Write the page on standard output: its texts are escaped, its colours are its own."""
        stream = unescaped(sys.stdout)
        stream.write(self.text() + "\n")
        stream.flush()

    def _column(self, terms: list[str]) -> int:
        """Return where texts begin: behind the longest term that leaves them two thirds of the line."""
        most = max(18, self.width // 3 - 1)
        return 4 + max((len(term) for term in terms if len(term) + 4 <= most), default=most - 4)

    def _row(self, row: Row, column: int) -> None:
        wrapped = self._wrapped(f"{row.text} {row.mark}", "", "", width=self.width - column) or [""]
        term, gap = printable(row.term), " " * (column - 2 - len(row.term))
        lead = f"  {self._styled(CYAN, term)}"
        if len(term) + 4 > column:
            self.lines.append(lead)
            lead, gap = "", " " * column
        for number, line in enumerate(wrapped):
            shown = line.replace(row.mark, self._styled(RED, row.mark)) if row.mark else line
            self.lines.append((lead + gap + shown if number == 0 else " " * column + shown).rstrip())

    def _wrapped(self, text: str, first: str, other: str | None = None, *, width: int = 0) -> list[str]:
        return textwrap.wrap(
            printable(text),
            width or self.width,
            initial_indent=first,
            subsequent_indent=first if other is None else other,
            break_on_hyphens=False,
            break_long_words=False,
        )

    def _styled(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colours else text
