"""What kind of file a name is of, and what lies in folders that cannot be looked into."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affectkit.core import folders
from affectkit.core.folders import list_files, walk
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.media.file_kinds import IMAGE_FILE, OTHER_FILE, VIDEO_FILE, PassedOver, file_kind, is_video_name
from affectkit.data.media.images import is_image_name
from affectkit.errors import DataError


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (IMAGE_FILE, "a.jpg b.JPEG c.png d.heic e.HEIC f.avif g.jp2 h.cr2 i.nef j.arw k.dng l.gif m.tif n.psd o.apng"),
        (
            VIDEO_FILE,
            "a.mp4 b.3GP c.m2ts d.ogv e.vob f.mpg g.m4v h.flv i.wmv j.asf k.f4v l.mxf m.MOV n.mkv o.webm p.avi",
        ),
        (OTHER_FILE, "a.txt b.csv c.xmp d.json e README f.mp3 g.wav h.pdf .png"),
    ],
)
def test_the_ending_says_the_kind(tmp_path, kind, names):
    assert {file_kind(tmp_path, name) for name in names.split()} == {kind}


def packets(length: int, offset: int, count: int = 4) -> bytes:
    return b"".join(bytes(offset) + b"G" + bytes(length - offset - 1) for _ in range(count))


@pytest.mark.parametrize("ending", [".ts", ".mts", ".TS"])
def test_what_may_be_typescript_is_looked_into(tmp_path, ending):
    film = {"a": packets(188, 0), "b": packets(192, 4), "c": packets(204, 0), "short": packets(188, 0, 1), "empty": b""}
    text = {"d": b"export const a = 1;\n", "e": b"G" * 100 + b"reet();\n" * 100, "f": b'<?xml version="1.0"?><TS>\n'}
    for name, data in {**film, **text}.items():
        (tmp_path / (name + ending)).write_bytes(data)
    assert {name for name in film if file_kind(tmp_path, name + ending) != VIDEO_FILE} == set()
    assert {name for name in text if file_kind(tmp_path, name + ending) != OTHER_FILE} == set()
    assert file_kind(tmp_path, "gone" + ending) == VIDEO_FILE  # who opens it has the reason
    assert is_video_name("a" + ending)


def test_what_was_passed_over_is_counted_by_its_ending():
    passed = PassedOver()
    for name in ("a.txt", "b.TXT", "c.csv", "README", *(f"x.{n}" for n in "defghi")):
        passed.add(name)
    assert passed.count == 10
    assert passed.described == "2 .txt, 1 without an ending, 1 .csv, 1 .d, 1 .e, 1 .f, 3 others"


def test_files_are_listed_in_one_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png", "._a.png", "note.txt", "sub/c.webp", "sub/z/d.gif", "__MACOSX/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path, is_image_name, recursive=True)]
    assert names == ["a.png", "b.JPG", "sub/c.webp", "sub/z/d.gif"]
    assert [path.name for path in list_files(tmp_path, is_image_name)] == ["a.png", "b.JPG"]
    for wrong, reason in ((tmp_path / "no", "does not exist"), (tmp_path / "a.png", "not a folder")):
        with pytest.raises(DataError, match=reason):
            list_files(wrong, is_image_name)


def broken(folder: Path) -> Path:
    """A folder with links in a circle, and to nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jpg").symlink_to("b.jpg")
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.png").symlink_to("gone.png")
    (folder / "d.png").symlink_to(".git/annex/objects/d.png")
    (folder / "album").symlink_to("/nowhere/album")
    (folder / "e.png").touch()
    return folder


def test_links_that_cannot_be_followed_are_files_or_faults(tmp_path):
    faults: list[folders.Fault] = []
    ((_, names),) = walk(broken(tmp_path / "x"), recursive=True, faults=faults)
    assert names == ["a.jpg", "b.jpg", "c.png", "d.png", "e.png"]
    assert [(fault.path.name, "not there" in fault.reason) for fault in faults] == [("album", True)]
    reasons = {name: folders.link_fault(tmp_path / "x" / name) for name in names}
    assert "cannot be followed" in reasons["a.jpg"] and "gone.png, which is not there" in reasons["c.png"]
    assert "git annex get" in reasons["d.png"] and reasons["e.png"] == ""


def test_a_folder_below_that_may_not_be_listed_is_a_fault(tmp_path, monkeypatch):
    for name in ("a.png", "locked/b.png", "open/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    faults: list[folders.Fault] = []
    found = [(folder.name, names) for folder, names in walk(tmp_path, recursive=True, faults=faults)]
    assert found == [(tmp_path.name, ["a.png"]), ("open", ["c.png"])]
    assert [fault.path.name for fault in faults] == ["locked"] and "no permission" in faults[0].reason
    with pytest.raises(DataError, match="locked: the folder cannot be looked into"):
        list(list_files(tmp_path, is_image_name, recursive=True))


def test_class_folders_with_links_that_lead_nowhere_are_read_and_told(tmp_path):
    for label in ("anger", "joy"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").touch()
    (tmp_path / "joy" / "clip.mp4").touch()
    (tmp_path / "joy" / "raw.cr2").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "fear").symlink_to("/nowhere/fear")
    (tmp_path / "anger" / "b.png").symlink_to("b.png")
    source = find_dataset(tmp_path)
    assert source.classes == ("anger", "joy")
    assert source.splits["all"].ids == [
        "anger/a.png",
        "anger/b.png",
        "joy/a.png",
    ]  # the loop costs a row when it is read
    assert any("links that cannot be followed: fear, loop" in note for note in source.notes)
    assert any("passed over (1 .cr2, 1 .mp4)" in note for note in source.notes)
