from __future__ import annotations

import io

import pytest

from affectkit.core import json_lines
from affectkit.core.forms import Count
from affectkit.core.json_lines import JsonLines, JsonRows
from affectkit.errors import CheckpointError, DataError

FORM = {"name": str, "size": Count, "more?": dict}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"name": "b"}', "size is missing"),
        (b'{"name": 3, "size": -1}', "name must be text, got 3; size must be a count, got -1"),
        (b'{"name": "b", "size": 1e3}', "size must be a count, got 1000.0"),
        (b"[]", "it must be an object, got a list of 0"),
        (b"null", "it must be an object, got null"),
        (b"{", "it is no line of JSON"),
        (b"", "it is no line of JSON"),
        (b'{"name": "\xff", "size": 1}', "it is no line of JSON"),
        (b'{"name": "b", "size": 1} {}', "it is no line of JSON"),
        (b"\x00" * 20, "it is no line of JSON"),
        (b"[" * 100_000, "it is nested deeper than the 100 levels that are read"),
        (b'{"name": "b", "size": 1, "more": ' + b'{"a":' * 150 + b"1" + b"}" * 151, "it is nested deeper"),
        (b'{"name": "b", "size": ' + b"9" * 5000 + b"}", "it is no line of JSON"),
    ],
    ids=range(13),
)
def test_a_line_of_another_form_is_named_by_its_number(line, words):
    stream = io.BytesIO(b'{"name": "a", "size": 1}\n' + line + b'\n{"name": "c", "size": 1}\n')
    lines = JsonLines(FORM, hint="Remove it.").read(stream, "the list l.jsonl")
    assert next(lines) == {"name": "a", "size": 1}
    with pytest.raises(DataError) as caught:
        next(lines)
    assert caught.value.message.startswith(f"the list l.jsonl is damaged at line 2: {words}")
    assert caught.value.hint == "Remove it."


@pytest.mark.parametrize(
    "line", [b' {"name": "a", "size": 1}\n', b'{"name": "a", "size": 1}', b'{"name":"a","size":1} \r\n']
)
def test_spaces_around_a_line_do_no_harm(line):
    assert list(JsonLines(FORM).read(io.BytesIO(line), "t")) == [{"name": "a", "size": 1}]


def test_a_line_without_end_is_not_held(monkeypatch):
    monkeypatch.setattr(json_lines.bounded_lines, "__defaults__", (1000,))
    stream = io.BytesIO(b'"' + b"x" * 10_000_000)
    with pytest.raises(CheckpointError, match="damaged at line 1"):
        list(JsonLines(str, error=CheckpointError).read(stream, "t"))
    assert stream.tell() == 1001


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"a": 1}', "column 'b' is missing"),
        ('{"a": 1, "b": 2, "c": 3}', "column 'c' does not belong there"),
        ('{"a": 1, "b": [2]}', "b must be one value, got a list of 1"),
        ('{"a": {}, "b": "["}', "a must be one value, got an object of 0"),
        ("[1, 2]", "it must be an object, got a list of 2"),
        ("3", "it must be an object, got 3"),
    ],
)
def test_rows_of_a_table_are_flat_and_have_its_columns(row, words):
    with pytest.raises(DataError, match="damaged at line 1") as caught:
        list(JsonRows(["a", "b"]).read(io.BytesIO(row.encode() + b"\n"), "t"))
    assert words in caught.value.message


def test_rows_are_in_the_order_of_the_columns():
    (row,) = JsonRows(["a", "b"]).read(io.BytesIO(b'{"b": "{[", "a": null}\n'), "t")
    assert list(row.items()) == [("a", None), ("b", "{[")]
