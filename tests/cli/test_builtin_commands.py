"""The model that comes with the package, by name, in every command that takes one."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from support import invoke

import affectkit as package
from affectkit.checkpoints.checkpoint import read_header
from affectkit.config import resolve
from affectkit.core.assets import (
    BUILTIN_NETWORK,
    MODELS,
    NEWEST,
    SHA256_ONNX,
    card_file,
    config_file,
    model_file,
)
from affectkit.errors import UsageError
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.settings.training import TrainSettings

pytestmark = pytest.mark.usefixtures("no_figures")

EMOTIONS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
PHOTOGRAPH = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
SEEDS = {"neutral": 6, "happiness": 20, "surprise": 23}


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def crops(tmp_path):
    """Class folders of schematic face crops, of three of the model's eight classes."""
    for split in ("train", "valid", "test"):
        for label, seed in SEEDS.items():
            folder = tmp_path / "crops" / split / label
            folder.mkdir(parents=True)
            for number in range(6):
                expression = np.random.default_rng([seed, number]).uniform(-1, 1, len(PARAMETERS)).clip(0)
                face = draw_face(expression, draw_appearance(np.random.default_rng(seed)), size=64)
                Image.fromarray(face).save(folder / f"{number}.png")
    return tmp_path / "crops"


def test_infer_answers_at_once_and_waits_for_no_library_that_it_does_not_use(tmp_path):
    """On a fresh machine: no checkpoint, no network, a photograph as it is.

    torchvision brings torch's compiler with it: more than all the rest that infer imports.
    """
    infer, drawn = ["infer", str(PHOTOGRAPH), "--workers", "0"], str(tmp_path / "drawn")
    script = (
        "import runpy, sys\n"
        "def run(*arguments):\n"
        "    sys.argv = ['affectkit', *arguments]\n"
        "    try:\n        runpy.run_module('affectkit', run_name='__main__')\n"
        "    except SystemExit as end:\n        assert not end.code, end.code\n"
        f"run(*{infer!r})\n"
        "unused = {'torchvision', 'torch._dynamo', 'timm', 'open_clip', 'albumentations', 'matplotlib', 'moviepy'}\n"
        "assert not unused & set(sys.modules), unused & set(sys.modules)\n"
        f"run(*{infer!r}, '--annotate', {drawn!r})\n"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env={**os.environ, **offline}
    )
    assert done.returncode == 0, done.stderr
    assert f"\nthe built-in model ({NEWEST['ferplus-small']}): face-seresnet, task" in done.stderr
    assert "assets" not in done.stderr  # no path of this machine
    header, *rows = done.stdout.splitlines()
    assert rows[1:] == [header, rows[0]]  # that faces are drawn, too, changes nothing
    (row,) = rows_of("\n".join([header, rows[0]]))
    assert row["Image Name"] == str(PHOTOGRAPH) and row["Face"] == "1" and 160 < float(row["width"]) < 250
    shares = [float(row[name]) for name in EMOTIONS]
    assert sum(shares) == pytest.approx(1, abs=1e-4) and row["Predicted Label"] == EMOTIONS[int(np.argmax(shares))]
    assert len(list((tmp_path / "drawn").rglob("grace_hopper.jpg"))) == 1


def test_predict_finds_faces_as_infer_does():
    model = package.load("builtin")
    (row,) = package.predict(model, [PHOTOGRAPH])
    (told,) = rows_of(invoke("infer", PHOTOGRAPH, "--workers", "0").stdout)
    assert row["Face"] == 1 and [str(row[name]) for name in ("x", "width")] == [told["x"], told["width"]]
    assert [row[name] for name in EMOTIONS] == pytest.approx([float(told[name]) for name in EMOTIONS], abs=1e-5)
    (whole,) = package.predict(model, [PHOTOGRAPH], faces="none")
    assert "Face" not in whole and whole["happiness"] != pytest.approx(row["happiness"], abs=1e-4)


