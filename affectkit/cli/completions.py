"""``affectkit completions``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.config import Resolved, setting
from affectkit.errors import UsageError

SCRIPTS = {"bash": "affectkit.bash", "zsh": "_affectkit", "fish": "affectkit.fish", "powershell": "affectkit.ps1"}


@dataclass(frozen=True, kw_only=True)
class CompletionsSettings:
    """Settings of ``affectkit completions``."""

    shell: str | None = setting(None, "The shell whose script is printed.", argument=True, choices=tuple(SCRIPTS))
    write: Path | None = setting(None, "Write the scripts of all shells into this folder instead.")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "completions", CompletionsSettings)
    def completions(resolved: Resolved[CompletionsSettings], console: Console) -> None:
        """Print a shell's completion script, or write those of all shells.

        Example: affectkit completions bash > ~/.local/share/bash-completion/completions/affectkit
        """
        settings = resolved.settings
        if settings.write is not None:
            from affectkit.core.files import write_text

            for shell, name in SCRIPTS.items():
                write_text(settings.write / name, text_for(app, shell))
                console.note(f"wrote {settings.write / name}")
        elif settings.shell is not None:
            console.line(text_for(app, settings.shell).rstrip("\n"))
        else:
            raise UsageError(f"name a shell ({', '.join(SCRIPTS)}) or --write FOLDER.")


def text_for(app: typer.Typer, shell: str) -> str:
    """The completion script of ``app`` for ``shell``."""
    from affectkit.cli.completion_scripts import script

    return script(typer.main.get_command(app), shell, values=names())


def names() -> dict[str, Any]:
    """Values of options and arguments that Typer does not know: names of ours, and text that is a path."""
    from affectkit.cli.completion_scripts import FILES
    from affectkit.corruptions import CORRUPTIONS, GROUPS
    from affectkit.losses import LOSSES, RATING_LOSSES
    from affectkit.models.registry import MODELS

    return {
        "model": list(MODELS),
        "loss": list({**LOSSES, **RATING_LOSSES}),
        "alter": list(CORRUPTIONS),
        "corruptions": [*GROUPS, *CORRUPTIONS],
        "clip": ["ViT-L-14", "ViT-B-32"],
        "device": ["auto", "cpu", "cuda", "mps"],
        "checkpoint": FILES,
        "clip-weights": FILES,
        "paths": FILES,
    }
