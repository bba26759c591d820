"""The two engines side by side: a picture from the shell, alone and beside busy loops, the network, many face crops.

``AFFECTKIT_BEFORE`` names a Python with an earlier affectkit, which is then measured in place of ``--engine torch``;
``AFFECTKIT_TURNS`` how often both run in turn, ``AFFECTKIT_CROPS`` how many face crops there are.
Bounds are those of the issue that brought ONNX Runtime, against the build before it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from benchmarks.measuring import show
from PIL import Image

import affectkit
from affectkit.core.process import count_processors
from affectkit.data.loading.face_crops import read_picture
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

pytestmark = pytest.mark.benchmark

BEFORE = os.environ.get("AFFECTKIT_BEFORE")
TURNS = int(os.environ.get("AFFECTKIT_TURNS", "7"))
BUSY = "while True: pass"
LAUNCH = """
import json, os, subprocess, sys, time
with open(sys.argv[1], "w") as stream:
    began = time.perf_counter()
    child = subprocess.Popen(sys.argv[2:], stdout=stream, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
child.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([child.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A small process between: the most memory of a child counts from the fork on, when it is as large as its parent."""


def old(*arguments: object) -> list[str]:
    """The command of the build before, or of torch in this one."""
    more = [] if BEFORE else ["--engine", "torch"]
    return [BEFORE or sys.executable, "-m", "affectkit", *map(str, arguments), *more]


def new(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "affectkit", *map(str, arguments)]


def measured(command: list[str], folder) -> tuple[float, float, float, str]:
    """Wall seconds, CPU seconds and MiB of a process, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    out = folder / "out.csv"
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, str(out), *command],
        capture_output=True, text=True, env=environment, cwd=folder, check=True,
    )  # fmt: skip
    code, wall, cpu, memory = json.loads(done.stdout)
    assert code == 0, command
    return wall, cpu, memory, out.read_text()


def in_turn(arguments: list[object], folder, turns: int = TURNS) -> list[tuple[float, float, float]]:
    """Medians (before, now, before / now) of wall, CPU and memory over runs in turn."""
    pairs = [(measured(old(*arguments), folder), measured(new(*arguments), folder)) for _ in range(turns)]
    for one, other in pairs:
        before, now = Counter(rows(one[3])), Counter(rows(other[3]))
        assert (before & now).total() >= 0.99 * max(before.total(), now.total()) > 0
    found = []
    for place in range(3):
        befores, nows = [one[place] for one, _ in pairs], [other[place] for _, other in pairs]
        ratio = statistics.median(before / now for before, now in zip(befores, nows, strict=True))
        found.append((statistics.median(befores), statistics.median(nows), ratio))
    return found


def rows(text: str) -> list[tuple[str, str]]:
    """Image and label of each row."""
    return [(row["Image Name"], row["Predicted Label"]) for row in csv.DictReader(text.splitlines())]


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """Keep each core busy with a loop of another process."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count_processors())]
    try:
        time.sleep(0.5)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def picture(path, seed=6) -> None:
    """640 x 480 with a face."""
    pixels = np.full((480, 640, 3), 120, np.uint8)
    pixels[140:340, 220:420] = draw_face(
        np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=200
    )
    Image.fromarray(pixels).save(path, quality=92)


def test_a_picture_from_the_shell(tmp_path, capsys):
    picture(tmp_path / "one.jpg")
    measured(new("infer", "one.jpg"), tmp_path)
    alone = in_turn(["infer", "one.jpg"], tmp_path)
    with busy_cores():
        loaded = in_turn(["infer", "one.jpg"], tmp_path)
    bounds = [("wall, s", alone[0], 3.5), ("CPU, s", alone[1], 5.0), ("memory, MiB", alone[2], 4.0),
              ("wall beside busy loops, s", loaded[0], 8.0), ("CPU beside busy loops, s", loaded[1], 5.0)]  # fmt: skip
    show(
        capsys,
        ["infer one.jpg", "before", "now", "ratio", "target"],
        [[name, *found, bound] for name, found, bound in bounds],
    )
    short = {name: found[2] for name, found, bound in bounds if found[2] < bound}
    assert short == {}


def test_the_network_alone(capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 48, 48, 1), dtype=np.uint8)
    tensors = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)
    model, module = affectkit.load("builtin"), affectkit.load("builtin", engine="torch")
    for _ in range(3):
        model(images)  # past the trial of blocks

    def seconds(call, batch):
        began = time.perf_counter()
        for at in range(0, 96, batch):
            call(at, at + batch)
        return time.perf_counter() - began

    def by_torch(begin, end):
        with torch.inference_mode():
            module(tensors[begin:end])

    table, short = [], {}
    for batch, bound in ((1, 2.0), (32, 1.3)):
        pairs = [
            (seconds(by_torch, batch), seconds(lambda begin, end: model(images[begin:end]), batch))
            for _ in range(TURNS)
        ]
        ratio = statistics.median(before / now for before, now in pairs)
        each = [1000 / 96 * statistics.median(side) for side in zip(*pairs, strict=True)]
        table.append([f"batch {batch}", *each, ratio, bound])
        if ratio < bound:
            short[batch] = ratio
    show(capsys, ["network, ms an image", "torch", "onnx", "ratio", "target"], table)
    assert short == {}


def test_many_face_crops(tmp_path, capsys):
    folder = tmp_path / "crops"
    folder.mkdir()
    faces = [draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=48)
             for seed in range(50)]  # fmt: skip
    count = int(os.environ.get("AFFECTKIT_CROPS", "3000"))
    for number in range(count):
        Image.fromarray(np.roll(faces[number % 50], number // 50 % 7, axis=1)).convert("L").save(
            folder / f"{number:05}.png"
        )
    compare(f"{count} crops of 48 pixels", folder, 1.5, tmp_path, capsys)


@pytest.mark.parametrize(("width", "height", "count", "target"), [(640, 480, 500, 2.0), (4000, 3000, 100, 3.0)])
def test_many_pictures(tmp_path, capsys, width, height, count, target):
    """Drawn faces of a fifth to two fifths of the height, on grounds as heavy to decode as photographs."""
    count = max(count * int(os.environ.get("AFFECTKIT_PICTURES", "100")) // 100, 1)
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        ground = Image.fromarray(rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)).resize(
            (width, height), Image.BICUBIC
        )
        pixels = np.asarray(ground) + rng.normal(0, 4, (height, width, 1))
        side = int(height * rng.uniform(0.2, 0.4))
        face = draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(number % 40)), size=side)
        left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        pixels[top : top + side, left : left + side] = face
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=90)
    compare(f"{count} pictures of {width}x{height}", folder, target, tmp_path, capsys)


def compare(name: str, folder, target: float, tmp_path, capsys) -> None:
    """Print wall, CPU and memory of both over ``folder``, and how near the wall comes to decoding and network alone."""
    found = in_turn(["infer", folder], tmp_path, turns=int(os.environ.get("AFFECTKIT_FOLDER_TURNS", "3")))
    least = decoding_and_network(sorted(folder.iterdir())) / count_processors()
    show(
        capsys,
        [name, "before", "now", "ratio", "target"],
        [["wall, s", *found[0], target], ["CPU, s", *found[1], ""], ["memory, MiB", *found[2], ""],
         ["decoding and network alone on all cores, s", "", least, least / found[0][1], ""]],
    )  # fmt: skip
    assert found[0][2] >= target


def decoding_and_network(files) -> float:
    """CPU seconds of decoding the files once and of one face of each through the network."""
    model = affectkit.load("builtin")
    crops = np.zeros((len(files), 48, 48, 1), np.uint8)
    began = time.process_time()
    for file in files:
        read_picture(file, gray=True)
    model(crops)
    return time.process_time() - began
