"""Files in the making that a killed process left go when the next one takes its lock over, and no others."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import Heard

from affectkit.core.files import whole_file
from affectkit.core.folder_lock import Output, locked
from affectkit.core.left_files import sweep_left
from affectkit.core.lock_owner import LockOwner

BEGUN = ".inputs.csv.a1_b2c3d.part"


def kill(path: Path, kind: str = "folder", *, age: float = 60.0) -> Path:
    """Leave the lock of a process that has ended, as old as it was when it began."""
    lock = Output(path, kind).lock
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(replace(LockOwner.this_process(), pid=os.getpid(), started=1).to_bytes())
    os.utime(lock, (time.time() - age, time.time() - age))
    return lock


def test_what_a_killed_process_began_goes_with_its_lock(tmp_path):
    kill(tmp_path)
    (tmp_path / "timelines").mkdir()
    for name in (BEGUN, f"timelines/{BEGUN}", ".film.mp4.abcdefgh.m4a"):
        (tmp_path / name).touch()
    (tmp_path / ".affectkit-Case.1eb2894f.part").touch()  # which tells whether names differ by case alone
    reporter = Heard()
    with locked(Output(tmp_path), reporter=reporter):
        assert sorted(os.listdir(tmp_path)) == [".lock", "timelines"] and not os.listdir(tmp_path / "timelines")
    assert "took over the lock" in reporter.notes[0]


def test_the_name_is_that_of_a_file_in_the_making(tmp_path):
    kill(tmp_path)
    with whole_file(tmp_path / "a.csv") as part:
        begun = part.name
    (tmp_path / begun).touch()
    with locked(Output(tmp_path)):
        assert not (tmp_path / begun).exists()


def test_nothing_else_goes(tmp_path):
    """Not tables that --resume continues, what datasplit moves, a file from before, or anything through a link."""
    folder, other = tmp_path / "out", tmp_path / "other"
    kill(folder)
    other.mkdir()
    stay = ["inference_results.csv.part", "images.jsonl.part", ".0123456789abcdef.part", ".a.csv.part", ".a.abc.part",
            "x.csv.a1_b2c3d.part", ".old.csv.a1_b2c3d.part"]  # fmt: skip
    for name in stay:
        (folder / name).touch()
    os.utime(folder / stay[-1], (0, 0))
    (other / BEGUN).touch()
    (folder / "linked").symlink_to(other)
    (folder / ".link.a1_b2c3d.part").symlink_to(other / BEGUN)
    (folder / ".folder.a1_b2c3d.part").mkdir()
    before = {*os.listdir(folder)}
    with locked(Output(folder)):
        assert {*os.listdir(folder)} == before
    assert (other / BEGUN).exists()


def test_beside_a_file_that_files_own_alone(tmp_path):
    kill(tmp_path / "model.safetensors", "file")
    for name in ("model.safetensors", "other.safetensors"):
        (tmp_path / f".{name}.a1_b2c3d.part").touch()
    with locked(Output(tmp_path / "model.safetensors", "file")):
        pass
    assert os.listdir(tmp_path) == [".other.safetensors.a1_b2c3d.part"]


@pytest.mark.parametrize("kind", ["folder", "shard"])
def test_without_a_lock_that_was_left_nothing_is_looked_for(tmp_path, kind):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / BEGUN).touch()
    with locked(Output(tmp_path / "out", kind)):
        assert (tmp_path / "out" / BEGUN).exists()
    assert sweep_left(tmp_path / "nowhere", 0) == 0
    assert sweep_left(tmp_path / "out", 0) == 1
