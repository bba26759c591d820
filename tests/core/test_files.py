"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
from pathlib import Path

import pytest

from affectkit.config import read_settings_file
from affectkit.core import files
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import checksum, digest_bytes, digest_of, open_file, sha256, whole_file, whole_folder
from affectkit.data.media.media_file import check_clip_file
from affectkit.errors import DataError
from affectkit.models.external.restricted_pickle import is_pickled


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_whole(tmp_path, monkeypatch, alone, durable):
    flushed = []
    monkeypatch.setattr(files.os, "fsync", flushed.append)
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with whole_file(path, alone=alone, durable=durable) as part:
            part.write_text(text)
            assert not path.exists() or path.read_text() != text
        assert path.read_text() == text and os.listdir(path.parent) == ["a.txt"]
    assert len(flushed) == (4 if durable else 0)  # file and folder, twice


@pytest.mark.parametrize("alone", [False, True])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, alone):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), whole_file(path, alone=alone) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_a_kill_left_is_replaced_where_one_process_writes(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path, alone=True) as part:
        left = part.name
        part.write_text("x")
    (tmp_path / left).write_text("left by a kill")
    with whole_file(path, alone=True) as part:
        assert not part.exists()  # so that a link can be made in its place
        os.link(__file__, part) if os.stat(__file__).st_dev == os.stat(tmp_path).st_dev else part.write_text("y")
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_file_may_have_the_longest_name_that_there_is(tmp_path, alone):
    for name in ("a" * 251 + ".jpg", "ü" * 125 + ".jpg"):
        with whole_file(tmp_path / name, alone=alone) as part:
            part.write_text("all")
        assert (tmp_path / name).read_text() == "all"
    assert len(list(tmp_path.iterdir())) == 2


def test_several_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as first, whole_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["a.txt"]


def test_a_file_has_the_rights_that_the_process_gives(tmp_path):
    old = os.umask(0o027)
    try:
        with whole_file(tmp_path / "a") as part:
            part.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_folder_appears_whole(tmp_path):
    with whole_folder(tmp_path / "state") as part:
        (part / "a").write_text("1")
        assert not (tmp_path / "state").exists()
    assert (tmp_path / "state" / "a").read_text() == "1" and os.listdir(tmp_path) == ["state"]
    with pytest.raises(KeyError), whole_folder(tmp_path / "next") as part:
        (part / "a").write_text("1")
        raise KeyError
    assert os.listdir(tmp_path) == ["state"]
    with pytest.raises(OSError), whole_folder(tmp_path / "state") as part:  # is there, and not empty
        (part / "a").write_text("2")
    assert (tmp_path / "state" / "a").read_text() == "1" and os.listdir(tmp_path) == ["state"]


def test_checksums_are_those_of_hashlib(tmp_path):
    path, data = tmp_path / "a", bytes(range(256)) * 9_000
    path.write_bytes(data)
    assert checksum(path, "md5") == hashlib.md5(data).hexdigest()
    assert sha256(path) == hashlib.sha256(data).hexdigest()
    assert digest_of(path) == digest_bytes(data) == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path):
    """An alarm ends what waits."""
    names = ("a.mp4", "a.png", "a.csv", "a.yaml", "a.safetensors")
    places = [tmp_path / name for name in names]
    for path in places:
        os.mkfifo(path)
    video, image, table, settings, checkpoint = places
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    try:
        for read in (open_file, is_pickled):
            for path in (image, checkpoint):
                with pytest.raises(OSError, match="no regular file, but a pipe"):
                    read(path)
        with pytest.raises(DataError, match="no regular file, but a pipe"):
            check_clip_file(video)
        with csv_reader(table) as reader:
            assert list(reader) == []
        assert read_settings_file(settings) == {}
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_pipe_that_is_written_to_is_read(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"a,b\n1,2\n")
    os.close(writing)
    with csv_reader(Path(f"/dev/fd/{reading}")) as reader:
        assert list(reader) == [["a", "b"], ["1", "2"]]
