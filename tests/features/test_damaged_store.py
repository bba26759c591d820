"""A store of features whose files were damaged: what is wrong is computed again, and stays right."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from support import invoke

from affectkit.errors import DataError
from affectkit.features import store
from affectkit.features.store import FeatureStore, digest, stores

IDENTITY = {"encoder": "x"}
KEYS = [digest(str(number)) for number in range(6)]
VALUES = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "store"
    written = FeatureStore(IDENTITY, 4, folder=path)
    written.add(KEYS, VALUES)
    written.flush()
    return path


def segments(folder):
    return sorted(folder.glob("segment-*.npy"))


def opened(folder):
    return FeatureStore(IDENTITY, 4, folder=folder)


def fill(found):
    """Compute what is not intact, as the extractor does, and return all values and how many were computed."""
    missing = [number for number, good in enumerate(found.intact(KEYS)) if not good]
    if missing:
        found.add([KEYS[number] for number in missing], VALUES[missing])
        found.flush()
    return found.read(found.positions(KEYS)), len(missing)


def test_every_flipped_bit_of_a_header_is_recovered(folder, tmp_path):
    (source,) = segments(folder)
    data = source.read_bytes()
    end = 10 + int.from_bytes(data[8:10], "little")
    damaged = 0
    for place in range(end):
        for bit in {0, 7} | {place % 8}:
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy)
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            segments(copy)[0].write_bytes(changed)
            found = opened(copy)
            values, computed = fill(found)
            assert np.array_equal(values, VALUES), (place, bit)
            assert computed in (0, 6) and (computed == 0) == (found.damaged == 0)
            damaged += computed > 0
            assert fill(opened(copy))[1] == 0, (place, bit)
    assert damaged > 100


@pytest.mark.parametrize("cut", [0, 5, 60, 130, -1, -30])
def test_cut_and_grown_segments_are_recovered(folder, cut):
    (path,) = segments(folder)
    data = path.read_bytes()
    path.write_bytes(data[:cut] if cut else data + b"\0")
    assert np.array_equal(fill(opened(folder))[0], VALUES)
    assert fill(opened(folder))[1] == 0


@pytest.mark.parametrize("array", [np.zeros((2, 3), "V36"), np.zeros((), "f4"), np.zeros(3, "f4"), np.zeros(0, "f4")])
def test_another_array_is_no_segment(folder, array):
    (path,) = segments(folder)
    np.save(path, array)
    assert np.array_equal(fill(opened(folder))[0], VALUES)


@pytest.mark.parametrize("first", [True, False])
def test_a_damaged_row_does_not_win_over_its_repair(folder, first, monkeypatch):
    (path,) = segments(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 4  # the last value of the last row
    path.rename(folder / f"segment-{'0' if first else 'f' * 33}.npy").write_bytes(data)
    values, computed = fill(opened(folder))
    assert computed == 1 and np.array_equal(values, VALUES)
    for _ in range(2):
        again = opened(folder)
        values, computed = fill(again)
        assert computed == 0 and np.array_equal(values, VALUES)
        assert again.damaged == int(first)
    assert len(segments(folder)) == 2


RECORDS = ("", "null", "[]", '{"identity": null, "width": 4}', '{"identity": {}, "width": "x"}', "[" * 9999)


@pytest.mark.parametrize("text", RECORDS, ids=range(6))
def test_a_damaged_record_is_written_again(folder, text, monkeypatch, tmp_path):
    record = folder / store.RECORD
    good = record.read_text()
    record.write_text(text)
    monkeypatch.setattr(store, "root", lambda: tmp_path)
    (listed,) = stores()
    assert listed["rows"] == 0
    opened(folder)
    assert record.read_text() == good
    (listed,) = stores()
    assert listed["rows"] == 6


@pytest.mark.parametrize(
    ("age", "left"), [(0, True), (3600, True), (-3600, True), (30 * 86400, False), (-30 * 86400, False)]
)
def test_unfinished_files_go_by_age_and_where_a_clock_was_set_back(folder, age, left):
    part = folder / ".segment-x.npy.0.part"
    part.write_bytes(b"begun")
    when = time.time() - age
    os.utime(part, (when, when))
    opened(folder)
    assert part.exists() is left


@pytest.mark.parametrize(("age", "cleared"), [(10, True), (1, False), (-1, False), (-10, True)])
def test_stores_are_cleared_by_age_and_where_a_clock_was_set_back(folder, tmp_path, monkeypatch, age, cleared):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / "features" / "store"
    shutil.copytree(folder, kept)
    when = time.time() - age * 86400
    os.utime(kept / "store.json", (when, when))
    assert invoke("cache", "--clear", "--older-than", 5).returncode == 0
    assert kept.exists() is not cleared


def test_no_store_is_cleared_through_a_link(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "features").mkdir(parents=True)
    (tmp_path / "cache" / "features" / "x").symlink_to(folder, target_is_directory=True)
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(DataError, match="is a link, to .*store; nothing was touched"):
        store.clear(tmp_path / "cache" / "features" / "x")
    assert (folder / "thesis.txt").read_text() == "all of it" and segments(folder)


def test_nothing_is_written_through_a_store_that_is_a_link(folder, tmp_path):
    (tmp_path / "linked").symlink_to(folder, target_is_directory=True)
    before = sorted(folder.iterdir())
    with pytest.raises(DataError, match="is a link, to .*store; nothing was touched"):
        opened(tmp_path / "linked")
    assert sorted(folder.iterdir()) == before
