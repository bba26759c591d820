"""Published V1 files of Tiny-ImageNet against the study's arithmetic: 64 pixels as they are, mean and std 0.5."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import invoke

import affectkit
from affectkit.checkpoints.checkpoint import read_header
from affectkit.checkpoints.description import fitted
from affectkit.config import resolve
from affectkit.core.clipspec import CREMAD
from affectkit.core.spec import InputSpec
from affectkit.corruptions.base import content_hash, corrupt
from affectkit.data.layouts.tinyimagenet import is_tiny_imagenet
from affectkit.errors import UsageError
from affectkit.models.external.published_format import Contents
from affectkit.models.registry import build
from affectkit.models.v1.published import FORMAT
from affectkit.settings.training import TrainSettings

pytestmark = pytest.mark.usefixtures("no_figures")

WNIDS = ("n01443537", "n02124075", "n07734744")
COUNT = 6
NAME = "resnet50_plain"


def make_tiny(root: Path) -> Path:
    """Tiny-ImageNet as it is downloaded, small: JPEGs of 64x64 pixels with fine detail, one of them gray."""
    rng = np.random.default_rng(3)

    def save(path: Path, gray: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (64, 64) if gray else (64, 64, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path, quality=95)

    for wnid in WNIDS:
        for number in range(4):
            save(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
    lines = []
    for number in range(COUNT):
        save(root / "val" / "images" / f"val_{number}.JPEG", gray=number == 4)
        lines.append(f"val_{number}.JPEG\t{WNIDS[number % 3]}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(WNIDS))
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("data") / "tiny-imagenet-200")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(NAME, InputSpec("classification", 64, 64, classes=WNIDS)).eval()


def save(path: Path, model, **args) -> Path:
    """A checkpoint as the study's main.py writes it."""
    torch.save({"args": {"model_type": "resnet50", **args}, "current_epoch": 4, "model": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {name: save(folder / f"{name}.pt", model, dataset=name) for name in ("tinyimagenet", "imagenet")}


def by_hand(model, images) -> tuple[float, float]:
    """Loss and accuracy of uint8 images (N, 64, 64, 3) of the classes in turn: ToTensor, Normalize(0.5, 0.5), mean."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)
    with torch.inference_mode():
        logits = model((pixels - 0.5) / 0.5).double().numpy()
    labels = np.arange(len(images)) % 3
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -logs[np.arange(len(images)), labels].mean(), (logits.argmax(1) == labels).mean()


def plain(tiny) -> list[np.ndarray]:
    return [np.asarray(Image.open(tiny / f"val/images/val_{k}.JPEG").convert("RGB")) for k in range(COUNT)]


def cropped(images) -> list[np.ndarray]:
    """The study's transform for ImageNet, in one pass: the middle 7/8 at 64 pixels."""
    return [np.asarray(Image.fromarray(i).resize((64, 64), Image.Resampling.BILINEAR, (4, 4, 60, 60))) for i in images]


def fog(images) -> list[np.ndarray]:
    """Severity 1 of the images as they are, rounded to 8 bits as the published set."""
    values = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255).contiguous()
    contents = [content_hash(value) for value in values]
    made = corrupt(values, "fog", severity=1, scale="tiny", seed=0, contents=contents)
    return list(made.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def run(*arguments):
    done = invoke(*arguments, "--json", "--device", "cpu", "--precision", "fp32", "--workers", 0)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_published_file_of_tiny_imagenet_is_tested_without_resizing(files, tiny, model):
    expected, accuracy = by_hand(model, plain(tiny))
    other, _ = by_hand(model, cropped(plain(tiny)))
    assert abs(other - expected) > 0.02 * expected  # so that the two are told apart
    shared = ("test", "--data", tiny, "--split", "valid", "--checkpoint")
    found, said = run(*shared, files["tinyimagenet"])
    assert found["metrics"]["loss"] == pytest.approx(expected, rel=1e-4) and found["fit"] == "crop"
    assert found["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert "fit crop: args['dataset'] is tinyimagenet" in said and "checkpoint_fit" not in found
    found, said = run(*shared, files["imagenet"])
    assert found["metrics"]["loss"] == pytest.approx(other, rel=2e-3) and found["fit"] == "imagenet"
    # What a user says wins, and is recorded.
    found, said = run(*shared, files["imagenet"], "--fit", "crop")
    assert found["metrics"]["loss"] == pytest.approx(expected, rel=1e-4)
    assert (found["fit"], found["checkpoint_fit"]) == ("crop", "imagenet")
    assert "images are fitted by --fit crop; the checkpoint has imagenet" in said


def test_corruptions_are_of_the_same_pixels(files, tiny, model, tmp_path):
    shared = ("eval-corruptions", "--data", tiny, "--split", "valid", "--checkpoint", files["tinyimagenet"])
    shared = (*shared, "--corruptions", "fog", "--severities", 1)
    found, _ = run(*shared, "--results", tmp_path / "made")
    clean, foggy = found["rows"]
    assert clean["metrics"]["loss"] == pytest.approx(by_hand(model, plain(tiny))[0], rel=1e-4)
    assert foggy["metrics"]["loss"] == pytest.approx(by_hand(model, fog(plain(tiny)))[0], rel=1e-4)
    # Rows of another fit are not mixed with these.
    done = invoke(*shared, "--results", tmp_path / "made", "--fit", "imagenet", "--device", "cpu")
    assert done.returncode == 2 and "fit crop there, imagenet now" in done.stderr
    # As Tiny-ImageNet-C lies on the disk: the validation images again, in folders of classes.
    paths = [tmp_path / "C" / "fog" / "1" / WNIDS[number % 3] / f"val_{number}.JPEG" for number in range(COUNT)]
    for path, pixels in zip(paths, fog(plain(tiny)), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
    images = [np.asarray(Image.open(path)) for path in paths]
    expected, other = by_hand(model, images)[0], by_hand(model, cropped(images))[0]
    found, _ = run(*shared, "--corrupted-root", tmp_path / "C")
    assert found["rows"][1]["metrics"]["loss"] == pytest.approx(expected, rel=1e-4) and found["fit"] == "crop"
    assert abs(other - expected) > 0.01 * expected


def test_the_fit_is_converted_and_loaded(files, tmp_path):
    done = invoke("convert", files["tinyimagenet"], tmp_path / "c.safetensors", "--json")
    told = json.loads(done.stdout)
    assert told["fit"] == "crop" and told["notes"] == ["fit crop: args['dataset'] is tinyimagenet"]
    header = read_header(tmp_path / "c.safetensors")
    assert header.spec.fit == "crop" and header.training["published"]["notes"] == told["notes"]
    assert affectkit.load(tmp_path / "c.safetensors").spec.fit == "crop"
    changed = affectkit.load(files["imagenet"], fit="pad")
    assert changed.spec.fit == "pad" and changed.header.spec.fit == "imagenet"
    with pytest.raises(UsageError, match="--fit must be one of stretch"):
        affectkit.load(files["imagenet"], fit="none")


def test_clips_are_framed_as_their_study_did():
    spec = InputSpec("audiovisual", 128, 128, classes=("a", "b"), clip=CREMAD)
    assert fitted(spec, None) is spec
    with pytest.raises(UsageError, match="--fit pad has no effect: this model takes clips"):
        fitted(spec, "pad")


@pytest.mark.parametrize(
    ("args", "outputs", "fit", "told"),
    [
        ({"dataset": "tinyimagenet"}, 200, "crop", "args['dataset'] is tinyimagenet"),
        ({"dataset": "tinyimagenet"}, 3, "crop", "args['dataset'] is tinyimagenet"),
        ({"dataset": "imagenet"}, 200, "imagenet", "args['dataset'] is imagenet"),
        ({}, 200, "crop", "names no dataset, and 200 outputs are Tiny-ImageNet's"),
        ({}, 1000, "imagenet", "names no dataset, and 1000 outputs are not"),
        ({"dataset": "faces"}, 200, "crop", "faces, is none of the study's, and 200 outputs are"),
        ({"dataset": "faces"}, 7, "imagenet", "faces, is none of the study's, and 7 outputs are not"),
    ],
)
def test_the_fit_is_of_what_a_file_records_or_its_outputs(model, tmp_path, args, outputs, fit, told):
    state = {**model.state_dict(), "fc.weight": torch.zeros(outputs, 2048), "fc.bias": torch.zeros(outputs)}
    given = Contents(tmp_path / "c.pt", state, {"args": {"model_type": "resnet50", **args}})
    assert FORMAT.faults(given) == []
    found = FORMAT.read(given, None)
    assert found.spec.fit == fit and told in found.notes[0] and found.notes[0].startswith(f"fit {fit}: ")
    assert (found.spec.mean, found.spec.std, found.spec.height) == ((0.5,) * 3, (0.5,) * 3, 64)


def test_infer_fits_as_asked_and_resumes_with_the_same_fit_alone(files, tiny, model, tmp_path):
    image = tiny / "val" / "images" / "val_0.JPEG"
    with torch.inference_mode():
        pixels = torch.from_numpy(plain(tiny)[0].copy()).permute(2, 0, 1)[None].float().div(255)
        expected = model((pixels - 0.5) / 0.5).softmax(1)[0].numpy()
    shared = ("infer", image, "--device", "cpu", "--precision", "fp32", "--format", "jsonl")
    for options in (("--checkpoint", files["tinyimagenet"]), ("--checkpoint", files["imagenet"], "--fit", "crop")):
        row = json.loads(invoke(*shared, *options).stdout)
        np.testing.assert_allclose([row[str(k)] for k in range(3)], expected, atol=1e-3)
    shared = ("infer", tiny / "val" / "images", "--checkpoint", files["imagenet"], "--device", "cpu")
    whole = ("--results", tmp_path / "whole", "--resume")
    assert invoke(*shared, *whole, "--fit", "crop").returncode == 0
    assert json.loads((tmp_path / "whole" / "inference.json").read_text())["fit"] == "crop"
    assert invoke(*shared, *whole, "--fit", "crop").returncode == 0
    done = invoke(*shared, *whole)
    assert done.returncode == 2 and "--fit crop" in done.stderr
    parts = ("--results", tmp_path / "parts", "--shard")
    assert invoke(*shared, *parts, "1/2", "--fit", "crop").returncode == 0
    assert invoke(*shared, *parts, "1/2").returncode == 2
    assert invoke(*shared, *parts, "2/2").returncode == 0
    done = invoke("merge", tmp_path / "parts")
    assert done.returncode != 0 and "fit" in done.stderr


def test_a_training_takes_the_recipe_of_tiny_imagenet(tiny, tmp_path):
    assert is_tiny_imagenet(tiny) and not is_tiny_imagenet(tmp_path) and not is_tiny_imagenet(tiny / "none")
    flags = {"data": tiny, "output": tmp_path / "o", "model": "resnet50_composite_b"}

    def chosen(**changes):
        found = resolve(TrainSettings, flags={**flags, **changes})
        return {name: (getattr(found.settings, name), found.sources[name]) for name in ("fit", "augment", "lr")}

    own, tinys = "recipe of resnet50_composite_b", "recipe of resnet50_composite_b for Tiny-ImageNet"
    assert chosen() == {"fit": ("crop", tinys), "augment": ("flip", tinys), "lr": (0.1, own)}
    assert chosen(fit="imagenet") == {"fit": ("imagenet", "flag"), "augment": ("flip", tinys), "lr": (0.1, own)}
    assert chosen(data=tmp_path)["fit"] == ("imagenet", own)
    assert chosen(model="resnet18")["fit"] == ("crop", "default")
    printed = json.loads(invoke("train", *_options(flags), "--print-config", "--json").stdout)
    assert printed["fit"] == {"value": "crop", "source": tinys} and printed["epochs"]["source"] == own


def test_sorted_into_class_folders_it_is_still_tiny_imagenet(tiny, tmp_path):
    """The study reads validation images out of class folders, so that its users have moved them."""
    for wnid in WNIDS:
        (tmp_path / "train" / wnid / "images").mkdir(parents=True)
        (tmp_path / "val" / wnid).mkdir(parents=True)
    assert not is_tiny_imagenet(tmp_path)
    (tmp_path / "wnids.txt").write_text("\n".join(WNIDS))
    assert is_tiny_imagenet(tmp_path)
    (tmp_path / "wnids.txt").write_text("\n".join([*WNIDS, "n00000000"]))
    assert not is_tiny_imagenet(tmp_path)


def test_a_trained_checkpoint_is_tested_as_it_was_trained(tiny, tmp_path):
    """A training without options for the fit says what it took, and its loss is that of the images as they are."""
    options = {"data": tiny, "output": tmp_path / "run", "model": NAME, "epochs": 1, "batch_size": 6, "workers": 0}
    options |= {"lr": 0.001, "device": "cpu", "calibrate": "none", "ema": 0.0}
    done = invoke("train", *_options(options))
    assert done.returncode == 0, done.stderr
    assert "recipe of resnet50_plain for Tiny-ImageNet: --augment flip, --fit crop" in done.stderr
    trained = affectkit.load(tmp_path / "run")
    assert trained.spec.fit == "crop" and trained.spec.classes == WNIDS
    found, _ = run("test", "--data", tiny, "--split", "valid", "--checkpoint", tmp_path / "run")
    assert found["metrics"]["loss"] == pytest.approx(by_hand(trained, plain(tiny))[0], rel=1e-3)


def _options(values):
    return [text for name, value in values.items() for text in (f"--{name.replace('_', '-')}", value)]
