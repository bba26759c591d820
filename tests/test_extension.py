"""An extension is one file and one registry line: one of each kind, used from the command line."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import pytest
from support import CLASSES, blob, invoke, without_figures

from affectkit.cli.commands import COMMANDS
from affectkit.corruptions import CORRUPTIONS
from affectkit.data.faces import DETECTORS
from affectkit.data.layouts import LAYOUTS
from affectkit.losses import LOSSES
from affectkit.metrics import METRICS
from affectkit.models.registry import MODELS
from affectkit.reports import FIGURES

pytestmark = pytest.mark.usefixtures("extensions")

FILES = {
    "corruption": '''
from affectkit.corruptions.base import Corruption

class Dark(Corruption):
    """Black, the more of it the severer."""
    parameters = {"any": (0.8, 0.6, 0.4, 0.2, 0.0)}
    random = False

    def apply(self, images, level, drawn):
        return images * level

DARK = Dark()
''',
    "loss": '''
CALLS = []

def halved(logits, target):
    CALLS.append(len(logits))
    return 0.5 * (logits.softmax(1) - target).square().sum(1)
''',
    "metric": '''
import numpy as np

def surprise(predicted, target):
    """Share of images whose target has less than half in the prediction, as values (N,)."""
    return ((predicted * target).sum(1) < 0.5).astype(np.float64)
''',
    "family": '''
from torch import nn
from affectkit.models.external.weights import copy_own, tensor_shapes, read_weights
from affectkit.models.family import Family

class TwoLayers(Family):
    def build(self, name, spec, *, width=8):
        layers = [nn.Conv2d(spec.channels, width, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(16 * width, len(spec.classes)))

    def build_options(self, settings):
        return {"width": 12}

    def default_input(self, name, options, settings):
        return {"height": 24, "width": 24, "mean": (0.5,) * 3, "std": (0.5,) * 3}

    def load_weights(self, model, path, *, classes=(), key=None):
        found = read_weights(path, forms=(tensor_shapes(model),), key=key)
        return copy_own(model, found.state, found, classes=classes, top="4.", hint="Name the --model.")
''',
    "layout": '''
import numpy as np
from affectkit.data.split import Split

def find(search):
    """lists/<split>.txt, a line an image: its class, a space, its path."""
    folder = search.root / "lists"
    if not folder.is_dir():
        return None
    lines = {path.stem: [line.split(" ", 1) for line in path.read_text().splitlines()] for path in folder.glob("*.txt")}
    classes = tuple(sorted({label for rows in lines.values() for label, _ in rows}))
    splits = {}
    for name, rows in sorted(lines.items()):
        labels = np.array([classes.index(label) for label, _ in rows])
        splits[name] = Split(name, search.root, [path for _, path in rows], classes, labels=labels)
    return search.source("lists", splits, ["read from lists"])
''',
    "detector": '''
class Middle:
    """A face in the middle of every picture, half as wide."""
    def __init__(self, file=None):
        assert file is None

    def __call__(self, picture):
        height, width = picture.shape[:2]
        return [((width / 4, height / 4, width / 2, height / 2), 0.75, ())]
''',
    "figure": '''
def draw(path, results):
    path.write_text(f"{len(results.split)} items, {results.outputs.shape[1]} classes")
''',
    "command": '''
import typer

def register(app: typer.Typer) -> None:
    @app.command("hello")
    def hello(name: str) -> None:
        """Greet by name."""
        typer.echo(f"hello {name}")
''',
}  # fmt: skip

LINES = (
    (CORRUPTIONS, ("mine", "extras.corruption:DARK", "darker"), {}),
    (LOSSES, ("mine", "extras.loss:halved", "half of the Brier score"), {}),
    (METRICS, ("mine", "extras.metric:surprise", "surprises"), {"tasks": ("classification",), "direction": "min"}),
    (MODELS, ("mine", "extras.family:TwoLayers", "two layers"), {"defaults": {"augment": "flip", "lr": 0.01}}),
    (LAYOUTS, ("lists", "extras.layout:find", "lists/<split>.txt with a class and a path in each line"), {}),
    (DETECTORS, ("mine", "extras.detector:Middle", "the middle"), {}),
    (FIGURES, ("mine.txt", "extras.figure:draw", "counts"), {"tasks": ("classification",)}),
    (COMMANDS, ("hello", "extras.command:register", "greet"), {}),
)


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    """The files on the path of modules, and their lines in the registries, for the tests of this file alone."""
    from affectkit.cli.app import app  # noqa: F401 - made once, and kept: without the command of this file

    root = tmp_path_factory.mktemp("packages")
    (root / "extras").mkdir()
    for name, text in FILES.items():
        (root / "extras" / f"{name}.py").write_text(text)
    sys.path.insert(0, str(root))
    for registry, line, facts in LINES:
        registry.add(*line, **facts)
    yield root
    for registry, line, _ in LINES:
        registry.remove(line[0])
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.partition(".")[0] == "extras"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A dataset in the layout of the extension, which no other layout fits."""
    import numpy as np

    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(3)
    (root / "lists").mkdir()
    for split, count in (("train", 24), ("valid", 9), ("test", 12)):
        (root / "pixels" / split).mkdir(parents=True)
        rows = []
        for number in range(count):
            kind = number % len(CLASSES)
            name = f"pixels/{split}/{number:03}.png"
            blob(rng, kind).save(root / name)
            rows.append(f"{CLASSES[kind]} {name}\n")
        (root / "lists" / f"{split}.txt").write_text("".join(rows))
    return root


