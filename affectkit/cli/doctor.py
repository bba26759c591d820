"""``affectkit doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from affectkit.cli._console import Console
from affectkit.cli._options import command
from affectkit.config import Resolved
from affectkit.errors import EXIT_FAILED


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Settings of ``affectkit doctor``."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "doctor", DoctorSettings)
    def doctor(resolved: Resolved[DoctorSettings], console: Console) -> None:
        """Say what is installed, which device and precision auto means and why, and what is wrong.

        Exits 1 where something is wrong that will make runs fail.

        Example: affectkit doctor
        """
        from affectkit.runners.doctor import examine

        found = examine()
        console.result(found.to_dict())
        for title, rows in _sections(found.to_dict()):
            console.table([title, ""], rows)
            if not console.json:
                console.line()
        if not console.json:
            console.line(_verdict(found.problems))
        if any(problem.severity == "error" for problem in found.problems):
            raise typer.Exit(EXIT_FAILED)


def _sections(found: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    raise NotImplementedError


def _verdict(problems: list[Any]) -> str:
    if not problems:
        return "Nothing is wrong with this environment."
    return "\n".join(f"{p.severity}: {p.what}\n  why:  {p.why}\n  mend: {p.mend}" for p in problems)
