"""RML with its contradictory copies, EmoVoxCeleb with a label a frame, and features that were computed elsewhere."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from clips import pictures, tone, write_clip
from PIL import Image
from safetensors.numpy import save_file
from support import invoke

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.clip_store import SPLITS, ClipStore, drawn_frames
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.media.spectrograms import write_wav
from affectkit.errors import DataError
from affectkit.prep.clips import emovoxceleb, precomputed_features, rml
from affectkit.prep.clips.split import read_assignment
from affectkit.tasks.audiovisual import AudiovisualTask

USERS = ("s1", "s2", "s3", "s4")


def rows(output):
    return [row for name in ("train", "valid", "test") for row in csv.DictReader((output / f"{name}.csv").open())]


def prepare_rml(source, output, **options):
    return rml.prepare_rml(source, output, rml.RmlOptions(workers=1, **options), reporter=Silent())


def prepare_emovoxceleb(source, output, **options):
    given = emovoxceleb.EmoVoxCelebOptions(workers=1, **options)
    return emovoxceleb.prepare_emovoxceleb(source, output, given, reporter=Silent())


def prepare_features(source, output, **options):
    given = precomputed_features.FeatureOptions(workers=1, **options)
    return precomputed_features.prepare_features(source, output, given, reporter=Silent())


# --- RML -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rml_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("rml")
    for number, (user, name) in enumerate((user, name) for user in USERS for name in ("an1", "happy2", "su3")):
        write_clip(
            root / user / "English" / f"{name}.avi", number % 6, seconds=0.2, size=(160, 120), seed=number,
            codecs=("mpeg4", "libmp3lame"),
        )  # fmt: skip
    return root


def test_rml(rml_root, tmp_path):
    report = prepare_rml(rml_root, tmp_path / "out", size=16)
    assert sum(sum(found.values()) for found in report.counts.values()) == 12
    people = {
        name: {row["user"] for row in csv.DictReader((tmp_path / "out" / f"{name}.csv").open())}
        for name in report.counts
    }
    assert sum(map(len, people.values())) == 4
    row = next(row for row in rows(tmp_path / "out") if row["filename"] == "s2/English/happy2")
    assert (row["label"], row["language"], row["skin"], row["pitch"]) == (
        "happiness",
        "English",
        "original",
        "original",
    )
    store = ClipStore.open(tmp_path / "out")
    assert store.frames == 45 and store.spec.sound.rate == 32000 and store.classes == rml.EMOTIONS
    wide = prepare_rml(rml_root, tmp_path / "wide", size=16, sound="pretrained")
    assert wide.made == 12 and ClipStore.open(tmp_path / "wide").shapes()["audio"] == (512, 512)


def test_rml_changed(rml_root, tmp_path):
    whole = prepare_rml(rml_root, tmp_path / "a", size=16)
    prepare_rml(rml_root, tmp_path / "b", size=16, modify="both", label="pitch")
    before, after = ClipStore.open(tmp_path / "a"), ClipStore.open(tmp_path / "b")
    assert after.classes == ("low", "original", "high") and whole.made == 12
    changed = {"skin": 0, "pitch": 0}
    for row in rows(tmp_path / "b"):
        assert row["label"] == row["pitch"] and row["emotion"] in rml.EMOTIONS
        same = np.array_equal(before.sounds([row["filename"]]), after.sounds([row["filename"]]))
        assert same == (row["pitch"] == "original")
        changed["pitch"] += not same
        changed["skin"] += row["skin"] != "original"
    assert min(changed.values()) >= 4


def test_skin_turns_and_nothing_else():
    image = np.full((4, 4, 3), (40, 90, 200), dtype=np.uint8)
    image[1:3, 1:3] = (224, 172, 140)
    turned = rml.turn_skin(image, 120)
    assert np.array_equal(turned[0], image[0])
    red, green, blue = turned[1, 1].astype(int)
    assert (green > red and green > blue) or (blue > red and blue > green)
    assert abs(int(turned[1, 1].max()) - 224) <= 2


@pytest.mark.parametrize(("name", "factor"), [("low", 50 / 63), ("high", 63 / 50)])
def test_pitch_moves_and_length_does_not(name, factor):
    time = np.arange(16000) / 16000
    sound = (0.4 * np.sin(2 * np.pi * 400 * time)).astype(np.float32)
    moved = rml.move_pitch(sound, *rml.PITCH[name])
    assert moved.shape == sound.shape
    spectrum = np.abs(np.fft.rfft(moved[2000:-2000] * np.hanning(12000)))
    assert spectrum.argmax() * 16000 / 12000 == pytest.approx(400 * factor, rel=0.01)


def test_rml_names(tmp_path):
    with pytest.raises(DataError, match="no videos"):
        rml.clip_files(tmp_path)
    write_clip(tmp_path / "s1" / "English" / "clip1.avi", seconds=0.1, size=(64, 48), codecs=("mpeg4", "libmp3lame"))
    with pytest.raises(DataError, match="clip1.avi"):
        rml.clip_files(tmp_path)


def test_skin_turns_to_the_hue_that_its_column_names():
    image = np.full((2, 2, 3), (224, 172, 150), np.uint8)
    assert {name: int(rml.turn_skin(image, degrees)[0, 0].argmax()) for name, degrees in rml.SKIN.items()} == {
        "original": 0, "green": 1, "blue": 2,
    }  # fmt: skip
    assert rml.turn_skin(image, rml.SKIN["blue"])[0, 0, 2] - 20 > rml.turn_skin(image, rml.SKIN["blue"])[0, 0, 1]


@pytest.mark.parametrize("ending", ["", ".avi"])
def test_a_table_of_splits_names_clips_in_folders(tmp_path, ending):
    names = ["s1/English/an1", "s2/English/an1", "s3/a.b"]
    (tmp_path / "t.csv").write_text(
        "filename,split\n" + "".join(f"{n}{ending},{s}\n" for n, s in zip(names, SPLITS, strict=True))
    )
    assert read_assignment(tmp_path / "t.csv", names) == dict(zip(names, SPLITS, strict=True))


# --- EmoVoxCeleb -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emo_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("emo")
    rng = np.random.default_rng(0)
    lines = ["utterance,frame," + ",".join(emovoxceleb.EMOTIONS)]
    for number in range(8):
        name = f"id{number // 2}/v/{number:05}"
        (root / "frames" / name).mkdir(parents=True)
        for frame, image in enumerate(pictures(number % 6, 5, size=(48, 48), seed=number), 1):
            Image.fromarray(image).save(root / "frames" / name / f"{frame:06}.jpg")
            lines.append(f"{name},{frame}," + ",".join(f"{value:.4f}" for value in rng.normal(0, 2, 8)))
        path = root / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, tone(number % 6, 0.4, rate=16000, seed=number), 16000)
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_emovoxceleb_has_a_label_a_frame(emo_root, tmp_path):
    report = prepare_emovoxceleb(emo_root, tmp_path / "out", size=16)
    assert sum(sum(found.values()) for found in report.counts.values()) == 8
    split = find_dataset(tmp_path / "out").splits["train"]
    assert split.labels is None and split.facts["frame_labels"].shape == (len(split), 31, 8)
    given = {(row["utterance"], int(row["frame"])): row for row in csv.DictReader((emo_root / "labels.csv").open())}
    frames = np.linspace(0, 4, 31).round().astype(int) + 1
    checked = 0
    for name, labels in zip(split.ids, split.facts["frame_labels"], strict=True):
        for frame, found in zip(frames, labels, strict=True):
            powers = np.exp([float(given[name, int(frame)][emotion]) for emotion in emovoxceleb.EMOTIONS])
            np.testing.assert_allclose(found, powers / powers.sum(), rtol=1e-4)
            checked += 1
    assert checked == 31 * len(split)
    spec = InputSpec("audiovisual", 16, 16, classes=split.classes, clip=split.store.spec)
    task = AudiovisualTask.from_options(spec, {"seed": 5, "loss": "mse"})
    for epoch in (None, 0, 3):
        chosen = drawn_frames(split.ids, 31, seed=5, epoch=epoch)
        wanted = split.facts["frame_labels"][np.arange(len(split)), chosen]
        assert np.array_equal(task.targets(split, epoch=epoch)["target"].numpy(), wanted)
    assert prepare_emovoxceleb(emo_root, tmp_path / "out", size=16).done


def test_emovoxceleb_follows_labels_and_sounds_that_change(emo_root, tmp_path):
    root, out = tmp_path / "own", tmp_path / "out"
    shutil.copytree(emo_root, root)
    sound = root / "audio" / "id0" / "v" / "00000.wav"
    given = sound.read_bytes()
    sound.unlink()

    def prepared():
        return prepare_emovoxceleb(root, out, split="random", on_error="skip", size=16)

    assert [fault.name for fault in prepared().skipped] == ["id0/v/00000"]
    sound.write_bytes(given)  # mended as the message says
    assert not prepared().skipped
    head, *lines = (root / "labels.csv").read_text().splitlines()
    sure = [f"{','.join(line.split(',')[:2])},0,0,0,0,0,0,0,9" for line in lines]
    (root / "labels.csv").write_text("\n".join([head, *sure]) + "\n")
    report = prepared()
    assert report.made == 0 and not report.done
    split = find_dataset(out).splits["train"]
    assert len(split) and (split.facts["frame_labels"].argmax(-1) == 7).all()
    assert prepared().done


def test_emovoxceleb_faults(emo_root, tmp_path):
    with pytest.raises(DataError, match="do not sum to 1"):
        emovoxceleb.read_labels(emo_root / "labels.csv", "shares")
    text = (emo_root / "labels.csv").read_text().splitlines()
    (tmp_path / "labels.csv").write_text("\n".join([text[0], text[1].rsplit(",", 1)[0] + ",x"]))
    with pytest.raises(DataError, match="line 2"):
        emovoxceleb.read_labels(tmp_path / "labels.csv", "auto")
    (tmp_path / "labels.csv").write_text("utterance,frame,neutral\n")
    with pytest.raises(DataError, match="no column happiness"):
        emovoxceleb.read_labels(tmp_path / "labels.csv", "auto")
    (tmp_path / "labels.csv").write_text("\n".join([text[0], text[1].replace(text[1].split(",")[0], "../../x")]))
    with pytest.raises(DataError, match="leaves the folder"):
        prepare_emovoxceleb(tmp_path, tmp_path / "out")


# --- features --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def feature_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    lines = ["filename,label,user,split"]
    for number in range(9):
        kind = number % 3
        values = {
            "image": rng.normal(kind, 1, (16, 4096)).astype(np.float32),
            "audio": np.stack([np.full((64, 1024), layer + 10 * number, np.float32) for layer in range(1, 9)]),
        }
        if number % 2:
            np.savez(root / f"c{number}.npz", **values)
        else:
            save_file(values, root / f"c{number}.safetensors")
        lines.append(f"c{number},{'abc'[kind]},u{kind},{'train' if number < 5 else 'valid' if number < 7 else 'test'}")
    (root / "features.csv").write_text("\n".join(lines) + "\n")
    return root


def test_features_of_the_seventh_layer(feature_root, tmp_path):
    report = prepare_features(feature_root, tmp_path / "out")
    assert {name: sum(found.values()) for name, found in report.counts.items()} == {"train": 5, "valid": 2, "test": 2}
    store = ClipStore.open(tmp_path / "out")
    assert store.sounds(["c3"]).shape == (1, 64, 1024) and (store.sounds(["c3"]) == 37).all()
    stored = np.load(feature_root / "c3.npz")["image"]
    assert np.array_equal(store.images(["c3"], [0])[0], stored)
    prepare_features(feature_root, tmp_path / "out", layer=2)
    assert (ClipStore.open(tmp_path / "out").sounds(["c3"]) == 32).all()
    with pytest.raises(DataError, match="8 layers, not 9"):
        prepare_features(feature_root, tmp_path / "out", layer=9)


@pytest.mark.parametrize("drop", [False, True])
def test_copies_of_clips_across_splits(feature_root, tmp_path, drop):
    """Of the validation clips c5 and c6 the first, and of the test clips c7 and c8 both, are stored alike."""
    root = tmp_path / "source"
    shutil.copytree(feature_root, root)
    for name, like in (("c5", "c1"), ("c7", "c3"), ("c8", "c0")):
        for path in root.glob(f"{name}.*"):
            path.unlink()
        (like_path,) = root.glob(f"{like}.*")
        shutil.copy(like_path, root / f"{name}{like_path.suffix}")
    if drop:  # nothing would be left of test
        lines = (root / "features.csv").read_text().replace("c8,c,u2,test", "c8,c,u2,train")
        (root / "features.csv").write_text(lines.replace("c4,b,u1,train", "c4,b,u1,test"))
    report = prepare_features(root, tmp_path / "out", drop_copies=drop)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["copies"] == report.copies
    assert report.copies["valid"]["copies_of"] == {"train": 1} and report.copies["valid"]["dropped"] == drop
    assert report.copies["test"]["copies"] == (1 if drop else 2)
    ending = ": left out" if drop else "; --drop-copies leaves them out"
    assert f"valid: 1 of 2 clips is a copy of train clips{ending}" in report.warnings
    ids = {name: split.ids for name, split in find_dataset(tmp_path / "out").splits.items()}
    assert ids["valid"] == (["c6"] if drop else ["c5", "c6"]) and ids["test"] == (["c4"] if drop else ["c7", "c8"])
    assert [fault.name for fault in report.skipped] == (["c5", "c7"] if drop else []) and not report.broken
    assert prepare_features(root, tmp_path / "out", drop_copies=drop).done


def test_features_train(feature_root, tmp_path, no_figures):
    prepare_features(feature_root, tmp_path / "out")
    found = invoke(
        "train", "--model", "cmvqvae-features", "--data", tmp_path / "out", "--output", tmp_path / "run", "--epochs", 1,
        "--codes", 8, "--json",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "perplexity_audio" in json.loads(found.stdout)["valid"]
    refused = invoke(
        "reconstruct", "--checkpoint", tmp_path / "run", "--data", tmp_path / "out", "--results", tmp_path / "p"
    )
    assert refused.returncode == 2 and "no mask over codes of clips" in refused.stderr


def test_damaged_features(feature_root, tmp_path):
    (tmp_path / "features.csv").write_text("filename,label\nx,a\n")
    np.savez(tmp_path / "x.npz", image=np.zeros((16, 4096), np.float32))
    with pytest.raises(DataError, match="has no column split"):
        prepare_features(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="holds no audio"):
        prepare_features(tmp_path, tmp_path / "out", split="random")
    np.savez(tmp_path / "x.npz", image=np.zeros((16, 4095), np.float32), audio=np.zeros((64, 1024), np.float32))
    with pytest.raises(DataError, match=r"image is \(16, 4095\), not \(16, 4096\)"):
        prepare_features(tmp_path, tmp_path / "out", split="random")
    np.savez(tmp_path / "x.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        prepare_features(tmp_path, tmp_path / "out", split="random")
    for name, told in (("../y", "leaves the folder"), ("", "empty")):
        (tmp_path / "features.csv").write_text(f"filename,label\n{name},a\n")
        with pytest.raises(DataError, match=told):
            prepare_features(tmp_path, tmp_path / "out", split="random")
    (tmp_path / "features.csv").write_text("filename,label\nx,a\n")
    np.savez(tmp_path / "x.npz", image=np.zeros((16, 4096), np.float32), audio=np.zeros((64, 1024), np.float32))
    whole = (tmp_path / "x.npz").read_bytes()
    patched = bytearray(whole)
    patched[whole.index(b"PK\1\2") + 8] |= 1 << 5  # compressed patched data, which Python's zipfile does not read
    for broken in (whole[:5000], bytes(patched)):
        (tmp_path / "x.npz").write_bytes(broken)
        with pytest.raises(DataError, match="cannot be read"):
            prepare_features(tmp_path, tmp_path / "out", split="random")
