"""The door for a trained head: the built-in network's weights below a new last layer that gives valence and arousal."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from support import invoke

import affectkit
from affectkit.checkpoints.checkpoint import load_model, read_header
from affectkit.prep.images.schematic_dataset import SchematicOptions, prepare_schematic

pytestmark = pytest.mark.usefixtures("no_figures")
DIMENSIONS = ("Valence", "Arousal")


def train(data, output, *more):
    asked = ["train", "--init", "builtin", "--task", "ratings", "--data", data, "--output", output, "--device", "cpu"]
    return invoke(*asked, "--workers", "0", *more)


def backbone(model):
    return {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawings") / "faces"
    prepare_schematic(root, SchematicOptions(train=16, valid=8, test=8, size=48))
    return root


def test_training_begins_with_the_built_in_network_below_a_new_last_layer(drawings, tmp_path):
    """No --model is named; the checkpoint before the first step holds the built-in weights, all but the last layer."""
    run = train(drawings, tmp_path / "run", "--epochs", "1", "--batch-size", "8", "--keep-epochs")
    assert run.returncode == 0, run.stderr
    said = " ".join(run.stderr.split())
    assert "left at their initial values: head.1.bias, head.1.weight; the last layer is new" in said
    assert "it gives arousal, valence, the file's anger, contempt" in said
    built_in = affectkit.load("builtin", engine="torch")
    (before,) = (tmp_path / "run").rglob("epoch-000.safetensors")
    start, end = (load_model(path) for path in (before, tmp_path / "run" / "best.safetensors"))
    own, begun, learned = map(backbone, (built_in, start, end))
    assert own.keys() == begun.keys() and len(own) > 100
    assert all(torch.equal(own[name], begun[name]) for name in own)
    assert any(not torch.equal(own[name], learned[name]) for name in own)
    assert start.head[1].weight.shape == (2, built_in.head[1].weight.shape[1])
    header = read_header(tmp_path / "run" / "best.safetensors")
    assert header.model == "face-seresnet" and header.spec.classes == ("arousal", "valence")
    assert (header.spec.height, header.spec.channels) == (48, 1)


def test_the_last_layer_alone_can_learn_and_infer_gives_ratings_of_faces(drawings, tmp_path):
    run = train(drawings, tmp_path / "run", "--epochs", "1", "--tune", "last", "--outputs", "valence")
    assert run.returncode == 0, run.stderr
    own, learned = (backbone(model) for model in (
        affectkit.load("builtin", engine="torch"), load_model(tmp_path / "run" / "best.safetensors")
    ))  # fmt: skip
    assert all(torch.equal(own[name], learned[name]) for name in own)
    found = invoke("infer", drawings / "photos", "--checkpoint", tmp_path / "run", "--device", "cpu", "--json")
    assert found.returncode == 0, found.stderr
    found = json.loads(found.stdout)
    assert found["faces_by"] == "auto" and list(found["predictions"][0])[-1] == "Predicted Valence"


def test_another_model_is_refused_with_the_one_that_the_weights_are_of(drawings, tmp_path):
    run = train(drawings, tmp_path / "run", "--model", "resnet18", "--epochs", "1")
    assert run.returncode == 1 and "It was made with --model face-seresnet." in " ".join(run.stderr.split())


@pytest.mark.slow
def test_valence_and_arousal_of_held_out_drawings_are_learned(tmp_path):
    """320 drawings, 5 epochs: nearer to what was drawn than what follows from the emotions by norms of words."""
    data = tmp_path / "faces"
    prepare_schematic(data, SchematicOptions(train=320, valid=64, test=64))
    run = train(data, tmp_path / "run", "--epochs", "5")
    assert run.returncode == 0, run.stderr
    with (data / "test.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    files = [data / row["filename"] for row in rows]
    trained = affectkit.predict(affectkit.load(tmp_path / "run"), files, faces="none")
    derived = affectkit.predict(affectkit.load("builtin"), files, faces="none", valence_arousal=True)
    trained, derived = list(trained), list(derived)
    for name in DIMENSIONS:
        drawn = [float(row[name.lower()]) for row in rows]
        of_head = np.corrcoef([row[f"Predicted {name}"] for row in trained], drawn)[0, 1]
        of_words = np.corrcoef([row[f"{name} (from emotions)"] for row in derived], drawn)[0, 1]
        assert of_head > 0.8 and of_head > of_words + 0.1, name
