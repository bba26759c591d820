"""``affectkit demo``: the commands a user would type, on faces that are drawn on the spot."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console, Terminated
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Resolved, setting
from affectkit.core.children import python_command
from affectkit.errors import AffectkitError, UsageError


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Settings of ``affectkit demo``."""

    folder: Path = setting(Path("affectkit-demo"), "Folder to make.", argument=True)
    epochs: int = setting(8, "Epochs of training.", low=1)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "demo", DemoSettings, writes=folders("folder"))
    def demo(resolved: Resolved[DemoSettings], console: Console) -> None:
        """Draw schematic faces, then train, test and infer on them, without any download.

        Prints each command before it runs, so that it can be repeated on real data. Takes a minute or two on two
        processors. A second run finishes what was interrupted.

        Examples:
            affectkit demo
            affectkit demo try-out --epochs 2
        """
        began = time.monotonic()
        folder = resolved.settings.folder
        if folder.is_file():
            raise UsageError(f"{folder} is a file; name a folder.")
        results = {
            arguments[0]: _run(arguments, console)
            for arguments in steps(folder, epochs=resolved.settings.epochs, device=resolved.settings.device)
        }
        console.result({"folder": str(folder), "steps": results, "seconds": round(time.monotonic() - began, 1)})
        if not console.json:
            console.line(f"\nDone in {time.monotonic() - began:.0f} s. Where to look:")
            for path, what in places(folder):
                console.line(f"  {path}  {what}")


def steps(folder: Path, *, epochs: int, device: str) -> list[list[str]]:
    """List the commands of the demo; where an earlier run left something, those that finish it."""
    data, run, tested, inferred = (str(folder / name) for name in ("data", "run", "test", "infer"))
    training = ["train", "--model", "test_resnet", "--no-pretrained", "--task", "distribution", "--data", data,
                "--output", run, "--image-size", "48", "--epochs", str(epochs), "--batch-size", "16",
                "--optimizer", "adamw", "--lr", "0.003", "--schedule", "cosine", "--warmup", "1", "--augment", "flip",
                "--device", device]  # fmt: skip
    if (folder / "run" / "config.yaml").is_file():
        training = ["train", "--resume", run, "--device", device]
    testing = ["test", "--checkpoint", run, "--data", data, "--results", tested, "--device", device]
    testing += ["--force"] if (folder / "test").is_dir() else []
    inference = [
        "infer",
        str(folder / "data" / "photos"),
        "--checkpoint",
        run,
        "--results",
        inferred,
        "--device",
        device,
    ]
    inference += ["--resume"] if (folder / "infer").is_dir() else []
    return [["prep", "schematic", data, "--train", "1200"], training, testing, inference]


def places(folder: Path) -> list[tuple[Path, str]]:
    """List what a user should open, and what it shows."""
    return [
        (folder / "run" / "plots" / "curves.png", "loss and metrics over the epochs"),
        (folder / "run" / "history.csv", "the same as numbers"),
        (folder / "test" / "plots" / "bars.png", "test faces beside predicted and true distributions"),
        (folder / "test" / "plots" / "reliability.png", "how far confidence can be trusted"),
        (folder / "test" / "test_results.csv", "a row a test face"),
        (folder / "infer" / "inference_results.csv", "predictions for faces without labels"),
    ]


def _run(arguments: list[str], console: Console) -> Any:
    """Run one command as a user would, in a process of its own; with ``--json`` returns what it printed."""
    shared = [
        flag for flag, on in (("--json", console.json), ("--quiet", console.quiet), ("--debug", console.debug)) if on
    ]
    console.note(f"\n$ affectkit {shlex.join(arguments)}")
    process = subprocess.Popen(
        python_command("-m", "affectkit", *arguments, *shared),
        stdout=subprocess.PIPE if console.json else None,
        text=True,
    )
    try:
        printed, _ = process.communicate()
    except (KeyboardInterrupt, Terminated) as error:
        # The child has had a Ctrl-C of its own from the terminal; SIGTERM has to be passed on. It saves and ends.
        if isinstance(error, Terminated):
            process.terminate()
        process.communicate()
        raise typer.Exit(process.returncode) from None
    if process.returncode:
        error = AffectkitError(
            f"affectkit {arguments[0]} ended with exit code {process.returncode}.",
            "What it printed is above; affectkit demo resumes there.",
        )
        error.exit_code = process.returncode if process.returncode > 0 else 128 - process.returncode
        raise error
    return json.loads(printed) if console.json else None
