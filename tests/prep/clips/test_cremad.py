"""CREMA-D from a clone to a store: clips and labels stay together, faults are told, what is there is not made again."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
from clips import (
    EMOTIONS,
    SHARED,
    check_together,
    make_cremad,
    prepare,
    rows_of,
    table,
    write_clip,
)  # fmt: skip
from support import Heard

from affectkit.data.layouts.clip_store import SPLITS, ClipStore
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError, UsageError
from affectkit.prep.clips import cremad, store_writer
from affectkit.prep.clips.cremad import parse_name, read_clone
from affectkit.prep.clips.split import assign_splits

NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")


def test_clips_labels_tables_and_records(clone, tmp_path):
    report = prepare(clone, tmp_path / "out")
    assert check_together(tmp_path / "out") == 36
    rows = rows_of(tmp_path / "out")
    people = {
        split: {row["actor"] for row in rows.values() if row["split"] == split} for split in ("train", "valid", "test")
    }
    assert not people["train"] & people["valid"] and not people["train"] & people["test"]
    assert not people["valid"] & people["test"] and all(people.values())
    row = rows["1003_IEO_HAP_XX"]
    assert (row["sentence"], row["level"], row["age"], row["sex"]) == ("IEO", "unspecified", "30s", "female")
    assert [row[f"voice_{name}"] for name in NAMES] == ["1", "1", "1", "2", "1", "1"]
    assert [row[f"both_{name}"] for name in NAMES] == ["1", "1", "1", "4", "1", "1"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    counts = Counter(row["split"] for row in rows.values())
    assert manifest["frames"] == 31 and manifest["splits"] == counts
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
    train = [row for row in rows.values() if row["split"] == "train"]
    count = sum(row["sex"] == "male" for row in train)
    assert statistics["train"]["sex"]["male"] == {"count": count, "percent": round(100 * count / len(train), 2)}
    assert f"{count:>6,}" in (tmp_path / "out" / "statistics.txt").read_text()
    assert {row["clip"] for row in table(tmp_path / "out" / "report.csv")} == set(rows)
    store = ClipStore.open(tmp_path / "out")
    frames = np.concatenate([store.images([row["filename"]] * 31, range(31)) for row in train]).astype(np.float64) / 255
    sounds = store.sounds([row["filename"] for row in train]).astype(np.float64) / 256
    assert report.variance["image"] == pytest.approx(frames.var(), rel=1e-9)
    assert report.variance["audio"] == pytest.approx(sounds.var(), rel=1e-9)
    assert report.variance["audio_max"] == sounds.max()


def test_the_layout_is_found_with_votes_by_modality(clone, tmp_path):
    prepare(clone, tmp_path / "out", split="random", seed=3)
    source = find_dataset(tmp_path / "out")
    assert source.layout == "prepared clips" and source.classes == NAMES
    split = source.splits["train"]
    assert split.facts["votes_face"].shape == (len(split), 6)
    one = split.select([2])
    assert one.facts["votes_face"].tolist() == [split.facts["votes_face"][2].tolist()]
    assert split.labels is not None and split.votes is not None
    assert split.fingerprint() != source.splits["valid"].fingerprint()
    prepare(clone, tmp_path / "out", split="random", seed=3, labels="votes")
    votes = find_dataset(tmp_path / "out").splits["train"]
    assert votes.labels is None
    np.testing.assert_allclose(votes.distribution.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        votes.distribution, split.facts["votes_both"] / split.facts["votes_both"].sum(1, keepdims=True)
    )


def spoil(root):
    folder = root / "VideoFlash"
    whole = folder / "1001_IEO_ANG_XX.flv"
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 265922\n"
    (folder / "1001_IEO_DIS_XX.flv").write_text(pointer)
    (folder / "1002_IEO_FEA_XX.flv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    write_clip(folder / "1003_IEO_HAP_XX.flv", 3, silent=True, seconds=0.25)
    write_clip(folder / "1004_IEO_NEU_XX.flv", 4, sound=False, seconds=0.25)
    (folder / "1005_IEO_SAD_XX.flv").write_bytes(b"")
    (folder / "1006_IEO_ANG_XX.flv").unlink()
    return {
        "1001_IEO_DIS_XX": "pointer", "1002_IEO_FEA_XX": "truncated", "1003_IEO_HAP_XX": "silent",
        "1004_IEO_NEU_XX": "no-sound", "1005_IEO_SAD_XX": "empty", "1006_IEO_ANG_XX": "missing",
    }  # fmt: skip


def test_faulty_clips_are_left_out_with_their_reasons(own, tmp_path):
    wrong = spoil(own)
    report = prepare(own, tmp_path / "out", on_error="skip")
    assert {fault.name: fault.reason for fault in report.skipped} == wrong and len(report.broken) == 6
    assert check_together(tmp_path / "out") == 30
    listed = {row["clip"]: row["reason"] for row in table(tmp_path / "out" / "report.csv") if row["reason"]}
    assert listed == wrong


def test_faults_are_refused_before_and_after_decoding(own, tmp_path):
    spoil(own)
    with pytest.raises(DataError) as caught:
        prepare(own, tmp_path / "out")
    assert "3 of 36 clips cannot be used" in caught.value.message and "git lfs pull" in caught.value.hint
    assert not (tmp_path / "out").exists()
    for name in ("1001_IEO_DIS_XX", "1005_IEO_SAD_XX", "1006_IEO_ANG_XX"):
        write_clip(own / "VideoFlash" / f"{name}.flv", list(EMOTIONS).index(name[9:12]), seconds=0.25)
    with pytest.raises(DataError, match="3 clip") as caught:
        prepare(own, tmp_path / "out")
    assert all(word in caught.value.message for word in ("silent", "no sound track", "1002_IEO_FEA_XX"))
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(DataError, match="not completely prepared"):
        find_dataset(tmp_path / "out")


def test_a_clone_without_lfs_says_what_to_do(own, tmp_path):
    for path in (own / "VideoFlash").iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 265922\n")
    for on_error in ("fail", "skip"):
        with pytest.raises(DataError, match="36 of 36") as caught:
            prepare(own, tmp_path / "out", on_error=on_error)
        assert "git lfs pull" in caught.value.hint and "skip" not in caught.value.hint


def test_what_is_there_is_not_read_again(own, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD", 8)
    out = tmp_path / "out"
    first = prepare(own, out)
    assert first.made == 36 and not first.done
    before = {path.name: path.stat().st_mtime_ns for path in (out / "store").iterdir()}
    assert prepare(own, out).done
    again = prepare(own, out, split="random", seed=5)
    assert again.made == 0 and not again.done and again.counts != first.counts
    assert {path.name: path.stat().st_mtime_ns for path in (out / "store").iterdir()} == before
    write_clip(own / "VideoFlash" / "1003_IEO_HAP_XX.flv", 3, seconds=0.3, seed=99)
    assert prepare(own, out).made == 8  # its file of eight alone
    assert check_together(out) == 36
    assert prepare(own, out, frames="middle").made == 36
    assert ClipStore.open(out).frames == 1


def test_changed_tables_are_written_where_no_clip_changes(own, tmp_path):
    out, votes = tmp_path / "out", own / "processedResults" / "tabulatedVotes.csv"
    given = votes.read_text()
    votes.unlink()
    prepare(own, out)
    assert {row["voice_anger"] for row in rows_of(out).values()} == {""}
    votes.write_text(given)
    report = prepare(own, out)
    assert report.made == 0 and not report.done and rows_of(out)["1003_IEO_HAP_XX"]["both_happiness"] == "4"
    split = {name: row["split"] for name, row in rows_of(out).items()}
    sides = tmp_path / "sides.csv"
    sides.write_text("filename,split\n" + "".join(f"{name}.flv,{side}\n" for name, side in split.items()))
    prepare(own, out, split=str(sides))
    swapped = {"valid": "test", "test": "valid"}  # as many in each, and the same training clips
    sides.write_text(
        "filename,split\n" + "".join(f"{name},{swapped.get(side, side)}\n" for name, side in split.items())
    )
    assert not prepare(own, out, split=str(sides)).done
    found = rows_of(out)
    assert all(found[name]["split"] == swapped.get(side, side) for name, side in split.items()) and len(split) == 36
    assert prepare(own, out, split=str(sides)).done
    (out / "test.csv").unlink()
    assert not prepare(own, out, split=str(sides)).done and (out / "test.csv").is_file()


def test_a_row_of_votes_that_is_cut_short_is_told(own, tmp_path):
    path = own / "processedResults" / "tabulatedVotes.csv"
    path.write_text(path.read_text() + "300099,1,2\n")
    with pytest.raises(DataError, match="responses"):
        prepare(own, tmp_path / "out")


def test_a_killed_preparation_goes_on(own, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD", 6)
    whole = prepare(own, tmp_path / "whole")
    seen = []

    def dying(source, recipe):
        seen.append(source.name)
        if len(seen) > 20:
            raise KeyboardInterrupt
        return read(source, recipe)

    read = cremad.read_av
    dying.__module__, dying.__qualname__ = read.__module__, read.__qualname__
    monkeypatch.setattr(cremad, "read_av", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(own, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    monkeypatch.setattr(cremad, "read_av", read)
    report = prepare(own, tmp_path / "out")
    assert report.made == 18 and report.counts == whole.counts
    for path in sorted((tmp_path / "whole" / "store").glob("*.npy")):
        assert path.read_bytes() == (tmp_path / "out" / "store" / path.name).read_bytes()


def test_processes_make_the_same_bytes(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD", 10)
    prepare(clone, tmp_path / "one")
    prepare(clone, tmp_path / "two", workers=2)
    compared = 0
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
            compared += 1
    assert compared >= 15


def test_splits(clone, tmp_path):
    report = prepare(clone, tmp_path / "out", split="published-sizes")
    sizes = {split: sum(found.values()) for split, found in report.counts.items()}
    assert sizes == {"train": 28, "valid": 4, "test": 4} and "brought to 36" in report.notes[0]
    assert "tested on people" in report.warnings[0]
    report = prepare(clone, tmp_path / "out", split="published-sizes", sizes=(20, 10, 5))
    assert [sum(found.values()) for found in report.counts.values()] == [20, 10, 5]
    with pytest.raises(UsageError, match="no effect"):
        prepare(clone, tmp_path / "out", sizes=(20, 10, 5))
    with pytest.raises(UsageError, match="there are 36"):
        prepare(clone, tmp_path / "out", split="published-sizes", sizes=(30, 10, 5))
    own = tmp_path / "own.csv"
    names = sorted(rows_of(tmp_path / "out"))
    own.write_text(
        "filename,split\n" + "".join(f"{n}.flv,{'train' if k < 20 else 'val'}\n" for k, n in enumerate(names))
    )
    report = prepare(clone, tmp_path / "out", split=str(own))
    assert {s: sum(found.values()) for s, found in report.counts.items()} == {"train": 20, "valid": 15}
    assert not (tmp_path / "out" / "test.csv").exists() and "1 clip " in report.notes[0]
    own.write_text("filename,split\nx,train\n1001_IEO_ANG_XX,tran\n")
    with pytest.raises(DataError, match=r"clips must be in the dataset: line 2 \('x'\)") as caught:
        prepare(clone, tmp_path / "out", split=str(own))
    assert "tran" in caught.value.message


def test_known_faulty_clips_keep_their_neighbours_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(cremad, "KNOWN_FAULTY", ("1001_IEO_FEA_XX", "1002_IEO_ANG_XX"))
    clone = make_cremad(tmp_path / "clone", actors=4, seconds=0.2)
    report = prepare(clone, tmp_path / "out")
    assert not report.broken and {fault.reason for fault in report.skipped} == {"known-faulty"}
    assert check_together(tmp_path / "out") == 22
    assert prepare(clone, tmp_path / "out", keep_faulty=True).skipped == []
    assert check_together(tmp_path / "out") == 24


def test_damaged_tables(own, tmp_path):
    people = own / "VideoDemographics.csv"
    text = people.read_text()
    people.write_text(text.replace("1003,", "2003,"))
    with pytest.raises(DataError, match="actor 1003"):
        read_clone(own)
    people.write_text(text)
    votes = own / "processedResults" / "tabulatedVotes.csv"
    lines = votes.read_text()
    votes.write_text(lines.replace("100001,2,", "100001,3,"))
    with pytest.raises(DataError, match="line 2 .*are not 7"):
        read_clone(own)
    votes.write_text(lines.replace("100001,", "400001,"))
    with pytest.raises(DataError, match="begin with one of 1, 2, 3"):
        read_clone(own)
    votes.unlink()
    assert not read_clone(own).votes
    with pytest.raises(DataError, match="--target votes"):
        prepare(own, tmp_path / "out", labels="votes")
    (own / "SentenceFilenames.csv").unlink()
    with pytest.raises(DataError, match="SentenceFilenames"):
        read_clone(own)
    with pytest.raises(DataError, match="not a folder"):
        read_clone(own / "nowhere")
    for name in ("1001_DFA_ANG", "1001_XXX_ANG_XX", "1001_DFA_ANG_QQ", "../../x"):
        with pytest.raises(DataError, match="name of a clip"):
            parse_name(name)


def test_a_folder_with_something_else_is_not_touched(clone, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError):
        prepare(clone, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="CREMA-D's tables are not beside the checkout")
def test_the_real_tables():
    clone = read_clone(SHARED)
    assert len(clone.rows) == 7442 and clone.votes
    rows = list(clone.rows.values())
    assert len({row["actor"] for row in rows}) == 91
    assert Counter(row["label"] for row in rows) == {**dict.fromkeys(NAMES, 1271), "neutral": 1087}
    assert {row["age"] for row in rows} == {"20s", "30s", "40s", "50s", "60s"}
    # What raters who heard, saw, or did both told right: 40.9, 58.2 and 63.6% in the paper, over responses it filtered.
    for shown, wanted in (("voice", 0.409), ("face", 0.582), ("both", 0.636)):
        right = sum(int(row[f"{shown}_{row['label']}"]) for row in rows)
        every = sum(int(row[f"{shown}_{name}"]) for row in rows for name in NAMES)
        assert right / every == pytest.approx(wanted, abs=0.012)
    with (SHARED / "summaryTable.csv").open(newline="") as stream:
        summary = {row["FileName"]: row for row in csv.DictReader(stream)}
    letters = dict(zip(NAMES, "ADFHNS", strict=True))
    agreeing = 0
    for name, row in clone.rows.items():
        for shown, column in (("voice", "VoiceVote"), ("face", "FaceVote"), ("both", "MultiModalVote")):
            counts = {label: int(row[f"{shown}_{label}"]) for label in NAMES}
            most = {letters[label] for label, count in counts.items() if count == max(counts.values())}
            agreeing += set(summary[name][column].split(":")) == most
    assert agreeing == 3 * 7442


@pytest.mark.skipif(not SHARED.is_dir(), reason="CREMA-D's tables are not beside the checkout")
def test_the_actors_of_the_real_dataset_are_divided_evenly():
    rows = read_clone(SHARED).rows
    sides = assign_splits(rows, "actor", group="actor", strata="sex", seed=0)
    assert not sides.warnings
    actors = {side: {rows[name]["actor"] for name in rows if sides.split_of[name] == side} for side in SPLITS}
    assert sum(map(len, actors.values())) == 91
    for column in ("label", "sex"):
        for kind in {row[column] for row in rows.values()}:
            chosen = [name for name in rows if rows[name][column] == kind]
            share = Counter(sides.split_of[name] for name in chosen)
            assert share["train"] / len(chosen) == pytest.approx(0.8, abs=0.02)  # an actor is a percent
            assert share["valid"] / len(chosen) == pytest.approx(0.1, abs=0.02)
    assert sides.split_of != assign_splits(rows, "actor", group="actor", strata="sex", seed=1).split_of


def test_progress_is_told(clone, tmp_path):
    heard = Heard()
    report = prepare(clone, tmp_path / "out", reporter=heard)
    clips = len(rows_of(tmp_path / "out"))
    assert (
        heard.done == report.made == clips > 0
        and not report.done
        and heard.notes[0].startswith("the store takes up to")
    )
    again = prepare(clone, tmp_path / "out", keep_faulty=True, reporter=heard)
    assert again.made == 0 and len(rows_of(tmp_path / "out")) == clips, again