def done(*arguments):
    found = invoke(*arguments, "--workers", 0, "--device", "cpu")
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def run(extensions, data, tmp_path_factory):
    """A training with a model, a loss, a layout and a monitored metric that are extensions, and what it printed."""
    output = tmp_path_factory.mktemp("runs") / "run"
    options = ("--epochs", 2, "--batch-size", 8, "--monitor", "mine")
    with without_figures():  # they are those of ``tested``
        found = done("train", "--data", data, "--output", output, "--model", "mine", "--loss", "mine", *options)
    return output, found


@pytest.fixture(scope="module")
def tested(run, data, tmp_path_factory):
    results = tmp_path_factory.mktemp("results") / "test"
    found = done("test", "--checkpoint", run[0], "--data", data, "--results", results, "--json")
    return results, json.loads(found.stdout)


def test_each_kind_is_one_file_and_one_line():
    assert len(FILES) == len(LINES) == len({id(registry) for registry, _, _ in LINES}) == 8
    assert {line[1].split(":")[0] for _, line, _ in LINES} == {f"extras.{name}" for name in FILES}


def test_a_layout_is_found_by_looking(run, tmp_path):
    assert "lists in " in run[1].stderr and "read from lists" in run[1].stderr
    refused = invoke("train", "--data", tmp_path, "--output", tmp_path / "run", "--no-pretrained")
    assert refused.returncode == 1 and "lists: lists/<split>.txt with a class and a path" in refused.stderr


def test_a_model_is_trained_with_its_recipe(run):
    import yaml

    config = yaml.safe_load((run[0] / "config.yaml").read_text())["settings"]
    assert (config["model"], config["augment"], config["lr"]) == ("mine", "flip", 0.01)
    assert "mine, 0.0 M parameters, 24x24x3" in run[1].stderr


def test_a_loss_is_learned_by(run):
    calls = sys.modules["extras.loss"].CALLS
    assert calls[:4] == [9, 8, 8, 8], "the validation images, for the baselines; the batches of the first epoch"
    unknown = invoke("train", "--loss", "mini")
    assert unknown.returncode == 2 and "did you mean" in unknown.stderr and "mine" in unknown.stderr


def test_a_metric_is_monitored_and_reported(run, tested):
    with (run[0] / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 and all(0 <= float(row["valid_mine"]) <= 1 for row in rows)
    results, summary = tested
    with (results / "test_results.csv").open() as stream:
        table = list(csv.DictReader(stream))
    shares = [float(row[f"predicted {row['True Label']}"]) for row in table]
    assert summary["metrics"]["mine"] == pytest.approx(sum(share < 0.5 for share in shares) / 12)
    refused = invoke("test", "--checkpoint", run[0], "--fail-under", "mini=1", "--data", results)
    assert refused.returncode == 2 and "mine" in refused.stderr


def test_a_figure_is_drawn(tested):
    assert (tested[0] / "plots" / "mine.txt").read_text() == "12 items, 3 classes"
    assert (tested[0] / "plots" / "confusion.png").is_file()


def test_a_detector_finds_faces(run, data):
    found = done("infer", data / "pixels" / "test", "--checkpoint", run[0], "--faces", "mine")
    rows = list(csv.DictReader(found.stdout.splitlines()))
    assert len(rows) == 12
    box = [list(row.values())[2:7] for row in rows]
    assert box == [["6", "6", "12", "12", "0.750000"]] * 12
    refused = invoke("infer", data, "--faces", "mine:file.onnx")
    assert refused.returncode == 2 and "must be auto, none, haar, yunet[:FILE.onnx] or mine" in refused.stderr


def test_a_model_predicts(run, data):
    whole = done("infer", data / "pixels" / "test", "--checkpoint", run[0])
    rows = list(csv.DictReader(whole.stdout.splitlines()))
    assert len(rows) == 12 and {row["Predicted Label"] for row in rows} <= set(CLASSES)


def test_images_are_corrupted(run, data, tmp_path):
    options = ("--corruptions", "mine", "--severities", "1,5", "--results", tmp_path / "out")
    done("eval-corruptions", "--checkpoint", run[0], "--data", data, *options)
    with (tmp_path / "out" / "corruptions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["corruption"], row["severity"]) for row in rows if row["corruption"] == "mine"] == [
        ("mine", "1"), ("mine", "5"),
    ]  # fmt: skip
    listed = invoke("corruptions", "--corruptions", "mine,mirror")
    assert listed.returncode == 0 and "darker" in listed.stdout and "left and right" in listed.stdout


def test_a_command_stands_in_help_and_runs():
    from typer.testing import CliRunner

    from affectkit.cli.app import make_app

    runner, app = CliRunner(), make_app()
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0 and re.search(r"^More commands\n  hello +Greet by name$", shown.stdout, re.MULTILINE)
    assert runner.invoke(app, ["hello", "world"]).stdout == "hello world\n"


def test_models_are_listed():
    assert "two layers" in invoke("models").stdout


def test_the_registries_are_as_before(extensions):
    """A line that is taken out again leaves nothing."""
    registry, line, facts = LINES[0]
    registry.remove("mine")
    assert "mine" not in registry and len(registry) == 26
    registry.add(*line, **facts)
