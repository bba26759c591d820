"""Lists of paths from several systems, and paths that look like patterns."""

from __future__ import annotations

import io
import os

import pytest

from affectkit.errors import DataError
from affectkit.inference.inputs import find_inputs
from affectkit.inference.path_lists import read_list

NAMES = ["d/000.png", "ünï code.png", "d/001.png"]


def listed(data: bytes) -> list[str]:
    return list(read_list(io.TextIOWrapper(io.BytesIO(data))))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_list_of_any_system_gives_its_names(end, coding):
    names = [name for name in NAMES if name.isascii()] if coding in ("utf-16-le", "utf-16-be") else NAMES
    text = end.join([*names[:1], "", *names[1:]]) + end
    assert listed(text.encode(coding)) == names
    assert list(read_list(io.StringIO(("\ufeff" if "sig" in coding else "") + text))) == names


def test_big_endian_with_its_mark():
    assert listed(b"\xfe\xff" + "\r\n".join(NAMES).encode("utf-16-be")) == NAMES


def test_names_between_nul_hold_ends_of_lines():
    assert listed(b"a\nb.png\0c.png\0d\r.png\0") == ["a\nb.png", "c.png", "d\r.png"]


def test_names_that_are_bytes_stay_bytes():
    assert [os.fsencode(name) for name in listed(b"i\xff.png\nc\xe4.png\n")] == [b"i\xff.png", b"c\xe4.png"]


def test_what_begins_as_utf16_and_is_none_is_named():
    with pytest.raises(DataError, match="UTF-16"):
        listed(b"\xff\xfe" + "abc".encode("utf-16-le") + b"x")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("d[1]/a.png", "d[1]/b.png", "d1/c.png", "x[2].png", "x2.png", "*.png", "deep/e[3]/f.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("d[1]/*.png", ["d[1]/a.png", "d[1]/b.png"]),
        ("d[1]", ["a.png", "b.png"]),
        ("x[2].png", ["x[2].png"]),
        ("*.png", ["*.png"]),
        ("x?.png", ["x2.png"]),
        ("d?/*.png", ["d1/c.png"]),
        ("deep/e[3]/*", ["deep/e[3]/f.png"]),
        ("[d]1/c.png", ["d1/c.png"]),
    ],
)
def test_what_exists_as_written_is_no_pattern(here, text, names):
    assert [item.name for item in find_inputs([text], recursive=False).items("image")] == names


def test_what_is_not_there_is_said_with_what_is(here, tmp_path):
    with pytest.raises(DataError, match=r"deap/x\.png does not exist") as caught:
        find_inputs(["deap/x.png"], recursive=False)
    assert "there is deep" in caught.value.hint
    with pytest.raises(DataError, match="nothing matches") as caught:
        find_inputs(["zz*"], recursive=False)
    assert "**" in caught.value.hint
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(DataError, match=r"holds no image or video \(1 \.txt\)"):
        find_inputs(["notes"], recursive=False)
