"""``affectkit demo``: the commands a user would type, on faces and a film that are drawn on the spot."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console, Terminated
from affectkit.cli.demo_view import show_faces
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Resolved, setting
from affectkit.core.children import python_command
from affectkit.errors import AffectkitError, UsageError

LOOK, BUILTIN_RESULTS, ANNOTATED = "look", "builtin", "annotated"
"""Folders of the picture and the film, of what the built-in model makes of them, and of both with that drawn in."""
OWN_FILES = (
    "photographs (files, a folder, a pattern): a row a face, each picture marked",
    "a film: its timeline, a row a face every half second, the film marked",
    "crops of faces, a folder a class (FACES/calm, FACES/tense): your own classes",
)
"""What ``next_commands`` are for."""


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Settings of ``affectkit demo``."""

    folder: Path = setting(Path("affectkit-demo"), "Folder to make.", argument=True, also="output")
    epochs: int = setting(8, "Epochs of training.", low=1)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "demo", DemoSettings, writes=folders("folder"))
    def demo(resolved: Resolved[DemoSettings], console: Console) -> None:
        """Show the built-in model on drawn faces and a film, then train, test and use a model, without any download.

        Prints each command before it runs, so that it can be repeated on real data, and at the end three for files of
        one's own. Takes about a minute on two free processors. A second run finishes what was interrupted.

        Examples:
            affectkit demo
            affectkit demo tried --epochs 2
        """
        began = time.monotonic()
        settings = resolved.settings
        folder = settings.folder
        if folder.is_file():
            raise UsageError(f"{folder} is a file; name a folder.")
        console.note(
            "About a minute on two free processors, longer on busy ones: first, within seconds, what the built-in "
            f"model sees; then one is trained from nothing. All of it is in {folder}."
        )
        _draw(folder / LOOK, console)
        results = {"look": _run(looking(folder), console)}
        if not console.json:
            show_faces(folder / BUILTIN_RESULTS, console)
        console.note("\nA model of one's own: it learns from drawn faces with votes of raters, and is tested.")
        for arguments in steps(folder, epochs=settings.epochs, device=settings.device):
            results[arguments[0]] = _run(arguments, console)
        seconds = round(time.monotonic() - began, 1)
        console.result({"folder": str(folder), "steps": results, "seconds": seconds, "next": next_commands()})
        if not console.json:
            console.line(f"\nDone in {seconds:.0f} s. Where to look:")
            found = places(folder)
            width = max(len(str(path)) for path, _ in found)
            for path, what in found:
                console.line(f"  {path!s:<{width}}  {what}")
            console.line("\nWith files of your own:")
            for text, what in zip(next_commands(), OWN_FILES, strict=True):
                console.line(f"  {text}")
                console.line(f"      {what}")


def looking(folder: Path) -> list[str]:
    """Return the command that shows the built-in model the picture and the film."""
    words = ["infer", str(folder / LOOK), "--every", "0.25s", "--results", str(folder / BUILTIN_RESULTS)]
    words += ["--annotate", str(folder / ANNOTATED)]
    return [*words, *(["--resume"] if (folder / BUILTIN_RESULTS).is_dir() else [])]


def next_commands() -> list[str]:
    """Return the commands to try on one's own files, in the order of ``OWN_FILES``."""
    return [
        "affectkit infer PHOTOS --results photos-results --annotate photos-annotated",
        "affectkit infer FILM.mp4 --results film-results --annotate film-annotated.mp4",
        "affectkit train --data FACES --init builtin --output runs/first",
    ]


def steps(folder: Path, *, epochs: int, device: str) -> list[list[str]]:
    """List the commands that make a model of one's own; where an earlier run left something, those that finish it."""
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
        (folder / ANNOTATED / "scene.png", "faces, and what the built-in model sees in them"),
        (folder / ANNOTATED / "film.mp4", "the same in a film"),
        (folder / BUILTIN_RESULTS / "videos" / "timelines" / "film.mp4.png", "its timeline"),
        (folder / "run" / "plots" / "curves.png", "loss and metrics over the epochs"),
        (folder / "run" / "history.csv", "the same as numbers"),
        (folder / "test" / "plots" / "bars.png", "test faces beside predicted and true distributions"),
        (folder / "test" / "plots" / "reliability.png", "how far confidence can be trusted"),
        (folder / "test" / "test_results.csv", "a row a test face"),
        (folder / "infer" / "inference_results.csv", "predictions for faces without labels"),
    ]


def _draw(look: Path, console: Console) -> None:
    """Draw the picture and the film, where they are not there yet."""
    from affectkit.prep.images.schematic_scene import write_film, write_scene

    look.mkdir(parents=True, exist_ok=True)
    for name, write in (("scene.png", write_scene), ("film.mp4", write_film)):
        if not (look / name).exists():
            write(look / name)
    console.note(f"{look} holds scene.png, three schematic faces, and film.mp4, one whose expression changes in 6 s.")


def _run(arguments: list[str], console: Console) -> Any:
    """Run one command as a user would, in a process of its own; with ``--json`` returns what it printed."""
    shared = [
        flag for flag, on in (("--json", console.json), ("--quiet", console.quiet), ("--debug", console.debug)) if on
    ]
    console.note(f"\n$ affectkit {shlex.join(arguments)}")
    sys.stdout.flush()  # what stands before comes before what the process prints, in a file too
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
