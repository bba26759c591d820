"""Copies across splits, against a comparison of all bytes with all bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import Heard, make_folders, settings

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.layouts import duplicates
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.layouts.duplicates import (
    TAIL,
    content_hashes,
    drop_copies,
    drop_copies_of_all,
    file_content_hashes,
    find_copies,
)
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.evaluation.test import test as run_test
from affectkit.settings.evaluation import TestSettings
from affectkit.training import run as runs

SIDES = ("train", "valid", "test")


def old(path: Path, seconds: int = 60) -> None:
    """As if the file had been written a while ago: what is younger is not remembered."""
    told = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(told, told))


def write(root: Path, contents: dict[str, list[bytes]]) -> dict[str, Split]:
    splits = {}
    for name, files in contents.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        ids = [f"{name}/{number:03}.png" for number in range(len(files))]
        for item, data in zip(ids, files, strict=True):
            (root / item).write_bytes(data)
            old(root / item)
        splits[name] = Split(name, root, ids, ("a",), labels=np.zeros(len(ids), np.int64))
    return splits


def by_comparison(splits: dict[str, Split], name: str, other: str) -> list[bool]:
    """Whether each file of ``name`` has the bytes of any file of ``other``."""
    theirs = [splits[other].path(k).read_bytes() for k in range(len(splits[other]))]
    return [splits[name].path(k).read_bytes() in theirs for k in range(len(splits[name]))]


def some_files(seed: int) -> dict[str, list[bytes]]:
    """Short files and long ones, of few sizes, with few contents: same ends, same beginnings, copies, none."""
    rng = np.random.default_rng(seed)
    parts = [rng.bytes(TAIL) for _ in range(3)]
    small = [rng.bytes(size) for size in (10, 10, 11, 300, TAIL, TAIL)]
    long = [start + end for start in (b"a" * 9, b"b" * 9, b"c" * 5000) for end in parts]
    pool = [*small, *long, *(rng.bytes(20) for _ in range(6))]
    return {
        side: [pool[k] for k in rng.integers(len(pool), size=count)]
        for side, count in zip(SIDES, (9, 6, 5), strict=True)
    }


@pytest.mark.parametrize("seed", range(6))
def test_copies_are_those_that_a_comparison_of_all_finds(tmp_path, seed):
    splits = write(tmp_path, some_files(seed))
    for _ in range(2):  # read, then remembered
        found = find_copies(content_hashes(splits, reporter=Silent()))
        assert list(found) == ["valid", "test"]
        for name, others in (("valid", ["train"]), ("test", ["train", "valid"])):
            assert list(found[name].of) == others
            for other in others:
                assert found[name].of[other].tolist() == by_comparison(splits, name, other)
            either = np.any([by_comparison(splits, name, other) for other in others], axis=0)
            assert found[name].any().tolist() == either.tolist()


def test_nothing_is_read_twice_nor_what_has_a_size_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    end = b"e" * TAIL
    splits = write(
        tmp_path / "data",
        {
            "train": [b"1" * 10, b"2" * 11, b"x" + end, b"y" * 2 * TAIL],
            "valid": [b"3" * 10, b"4" * 12, b"y" + end, b"z" * 2 * TAIL],
        },
    )  # fmt: skip
    read: list[tuple[str, bool]] = []
    digest = duplicates._digest
    monkeypatch.setattr(
        duplicates, "_digest", lambda fact, whole: read.append((fact[0][-13:], whole)) or digest(fact, whole)
    )
    heard = Heard()
    kept, record = drop_copies(splits["valid"], splits, drop=True, noun="images", reporter=heard)
    assert len(kept) == 4 and record["copies"] == 0 and heard.warnings == []
    # Sizes 11 and 12 stand alone; of the rest the ends, and all of those two whose ends are the same.
    assert sorted(read) == sorted(
        [(f"{side}/{number:03}.png"[-13:], False) for side in ("train", "valid") for number in (0, 2, 3)]
        + [("train/002.png", True), ("valid/002.png", True)]
    )
    read.clear()
    drop_copies(splits["valid"], splits, drop=True, noun="images", reporter=heard)
    assert read == []
    path = splits["valid"].path(0)
    path.write_bytes(b"1" * 10)  # of the same size, a copy now
    old(path, 30)
    _, record = drop_copies(splits["valid"], splits, drop=False, noun="images", reporter=heard)
    assert [name for name, _ in read] == ["valid/000.png"] and record["copies_of"] == {"train": 1}
    assert heard.warnings == ["valid: 1 of 4 images is a copy of train images; --drop-copies leaves them out"]


def test_what_has_just_been_written_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    splits = write(tmp_path / "data", {"train": [b"1"], "valid": [b"2"]})
    path = splits["valid"].path(0)
    path.touch()
    told = path.stat().st_mtime_ns
    assert drop_copies(splits["valid"], splits, drop=False, noun="images", reporter=Silent())[1]["copies"] == 0
    path.write_bytes(b"1")  # within a tick of a coarse clock
    os.utime(path, ns=(told, told))
    assert drop_copies(splits["valid"], splits, drop=False, noun="images", reporter=Silent())[1]["copies"] == 1


@pytest.mark.parametrize("damage", [b"", b"no array", "folder"])
def test_a_memory_that_cannot_be_used_costs_a_reading(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    splits = write(tmp_path / "data", {"train": [b"1", b"2"], "valid": [b"2"]})
    assert drop_copies(splits["valid"], splits, drop=False, noun="images", reporter=Silent())[1]["copies"] == 1
    (remembered,) = (tmp_path / "cache" / "contents").iterdir()
    remembered.unlink()
    if damage == "folder":
        remembered.mkdir()
        (remembered / "file").touch()
    else:
        remembered.write_bytes(damage)
    heard = Heard()
    assert drop_copies(splits["valid"], splits, drop=False, noun="images", reporter=heard)[1]["copies"] == 1
    assert any("cannot be remembered" in text for text in heard.notes) == (damage == "folder")


def test_empty_and_missing_files_are_copies_of_nothing(tmp_path):
    splits = write(tmp_path, {"train": [b"", b"1", b"22"], "valid": [b"", b"1", b"22"]})
    splits["train"].path(1).unlink()
    found = find_copies(content_hashes(splits, reporter=Silent()))["valid"]
    assert found.of["train"].tolist() == [False, False, True]
    assert file_content_hashes({"train": [], "valid": []}, reporter=Silent()) == {"train": [], "valid": []}


def test_dropping_leaves_train_alone_and_the_rest_as_it_is(tmp_path):
    splits = write(
        tmp_path, {"train": [b"1", b"1", b"2"], "valid": [b"3", b"1", b"4"], "test": [b"4", b"5", b"2", b"6"]}
    )
    heard = Heard()
    kept, records = drop_copies_of_all(splits, drop=True, noun="clips", reporter=heard)
    assert {name: split.ids for name, split in kept.items()} == {
        "train": splits["train"].ids,
        "valid": ["valid/000.png", "valid/002.png"],
        "test": ["test/001.png", "test/003.png"],
    }
    assert records["test"] == {
        "compared_with": ["train", "valid"], "items": 4, "copies_of": {"train": 1, "valid": 1}, "copies": 2,
        "dropped": True,
    }  # fmt: skip
    assert heard.warnings == [] and heard.notes == [
        "valid: 1 of 3 clips is a copy of train clips: left out",
        "test: 2 of 4 clips are copies of train (1) and valid (1) clips: left out",
    ]
    kept, _ = drop_copies_of_all(splits, drop=False, noun="images", reporter=Silent())
    assert {name: len(split) for name, split in kept.items()} == {"train": 3, "valid": 3, "test": 4}
    alone = {"valid": splits["valid"]}
    assert drop_copies(splits["valid"], alone, drop=True, noun="images", reporter=Silent()) == (splits["valid"], {})
    assert drop_copies(splits["train"], splits, drop=True, noun="images", reporter=Silent())[1] == {}
    with pytest.raises(DataError, match="valid: 1 of 1 images is a copy of train images"):
        drop_copies(splits["valid"].select([1]), splits, drop=True, noun="images", reporter=Silent())


def test_clips_are_compared_by_what_their_store_holds(tmp_path):
    store = SimpleNamespace(manifest={"sources": {"a": "01", "b": "02", "c": "01", "d": ""}})
    splits = {
        name: Split(name, tmp_path, ids, ("x",), labels=np.zeros(len(ids), np.int64), store=store)
        for name, ids in (("train", ["a", "d"]), ("valid", ["b", "c"]), ("test", ["e"]))
    }
    found = find_copies(content_hashes(splits, reporter=Silent()))
    assert found["valid"].of["train"].tolist() == [False, True] and not found["test"].any().any()


@pytest.fixture(scope="module")
def with_copies(tmp_path_factory) -> Path:
    """Class folders; four validation and two test images are copies of training images."""
    root = make_folders(tmp_path_factory.mktemp("copies") / "data", train=24, valid=12, test=12)
    for side, numbers in (("valid", (0, 1, 2, 3)), ("test", (4, 5))):
        for number in numbers:
            name = f"{('anger', 'happiness', 'sadness')[number % 3]}/{number:03}.png"
            (root / side / name).write_bytes((root / "train" / name).read_bytes())
    return root


def test_train_and_test_tell_and_drop(with_copies, tmp_path, no_figures):
    told, history = {}, {}
    for drop in (False, True):
        heard, run = Heard(), tmp_path / f"run-{drop}"
        runs.train(settings(with_copies, run, drop_copies=drop), reporter=heard)
        ending = ": left out" if drop else "; --drop-copies leaves them out"
        lines = heard.notes if drop else heard.warnings  # what was asked for is no warning
        assert f"valid: 4 of 12 images are copies of train images{ending}" in lines
        told[drop] = json.loads((run / "metrics.json").read_text())
        record = told[drop]["copies"]["valid"]
        assert (record["items"], record["copies_of"], record["dropped"]) == (12, {"train": 4}, drop)
        assert told[drop]["calibration"]["n"] == (8 if drop else 12)
        rows = (run / "history.csv").read_text().splitlines()
        place = rows[0].split(",").index("train_loss")
        history[drop] = [row.split(",")[place] for row in rows[1:]]
        # What is trained on, and what is drawn for it, is the same to the last bit.
    assert history[True] == history[False]
    for split, total, count in (("test", 12, 2), ("valid", 12, 4)):
        for drop in (False, True):
            heard = Heard()
            flags = {"checkpoint": tmp_path / "run-True", "data": with_copies, "workers": 0, "split": split}
            summary = run_test(resolve(TestSettings, flags={**flags, "drop_copies": drop}).settings, reporter=heard)
            assert summary["images"] == total - count * drop
            assert summary["copies"]["copies_of"]["train"] == count and summary["copies"]["dropped"] == drop
            copies = f"{split}: {count} of {total} images are copies of train"
            told_by = [any(text.startswith(copies) for text in lines) for lines in (heard.notes, heard.warnings)]
            assert told_by == [drop, not drop]
    heard = Heard()
    flags = {
        "checkpoint": tmp_path / "run-True",
        "data": with_copies,
        "workers": 0,
        "split": "train",
        "drop_copies": True,
    }
    assert run_test(resolve(TestSettings, flags=flags).settings, reporter=heard)["copies"] == {}
    assert any("no split before train" in text for text in heard.warnings)


def test_an_image_held_out_is_compared_too(tmp_path, no_figures):
    root = make_folders(tmp_path / "data", train=24, valid=0, test=0)
    first = (root / "train/anger/000.png").read_bytes()
    for path in (root / "train/anger").iterdir():
        path.write_bytes(first)
    heard = Heard()
    runs.train(settings(root, tmp_path / "run", val_fraction=0.25, epochs=1), reporter=heard)
    assert "valid: 2 of 6 images are copies of train images; --drop-copies leaves them out" in heard.warnings
    assert len(find_dataset(root).splits) == 1
