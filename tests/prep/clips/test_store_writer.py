"""The store of clips while it is written: killed, damaged, beside files of others; what is in its way is told."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
from clips import check_together, prepare, table, write_clip

from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError, RunError, Stopped, UsageError
from affectkit.prep.clips import cremad, store_writer


def posing(name, function):
    """``function`` under the name of that reader, by which the pickles of worker processes refer to it."""
    function.__module__, function.__qualname__ = cremad.__name__, name
    return function


def test_no_record_stands_beside_a_store_in_change(own, tmp_path, monkeypatch):
    prepare(own, tmp_path / "out")
    write_clip(own / "VideoFlash" / "1003_IEO_HAP_XX.flv", 3, seconds=0.3, seed=99)

    def dying(source, recipe):
        raise KeyboardInterrupt

    monkeypatch.setattr(cremad, "read_av", posing("read_av", dying))
    with pytest.raises(KeyboardInterrupt):
        prepare(own, tmp_path / "out")
    with pytest.raises(DataError, match="not completely prepared"):
        find_dataset(tmp_path / "out")


def test_a_folder_of_the_same_name_as_the_store_is_not_touched(clone, tmp_path):
    (tmp_path / "out" / "store").mkdir(parents=True)
    mine = tmp_path / "out" / "store" / "0000.thesis.txt"
    mine.write_text("all of it")
    with pytest.raises(UsageError, match="not empty"):
        prepare(clone, tmp_path / "out")
    assert mine.read_text() == "all of it"
    prepare(clone, tmp_path / "new")
    left = [tmp_path / "new" / "store" / name for name in (".0000.json.x1.part", "0007.json", "mine.txt")]
    for path in left:
        path.write_text("{}")
    assert prepare(clone, tmp_path / "new").done
    assert [path.exists() for path in left] == [False, False, True]
    (tmp_path / "begun" / "store").mkdir(parents=True)  # killed before its first file
    assert prepare(clone, tmp_path / "begun").made == 36


@pytest.mark.parametrize("kind", ["frames", "sound"])
def test_a_damaged_file_of_the_store_is_made_again(clone, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(store_writer, "SHARD", 12)
    out = tmp_path / "out"
    prepare(clone, out)
    path = out / "store" / f"0001.{kind}.npy"
    whole = path.read_bytes()
    shorter = np.load(path)[:-1]
    np.save(path, shorter)
    assert prepare(clone, out).made == 12 and path.read_bytes() == whole
    path.write_bytes(whole[: len(whole) // 2])
    report = prepare(clone, out)
    assert report.made == 12 and path.read_bytes() == whole
    assert check_together(out) == 36 and prepare(clone, out).done


def test_a_store_whose_file_lost_every_clip(own, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD", 6)
    for path in (own / "VideoFlash").glob("1002_*"):
        path.write_bytes(b"no video" * 9)
    report = prepare(own, tmp_path / "out", on_error="skip")
    assert len(report.broken) == 6 and check_together(tmp_path / "out") == 30
    assert prepare(own, tmp_path / "out", on_error="skip").done


def test_clips_without_votes_where_votes_are_the_labels(own, tmp_path):
    votes = own / "processedResults" / "tabulatedVotes.csv"
    lines = votes.read_text().splitlines()
    votes.write_text("\n".join(line for line in lines if not (line[0] == "3" and "1002_IEO_FEA_XX" in line)) + "\n")
    assert not prepare(own, tmp_path / "out").skipped
    report = prepare(own, tmp_path / "out", labels="votes")
    assert [(fault.name, fault.reason) for fault in report.skipped] == [("1002_IEO_FEA_XX", "no-votes")]
    assert not report.broken and check_together(tmp_path / "out") == 35
    assert sum(len(split) for split in find_dataset(tmp_path / "out").splits.values()) == 35


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_a_killed_worker_is_told_and_what_is_finished_kept(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD", 6)
    read = cremad.read_av

    def killing(source, recipe):
        if source.name.startswith("1005"):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(source, recipe)

    monkeypatch.setattr(cremad, "read_av", posing("read_av", killing))
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)  # as the command line does; workers inherit it
    try:
        with pytest.raises(RunError, match="worker process was killed"):
            prepare(clone, tmp_path / "out", workers=2)
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr(cremad, "read_av", read)
    assert prepare(clone, tmp_path / "out").made < 36
    assert check_together(tmp_path / "out") == 36


def test_every_fault_is_in_a_table(own, tmp_path):
    for path in (own / "VideoFlash").glob("100[1-3]_*"):
        path.write_bytes(b"no video" * 9)
    with pytest.raises(DataError, match=r"(?s)18 clip.*and 8 more; .*faults.csv") as caught:
        prepare(own, tmp_path / "out")
    assert caught.value.message.count("\n  - ") == 10
    listed = table(tmp_path / "out" / "faults.csv")
    assert len(listed) == 18 and {row["reason"] for row in listed} == {"undecodable"}
    prepare(own, tmp_path / "out", on_error="skip")
    assert not (tmp_path / "out" / "faults.csv").exists()


class Asked:
    """Says that the work shall end, from the time on that ``path`` is there."""

    def __init__(self, path):
        self.path = path

    @property
    def requested(self):
        return self.path.exists()

    def error(self, saved, hint):
        return Stopped(saved, hint)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_preparation_that_is_asked_to_stop_finishes_its_files_and_goes_on_later(
    clone, tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(store_writer, "SHARD", 3)
    read = cremad.read_av

    def slow(source, recipe):
        (tmp_path / "begun").touch()
        time.sleep(0.05)
        return read(source, recipe)

    monkeypatch.setattr(cremad, "read_av", posing("read_av", slow))
    with pytest.raises(Stopped, match=r"\d+ of 36 clips are prepared and kept") as caught:
        prepare(clone, tmp_path / "out", workers=workers, stopping=Asked(tmp_path / "begun"))
    kept = int(caught.value.message.split()[0])
    assert 0 < kept < 36 and kept == 3 * len(list((tmp_path / "out" / "store").glob("*.json")))
    monkeypatch.setattr(cremad, "read_av", read)
    assert prepare(clone, tmp_path / "out").made == 36 - kept
    assert check_together(tmp_path / "out") == 36


@pytest.mark.parametrize("shape", [(3, 4, 5, 3), (7, 3), (1,)])
def test_sums_are_exact(shape):
    rng = np.random.default_rng(sum(shape))
    for values, scale in (
        (rng.integers(0, 256, shape).astype(np.uint8), 255),
        (rng.integers(-32768, 32768, shape).astype(np.int16), 256),
    ):
        found = store_writer._sums(values, scale)
        exact = [int(value) for value in values.reshape(-1)]
        assert found["count"] == len(exact) and found["max"] == max(exact) / scale
        assert found["sum"] == sum(exact) / scale
        assert found["squares"] == sum(value * value for value in exact) / scale**2
