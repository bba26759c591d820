"""Completion scripts for bash, zsh, fish and PowerShell, from the command tree of a Typer application.

The scripts are static: all commands, options and values stand in them, and a Tab starts no Python. The same
application gives the same text, without versions and dates, so that a test can compare the files in the repository.
"""

from __future__ import annotations

from typing import Any

from affectkit.cli import _completion_bash, _completion_fish, _completion_powershell, _completion_zsh
from affectkit.cli._completion_tree import FILES, FOLDERS, Values, read_tree
from affectkit.core.registry import unknown_name
from affectkit.errors import UsageError

__all__ = ["FILES", "FOLDERS", "SHELLS", "script"]

_RENDERERS = {
    "bash": _completion_bash.render,
    "zsh": _completion_zsh.render,
    "fish": _completion_fish.render,
    "powershell": _completion_powershell.render,
}
SHELLS = tuple(_RENDERERS)


def script(app_command: Any, shell: str, *, program: str = "affectkit", values: Values | None = None) -> str:
    """The completion script of an application, ending in a newline.

    Args:
        app_command: the command tree, ``typer.main.get_command(app)``.
        shell: one of ``SHELLS``.
        program: the name under which it is started.
        values: words for options and arguments whose type has no choices, by name without dashes
            (``{"model": ["resnet18", "resnet50"]}``); ``FILES`` or ``FOLDERS`` in place of the words completes names
            of files or folders. Paths are completed without being named here.

    Raises:
        UsageError: there is no such shell.
    """
    if shell not in _RENDERERS:
        raise UsageError(unknown_name("shell", shell, list(SHELLS)))
    return _RENDERERS[shell](read_tree(app_command, values=values or {}), program)
