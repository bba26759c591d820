"""Markdown as a terminal shows it: left-aligned headings, code that can be copied, tables that keep to the width."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, ClassVar

from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, TableElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

WIDEST = 100
"""Columns: longer lines are hard to read."""
THEME = Theme(
    {
        "markdown.h1": "bold",
        "markdown.h2": "bold magenta",
        "markdown.h3": "bold",
        "markdown.code": "cyan",
        "markdown.link": "none",
        "markdown.link_url": "underline",
        "markdown.table.header": "bold",
        "markdown.table.border": "dim",
    }
)


def draw_markdown(text: str, console: Console) -> None:
    """Draw Markdown on the terminal of ``console``, at most ``WIDEST`` columns wide."""
    with console.use_theme(THEME):
        console.print(_Document(text), width=min(console.width, WIDEST))


class _Heading(Heading):
    """A heading at the left."""

    LEVEL_ALIGN: ClassVar = {}


class _Code(CodeBlock):
    """A block of code, indented and without a background, so that a line can be copied as it stands."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Text(str(self.text).rstrip(), style="cyan", overflow="fold")
        yield Padding(code, (0, 0, 0, 4), expand=False)


class _Table(TableElement):
    """A table whose first column, which names things, is broken last."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, border_style="markdown.table.border", show_edge=False)
        header, rows = self.header.row.cells, [row.cells for row in (self.body.rows if self.body else [])]
        for number, cell in enumerate(header):
            heading = cell.content.copy()
            heading.stylize("markdown.table.header")
            longest = max((_longest_line(row[number].content) for row in rows), default=0)
            # Names stay whole where they leave the other columns two thirds of the width.
            whole = number == 0 and longest <= options.max_width // 3
            table.add_column(heading, justify=cell.justify, no_wrap=whole, overflow="fold")
        for row in rows:
            table.add_row(*(cell.content for cell in row))
        yield table


class _Document(Markdown):
    """A text whose links to other guides name the command that shows them."""

    elements: ClassVar = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }

    def __init__(self, text: str) -> None:
        super().__init__(text, hyperlinks=False)
        self.parsed = [_with_commands(token) for token in self.parsed]


def _with_commands(token: Token) -> Token:
    """Rewrite the links in a token: to another guide as its command; within the guide as plain words."""
    children, dropped = token.children or [], set()
    for start, child in enumerate(children):
        if child.type != "link_open":
            continue
        end = next(place for place in range(start, len(children)) if children[place].type == "link_close")
        address = child.attrs["href"] = _address(str(child.attrs["href"]))
        words = "".join(one.content or " " for one in children[start + 1 : end])  # a break has no content
        if address == f"affectkit guide {words.replace(' and ', ' ').replace(' ', '-')}":  # they say it already
            children[start + 1].content = address
            dropped |= {start, *range(start + 2, end + 1)}
        elif not address:
            dropped |= {start, end}
    if children:
        token.children = [child for place, child in enumerate(children) if place not in dropped]
    return token


def _address(target: str) -> str:
    """Return what a link leads to, in words; nothing for a place in the same guide or in the repository."""
    path = PurePosixPath(target.partition("#")[0])
    if path.suffix == ".md" and len(path.parts) == 1:
        return f"affectkit guide {path.stem}"
    return target if target.startswith("http") else ""


def _longest_line(content: Any) -> int:
    return max((len(line) for line in content.plain.splitlines()), default=0)
