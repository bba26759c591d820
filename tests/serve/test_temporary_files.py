"""The folder of uploads: gone at the end; what a kill has left goes at the next start, and no live server's does."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from affectkit.serve.temporary_files import PREFIX, temporary_folder

HOLD = """
import sys, time
from affectkit.serve.temporary_files import temporary_folder
with temporary_folder() as folder:
    (folder / "upload").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_is_for_its_owner_and_gone_at_the_end(here):
    with pytest.raises(ValueError), temporary_folder() as folder:
        (folder / "a").mkdir()
        (folder / "a" / "upload").write_text("x")
        assert folder.parent == here and folder.stat().st_mode & 0o77 == 0
        raise ValueError
    assert list(here.iterdir()) == []


def test_two_of_one_process_leave_each_other_alone(here):
    with temporary_folder() as first, temporary_folder() as second:
        assert first != second and first.exists() and second.exists()


def test_what_is_no_folder_of_ours_stays(here):
    (here / f"{PREFIX}other").mkdir()
    (here / f"{PREFIX}file").write_text("x")
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / ".lock").write_text("")
    (here / f"{PREFIX}link").symlink_to(here / "elsewhere")
    before = sorted(here.iterdir())
    with temporary_folder():
        pass
    assert sorted(here.iterdir()) == before


def test_a_killed_server_s_folder_goes_at_the_next_start_and_not_before(here):
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    try:
        left = process.stdout.readline().strip()
        with temporary_folder():
            assert (here / left / "upload").exists()
    finally:
        process.kill()
        process.wait()
    with temporary_folder() as own:
        assert [path.name for path in here.iterdir()] == [own.name]
    assert list(here.iterdir()) == []
