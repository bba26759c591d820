"""Count the files of affectkit that one image enters: from ``train`` to its loss, and from ``infer`` to its row.

A tiny run is made in this process with a profile hook on every call, in all threads; a file counts once. What a batch
enters in the loop, from the loss of the one before to its own, is also counted by itself.

    python tests/benchmarks/trips.py
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import affectkit

PACKAGE = str(Path(affectkit.__file__).parent)


class Entered:
    """Files of the package in the order in which they were first entered."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def __call__(self, frame, event, argument) -> None:
        """Note the file of a call of a function, unless a module that is being imported makes it."""
        if event != "call" or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # a module or the body of a class
            return
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE) and path[len(PACKAGE) + 1 :] not in self.files and not importing(frame):
            self.files[path[len(PACKAGE) + 1 :]] = frame.f_code.co_qualname


def importing(frame) -> bool:
    """Whether a module of the package is being imported further up the stack."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(PACKAGE):
            return True
        frame = frame.f_back
    return False


class Reached(BaseException):
    """The end of a trip: nothing in the package catches it."""


@contextmanager
def watched(entered: Entered) -> Iterator[None]:
    """Profile this thread and those that start meanwhile; end quietly where the trip does."""
    threading.setprofile(entered)
    sys.setprofile(entered)
    try:
        yield
    except Reached:
        pass
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def ending(function: Callable, loop: Entered) -> Callable:
    """Return ``function`` which, the first time, leaves ``loop`` to note what is entered; the second time it ends."""

    def reached(*arguments, **options):
        found = function(*arguments, **options)
        if sys.getprofile() is loop:
            sys.setprofile(None)  # what closes the run is no part of the trip
            raise Reached
        threading.setprofile(loop)
        sys.setprofile(loop)
        return found

    return reached


def trip_to_loss(data: Path, root: Path) -> tuple[Entered, Entered]:
    """Go from the command line of ``train`` to the loss of the first batch, and from there to that of the second."""
    from affectkit.cli.app import app

    tasks = importlib.import_module("affectkit.tasks.classification")
    owner = next(kind for kind in tasks.ClassificationTask.__mro__ if "loss" in vars(kind))
    plain, entered, loop = owner.loss, Entered(), Entered()
    owner.loss = ending(plain, loop)
    command = ["train", "--data", data, "--output", root, "--model", "test_resnet", "--no-pretrained", "--image-size"]
    command += [24, "--batch-size", 8, "--epochs", 1, "--workers", 0, "--task", "classification", "--cache", "none"]
    try:
        with watched(entered):
            app([str(part) for part in command], standalone_mode=False)
    finally:
        owner.loss = plain
    return entered, loop


def trip_to_row(data: Path, checkpoint: Path, results: Path) -> Entered:
    """Go from the command line of ``infer`` on one image to the end of its table."""
    from affectkit.cli.app import app

    image, entered = next((data / "test").rglob("*.png")), Entered()
    command = ["infer", image, "--checkpoint", checkpoint, "--results", results, "--workers", 0]
    with watched(entered):
        app([str(part) for part in command], standalone_mode=False)
    return entered


def main() -> None:
    """Print both trips."""
    from support import make_folders

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = make_folders(root / "data")
        first, loop = trip_to_loss(data, root / "run")
        trips = {"train to the loss of the first batch": first, "a batch of the loop to its loss": loop}
        trips["infer to the row"] = trip_to_row(data, Path("builtin"), root / "results")
    for name, entered in trips.items():
        print(f"{name}: {len(entered.files)} files")
        for file, function in entered.files.items():
            print(f"  {file}  {function}")


if __name__ == "__main__":
    main()
