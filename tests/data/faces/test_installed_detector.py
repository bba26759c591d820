"""A face detector as a package brings it: the example of a guide, installed, by the command line as it is used."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affectkit.guides import FOLDER

pytestmark = pytest.mark.slow

GUIDE = FOLDER / "python.md"
GROUP = "affectkit.face_detectors"
FIVE = "((30, 40), (60, 55), (44, 60), (32, 75), (52, 85))"
TURNED = f'''
import numpy  # as a detector would import torch

class Turned:
    """A face at one place of every picture, which looks to see what it was given."""

    def __init__(self, file=None):
        self.score = float(file.read_text()) if file else 0.5

    def __call__(self, picture):
        assert picture.dtype == numpy.uint8 and picture.shape[2] == 3, picture.shape
        return [((20, 20, 60, 80), self.score, {FIVE})]


class Broken:
    def __init__(self, file=None):
        pass

    def __call__(self, picture):
        raise ValueError("no weights for this size")


class Odd(Turned):
    def __call__(self, picture):
        return [((20, 20, -60, 80), 1, ())]
'''


def blocks(kind: str) -> list[str]:
    """The fenced blocks of the guide in a language that concern a detector."""
    return [text for text in re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "rofiles" in text]


def install(target: Path, name: str, source: str, points: dict[str, str]) -> None:
    """Install a package of one module into ``target`` from a wheel: what pip does with it, which unpacks it."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{GROUP}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()),
    }
    rows = [
        [
            path,
            "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("="),
            len(text),
        ]
        for path, text in files.items()
    ]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([*rows, [f"{info}/RECORD", "", ""]])
    wheel = target.parent / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": table.getvalue()}.items():
            archive.writestr(path, text)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed") / "site"
    (source,), (project,) = blocks("python"), blocks("toml")
    points = tomllib.loads(project)["project"]["entry-points"][GROUP]
    assert points == {"profiles": "profiles:Profiles"}
    install(folder, "profiles", source, points)
    names = {"turned": "turned:Turned", "broken": "turned:Broken", "odd": "turned:Odd", "gone": "no_such_module:Gone"}
    install(folder, "turned", TURNED, {**names, "haar": "turned:Turned"})
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)).save(path)
    return path


def run(target, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "affectkit", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(target), "NO_COLOR": "1", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_finds_faces_as_affectkits_own_do(target, picture, tmp_path):
    (tmp_path / "score.txt").write_text("0.875")
    for name, score in (("turned", 0.5), (f"turned:{tmp_path / 'score.txt'}", 0.875)):
        done = run(target, "infer", picture, "--faces", name, "--json", "--results", tmp_path / f"r{score}")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["faces_by"], summary["face_detector"], summary["faces"]) == (name, "turned", 1)
        (row,) = csv.DictReader((tmp_path / f"r{score}" / "inference_results.csv").open())
        assert [float(row[key]) for key in ("x", "width", "Detector Score", "Left Mouth y")] == [20, 60, score, 85]
        assert float(row["Head Roll"]) == pytest.approx(26.57)


def test_the_example_of_the_readme_runs(target, picture):
    done = run(target, "infer", picture, "--faces", "profiles")
    assert done.returncode == 0, done.stderr
    assert "the face detector 'haar' of the package turned 1.0 is left out" in done.stderr
    assert "faces: profiles\n" in done.stderr and "1 image without a face" in done.stderr
    assert len(list(csv.DictReader(done.stdout.splitlines()))) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "(turned 1.0, turned:Broken) failed on a picture of 160x120 pixels: ValueError: no weights"),
        ("odd", "(turned 1.0, turned:Odd) returned the box [20.0, 20.0, -60.0, 80.0]: width and height must be"),
        ("gone", "(turned 1.0, no_such_module:Gone) cannot be made without a file: ModuleNotFoundError"),
    ],
)
@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_its_faults_are_one_message(target, picture, name, message, engine):
    done = run(target, "infer", picture, "--faces", name, "--engine", engine, "--workers", 1)
    assert done.returncode == 1 and done.stdout == ""
    assert f"the face detector '{name}' {message}" in done.stderr and "Traceback" not in done.stderr


def test_names_are_known_without_importing_anything(target, picture):
    shown = run(target, "infer", "--help")
    text = " ".join(re.sub("[│─]", " ", shown.stdout).split())
    assert "NAME[:FILE]" in text
    assert all(name in text for name in ("profiles (of the package", "turned (of the package"))
    wrong = run(target, "infer", picture, "--faces", "profile")
    assert wrong.returncode == 2 and "Did you mean profiles?" in wrong.stderr
    code = "import sys, affectkit.data.faces as f; print(sorted(f.DETECTORS), f.LEFT_OUT, 'turned' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(target)}, capture_output=True, text=True
    )
    assert "'profiles', 'turned', 'yunet'" in told.stdout and told.stdout.endswith("False\n")
    assert "'haar' of the package turned 1.0 is left out: that name is one of affectkit." in told.stdout


def test_a_tab_offers_them(target):
    answer = run(target, _AFFECTKIT_COMPLETE="complete_bash", _TYPER_COMPLETE_ARGS="affectkit infer --faces pro")
    assert "profiles" in answer.stdout, answer
