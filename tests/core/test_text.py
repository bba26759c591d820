"""Names that are not UTF-8: written so that each can be read back, and no two become one."""

from __future__ import annotations

import json
import os
import random

import pytest

from affectkit.core.files import inner_path, to_json, write_text
from affectkit.core.text import count_text, read_name, readable, written_name

NAMES = [
    b"plain.png",
    b"a\xff.png",
    rb"a\xff.png",
    rb"a\x5c.png",
    b"\\\xff",
    b"\xc3\xbc.png",
    b"\xe4\xb8.png",
    rb"\xmas",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_written_in_utf8_and_read_back(name):
    written = written_name(os.fsdecode(name))
    assert os.fsencode(read_name(written.encode().decode())) == name


def test_no_two_names_are_written_alike():
    rng = random.Random(0)
    pieces = [b"\\", b"x", b"ff", b"5c", b"\xff", b"\x80", b"a", b"\xc3\xbc"]
    names = {b"".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(3000)}
    written = {written_name(os.fsdecode(name)) for name in names}
    assert len(written) == len(names) > 1000
    assert all(os.fsencode(read_name(written_name(os.fsdecode(name)))) == name for name in names)


def test_most_names_stay_as_they_are():
    for name in ("a.png", "ünï, code.png", "sub/\u2028.png", "a\\b.png", "a\nb.png"):
        assert written_name(name) == name


def test_json_and_text_files_hold_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"i\xff.png")
    assert json.loads(to_json({"paths": [name, tmp_path / name], name: 1})) == {
        "paths": [r"i\xff.png", str(tmp_path) + r"/i\xff.png"],
        r"i\xff.png": 1,
    }
    write_text(tmp_path / "t.csv", f"{name},1\n")
    assert (tmp_path / "t.csv").read_bytes() == b"i\\xff.png,1\n"
    assert readable("\ud800") == r"\ud800"


def test_files_made_of_such_items_have_one_name_and_no_folder_of_it():
    assert str(inner_path(written_name(os.fsdecode(b"a/i\xff.png")), (".png",), ".png")) == r"a/i\xff.png"
    assert str(inner_path("a\\b.png", (".png",), ".png")) == "a/b.png"


def test_one_is_no_plural():
    assert [count_text(n, "face") for n in (0, 1, 2, 12345)] == ["0 faces", "1 face", "2 faces", "12,345 faces"]
    assert count_text(2, "film is", "films are") == "2 films are"
