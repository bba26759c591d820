"""The guides as tests read them: their blocks of code with the marks in front, the commands in these, their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import affectkit
from affectkit.guides import FOLDER, NAMES

ROOT = Path(affectkit.__file__).parent.parent
README = ROOT / "README.md"
CARDS = sorted((ROOT / "affectkit" / "assets").glob("*.md"))
BEFORE = {"|", "||", "&&", ";", "&", "(", "do", "--", "then", "$("}
"""What a command stands behind, where it is not at the beginning of its line."""
FENCE = re.compile(r"(?:^<!-- (?P<mark>[^>]*?) -->\n\n?)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of code in a text.

    Attributes:
        where: the file and line in which it begins.
        language: that of its fence, as ``bash``.
        mark: the comment in front of it: ``runnable``, ``runnable: slow``, or nothing.
        text: the code.
    """

    where: str
    language: str
    mark: str
    text: str


def blocks(path: Path) -> list[Block]:
    """All blocks of code of a Markdown file, in their order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(f"{path.name}:{text.count(chr(10), 0, found.start()) + 1}", found["language"], found["mark"] or "",
              found["text"])
        for found in FENCE.finditer(text)
    ]  # fmt: skip


def guide_paths() -> list[Path]:
    """The files of all guides."""
    return [FOLDER / f"{name}.md" for name in NAMES]


def prose(text: str) -> str:
    """A Markdown text without its blocks of code."""
    return FENCE.sub("", text)


def shell_commands(text: str) -> list[list[str]]:
    """The calls of affectkit in lines of a shell, each as its arguments; variables become numbers."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        filled = re.sub(r"\$\(\(.*?\)\)|\$\{?\w+\}?", "1", line)
        lexer = shlex.shlex(filled, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        found += _calls(list(lexer))
    return found


def _calls(tokens: list[str]) -> Iterator[list[str]]:
    for place, token in enumerate(tokens):
        if token.startswith("affectkit "):  # a command as one argument, of sbatch --wrap
            yield from shell_commands(token)
        elif token == "affectkit" and (place == 0 or tokens[place - 1] in BEFORE):
            end = next((k for k in range(place, len(tokens)) if set(tokens[k]) <= set("|&;()<>")), len(tokens))
            yield tokens[place + 1 : end]


def links(text: str) -> list[str]:
    """The targets of the links in a Markdown text; none in code."""
    without_code = re.sub(r"`[^`\n]*`", "`code`", prose(text))
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found
