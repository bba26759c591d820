"""Guides to the package: Markdown that a repository's page and ``affectkit guide`` show alike, a file each.

A guide begins with its title and one sentence on what it is for. Its commands are run, or at least parsed, by
tests/guides, and so are the programs in examples/. What a single option means stands in the help of its command.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from affectkit.core.registry import unknown_name
from affectkit.errors import UsageError

FOLDER = Path(__file__).resolve().parent
NAMES = (
    "faces-and-films",
    "films",
    "own-classes",
    "datasets",
    "valence-arousal",
    "v1-networks",
    "audio-visual",
    "datasplit",
    "calibration",
    "comparing-models",
    "clusters",
    "python",
    "files-and-formats",
    "troubleshooting",
    "security",
    "developers",
)
"""In the order in which they are listed."""


@dataclass(frozen=True)
class Guide:
    """One guide.

    Attributes:
        name: as it is asked for.
        title: its heading.
        summary: its first sentence, what it is for.
        text: the Markdown, title included, without comments.
    """

    name: str
    title: str
    summary: str
    text: str


def read_guide(topic: str) -> Guide:
    """Read the guide that ``topic`` names: its name, however its words are joined, or that of its file.

    Raises:
        UsageError: there is none; the message names the nearest, or those whose headings speak of it.
    """
    name = "-".join(re.split(r"[\s_-]+", topic.strip().lower())).removesuffix(".md")
    if name not in NAMES:
        raise UsageError(_unknown(name), "affectkit guide lists all of them.")
    text = re.sub(r"^<!--.*?-->\n", "", (FOLDER / f"{name}.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    title, summary = re.match(r"# (.+)\n\n((?:.+\n)+)", text).groups()  # type: ignore[union-attr]
    return Guide(name, title, " ".join(summary.split()), text)


def all_guides() -> list[Guide]:
    """Read all guides, in their order."""
    return [read_guide(name) for name in NAMES]


def _unknown(name: str) -> str:
    """Return the sentence for a name that no guide has."""
    if not difflib.get_close_matches(name, NAMES, cutoff=0.75):
        words = [rf"\b{re.escape(word)}" for word in name.split("-")]
        found = {one.name: "\n".join(headings(one.text)).lower() for one in all_guides()}
        for wanted in (all, any):
            about = [name for name, text in found.items() if wanted(re.search(word, text) for word in words)]
            if about:
                return f"unknown guide {name!r}; see {' and '.join(about[:3])}."
    return unknown_name("guide", name, list(NAMES))


def headings(text: str) -> list[str]:
    """List the headings of a Markdown text, without those that look like one in a block of code."""
    return re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
