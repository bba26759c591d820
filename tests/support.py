"""What the tests share: small datasets, settings of short runs, the command line as a user runs it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

TINY = "test_resnet"
"""timm's network for tests: 0.5 M parameters."""
CLASSES = ("anger", "happiness", "sadness")
FACE_COLUMNS = [
    *("Face", "x", "y", "width", "height", "Detector Score", "Box Outside", "Head Roll"),
    *("Right Eye x", "Right Eye y", "Left Eye x", "Left Eye y", "Nose x", "Nose y"),
    *("Right Mouth x", "Right Mouth y", "Left Mouth x", "Left Mouth y"),
]
"""Columns of a face in prediction tables."""
AMBIGUITY = ["Margin", "Entropy (bits)"]
"""Columns behind those of the classes."""
CLIP_CONFIG = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
}
"""open_clip's configuration of a CLIP small enough for tests."""


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


def fill(name: str, shape):
    """The value that a parameter was given before the golden numbers of tests/golden were read off."""
    import torch

    shape = tuple(shape)
    values = np.random.default_rng(zlib.crc32(name.encode())).uniform(-1, 1, int(np.prod(shape)))
    if name.rsplit(".", 1)[-1] == "bias":
        values = 0.1 * values
    elif len(shape) == 1:
        values = 1 + 0.1 * values
    else:
        values = values * np.sqrt(3 / shape[1])
    return torch.tensor(values.reshape(shape), dtype=torch.float32)


def make_ratings(root: Path, *, count: int = 40, size: int = 40, seed: int = 0, split: bool = False) -> Path:
    """Images whose valence shows as brightness on the left and arousal as brightness on the right, and ratings.csv,
    with a header; with ``split`` a column of it says train (70%), valid and test."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        valence, arousal = rng.uniform(1, 9, 2).round(2)
        pixels = rng.integers(0, 40, (size, size, 3))
        pixels[:, : size // 2] += int(20 * valence)
        pixels[:, size // 2 :] += int(20 * arousal)
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{number:03}.png")
        part = ("train" if number % 20 < 14 else "valid" if number % 20 < 17 else "test") if split else None
        rows.append([f"{number:03}.png", valence, arousal, *([part] if part else [])])
    with (root / "ratings.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "valence", "arousal", *(["split"] if split else [])], *rows])
    return root


def clip_config(root: Path) -> Path:
    """``CLIP_CONFIG`` as a file."""
    path = root / "tiny-clip.json"
    path.write_text(json.dumps(CLIP_CONFIG))
    return path


def vca_settings(data: Path, output: Path, **changes):
    """Settings of a VCA training that takes two seconds."""
    from affectkit.config import resolve
    from affectkit.settings.training import TrainSettings

    values = {
        "model": "vca", "data": data / "images", "labels": data / "ratings.csv", "output": output,
        "clip": str(clip_config(data)), "clip_weights": "random", "batch_size": 8, "epochs": 3, "workers": 0,
        "views": 2, "lr": 0.01,
    }  # fmt: skip
    return resolve(TrainSettings, flags={**values, **changes}).settings


def settings(data: Path, output: Path, **changes):
    """Settings of a training that takes a second."""
    from affectkit.config import resolve
    from affectkit.settings.training import TrainSettings

    values = {
        "data": data, "output": output, "model": TINY, "pretrained": False, "image_size": 24, "batch_size": 8,
        "epochs": 2, "workers": 0, "augment": "flip",
    }  # fmt: skip
    return resolve(TrainSettings, flags={**values, **changes}).settings


def set_up(chosen, *, reporter=None):
    """Set up a training, as ``train`` does before its first step."""
    from affectkit.core.progress import Silent
    from affectkit.runtime.context import RunContext
    from affectkit.training.setup import set_up_training

    context = RunContext.resolve(chosen.device, chosen.precision)
    return set_up_training(chosen, context, reporter=reporter or Silent())


@contextlib.contextmanager
def without_figures() -> Iterator[None]:
    """Draw no figures, which take most of the time of a short run: three seconds of a processor for a data set."""
    from affectkit.evaluation import outputs
    from affectkit.reports import plots
    from affectkit.training import out_of_fold, trainer

    with pytest.MonkeyPatch.context() as patch:
        for module in (trainer, outputs, out_of_fold):
            patch.setattr(module, "draw_figures", lambda *args, **kwargs: None)
        patch.setattr(plots, "training_curves", lambda *args, **kwargs: None)
        yield


def stop_after(monkeypatch, steps):
    """Have a SIGTERM arrive when ``steps`` optimiser steps are done."""
    from affectkit.training.training_step import Learner

    step, count = Learner.optimizer_step, [0]

    def counted(self, number):
        step(self, number)
        count[0] += 1
        if count[0] == steps:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Learner, "optimizer_step", counted)


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


def invoke(*arguments: object) -> CompletedProcess[str]:
    """Run the command line in this process, which has imported everything already."""
    from typer.testing import CliRunner

    from affectkit.cli.app import app

    command = [str(argument) for argument in arguments]
    done = CliRunner().invoke(app, command, env={"HF_HUB_OFFLINE": "1"})
    return CompletedProcess(command, done.exit_code, done.stdout, done.stderr)


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
        self.started: list[tuple[str, int | None, str]] = []
        self.done = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
        self.started.append((label, total, unit))
        self.done = done

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