def test_a_path_of_its_name_is_not_passed_over_in_silence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "builtin").mkdir()
    done = invoke("infer", PHOTOGRAPH, "--checkpoint", "builtin", "--workers", "0")
    assert done.returncode == 2 and "also a file or folder here" in done.stderr and "affectkit:ferplus" in done.stderr
    assert invoke("infer", PHOTOGRAPH, "--workers", "0").returncode == 0


def test_options_of_films_are_told_to_be_idle_on_images():
    done = invoke("infer", PHOTOGRAPH, "--smooth", "1", "--every", "2s", "--workers", "0")
    assert done.returncode == 0 and "--every, --smooth has no effect here" in done.stderr


def test_its_file_is_small_and_says_what_it_is():
    path = model_file("builtin")
    assert path == model_file("affectkit:ferplus-small") and path.stat().st_size <= 10_000_000
    header = read_header("builtin")
    assert header.model == BUILTIN_NETWORK and list(header.spec.classes) == EMOTIONS and header.spec.channels == 1
    assert (header.spec.height, header.spec.width) == (48, 48) and header.spec.temperature != 1
    with pytest.raises(UsageError, match="ferplus-small"):
        model_file("affectkit:ferplus-smal")


def test_its_recipe_trains_the_network_that_is_shipped():
    chosen = resolve(
        TrainSettings, flags={"data": Path("d"), "output": Path("o")}, file=Path("affectkit:ferplus-small")
    ).settings
    header = read_header("builtin")
    assert (chosen.model, chosen.channels, chosen.image_size) == (header.model, 1, 48)
    assert (chosen.fit, chosen.seed, chosen.monitor) == (
        header.spec.fit,
        header.training["seed"],
        header.training["monitor"],
    )
    assert 1 <= header.training["epoch"] <= chosen.epochs and config_file(Path("x.yaml")) == Path("x.yaml")


def test_its_card_is_listed_and_tells_the_truth():
    listed = json.loads(invoke("models", "--json").stdout)
    assert [entry["name"] for entry in listed["built_in"]] == [f"affectkit:{name}" for name in MODELS]
    text = invoke("models", "builtin").stdout
    assert text.rstrip() == card_file("builtin").read_text().rstrip()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    for wanted in ("Intended use", "Data", "Training", "Validation", "Calibration", "Limits and biases"):
        assert any(wanted in heading for heading in headings), wanted
    header = read_header("builtin")
    assert f"temperature {header.spec.temperature:.3f}" in text
    assert f"KL {header.training['valid']['kl']:.3f}" in text  # on the validation split, as training told it
    assert json.loads(invoke("models", "builtin", "--json").stdout)["card"] == card_file("builtin").read_text()


