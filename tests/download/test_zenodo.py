"""Records and files from a local server that continues, refuses, lies and hangs up."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import socket
import time
from collections import namedtuple
from pathlib import Path

import pytest
from locking import locked_elsewhere
from support import Heard
from web import serving

from affectkit.download import transfer
from affectkit.download.zenodo import RECORD, download, resolve_source
from affectkit.errors import DataError, DownloadError, LockedError, Stopped, UsageError

BODY = random.Random(5).randbytes(300_000)


@pytest.fixture
def web(monkeypatch):
    with serving() as served:
        served.files = {"vca.pth": BODY, "notes.txt": b"read me\n"}
        monkeypatch.setenv("AFFECTKIT_ZENODO", served.url)
        monkeypatch.setattr(transfer, "PAUSE", 0.0)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield served


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def ranges(web) -> list[str | None]:
    return [asked for path, asked in web.asked if path.startswith("/files/")]


def test_a_record_is_fetched_whole_and_only_once(web, tmp_path):
    heard = Heard()
    done = download("zenodo:7", tmp_path / "w", reporter=heard)
    assert (tmp_path / "w" / "vca.pth").read_bytes() == BODY and left(tmp_path / "w") == {"vca.pth", "notes.txt"}
    assert [(row["name"], row["status"], row["size"]) for row in done["files"]] == [
        ("vca.pth", "fetched", 300_000), ("notes.txt", "fetched", 8),
    ]  # fmt: skip
    assert done["title"] == "Weights of a study" and done["bytes_fetched"] == 300_008
    host = web.url.removeprefix("http://")
    assert heard.notes[0] == f"zenodo:7 (Weights of a study): 2 files, 0.3 MB, from {host} into {tmp_path / 'w'}"
    web.asked.clear()
    again = download("zenodo:7", tmp_path / "w", reporter=heard)
    assert [row["status"] for row in again["files"]] == ["present", "present"] and again["bytes_fetched"] == 0
    assert ranges(web) == [] and "nothing to do" in heard.notes[-1]
    mode = (tmp_path / "w" / "vca.pth").stat().st_mode & 0o777
    probe = tmp_path / "probe"
    probe.touch()
    assert mode == probe.stat().st_mode & 0o777


@pytest.mark.parametrize("layout", ["now", "between", "rdm"])
def test_every_layout_of_a_record_is_read(web, tmp_path, layout):
    web.record = web.described(layout)
    found = resolve_source("zenodo:7")
    assert [(one.name, one.size, one.checksum) for one in found.files] == [
        (name, len(body), f"md5:{hashlib.md5(body).hexdigest()}") for name, body in web.files.items()
    ]
    download("zenodo:7", tmp_path, names=["notes.txt"])
    assert left(tmp_path) == {"notes.txt"}


def test_sources_are_told_apart(web, tmp_path):
    for text in (
        "zenodo:7", "https://zenodo.org/records/7", "https://zenodo.org/record/7/", "10.5281/zenodo.7",
        "https://doi.org/10.5281/zenodo.7", "https://zenodo.org/records/7?preview=1",
    ):  # fmt: skip
        assert resolve_source(text).source == "zenodo:7", text
    copied = RECORD.fullmatch("https://zenodo.org/records/7/files/vca.pth?download=1")
    assert copied["id"] == "7" and copied["file"] == "vca.pth"
    download("https://zenodo.org/records/7/files/notes.txt?download=1", tmp_path)
    assert left(tmp_path) == {"notes.txt"}
    for text, told in {"zenod:7": "neither", "ftp://a/b": "neither", "http://a/b": "http can be changed",
                       "https://a.example/b/": "names no file"}.items():  # fmt: skip
        with pytest.raises(UsageError, match=told):
            resolve_source(text)
    with pytest.raises(UsageError, match="brings its own"):
        resolve_source("zenodo:7", checksum="md5:" + "0" * 32)
    for text in ("0" * 64, "sha256:12", "crc:12345678", "sha256:" + "g" * 64):
        with pytest.raises(UsageError, match="ALGORITHM:HEX"):
            resolve_source("https://a.example/b", checksum=text)
    with pytest.raises(UsageError, match="did you mean vca.pth"):
        download("zenodo:7", tmp_path, names=["vca.pt"])


def test_a_cut_transfer_is_taken_up_at_once(web, tmp_path):
    heard = Heard()
    web.cuts = [140_000, 100_000]
    done = download("zenodo:7", tmp_path, names=["vca.pth"], reporter=heard)
    assert (tmp_path / "vca.pth").read_bytes() == BODY and done["files"][0]["status"] == "fetched"
    asked = ranges(web)
    assert len(asked) == 3 and asked[0] is None and asked[1].startswith("bytes=") and asked[2] > asked[1]
    assert sum("resuming" in note for note in heard.notes) == 2


def test_a_transfer_that_is_cut_often_but_moves_on_is_not_given_up(web, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TRIES", 2)
    web.cuts = [70_000] * 4
    download("zenodo:7", tmp_path, names=["vca.pth"])
    assert (tmp_path / "vca.pth").read_bytes() == BODY and len(ranges(web)) == 5


@pytest.mark.parametrize("length", [True, False])
def test_a_connection_that_stays_cut_leaves_a_part_which_the_next_run_continues(web, tmp_path, length):
    heard = Heard()
    web.length = length
    web.cuts = [140_000, *[0] * 20]
    with pytest.raises(
        DownloadError, match=r"was cut off at 0\.1 MB of 0\.3 MB of vca\.pth: the connection was"
    ) as error:
        download("zenodo:7", tmp_path, names=["vca.pth"], reporter=heard)
    assert "resumes there" in error.value.hint and len(ranges(web)) == transfer.TRIES
    (part,) = left(tmp_path)
    assert part.endswith(".part") and part in heard.notes[-1]
    kept = (tmp_path / part).read_bytes()
    assert 70_000 < len(kept) <= 140_000 and kept == BODY[: len(kept)]
    web.cuts.clear()
    web.asked.clear()
    done = download("zenodo:7", tmp_path, names=["vca.pth"], reporter=heard)
    assert heard.notes[-1] == "  vca.pth, 0.3 MB, 0.1 MB of it from an earlier run"
    assert ranges(web) == [f"bytes={len(kept)}-"] and done["files"][0]["status"] == "continued"
    assert left(tmp_path) == {"vca.pth"} and (tmp_path / "vca.pth").read_bytes() == BODY


def begun(folder: Path, count: int, body: bytes = BODY) -> Path:
    """A part that an earlier run left."""
    remote = next(one for one in resolve_source("zenodo:7").files if one.name == "vca.pth")
    part = transfer.part_path(folder / "vca.pth", remote)
    part.write_bytes((body + body)[:count])
    return part


def test_a_server_without_ranges_begins_again(web, tmp_path):
    heard = Heard()
    begun(tmp_path, 100_000)
    web.ranges = False
    download("zenodo:7", tmp_path, names=["vca.pth"], reporter=heard)
    assert ranges(web) == ["bytes=100000-"] and any("begins again" in note for note in heard.notes)
    assert left(tmp_path) == {"vca.pth"} and (tmp_path / "vca.pth").read_bytes() == BODY


@pytest.mark.parametrize(("count", "asked"), [(300_000, []), (400_000, [None])])
def test_a_part_that_is_whole_or_too_long(web, tmp_path, count, asked):
    begun(tmp_path, count)
    download("zenodo:7", tmp_path, names=["vca.pth"])
    assert ranges(web) == asked and left(tmp_path) == {"vca.pth"}
    assert (tmp_path / "vca.pth").read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing(web, tmp_path):
    begun(tmp_path, 100_000, bytes(100_000))
    with pytest.raises(DownloadError, match="with the checksum md5:.*not md5:.*what had arrived was removed") as error:
        download("zenodo:7", tmp_path, names=["vca.pth"])
    assert left(tmp_path) == set() and "again" in error.value.hint


@pytest.mark.parametrize(("have", "length"), [(0, True), (100_000, True), (0, False)])
def test_a_server_that_answers_another_size(web, tmp_path, have, length):
    if have:
        begun(tmp_path, have)
    web.record, web.length = web.described(), length
    web.files["vca.pth"] = BODY + b"more"
    with pytest.raises(DownloadError, match=r"sends (300,004|more than 300,000) bytes .* announced with 300,000"):
        download("zenodo:7", tmp_path, names=["vca.pth"])
    assert "vca.pth" not in left(tmp_path) and sum((tmp_path / name).stat().st_size for name in left(tmp_path)) == have


def test_what_is_there_with_other_content_is_not_replaced_unasked(web, tmp_path):
    (tmp_path / "vca.pth").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_bytes(b"also me!")  # of the right size
    with pytest.raises(UsageError, match=r"vca\.pth has other content(.|\n)*notes\.txt has other content") as error:
        download("zenodo:7", tmp_path)
    assert "--force" in error.value.hint and ranges(web) == [] and (tmp_path / "vca.pth").read_bytes() == b"mine"
    web.cuts = [1000, *[0] * 9]
    with pytest.raises(DownloadError):
        download("zenodo:7", tmp_path, force=True)
    assert (tmp_path / "vca.pth").read_bytes() == b"mine"  # until the new one is whole
    web.cuts.clear()
    download("zenodo:7", tmp_path, force=True)
    assert (tmp_path / "vca.pth").read_bytes() == BODY and left(tmp_path) == set(web.files)


@pytest.mark.parametrize("name", ["../up.txt", "/tmp/up.txt", "a/../../up.txt", ".", "nul\x00", "bell\x07.txt"])
def test_names_do_not_leave_the_folder(web, tmp_path, name):
    web.record = web.described()
    web.record["files"][0]["key"] = name
    with pytest.raises(DataError, match="leaves the folder|is not a file name|is not taken as the name"):
        download("zenodo:7", tmp_path / "in" / "here")
    assert left(tmp_path) == set() and ranges(web) == []


def test_names_with_folders_are_kept(web, tmp_path):
    web.files = {"sub/a.txt": b"a"}
    download("zenodo:7", tmp_path)
    assert left(tmp_path) == {"sub/a.txt"}


@pytest.mark.parametrize(
    ("status", "record", "told"),
    [
        (404, {}, "refuses to describe record 7: 404, it is not there"),
        (403, {}, "403, access is restricted"),
        (410, {}, "410, it was withdrawn"),
        (429, {}, "429, too many requests"),
        (200, b"<html>log in</html>", "did not answer with a record"),
        (200, {"id": 7, "files": []}, "has no files that can be fetched\\."),
        (200, {"id": 7, "metadata": {"access_right": "restricted"}}, r"no files .* \(access: restricted\)"),
        (200, {"id": 7, "access": {"files": "restricted"}, "files": {"enabled": True}}, r"\(access: restricted\)"),
        (200, {"id": 7, "files": [{"name": "x"}]}, "a form that is not known"),
        (200, {"id": 7, "files": [{"key": "x", "checksum": "abc:1", "links": {}}]}, "checksum of an unknown kind"),
        (200, {"id": 7, "files": [{"key": "x", "checksum": "md5:../../x"}]}, "checksum of an unknown kind"),
        (200, {"id": 7, "files": [{"key": "x", "checksum": "shake_128:" + "0" * 32}]}, "checksum of an unknown kind"),
        (200, {"id": 7, "files": [{"key": "x", "size": 10**25}]}, r"form .*: \[0\]\.size must be a whole number"),
        (200, {"id": 7, "files": [{"key": "x", "links": {"self": 3}}]}, r"form .*: \[0\]\.links\.self must be text"),
        (200, {"id": 7, "files": {"entries": {"x": None}}}, "form .*: x must be an object, got null"),
        (200, {"id": 7, "files": 3}, "form .*: it must be a list"),
        (200, b'{"id": 7, "files": ' + b"[" * 100_000, "did not answer with a record"),
    ],
)
def test_records_that_cannot_be_had(web, tmp_path, status, record, told):
    web.status, web.record = status, record
    with pytest.raises(DownloadError, match=told) as error:
        download("zenodo:7", tmp_path)
    assert error.value.hint or "form" in told or "kind" in told
    assert left(tmp_path) == set()


def test_a_file_that_is_refused(web, tmp_path):
    web.file_status = 403
    with pytest.raises(DownloadError, match="refuses to fetch vca.pth: 403") as error:
        download("zenodo:7", tmp_path)
    assert "access" in error.value.hint and left(tmp_path) == set()


def test_the_newest_of_all_versions_is_named(web):
    heard = Heard()
    assert resolve_source("zenodo:6", reporter=heard).source == "zenodo:7"
    assert "the newest is zenodo:7" in heard.notes[0]


def test_offline_is_said_within_a_second(monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AFFECTKIT_ZENODO", f"http://{where}")
    began = time.monotonic()
    with pytest.raises(DownloadError, match=f"{where} cannot be reached: Connection refused") as error:
        download("zenodo:7", tmp_path)
    assert time.monotonic() - began < 1
    assert f"http://{where}/records/7 in a browser" in error.value.hint


def test_a_single_file(web, tmp_path):
    heard = Heard()
    digest = hashlib.sha256(BODY).hexdigest()
    address = f"{web.url}/files/vca.pth?download=1"
    with pytest.raises(UsageError, match="http can be changed"):
        download(address, tmp_path)
    web.cuts = [140_000]
    done = download(address, tmp_path, checksum=f"SHA256:{digest.upper()}", reporter=heard)
    assert done["files"][0]["checksum"] == f"sha256:{digest}" and (tmp_path / "vca.pth").read_bytes() == BODY
    assert heard.warnings == [] and "size unknown" in heard.notes[0]
    # A part that is whole, of a size that only the server knows.
    (tmp_path / "vca.pth").rename(tmp_path / f"vca.pth.{digest[:8]}.part")
    web.asked.clear()
    download(address, tmp_path, checksum=f"sha256:{digest}")
    assert ranges(web) == ["bytes=300000-"] and left(tmp_path) == {"vca.pth"}
    (tmp_path / "vca.pth").write_bytes(BODY * 2)
    (tmp_path / "vca.pth").rename(tmp_path / f"vca.pth.{digest[:8]}.part")
    download(address, tmp_path, checksum=f"sha256:{digest}")
    assert left(tmp_path) == {"vca.pth"} and (tmp_path / "vca.pth").read_bytes() == BODY


def test_without_a_checksum_nothing_is_continued_and_a_warning_names_it(web, tmp_path, monkeypatch):
    heard = Heard()
    remote = transfer.RemoteFile("vca.pth", f"{web.url}/files/vca.pth")
    web.cuts = [140_000]
    with pytest.raises(DownloadError, match="was cut off"):
        transfer.download_file(remote, tmp_path / "vca.pth", offline="", reporter=heard)
    assert left(tmp_path) == set() and len(ranges(web)) == 1
    transfer.part_path(tmp_path / "vca.pth", remote).write_bytes(bytes(1000))  # left by a kill
    web.record = web.described()
    del web.record["files"][0]["checksum"]
    done = download("zenodo:7", tmp_path, names=["vca.pth"], reporter=heard)
    digest = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert done["files"][0]["checksum"] == digest and digest in heard.warnings[0]
    assert (tmp_path / "vca.pth").read_bytes() == BODY and left(tmp_path) == {"vca.pth"}
    with pytest.raises(UsageError, match="no checksum shows whether it is the same"):
        download("zenodo:7", tmp_path, names=["vca.pth"])


def test_a_full_disk_is_said_before_or_when_it_happens(web, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1000))
        with pytest.raises(DownloadError, match=r"0\.3 MB are still to be fetched, .* has 1,000 bytes free"):
            download("zenodo:7", tmp_path)
    assert ranges(web) == []

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfer.os, "fsync", full)
        with pytest.raises(DownloadError, match=r"the disk of .* is full after 0\.3 MB of vca\.pth") as error:
            download("zenodo:7", tmp_path)
    assert "resumes" in error.value.hint and [name.endswith(".part") for name in left(tmp_path)] == [True]
    download("zenodo:7", tmp_path)
    assert left(tmp_path) == {"vca.pth", "notes.txt"}


def test_ctrl_c_keeps_what_has_come(web, tmp_path):
    class Pressed(Heard):
        def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
            if label.startswith("notes.txt"):
                raise KeyboardInterrupt

    heard = Pressed()
    with pytest.raises(Stopped, match="1 of 2 files are whole") as error:
        download("zenodo:7", tmp_path, reporter=heard)
    assert error.value.exit_code == 130 and left(tmp_path) == {"vca.pth"}


def test_two_runs_do_not_write_one_file(web, tmp_path):
    part = transfer.part_path(tmp_path / "vca.pth", resolve_source("zenodo:7").files[0])
    part.write_bytes(b"what the other has so far")
    with locked_elsewhere(tmp_path / "vca.pth", "file") as pid:
        with pytest.raises(LockedError, match=f"vca.pth is being written by process {pid} on "):
            download("zenodo:7", tmp_path)
        assert part.read_bytes() == b"what the other has so far"
        download("zenodo:7", tmp_path, names=[one.name for one in resolve_source("zenodo:7").files[1:2]])
    part.unlink()
    download("zenodo:7", tmp_path)
    assert os.listdir(tmp_path).count("vca.pth") == 1


def test_a_transfer_that_stands_still_is_given_up(web, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (1.0, 0.1))
    monkeypatch.setattr(transfer, "TRIES", 2)
    web.stall = 0
    try:
        with pytest.raises(DownloadError, match=r"nothing came for 0\.1 s"):
            download("zenodo:7", tmp_path, names=["vca.pth"])
    finally:
        web.stall = None
    assert left(tmp_path) == set()
