"""``affectkit guide``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting


@dataclass(frozen=True, kw_only=True)
class GuideSettings:
    """Settings of ``affectkit guide``."""

    topic: str | None = setting(None, "Name of a guide; without one they are listed.", argument=True)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "guide", GuideSettings, writes=nothing)
    def guide(resolved: Resolved[GuideSettings], console: Console) -> None:
        """Show a guide: what a task needs from beginning to end, with commands to copy.

        A terminal shows it formatted; a pipe gets the Markdown.

        Examples:
            affectkit guide
            affectkit guide faces-and-films
            affectkit guide datasets | less
        """
        from affectkit.guides import all_guides, read_guide

        topic = resolved.settings.topic
        if topic is not None:
            found = read_guide(topic)
            console.result(asdict(found))
            console.document(found.text)
            return
        guides = all_guides()
        console.result({"guides": [{"name": one.name, "title": one.title, "summary": one.summary} for one in guides]})
        console.table(["guide", "what it is for"], [[one.name, one.summary] for one in guides])
        if not console.json:
            console.note("affectkit guide NAME shows one; affectkit COMMAND --help says what a command's options mean.")
