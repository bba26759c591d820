"""RAVDESS from a download to a store: which files are taken, what is left out and counted, and what is refused."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from clips import rows_of, write_clip
from support import invoke

from affectkit.core.progress import Silent
from affectkit.data.layouts.clip_store import SPLITS, ClipStore
from affectkit.errors import DataError
from affectkit.prep.clips import ravdess
from affectkit.prep.clips.ravdess import ACTORS, EMOTIONS, RavdessOptions, expected_clips, find_clips, parse_name
from affectkit.prep.clips.split import assign_splits
from affectkit.training.trainer import Trainer


def prepare(source, output, **options):
    given = RavdessOptions(**{"size": 16, "workers": 1, "frames": "middle", **options})
    return ravdess.prepare_ravdess(source, output, given, reporter=Silent())


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def drawn(fields):
    """The clip that ``fields`` name, whose colour and pitch are those of its emotion (of six)."""
    return (int(fields.emotion) - 1) % 6


@pytest.fixture(scope="module", autouse=True)
def _one_repetition():
    """A quarter of the dataset, that tests take less: a statement and a repetition of each expression."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ravdess, "REPETITIONS", ("01",))
        patch.setattr(ravdess, "STATEMENTS", {"02": ravdess.STATEMENTS["02"]})
        yield


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """Four actors as the zip files unpack, all speech of theirs; a song clip, copies without sound, and a sound."""
    root, made = tmp_path_factory.mktemp("ravdess"), {}
    for actor in ("01", "02", "03", "04"):
        folder = root / f"Video_Speech_Actor_{actor}" / f"Actor_{actor}"
        folder.mkdir(parents=True)
        for fields in expected_clips(actor, "01"):
            kind = drawn(fields)
            if kind not in made:
                made[kind] = write_clip(
                    root / "made" / f"{kind}.mp4", kind, seconds=0.1, size=(64, 36), codecs=("mpeg4", "aac")
                )
            shutil.copy(made[kind], folder / f"{fields.stem}.mp4")
        touch(folder, *(f"02-{fields.stem[3:]}.mp4" for fields in expected_clips(actor, "01")))
    shutil.rmtree(root / "made")
    touch(root, "Actor_01/03-01-01-01-01-01-01.wav", "Actor_01/01-02-01-01-01-01-01.mp4", "Actor_01.zip")
    return root


def test_clips_labels_people_and_counts_of_the_rest(download, prepared):
    output, report = prepared
    rows = rows_of(output)
    assert len(rows) == 60 and report.to_dict()["clips"].keys() == set(SPLITS)
    assert Counter(clip.reason for clip in report.skipped) == {"video-only": 60, "audio-only": 1, "channel": 1}
    assert not report.broken and "1 .zip" in " ".join(report.notes)
    assert "speech: clips of 4 of 24 actors; none of 05, 06" in report.notes[0]
    row = rows["01-01-06-01-02-01-02"]
    assert {name: row[name] for name in ("label", "emotion", "actor", "sex", "channel", "intensity", "repetition")} == {
        "label": "fear", "emotion": "fear", "actor": "02", "sex": "female", "channel": "speech", "intensity": "normal",
        "repetition": "01",
    }  # fmt: skip
    assert row["statement"].startswith("Dogs")
    people = [{row["actor"] for row in rows.values() if row["split"] == split} for split in SPLITS]
    assert all(people) and not any(a & b for a, b in itertools.combinations(people, 2))
    store = ClipStore.open(output)
    assert store.classes == tuple(EMOTIONS.values()) and store.spec.sound.level == "unit"
    seen = {kind: [] for kind in range(6)}
    for name in rows:
        seen[drawn(parse_name(name))].append(store.images([name], [0])[0, 7:9, 7:9].mean((0, 1)))
    means = np.array([np.mean(colours, 0) for colours in seen.values()])
    for kind, colours in seen.items():  # pictures are those of their own names
        distances = np.abs(np.array(colours)[:, None] - means).sum(-1)
        assert (distances.argmin(1) == kind).all() and len(colours) >= 8
    assert prepare(download, output, seed=2).done


