"""What the tests share: small datasets, settings of short runs, the command line as a user runs it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

TINY = "test_resnet"
"""timm's network for tests: 0.5 M parameters."""
CLASSES = ("anger", "happiness", "sadness")


def blob(rng: np.random.Generator, kind: int, size: int = 24) -> Image.Image:
    """An image whose class shows: a bright patch in one of three places, on noise."""
    pixels = rng.integers(0, 90, (size, size, 3), dtype=np.uint8)
    row, column = [(2, 2), (2, 14), (14, 8)][kind]
    pixels[row : row + 8, column : column + 8] += 150
    return Image.fromarray(pixels)


def make_folders(root: Path, *, train: int = 24, valid: int = 12, test: int = 12, seed: int = 0) -> Path:
    """Class folders of blobs, the same number in each class."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        for number in range(count):
            kind = number % len(CLASSES)
            folder = root / split / CLASSES[kind]
            folder.mkdir(parents=True, exist_ok=True)
            blob(rng, kind).save(folder / f"{number:03}.png")
    return root


def make_votes(root: Path, *, train: int = 24, valid: int = 12, test: int = 12, seed: int = 0) -> Path:
    """Tables of votes by ten raters, whose top class is the blob's."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        rows = []
        for number in range(count):
            kind = number % len(CLASSES)
            name = f"images/{split}/{number:03}.png"
            blob(rng, kind).save(root / name)
            share = np.full(len(CLASSES), 0.15)
            share[kind] = 0.7
            rows.append([name, *rng.multinomial(10, share)])
        with (root / f"{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["filename", *CLASSES], *rows])
    return root


def settings(data: Path, output: Path, **changes):
    """Settings of a training that takes a second."""
    from affectkit.config import resolve
    from affectkit.runners.settings import TrainSettings

    values = {
        "data": data, "output": output, "model": TINY, "pretrained": False, "image_size": 24, "batch_size": 8,
        "epochs": 2, "workers": 0, "augment": "flip",
    }  # fmt: skip
    return resolve(TrainSettings, flags={**values, **changes}).settings


def affectkit(*arguments: object, timeout: float = 120, cwd: Path | None = None, **environment: str):
    """Run the command line as a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "affectkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        stdin=subprocess.DEVNULL,
    )


def make_affectnet(root: Path, *, train: int, valid: int) -> Path:
    """AffectNetFused as it is downloaded, with bytes in place of images."""
    rng = np.random.default_rng(4)
    for folder, first, count in (("train_set", 0, train), ("val_set", 100, valid)):
        for part in ("images", "annotations"):
            (root / folder / part).mkdir(parents=True)
        for number in range(first, first + count):
            (root / folder / "images" / f"{number}.jpg").write_bytes(b"jpeg" + bytes([number]))
            row = ",".join(str(value) for value in rng.dirichlet(np.full(13, 0.2)))
            (root / folder / "annotations" / f"{number}_prob_rank.txt").write_text(row + "\n")
    return root


class Heard:
    """A Reporter that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.done = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        self.done = 0

    def advance(self, count: int = 1, text: str = "") -> None:
        self.done += count

    def finish(self) -> None: ...


def in_ranks(count: int, work, *, timeout: float = 60) -> list[int]:
    """Run ``work()`` in ``count`` forked processes with torchrun's environment; their exit codes.

    Forks share what the test has imported, so a rank costs no seconds; one thread each, since OpenMP's threads do not
    survive a fork.
    """
    import multiprocessing
    import socket
    import traceback

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def run(rank: int) -> None:
        import torch

        torch.set_num_threads(1)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        try:
            work()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
    alive = [process for process in processes if process.exitcode is None]
    for process in alive:
        process.kill()
        process.join()
    return [process.exitcode for process in processes]
