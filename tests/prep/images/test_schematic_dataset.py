"""Schematic faces: labels follow from parameters, a seed gives the same bytes, reruns finish or do nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import UsageError
from affectkit.prep.images import schematic_dataset
from affectkit.prep.images.schematic_dataset import (
    CIRCUMPLEX,
    CLASSES,
    PROTOTYPES,
    TEMPERATURE,
    SchematicOptions,
    describe_face,
    emotion_distribution,
)
from affectkit.prep.images.schematic_face import HAIRCUTS, PARAMETERS, draw_appearance, draw_face

SMALL = {"train": 6, "valid": 2, "test": 3, "size": 24, "seed": 5}


def prepare_schematic(folder, **options):
    return schematic_dataset.prepare_schematic(folder, SchematicOptions(**options))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schematic") / "data"
    assert prepare_schematic(folder, **SMALL)["already_done"] is False
    return folder


def test_labels_follow_from_the_parameters():
    low, high = np.array(list(PARAMETERS.values())).T
    for index in range(200):
        face = describe_face(3, "train", index)
        assert ((face.parameters >= low) & (face.parameters <= high)).all()
        distances = [sum((face.parameters[k] - p[k]) ** 2 for k in range(len(PARAMETERS))) for p in PROTOTYPES]
        expected = softmax(-np.array(distances) / TEMPERATURE)
        np.testing.assert_allclose(face.distribution, expected, atol=1e-12)
        assert face.votes.sum() == 10 and face.votes.dtype == np.int64
        assert face.valence == pytest.approx(sum(p * v for p, (v, _) in zip(expected, CIRCUMPLEX, strict=True)))
        assert face.arousal == pytest.approx(sum(p * a for p, (_, a) in zip(expected, CIRCUMPLEX, strict=True)))
        assert -1 <= face.valence <= 1 and -1 <= face.arousal <= 1


def test_prototypes_are_their_own_class_and_classes_are_balanced():
    assert PROTOTYPES.shape == (8, 10) and CIRCUMPLEX.shape == (8, 2) and (np.abs(CIRCUMPLEX) <= 1).all()
    own = emotion_distribution(PROTOTYPES)
    assert own.argmax(1).tolist() == list(range(8)) and own.max(1).min() > 0.8
    faces = [describe_face(0, "test", index) for index in range(400)]
    shares = np.bincount([face.distribution.argmax() for face in faces], minlength=8) / 400
    assert shares.min() > 0.08 and shares.max() < 0.2
    top = np.array([face.distribution.max() for face in faces])
    assert 0.1 < (top < 0.7).mean() < 0.4, "some faces are mixtures, most are clear"
    # Votes are drawn from the distributions: over 400 faces their means agree within three standard errors.
    votes = np.array([face.votes for face in faces]) / 10
    p = np.array([face.distribution for face in faces])
    error = np.sqrt((p * (1 - p)).sum(0) / 10) / 400
    assert (np.abs(votes.mean(0) - p.mean(0)) < 3.5 * error).all()


def test_faces_are_addressed():
    one, again = describe_face(7, "valid", 11), describe_face(7, "valid", 11)
    assert (
        (one.parameters == again.parameters).all()
        and one.appearance == again.appearance
        and (one.votes == again.votes).all()
    )
    others = [describe_face(8, "valid", 11), describe_face(7, "train", 11), describe_face(7, "valid", 12)]
    assert all((one.parameters != other.parameters).any() and one.appearance != other.appearance for other in others)


def test_every_parameter_and_every_part_of_the_look_is_visible():
    look = replace(draw_appearance(np.random.default_rng(2)), haircut="short", glasses=False)
    rest = np.zeros(len(PARAMETERS))
    before = draw_face(rest, look, size=48)
    assert before.shape == (48, 48, 3) and before.dtype == np.uint8
    for k, (name, (low, high)) in enumerate(PARAMETERS.items()):
        for value in {low, high} - {0.0}:
            changed = rest.copy()
            changed[k] = value
            # Tense lips bare teeth, so the mouth has to be open for them to be seen.
            changed[list(PARAMETERS).index("mouth_open")] = max(0.4 * (name == "lip_tension"), changed[6])
            reference = draw_face(changed * (np.arange(10) == 6), look, size=48) if name == "lip_tension" else before
            difference = np.abs(draw_face(changed, look, size=48).astype(int) - reference).max(2)
            assert (difference > 30).sum() >= 8, f"{name} {value}"
    pictures = {draw_face(rest, replace(look, haircut=cut), size=48).tobytes() for cut in HAIRCUTS}
    assert len(pictures) == len(HAIRCUTS)
    for change in ({"glasses": True}, {"angle": 9.0}, {"skin": (90.0, 60.0, 40.0)}, {"jaw": 0.8}, {"line": 1.9}):
        assert (draw_face(rest, replace(look, **change), size=48) != before).any(), change
    assert draw_face(rest, look, size=300).shape == (300, 300, 3)


def test_emotions_can_be_told_from_pixels():
    look = replace(draw_appearance(np.random.default_rng(4)), glasses=False, side=1)
    known = np.array([draw_face(p, look, size=32) for p in PROTOTYPES], dtype=float)
    right = clear = 0
    for index in range(80):
        face = describe_face(1, "test", index)
        if face.distribution.max() > 0.8:
            picture = draw_face(face.parameters, look, size=32)
            right += np.square(known - picture).sum((1, 2, 3)).argmin() == face.distribution.argmax()
            clear += 1
    assert clear > 40
    assert right / clear > 0.85


def test_layout_is_read_as_votes(dataset):
    assert sorted(path.name for path in dataset.iterdir()) == [
        "images", "manifest.json", "photos", "test.csv", "train.csv", "valid.csv",
    ]  # fmt: skip
    source = find_dataset(dataset)
    assert source.classes == CLASSES
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 6, "valid": 2, "test": 3}
    checked = 0
    for name, split in source.splits.items():
        for index, identity in enumerate(split.ids):
            assert identity == f"images/{name}/face{index:05d}.png"
            face = describe_face(5, name, index)
            np.testing.assert_array_equal(split.votes[index], face.votes)
            with Image.open(dataset / identity) as image:
                assert (image.size, image.mode) == ((24, 24), "RGB")
                np.testing.assert_array_equal(np.asarray(image), draw_face(face.parameters, face.appearance, size=24))
            checked += 1
    assert checked == 11
    with (dataset / "train.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["filename", "valence", "arousal", *CLASSES]
    for index, row in enumerate(rows):
        face = describe_face(5, "train", index)
        assert float(row["valence"]) == pytest.approx(face.valence, abs=1e-6)
        assert float(row["arousal"]) == pytest.approx(face.arousal, abs=1e-6)
    assert len(list((dataset / "photos").glob("*.png"))) == 12
    assert json.loads((dataset / "manifest.json").read_text())["settings"]["seed"] == 5


def test_same_seed_same_bytes_whatever_the_number(dataset, tmp_path):
    prepare_schematic(tmp_path / "again", **SMALL)
    assert contents(tmp_path / "again") == contents(dataset)
    prepare_schematic(tmp_path / "fewer", **{**SMALL, "train": 2})
    fewer, full = contents(tmp_path / "fewer"), contents(dataset)
    shared = [name for name in fewer if name.endswith(".png")]
    assert len(shared) == 2 + 2 + 3 + 12
    assert all(fewer[name] == full[name] for name in shared)
    prepare_schematic(tmp_path / "other", **{**SMALL, "seed": 6})
    other = contents(tmp_path / "other")
    assert all(other[name] != full[name] for name in full)


def test_a_rerun_does_nothing_or_finishes(dataset, tmp_path):
    folder = tmp_path / "data"
    prepare_schematic(folder, **SMALL)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert prepare_schematic(folder, **SMALL)["already_done"] is True
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    # Killed in the middle: no manifest, a torn picture, the mark that it was begun.
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / ".affectkit-preparing.json").write_text(json.dumps({"identity": manifest["settings"]}))
    (folder / "manifest.json").unlink()
    (folder / "images/train/face00001.png").write_bytes(b"torn")
    assert prepare_schematic(folder, **SMALL)["already_done"] is False
    assert contents(folder) == contents(dataset)
    (folder / "images/test/face00002.png").unlink()
    assert prepare_schematic(folder, **SMALL)["already_done"] is False
    assert contents(folder) == contents(dataset)


def test_other_content_is_refused(dataset, tmp_path):
    before = contents(dataset)
    with pytest.raises(UsageError, match="seed 5 there, 6 now"):
        prepare_schematic(dataset, **{**SMALL, "seed": 6})
    assert contents(dataset) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(UsageError, match="not empty"):
        prepare_schematic(tmp_path / "mine", **SMALL)
    with pytest.raises(UsageError, match="is a file"):
        prepare_schematic(tmp_path / "mine" / "notes.txt", **SMALL)
    (tmp_path / "mine" / "manifest.json").write_text('{"dataset": "another"}')
    with pytest.raises(UsageError, match="not affectkit's"):
        prepare_schematic(tmp_path / "mine", **SMALL)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["manifest.json", "notes.txt"]


def test_settings_out_of_range_are_told_together(tmp_path):
    with pytest.raises(UsageError) as caught:
        prepare_schematic(tmp_path / "x", train=0, valid=1, test=True, size=8, seed=-1)
    assert all(f"'{name}'" in str(caught.value) for name in ("train", "test", "size", "seed"))
    assert "'valid'" not in str(caught.value)
    assert not (tmp_path / "x").exists()
