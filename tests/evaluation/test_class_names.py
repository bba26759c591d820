"""Class names that are numbers, names that are not known, and classes that a split lacks, through the commands."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import TINY, Heard, invoke, settings

from affectkit.checkpoints.checkpoint import KEY, Header, load_model, read_header, save_checkpoint
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.class_counts import report_class_counts
from affectkit.evaluation.test import test as run_test
from affectkit.models.registry import build
from affectkit.robustness.corrupted_folder import corrupted_split
from affectkit.robustness.sweep import eval_corruptions
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.robustness import RobustnessSettings
from affectkit.tasks.classification import ClassificationTask
from affectkit.training.run import train

pytestmark = pytest.mark.usefixtures("no_figures")

NUMBERS = ("0", "1", "2", "3", "4")
NAMES = ("anger", "disgust", "fear", "neutral", "happiness")
GRAYS = (20, 70, 120, 220, 170)
DEVICE = ("--workers", "0", "--device", "cpu")
FAST = ("--model", TINY, "--no-pretrained", "--image-size", "16", "--batch-size", "8", "--augment", "flip", *DEVICE)
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


def test_corrupted_folders_are_of_the_classes_that_outputs_were_taken_for(tmp_path):
    """As many folders of other names would be taken in order, where the checkpoint knows no names."""
    clean = Split("test", tmp_path, ["test/a/x.png", "test/b/y.png"], ("0", "1"), labels=np.array([0, 1]))
    for root, names in (("same", ("a", "b")), ("other", ("c", "d"))):
        for name, gray in zip(names, GRAYS, strict=False):
            flat(tmp_path / root / name, gray, 2)
    assert corrupted_split(tmp_path / "same", clean, classes=("a", "b")).labels.tolist() == [0, 0, 1, 1]
    assert corrupted_split(tmp_path / "other", clean).classes == ("c", "d")
    with pytest.raises(DataError, match=r"extra here: 'c' \(2 items\)"):
        corrupted_split(tmp_path / "other", clean, classes=("a", "b"))


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
    from affectkit.models.external.published import read_published
    from affectkit.models.v1.network import VARIANTS, V1ResNet

    for outputs, known in ((5, False), (1000, True)):
        model = V1ResNet(VARIANTS["resnet50_plain"], outputs)
        path = tmp_path / f"{outputs}.pth"
        torch.save({"state_dict": model.state_dict(), "args": {"model_type": "resnet50"}}, path)
        spec = read_published(path).spec
        assert spec.named is known and len(spec.classes) == outputs


@pytest.fixture(scope="module")
def gap(tmp_path_factory) -> Path:
    """Classes 0 to 3 in training, 3 with two pictures; 0 and 2 in validation."""
    root = tmp_path_factory.mktemp("gap")
    for number, gray in zip(NUMBERS[:4], GRAYS, strict=False):
        flat(root / "train" / number, gray, 2 if number == "3" else 6)
    for number in (0, 2):
        flat(root / "valid" / str(number), GRAYS[number], 5)
    return root


def test_a_validation_split_with_another_class_is_refused(gap, tmp_path):
    shutil.copytree(gap, tmp_path / "data")
    flat(tmp_path / "data" / "valid" / "4", GRAYS[4], 2)
    with pytest.raises(DataError, match=r"extra here: '4' \(2 items\)"):
        train(settings(tmp_path / "data", tmp_path / "run", epochs=1), reporter=Silent())


def test_classes_that_a_split_lacks_are_told_before_training_and_beside_the_metrics(gap, tmp_path):
    run = tmp_path / "run"
    done = invoke("train", "--data", gap, "--output", run, "--epochs", "1", "--verbose", *FAST)
    assert done.returncode == 0, done.stderr
    told = done.stderr
    assert told.index("4 classes (0, 1, 2, 3)") < told.index("epoch 1/1")
    few = "Warning: fewer than 5 training images of 1 of 4 classes: 3 (2)."
    none = "Warning: no validation image of 2 of 4 classes, which stand in training only: 1 (6), 3 (2)."
    assert told.index(few) < told.index(none) < told.index("epoch 1/1")
    assert "accuracy, balanced_accuracy, macro_f1: over the other 2 only" in told
    assert re.search(r"epoch 1/1: .* accuracy \d\.\d{4} \(2 of 4 classes\)", told)
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert rows[name].endswith("(2 of 4 classes)")
    assert "classes" not in rows["nll"]
    record = json.loads((run / "metrics.json").read_text())
    assert record["classes"] == list(NUMBERS[:4])
    assert record["class_counts"] == {
        "train": {"0": 6, "1": 6, "2": 6, "3": 2}, "valid": {"0": 5, "1": 0, "2": 5, "3": 0}
    }  # fmt: skip
    assert set(record["valid_over_classes"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
    absent = "no image of 2 of 4 classes: 1, 3. accuracy, balanced_accuracy, macro_f1 are over the other 2."
    assert absent in record["valid_remarks"]
    assert read_header(run).spec.classes == NUMBERS[:4]


def test_an_accuracy_over_one_class_says_so(gap, tmp_path):
    shutil.copytree(gap / "train", tmp_path / "one" / "train")
    flat(tmp_path / "one" / "test" / "2", GRAYS[2], 3)
    path = checkpoint(tmp_path / "a.safetensors", NUMBERS)
    done = invoke("test", "--checkpoint", path, "--data", tmp_path / "one", "--results", tmp_path / "r", *DEVICE)
    assert done.returncode == 0, done.stderr
    assert "Warning: no image of 4 of 5 classes: 0, 1, 3, 4. Every image is of '2'" in done.stderr
    assert re.search(r"^accuracy +\d\.\d{4} \(1 of 5 classes\)", done.stdout, re.MULTILINE)
    record = json.loads((tmp_path / "r" / "results.json").read_text())
    assert record["class_counts"] == {"0": 0, "1": 0, "2": 3, "3": 0, "4": 0}
    assert record["over_classes"]["accuracy"] == "1 of 5 classes"
    assert [text for text in record["remarks"] if "Every image is of '2'" in text]
    sweep = ("--corruptions", "fog", "--severities", "1", "--json")
    done = invoke("eval-corruptions", "--checkpoint", path, "--data", tmp_path / "one", *sweep, *DEVICE)
    assert json.loads(done.stdout)["over_classes"]["accuracy"] == "1 of 5 classes"


def test_nothing_is_told_where_nothing_lacks(data, tmp_path):
    record = evaluated(checkpoint(tmp_path / "a.safetensors", NUMBERS), data / "numbers", heard := Heard())
    assert record["over_classes"] == {} and record["remarks"] == [] and heard.warnings == []
    assert any("5 classes (0, 1, 2, 3, 4)" in note for note in heard.notes)


def test_classes_that_differ_in_case_alone_are_told():
    task = ClassificationTask(InputSpec("classification", 16, 16, classes=("Sad", "happy", "sad")))
    labels = np.repeat([0, 1, 2], 6)
    ids = [f"{number}.png" for number in range(18)]
    report_class_counts(
        task, {"train": Split("train", Path(), ids, task.spec.classes, labels=labels)}, heard := Heard()
    )
    assert heard.warnings == ["classes that differ in small and capital letters alone: 'Sad' and 'sad'. Are they one?"]


def test_columns_are_settled_on_the_command_line(tmp_path):
    """A table of votes and ages: refused by train, test and infer --labels with the options that settle it."""
    rng = np.random.default_rng(0)
    rows = []
    for part, count in (("train", 12), ("valid", 6), ("test", 6)):
        for number in range(count):
            kind = number % 3
            flat(tmp_path / "images" / part / str(number), GRAYS[kind], 1)
            cast = rng.multinomial(rng.integers(6, 11), np.where(np.arange(3) == kind, 0.8, 0.1))
            rows.append([f"{part}/{number}/0.png", *cast, rng.integers(18, 70), part])
    table = tmp_path / "votes.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", *NAMES[:3], "age", "split"], *rows])
    where = ("--data", tmp_path / "images", "--labels", table)
    run = ("train", *where, "--output", tmp_path / "run", "--epochs", "1", *FAST)
    done = invoke(*run)
    assert done.returncode == 1 and "In doubt: age (" in done.stderr
    assert "--ignore-columns age, or --classes anger,disgust,fear." in done.stderr
    done = invoke(*run, "--ignore-columns", "age")
    assert done.returncode == 0, done.stderr
    assert "3 classes (anger, disgust, fear)" in done.stderr
    tested = ("--checkpoint", tmp_path / "run", *DEVICE)
    for command in (("test", *where), ("infer", tmp_path / "images", "--labels", table, "--results", tmp_path / "r")):
        done = invoke(*command, *tested)
        assert done.returncode == 1 and "In doubt: age (" in done.stderr
        done = invoke(*command, *tested, "--classes", "anger,disgust,fear")
        assert done.returncode == 0, done.stderr
        assert "votes.csv: columns that are no classes: age: not in --classes" in done.stderr
    done = invoke("infer", tmp_path / "images", "--classes", "a,b")
    assert done.returncode == 2 and "--classes needs --labels" in done.stderr


def test_a_split_and_classes_that_differ_are_told_at_once_with_the_lines_of_a_label_map(tmp_path):
    path = checkpoint(tmp_path / "m.safetensors", ("anger", "happiness", "surprise"))
    for name in ("laughing", "Anger"):
        flat(tmp_path / "own" / name, 50, 2)
    with pytest.raises(DataError, match="no test split; it has all") as caught:
        evaluated(path, tmp_path / "own")
    message, hint = caught.value.message, caught.value.hint
    assert "extra here: 'Anger' (2 items), 'laughing' (2 items)" in message and "Add --split all." in hint
    assert "--label-map FILE" in hint and hint.endswith("  Anger = anger\n  laughing = ?")
    (tmp_path / "map.txt").write_text("Anger = anger\nlaughing = happiness\n")
    assert evaluated(path, tmp_path / "own", split="all", label_map=tmp_path / "map.txt")["images"] == 4
    with pytest.raises(DataError, match="do not match") as caught:
        eval_corruptions(
            resolve(RobustnessSettings, flags={"checkpoint": path, "data": tmp_path / "own", "split": "all"}).settings,
            reporter=Silent(),
        )
    assert "--label-map" not in caught.value.hint