@pytest.fixture(scope="module")
def prepared(download, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "out"
    return output, prepare(download, output, seed=2)


@pytest.mark.parametrize(("calm", "neutral", "count"), [("keep", 1, 15), ("neutral", 3, 15), ("drop", 1, 13)])
def test_calm_is_kept_merged_or_dropped(tmp_path, calm, neutral, count):
    touch(tmp_path, *(f"Actor_05/{fields.stem}.mp4" for fields in expected_clips("05", "01")))
    found = find_clips(tmp_path, channel="speech", calm=calm)
    dataset = ravdess.describe(found, RavdessOptions(calm=calm))
    labels = Counter(row["label"] for row in dataset.rows.values())
    assert (labels["neutral"], len(dataset.rows), len(dataset.classes)) == (neutral, count, 8 if calm == "keep" else 7)
    assert set(labels) == set(dataset.classes) and len(found.left_out) == 15 - count
    assert Counter(row["emotion"] for row in dataset.rows.values())["calm"] == (0 if calm == "drop" else 2)


@pytest.mark.parametrize(("channel", "count", "classes"), [("speech", 30, 8), ("song", 11, 6), ("both", 41, 8)])
def test_channels(tmp_path, channel, count, classes):
    wanted = [*expected_clips("17", "01"), *expected_clips("17", "02"), *expected_clips("18", "01")]
    touch(tmp_path, *(f"{fields.stem}.mp4" for fields in wanted))
    found = find_clips(tmp_path, channel=channel, calm="keep")
    dataset = ravdess.describe(found, RavdessOptions(channel=channel))
    assert len(dataset.rows) == count == 41 - len(found.left_out) and len(dataset.classes) == classes
    assert expected_clips("18", "02") == [] and all(parse_name(name) for name in dataset.rows)


@pytest.mark.parametrize("seed", range(5))
def test_splits_of_all_actors_are_balanced_over_sex(seed):
    rows = {
        fields.stem: {"label": fields.emotion, "actor": actor, "sex": "male" if int(actor) % 2 else "female"}
        for actor in ACTORS
        for fields in expected_clips(actor, "01")
    }
    split_of = assign_splits(rows, "actor", group="actor", strata="sex", seed=seed).split_of
    actors = {split: {name[-2:] for name, where in split_of.items() if where == split} for split in SPLITS}
    assert sum(map(len, actors.values())) == 24 == len(set.union(*actors.values()))
    for found in actors.values():
        men = sum(int(actor) % 2 for actor in found)
        assert len(found) >= 2 and abs(2 * men - len(found)) <= 1
    assert split_of == assign_splits(rows, "actor", group="actor", strata="sex", seed=seed).split_of


def test_half_a_download_is_refused_or_told(download, tmp_path):
    root = tmp_path / "own"
    shutil.copytree(download, root)
    gone = root / "Video_Speech_Actor_03" / "Actor_03" / "01-01-02-01-02-01-03.mp4"
    gone.unlink()
    with pytest.raises(DataError, match="1 of 60 clips cannot be used") as caught:
        prepare(root, tmp_path / "out")
    assert "missing: 1 (01-01-02-01-02-01-03)" in caught.value.message and "--on-error skip" in caught.value.hint
    assert not (tmp_path / "out").exists()
    touch(root, "copy/01-01-01-01-02-01-03.mp4")
    found = find_clips(root, channel="speech", calm="keep")
    assert [(clip.name, clip.reason) for clip in found.left_out if clip.reason == "again"] == [
        ("copy/01-01-01-01-02-01-03.mp4", "again")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Actor_01/clip1.mp4",
        "Actor_01/01-01-09-01-01-01-01.mp4",
        "Actor_01/01-01-01-01-01-01-25.mp4",
        "Actor_02/01-01-01-01-01-01-01.mp4",
    ],
)
def test_files_named_otherwise(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(DataError, match=f"1 file not named .*{name}"):
        find_clips(tmp_path, channel="speech", calm="keep")


@pytest.mark.parametrize(
    ("names", "says", "step"),
    [
        ((), "it is empty", "Download"),
        (("Actor_01/03-01-01-01-01-01-01.wav",), "it has 1 with sound alone", "Download"),
        (("Video_Speech_Actor_01.zip",), "it has 1 .zip", "Unpack Video_Speech_Actor_01.zip there first."),
        (("Actor_01/02-01-01-01-01-01-01.mp4",), "1 with pictures alone", "Download"),
        (("Actor_01/01-02-01-01-01-01-01.mp4",), "1 of the other channel", "--channel song"),
    ],
)
def test_folders_without_a_clip(tmp_path, names, says, step):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=says) as caught:
        prepare(tmp_path, tmp_path / "out")
    assert step in caught.value.hint


def test_facial_tracking_of_the_same_names_is_not_taken(tmp_path):
    touch(tmp_path, "Actor_01/01-01-01-01-01-01-01.mp4", "A/01-01-01-01-01-01-01.avi", "A/01-01-01-01-01-01-01.csv")
    found = find_clips(tmp_path, channel="speech", calm="keep")
    assert [path.suffix for path in found.clips.values()] == [".mp4"] and found.passed.described == "1 .csv"
    assert [(clip.name, clip.reason) for clip in found.left_out] == [("A/01-01-01-01-01-01-01.avi", "no-mp4")]


def test_one_actor_alone_cannot_be_divided(download, tmp_path):
    with pytest.raises(DataError, match="1 actor") as caught:
        prepare(download / "Video_Speech_Actor_01" / "Actor_01", tmp_path / "out")
    assert str(download) in caught.value.hint and not (tmp_path / "out").exists()


def test_prepared_trained_and_tested_by_sex(download, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "draw", lambda *_: None)

    def run(*arguments):
        found = invoke(*arguments, "--json")
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    data = shutil.copytree(prepared[0], tmp_path / "data")
    made = run("prep", "ravdess", download, "--output", data, "--size", 16, "--frames", "middle", "--workers", 1,
               "--split", "random", "--calm", "neutral")  # fmt: skip
    assert made["clips_read"] == 0 and "4 of 4 actors have clips in more than one split" in made["warnings"][0]
    run("train", "--model", "cmvqvae", "--data", data, "--output", tmp_path / "run", "--epochs", 1,
        "--mode", "image-only", "--hidden", 8, "--codes", 8, "--batch-size", 24, "--quantizer", "plain")  # fmt: skip
    found = run("test", "--checkpoint", tmp_path / "run", "--data", data, "--by", "sex", "--cluster", "actor")
    (column,) = found["groups"]["columns"]
    assert {group["name"]: group["n"] for group in column["groups"]}.keys() == {"female", "male"}
    assert sum(group["n"] for group in column["groups"]) == 6 and found["groups"]["cluster"] == "actor"