def test_test_takes_it_by_name(crops, tmp_path):
    done = invoke("test", "--checkpoint", "builtin", "--data", crops, "--workers", "0", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["images"] == 18 and 0 <= found["metrics"]["top1"] <= 1
    low, high = found["intervals"]["top1"]
    assert low <= found["metrics"]["top1"] <= high
    assert (found["interval_methods"]["top1"], found["interval_methods"]["kl"]) == ("Clopper-Pearson", "jackknife t")
    assert found["interval_methods"]["ece"].startswith("no interval: ") and "ece" not in found["intervals"]
    altered = [
        json.loads(
            invoke(
                "test", "--checkpoint", "builtin", "--data", crops, "--workers", "0", "--json", "--corrupt", corruption
            ).stdout
        )["metrics"]
        for corruption in ("mirror", "framing=1")
    ]
    assert altered[0] == pytest.approx(altered[1], abs=1e-4)  # a face and its mirror image get the same answer
    assert altered[0]["kl"] == pytest.approx(found["metrics"]["kl"], abs=0.02)  # luma before or after resizing


def test_test_says_how_intervals_were_made_and_where_recall_by_class_is(crops, tmp_path):
    done = invoke("test", "--checkpoint", "builtin", "--data", crops, "--workers", "0", "--results", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert "95% intervals: Clopper-Pearson of top1; jackknife t of the others\n" in done.stderr
    assert "; ece_top1: against being right\n" in done.stderr
    assert f"results: {tmp_path / 'r'}; recall by class with intervals: per_class.csv\n" in done.stderr
    with (tmp_path / "r" / "per_class.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["support"] != "0"]
    assert len(rows) > 1
    for row in rows:
        assert float(row["recall_low"]) <= float(row["recall"]) <= float(row["recall_high"])
        assert row["recall_interval"] == "Clopper-Pearson"


def test_eval_corruptions_takes_it_by_name(crops, tmp_path):
    done = invoke(
        "eval-corruptions", "--checkpoint", "builtin", "--data", crops, "--results", tmp_path / "r",
        "--corruptions", "fog,jpeg_compression", "--severities", "1,5", "--workers", "0", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["rows"]
    asked = [("clean", 0), ("fog", 1), ("fog", 5), ("jpeg_compression", 1), ("jpeg_compression", 5)]
    assert [(row["corruption"], row["severity"], row["images"]) for row in found] == [(*one, 18) for one in asked]
    whole = json.loads(invoke("test", "--checkpoint", "builtin", "--data", crops, "--workers", "0", "--json").stdout)
    assert found[0]["metrics"] == {name: whole["metrics"][name] for name in found[0]["metrics"]}
    assert set(whole["metrics"]) - set(found[0]["metrics"]) == {"aurc", "excess_aurc"}
    assert all(row["metrics"]["kl"] != whole["metrics"]["kl"] for row in found[1:])  # something was corrupted
    with (tmp_path / "r" / "corruptions.csv").open(newline="") as stream:
        assert [(row["corruption"], int(row["severity"])) for row in csv.DictReader(stream)] == asked


def test_training_starts_from_it(crops, tmp_path):
    done = invoke(
        "train", "--init", "builtin", "--data", crops, "--output", tmp_path / "run", "--epochs", "1",
        "--batch-size", "6", "--workers", "0", "--tune", "last",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "initial weights" in done.stderr and "head.1" in done.stderr
    tuned, origin = package.load(tmp_path / "run"), package.load("builtin", engine="torch")
    assert list(tuned.spec.classes) == sorted(SEEDS) and tuned.header.model == BUILTIN_NETWORK
    for name, value in origin.state_dict().items():
        if not name.startswith("head."):
            assert (tuned.state_dict()[name] == value).all(), name
    # Faces are found for it, too, as it takes face crops.
    again = invoke("infer", PHOTOGRAPH, "--checkpoint", tmp_path / "run", "--workers", "0")
    assert rows_of(again.stdout)[0]["Face"] == "1"
    resumed = invoke("train", "--resume", tmp_path / "run")
    assert resumed.returncode == 0 and "nothing to do" in resumed.stderr


def test_an_edition_without_an_onnx_file_is_run_by_torch(crops, monkeypatch):
    """Earlier editions stay by their number; their ONNX files do not."""
    monkeypatch.delitem(SHA256_ONNX, model_file("builtin").stem)
    common = ["test", "--checkpoint", "affectkit:ferplus-small", "--data", crops, "--workers", "0", "--json"]
    done = invoke(*common)
    assert done.returncode == 0 and json.loads(done.stdout)["engine"] == "torch", done.stderr
    done = invoke(*common, "--engine", "onnx")
    assert done.returncode == 2 and "affectkit export affectkit:ferplus-small OUT.onnx" in done.stderr


def test_a_name_without_a_number_is_the_newest_edition():
    assert {model_file(name) for name in ("builtin", "affectkit:ferplus-small")} == {
        model_file(f"affectkit:{NEWEST['ferplus-small']}")
    }
    numbers = [int(name.rpartition("-")[2]) for name in MODELS]
    assert sorted(numbers) == [*range(1, max(numbers) + 1)]
    assert NEWEST["ferplus-small"] == f"ferplus-small-{max(numbers)}"
    for name in MODELS:
        assert config_file(Path(f"affectkit:{name}")).is_file() and card_file(f"affectkit:{name}").is_file()
