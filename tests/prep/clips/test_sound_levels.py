"""Stores and checkpoints of different sound levels: prepared again, kept apart, told in words."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import make_cremad, prepare
from support import invoke

from affectkit.checkpoints.checkpoint import Header, load_model, save_checkpoint
from affectkit.core.clipspec import CREMAD, with_sound_level
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.clip_store import ClipStore, read_prepared
from affectkit.data.loading.clips import read_inputs
from affectkit.errors import DataError
from affectkit.models.external.weights import read_sound_level
from affectkit.models.registry import build
from affectkit.prep.clips.cremad import LONGEST, READER, read_av
from affectkit.prep.clips.store_writer import ClipRecipe
from affectkit.tasks.audiovisual import AudiovisualTask

TINY = ("--model", "cmvqvae", "--hidden", 16, "--codes", 32, "--batch-size", 12, "--quantizer", "plain", "--epochs", 1)
SIDE = 32


class Noting(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("levels")
    make_cremad(root / "clone", actors=4, seconds=0.3, size=(160, 120))
    for level in ("published", "unit"):
        prepare(root / "clone", root / level, sound_level=level, frames="middle", size=SIDE)
    return root


def spec_of(store, **changes):
    return InputSpec(
        "audiovisual",
        SIDE,
        SIDE,
        mean=(0,) * 3,
        std=(1,) * 3,
        classes=store.classes,
        clip=replace(store.spec, **changes),
    )


def test_the_level_is_in_the_record_and_in_the_sound(root):
    stores = {name: ClipStore.open(root / name) for name in ("published", "unit")}
    assert [store.spec.sound.level for store in stores.values()] == ["moviepy", "unit"]
    assert [store.manifest["sound_level"] for store in stores.values()] == ["moviepy", "unit"]
    assert stores["published"].manifest["settings"]["sound_level"] == "published"
    name = next(iter(stores["unit"].manifest["sources"]))
    loudest = {level: store.sounds([name]).max() / 256 for level, store in stores.items()}
    assert loudest["published"] - loudest["unit"] == pytest.approx(-3.0103, abs=0.05)  # the clips have one channel


def test_older_stores_are_those_of_unit_and_are_prepared_again(root, tmp_path):
    clip = with_sound_level(replace(CREMAD, reach=0), "unit")
    assert "level" not in json.dumps(clip.to_dict())
    shutil.copytree(root / "unit", tmp_path / "data")
    record = json.loads((tmp_path / "data" / "store" / "0000.json").read_text())
    assert record["recipe"] == ClipRecipe(read=read_av, reader=READER, clip=clip, size=SIDE, longest=LONGEST).mark()
    noting = Noting()
    report = prepare(root / "clone", tmp_path / "data", frames="middle", size=SIDE, reporter=noting)
    assert report.made == 24 and any("24 clips were prepared by other settings or an older" in n for n in noting.notes)
    store = ClipStore.open(tmp_path / "data")
    assert store.spec.sound.level == "moviepy"
    names = list(store.manifest["sources"])
    assert np.array_equal(store.sounds(names), ClipStore.open(root / "published").sounds(names))
    noting = Noting()
    assert prepare(root / "clone", tmp_path / "data", frames="middle", size=SIDE, reporter=noting).done
    assert not any("prepared by other" in text for text in noting.notes)


def test_runs_on_older_stores_go_on(root):
    """The fingerprint is that from before there were levels."""
    store = ClipStore.open(root / "unit")
    told = (
        "ClipSpec(crop=280, crop_low=None, anchor='top', reach=0, sound=SoundSpec(rate=44100, n_fft=2048, window=512, "
        "hop=353, mels=256, seconds=None, fit='crop', height=256, width=256, top_db=80.0), features=None, needs='both')"
    )
    name = next(iter(store.manifest["sources"]))
    digest = hashlib.sha256(f"{told}{SIDE}x{SIDE}x1{name}\x1f{store.manifest['sources'][name]}\x1e".encode())
    assert store.fingerprint([name]) == digest.hexdigest()
    assert ClipStore.open(root / "published").fingerprint([name]) != digest.hexdigest()


@pytest.mark.parametrize(("data", "model"), [("published", "unit"), ("unit", "published")])
def test_levels_do_not_mix(root, data, model):
    split = read_prepared(root / data)[0]["train"]
    other = ClipStore.open(root / model)
    task = AudiovisualTask.from_options(spec_of(other), {})
    with pytest.raises(DataError) as found:
        task.select_items(split)
    levels = {"published": "moviepy", "unit": "unit"}
    assert f"at the level {levels[data]!r} (" in found.value.message
    assert f"not {levels[model]!r} (" in found.value.message and "3.01 dB" in found.value.message
    assert ("--sound-level unit" in found.value.hint) == (model == "unit")
    assert ("again, by the same command" in found.value.hint) == (model == "published")
    assert ("meld take --sound-level moviepy" in found.value.hint) == (model == "published")
    assert AudiovisualTask.from_options(spec_of(ClipStore.open(root / data)), {}).select_items(split)
    assert AudiovisualTask.from_options(spec_of(other, needs="image"), {}).select_items(split)  # which hears nothing


@pytest.mark.parametrize("level", ["published", "unit"])
def test_a_clip_is_predicted_at_the_level_of_the_checkpoint(root, tmp_path, level):
    store = ClipStore.open(root / level)
    spec = spec_of(store)
    torch.manual_seed(0)
    model = build("cmvqvae", spec, hidden=16, residual_hidden=4, codes=32)
    header = Header("cmvqvae", {"hidden": 16, "residual_hidden": 4, "codes": 32}, spec)
    save_checkpoint(tmp_path / "model.safetensors", model, header)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.spec.clip.sound.level == store.spec.sound.level == read_sound_level(tmp_path / "model.safetensors")
    name = next(iter(store.manifest["sources"]))
    inputs = read_inputs(root / "clone" / "VideoFlash" / f"{name}.flv", loaded.spec)
    assert np.array_equal(inputs["audio"][0].numpy(), store.sounds([name])[0])


def test_weights_of_another_level_are_said_or_refused(root, tmp_path, no_figures):
    first = invoke("train", "--data", root / "unit", "--output", tmp_path / "first", *TINY)
    assert first.returncode == 0, first.stderr
    second = invoke(
        "train", "--data", root / "published", "--output", tmp_path / "b", "--init", tmp_path / "first", *TINY
    )
    assert second.returncode == 0 and "was trained on sound at the level 'unit'" in second.stderr
    third = invoke(
        "train", "--data", root / "published", "--output", tmp_path / "c", "--init", tmp_path / "first", *TINY,
        "--stage", "solver",
    )  # fmt: skip
    assert third.returncode == 2 and "'unit'" in third.stderr and "--sound-level" in third.stderr
    tested = invoke("test", "--checkpoint", tmp_path / "first", "--data", root / "published")
    assert tested.returncode == 1 and "--sound-level unit" in tested.stderr
    assert invoke("test", "--checkpoint", tmp_path / "first", "--data", root / "unit").returncode == 0
