"""Class names that are numbers, names that are not known, and classes that a split lacks, through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import TINY, Heard, settings

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.errors import DataError, UsageError
from affectkit.models.registry import build
from affectkit.runners.checkpoint import KEY, Header, load_model, read_header, save_checkpoint
from affectkit.runners.evaluate import test as run_test
from affectkit.runners.robustness import eval_corruptions
from affectkit.runners.runs import train
from affectkit.runners.settings_robustness import RobustnessSettings
from affectkit.runners.settings_tested import TestSettings

NUMBERS = ("0", "1", "2", "3", "4")
NAMES = ("anger", "disgust", "fear", "neutral", "happiness")
GRAYS = (20, 70, 120, 220, 170)
PUBLISHED = {"published": {"family": "v1"}}


def flat(folder: Path, gray: int, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(np.full((16, 16), gray + number % 3, np.uint8)).save(folder / f"{number}.png")


def checkpoint(path: Path, classes: tuple[str, ...], *, named: bool = True, training=None) -> Path:
    """A checkpoint with random weights."""
    spec = InputSpec("classification", 16, 16, classes=classes, named=named, mean=(0.0,) * 3, std=(1.0,) * 3)
    options = {"pretrained": False, "dropout": 0.0, "top": "linear"}
    model = build(TINY, spec, **options)
    header = Header(TINY, {key: options[key] for key in ("dropout", "top")}, spec, training or {})
    save_checkpoint(path, model, header)
    return path


def evaluated(path: Path, data: Path, heard=None, **changes):
    values = {"checkpoint": path, "data": data, "workers": 0, "device": "cpu", **changes}
    return run_test(resolve(TestSettings, flags=values).settings, reporter=heard or Silent())


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The same pictures in folders with numbers for names, and in folders with other names."""
    root = tmp_path_factory.mktemp("classes")
    for number, name, gray in zip(NUMBERS, NAMES, GRAYS, strict=True):
        flat(root / "numbers" / "test" / number, gray, 3)
        flat(root / "names" / "test" / name, gray, 3)
    return root


def test_numbers_of_a_trained_model_are_names(data, tmp_path):
    path = checkpoint(tmp_path / "a.safetensors", NUMBERS)
    heard = Heard()
    assert evaluated(path, data / "numbers", heard)["images"] == 15
    assert not any("class names" in text for text in heard.warnings)
    rows = [f"{name}/{number}.png,{name}" for name in NAMES for number in range(3)]
    (tmp_path / "labels.csv").write_text("filename,label\n" + "\n".join(rows) + "\n")
    for where in ({}, {"labels": tmp_path / "labels.csv"}):
        folder = data / "names" / ("test" if where else "")
        with pytest.raises(DataError, match=r"extra here: 'anger' \(3 items\)[\s\S]*missing here: '0'"):
            evaluated(path, folder, **where)
    values = {"checkpoint": path, "data": data / "names", "corruptions": "fog", "severities": "1", "workers": 0}
    with pytest.raises(DataError, match="do not match"):
        eval_corruptions(resolve(RobustnessSettings, flags=values).settings, reporter=Silent())


def test_names_that_are_not_known_are_recorded(data, tmp_path):
    path = checkpoint(tmp_path / "a.safetensors", NUMBERS, named=False)
    assert read_header(path).spec.named is False and load_model(path).spec.named is False
    heard = Heard()
    assert evaluated(path, data / "names", heard)["images"] == 15
    (told,) = [text for text in heard.warnings if "class names" in text]
    assert "output 0 is 'anger', output 1 is 'disgust', output 2 is 'fear' and 2 more" in told
    flat(tmp_path / "more" / "test" / "a", 10, 1)
    flat(tmp_path / "more" / "test" / "b", 10, 1)
    with pytest.raises(DataError, match="its 5 outputs can only be matched in order, and .* has 2 classes: a, b"):
        evaluated(path, tmp_path / "more")
    with pytest.raises(UsageError, match="holds no class names"):
        train(
            settings(data / "names" / "test", tmp_path / "run", teacher=str(path), task="classification"),
            reporter=Silent(),
        )


def test_a_header_says_what_is_known_and_old_ones_are_read(tmp_path):
    named = InputSpec("classification", 16, 16, classes=NUMBERS)
    assert "named" not in named.to_dict()  # as before there was the entry
    assert InputSpec.from_dict(named.to_dict()) == named
    unnamed = named.with_(named=False)
    assert InputSpec.from_dict(unnamed.to_dict()) == unnamed
    # What convert wrote before: numbers of a published file; the same classes of a training are names.
    for training, classes, wanted in (
        (PUBLISHED, NUMBERS, False),
        (PUBLISHED, NAMES, True),
        ({}, NUMBERS, True),
        ({"seed": 0}, NUMBERS, True),
    ):
        text = Header(TINY, {}, named.with_(classes=classes), training).to_text()
        assert '"named"' not in text
        assert Header.from_text(text).spec.named is wanted
    again = Header.from_text(Header(TINY, {}, unnamed, PUBLISHED).to_text())
    assert again.spec == unnamed and KEY == "affectkit"


def test_published_readers_record_that_names_are_not_known(tmp_path):
    from affectkit.models.published import read_published
    from affectkit.models.v1.network import VARIANTS, V1ResNet

    for outputs, known in ((5, False), (1000, True)):
        model = V1ResNet(VARIANTS["resnet50_plain"], outputs)
        path = tmp_path / f"{outputs}.pth"
        torch.save({"state_dict": model.state_dict(), "args": {"model_type": "resnet50"}}, path)
        spec = read_published(path).spec
        assert spec.named is known and len(spec.classes) == outputs


def test_a_validation_split_is_matched_by_name(tmp_path):
    for number, gray in zip(NUMBERS[:4], GRAYS, strict=False):
        flat(tmp_path / "data" / "train" / number, gray, 6)
    for number in (0, 1, 2, 4):
        flat(tmp_path / "data" / "valid" / str(number), GRAYS[number], 2)
    with pytest.raises(DataError, match=r"extra here: '4' \(2 items\)"):
        train(settings(tmp_path / "data", tmp_path / "run", epochs=1), reporter=Silent())
    for file in (tmp_path / "data" / "valid" / "4").iterdir():
        file.unlink()
    (tmp_path / "data" / "valid" / "4").rmdir()
    result = train(settings(tmp_path / "data", tmp_path / "run", epochs=1), reporter=Silent())
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["best_epoch"] == result["best_epoch"]
    assert read_header(tmp_path / "run").spec.classes == NUMBERS[:4]
