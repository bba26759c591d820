"""AFEW-VA: ratings of frames, actors on one side, crops, the scale that the manifest states, and what is left out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_data import afew_va, cut_short

from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.afew_va import AfewVaOptions, Clip, Frame, divide, prepare_afew_va

CLIPS = {
    f"{number:03d}": (f"Actor {number % 7}", [(number % 21 - 10, 10 - number % 21)] * (1 + number % 3))
    for number in range(1, 22)
}


def rows(out: Path) -> dict[str, list[dict[str, str]]]:
    found = {}
    for split in ("train", "valid", "test"):
        with (out / f"{split}.csv").open(newline="") as stream:
            found[split] = list(csv.DictReader(stream))
    return found


@pytest.mark.parametrize("place", ["", "data", "AFEW-VA/01"])
def test_ratings_and_actors(tmp_path: Path, place: str) -> None:
    afew_va(tmp_path / "in" / place, CLIPS)
    report = prepare_afew_va(tmp_path / "in", tmp_path / "out")
    found = rows(tmp_path / "out")
    actors = {split: {row["subject"] for row in table} for split, table in found.items()}
    assert all(not actors[a] & actors[b] for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")))
    assert set.union(*actors.values()) == {f"Actor {number}" for number in range(7)}
    frames = sum(len(ratings) for _, ratings in CLIPS.values())
    assert report.images == frames == sum(map(len, found.values())) and report.dropped == {}
    for table in found.values():
        for row in table:
            name, number = Path(row["filename"]).stem.split("_")
            actor, ratings = CLIPS[name]
            assert (row["subject"], float(row["valence"]), float(row["arousal"])) == (actor, *ratings[int(number)])
    source = find_dataset(tmp_path / "out")
    assert source.splits["train"].scale == (-10.0, 10.0)  # although all ratings may lie within 1 to 9, or -1 to 1
    assert len(source.splits["test"]) == len(found["test"])


def test_crops_are_around_the_landmarks(tmp_path: Path) -> None:
    afew_va(tmp_path / "in", CLIPS)
    prepare_afew_va(tmp_path / "in", tmp_path / "out")
    face = Image.open(next((tmp_path / "out/images/train").iterdir()))
    assert face.size == (int(20 + 2.5) - int(10 - 2.5), (28 + 4) - (12 - 4))  # a quarter on each side
    prepare_afew_va(tmp_path / "in", tmp_path / "whole", AfewVaOptions(crop="none", scale="1"))
    frame = next((tmp_path / "whole/images/train").iterdir())
    assert frame.read_bytes() == (tmp_path / "in" / frame.stem[:3] / f"{frame.stem[4:]}.png").read_bytes()
    assert find_dataset(tmp_path / "whole").splits["train"].scale == (-1.0, 1.0)
    assert {abs(float(row["valence"])) <= 1 for table in rows(tmp_path / "whole").values() for row in table} == {True}


def test_a_stated_scale_is_not_above_the_users(tmp_path: Path) -> None:
    afew_va(tmp_path / "in", CLIPS)
    prepare_afew_va(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="ratings must be in -1 to 1"):
        find_dataset(tmp_path / "out", labels=Labels(ratings=True, scale=(-1.0, 1.0)))


def clips(count: int, per_actor: int) -> list[Clip]:
    frames = [Frame(Path("x.png"), "x", 0, 0, None)]
    return [Clip(f"{number:03d}", f"a{number // per_actor}", frames * (1 + number % 5)) for number in range(count)]


def test_the_division_follows_seed_and_names_alone() -> None:
    some = clips(200, 4)
    first = divide(some, by="actor", seed=0)
    assert divide(some[::-1], by="actor", seed=0) == first != divide(some, by="actor", seed=1)
    total = sum(len(clip.frames) for clip in some)
    for split, share in (("train", 0.6), ("valid", 0.2), ("test", 0.2)):
        own = sum(len(clip.frames) for clip in some if first[clip.name] == split)
        assert own / total == pytest.approx(share, abs=0.04)
    assert all(len({first[clip.name] for clip in some if clip.actor == f"a{k}"}) == 1 for k in range(50))
    assert set(divide(clips(3, 1), by="actor", seed=5).values()) == {"train", "valid", "test"}
    with pytest.raises(DataError, match="2 groups"):
        divide(clips(8, 4), by="actor", seed=0)
    assert len(set(divide(clips(8, 4), by="video", seed=0).values())) == 3


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    root = afew_va(tmp_path / "in", {**CLIPS, "100": ("Actor 1", [(0, 0)] * 7)})
    path = root / "100" / "100.json"
    about = json.loads(path.read_text())
    about["frames"]["00001"]["valence"] = 11
    about["frames"]["00002"]["landmarks"] = []
    about["frames"]["00003"]["landmarks"] = [[100.0, 100.0], [120.0, 120.0]]
    del about["frames"]["00005"]
    about["actor"] = None
    path.write_text(json.dumps(about))
    (root / "100" / "00000.png").unlink()
    (root / "100" / "00004.png").write_bytes(b"no picture")
    cut_short(root / "100" / "00006.png")
    report = prepare_afew_va(root, tmp_path / "out")
    assert report.dropped == {
        "all": {
            "frame not there": 1, "valence or arousal outside -10 to 10": 1, "no landmarks in the picture": 2,
            "frame without annotation": 1, "frame cannot be decoded": 2,
        }
    }  # fmt: skip
    assert any("100/00003.png" in note for note in report.notes)


def test_clips_without_an_actor_are_their_own(tmp_path: Path) -> None:
    afew_va(tmp_path / "in", {f"{k:03d}": ("", [(0, 1)]) for k in range(1, 6)})
    report = prepare_afew_va(tmp_path / "in", tmp_path / "out")
    assert any("no actor is given of 5 clips" in note for note in report.notes)
    report = prepare_afew_va(afew_va(tmp_path / "b", CLIPS), tmp_path / "c", AfewVaOptions(split_by="video"))
    assert any("in train and in test: --split-by actor keeps them apart" in note for note in report.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be an object"), ('{"frames": 1}', "frames must be an object"), ("{", "cannot read"),
        ('{"frames": {"00000": {"valence": "1", "arousal": 1}}}', "frame '00000': valence must be a finite number"),
        ('{"frames": {"00000": {"valence": 1}}}', "arousal must be a finite number"),
    ],
)  # fmt: skip
def test_malformed_annotations(tmp_path: Path, text: str, words: str) -> None:
    afew_va(tmp_path / "in", CLIPS)
    (tmp_path / "in" / "003" / "003.json").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        prepare_afew_va(tmp_path / "in", tmp_path / "out")
    assert "003.json" in caught.value.message and not (tmp_path / "out").exists()


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clips of AFEW-VA"):
        prepare_afew_va(tmp_path, tmp_path / "out")
    root = afew_va(tmp_path / "in", CLIPS)
    for level in (root, tmp_path / "in" / "003"):
        with pytest.raises(DataError) as caught:
            find_dataset(level)
        assert "AFEW-VA" in str(caught.value.hint) + caught.value.message
    (root / "01").mkdir()
    afew_va(root / "01", {"003": CLIPS["003"]})
    with pytest.raises(DataError, match="there twice: 003"):
        prepare_afew_va(root, tmp_path / "out")
    with pytest.raises(UsageError, match="scale must be one of 10, 1"):
        prepare_afew_va(root, tmp_path / "out", AfewVaOptions(scale="2"))


def test_a_manifest_of_another_program_states_no_scale(tmp_path: Path) -> None:
    for text in ("[1]", '{"rating_scale": "x"}', '{"rating_scale": [3, 1]}', "{"):
        (tmp_path / "manifest.json").write_text(text)
        (tmp_path / "train.csv").write_text("filename,valence,arousal\na.png,5,6\n")
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
        assert find_dataset(tmp_path).splits["train"].scale == (1.0, 9.0)


def test_landmarks_that_no_float_holds_are_none(tmp_path: Path) -> None:
    afew_va(tmp_path / "in", CLIPS)
    path = tmp_path / "in/001/001.json"
    about = json.loads(path.read_text())
    next(iter(about["frames"].values()))["landmarks"][0][0] = 10**400
    path.write_text(json.dumps(about))
    report = prepare_afew_va(tmp_path / "in", tmp_path / "out")
    assert sum(sum(counts.values()) for counts in report.dropped.values()) == 1
