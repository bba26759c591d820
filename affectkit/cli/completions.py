"""``affectkit completions``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from affectkit.cli.completion_values import SHELLS
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Resolved, setting
from affectkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class CompletionsSettings:
    """Settings of ``affectkit completions``."""

    shell: str | None = setting(None, "The shell whose script is printed.", argument=True, choices=tuple(SHELLS))
    write: Path | None = setting(
        None, "Write the scripts of all shells into this folder instead.", renamed="output", metavar="FOLDER"
    )


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "completions", CompletionsSettings, writes=folders("write"))
    def completions(resolved: Resolved[CompletionsSettings], console: Console) -> None:
        """Print a shell's completion script, or write those of all shells.

        Examples:
            affectkit completions bash > ~/.local/share/bash-completion/completions/affectkit
            affectkit completions zsh > ~/.zfunc/_affectkit
            affectkit completions --output completions
        """
        from affectkit.cli.completion_shells import script
        from affectkit.core.files import write_text

        settings = resolved.settings
        if settings.write is not None:
            for shell, name in SHELLS.items():
                write_text(settings.write / name, script(shell))
                console.note(f"wrote {settings.write / name}")
        elif settings.shell is not None:
            console.line(script(settings.shell).rstrip("\n"))
        else:
            raise UsageError(f"name a shell ({', '.join(SHELLS)}) or --output FOLDER.")
