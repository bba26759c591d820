"""How long a user waits for --help, beside a bare Typer application with as many commands and options; and for Tab."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import pytest
import typer

from affectkit.cli.app import app

pytestmark = pytest.mark.benchmark


def bare_app() -> str:
    """The source of a Typer app that has the same commands with the same number of options, and nothing else."""
    lines = ["import typer", "from typing import Optional", "app = typer.Typer(add_completion=False)", ""]

    def add(command, target, prefix):
        for name, inner in getattr(command, "commands", {}).items():
            ident = (prefix + name).replace("-", "_")
            if getattr(inner, "commands", None):
                lines.append(f"{ident} = typer.Typer()\n{target}.add_typer({ident}, name={name!r})")
                add(inner, ident, ident + "_")
                continue
            options = ", ".join(
                f"o{k}: Optional[str] = typer.Option(None, '--o{k}', help='Some words of help, what it is for.')"
                for k, _ in enumerate(inner.params)
            )
            lines.append(f"@{target}.command({name!r})\ndef {ident}({options}):\n    'What it does.'\n")

    add(typer.main.get_command(app), "app", "c_")
    return "\n".join([*lines, "app()"])


def seconds(command: list[str], word: str = "Usage", **environment: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0 and word in done.stdout, done.stderr
    return time.perf_counter() - began


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_takes_at_most_one_and_a_half_times_a_bare_app(arguments, tmp_path, capsys):
    bare = tmp_path / "bare.py"
    bare.write_text(bare_app())
    ours, theirs = [], []
    for _ in range(15):
        ours.append(seconds([sys.executable, "-m", "affectkit", *arguments]))
        theirs.append(seconds([sys.executable, str(bare), *arguments]))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    with capsys.disabled():
        print(f"\naffectkit {' '.join(arguments):14} {1000 * statistics.median(ours):5.0f} ms"
              f"   bare {1000 * statistics.median(theirs):5.0f} ms   ratio {ratio:.2f}")  # fmt: skip
    assert ratio <= 1.5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_tab_takes_about_as_long_as_the_version(shell, capsys):
    program = [sys.executable, "-m", "affectkit"]
    asked = {"_AFFECTKIT_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "affectkit train --mod"}
    pairs = [(seconds(program, "--model", **asked), seconds([*program, "--version"], "affectkit")) for _ in range(15)]
    ratio = statistics.median(tab / version for tab, version in pairs)
    with capsys.disabled():
        print(f"\nTab in {shell:10} {1000 * statistics.median(tab for tab, _ in pairs):5.0f} ms   ratio {ratio:.2f}")
    assert ratio <= 1.25
