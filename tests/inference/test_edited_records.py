"""Records of ``infer`` that others wrote: what has another form is named by line, and no link is written through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from affectkit.errors import DataError
from affectkit.inference.journal import ENTRY, INPUTS_COLUMNS, Journal, read_entries, read_inputs
from affectkit.inference.table_layout import NAME
from affectkit.inference.video.prediction_table import VideoTable

ROWS = ["a.png,1\n", "b.png,2\nb.png,3\n"]
ENTRIES = [
    {"name": "a.png", "rows": 1, "mark": [1, 2, 3, "ab"], "frames": 1, "end": 8 + 8},
    {"name": "b.png", "rows": 2, "mark": None, "frames": 1, "end": 8 + 8 + 16},
]


FORM = {**ENTRY, "video?": dict[str, Any]}


def journal_in(folder, entries=ENTRIES):
    (folder / "t.csv.part").write_text("nam,row\n" + "".join(ROWS))
    (folder / "t.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return Journal(folder / "t.csv.part", folder / "t.jsonl", "nam,row\n", FORM)


def test_a_journal_that_holds_is_read(tmp_path):
    journal = journal_in(tmp_path)
    assert journal.recover() and list(journal.entries) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["t.csv.part", "t.jsonl", "t.csv.part.ordered"])
@pytest.mark.parametrize("step", ["recover", "begin"])
def test_no_link_is_cut_or_written_through(tmp_path, name, step):
    outside = tmp_path / "thesis.txt"
    outside.write_text("all of it")
    folder = tmp_path / "results"
    folder.mkdir()
    journal = journal_in(folder, [])
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    with pytest.raises(DataError, match="is a link, to .*thesis.txt; nothing was touched"):
        getattr(journal, step)()
    assert outside.read_text() == "all of it"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 3}, "name must be text, got 3"),
        ({"end": "32"}, "end must be a count, got '32'"),
        ({"end": 10**25}, "end must be a count, got 1"),
        ({"end": 3}, "its rows end at 3, before they begin"),
        ({"rows": None}, "rows must be a count, got null"),
        ({"rows": True}, "rows must be a count, got true"),
        ({"mark": [1, 2]}, "mark must have 4 entries, got 2"),
        ({"mark": "x"}, "mark must be a list, got 'x'"),
        ({"video": []}, "video must be an object, got a list of 0"),
    ],
)
def test_a_line_of_another_form_is_named_and_nothing_is_cut(tmp_path, change, words):
    journal = journal_in(tmp_path, [ENTRIES[0], {**ENTRIES[1], **change}])
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    with pytest.raises(DataError) as caught:
        journal.recover()
    assert f"{tmp_path / 't.jsonl'} is damaged at line 2: {words}" in caught.value.message
    assert "--force" in caught.value.hint
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before
    if "end" not in change:
        with pytest.raises(DataError, match="is damaged at line 2"):
            list(read_entries(tmp_path / "t.jsonl", FORM))


@pytest.mark.parametrize("line", ["[]", "3", "null", "{", "[" * 100_000])
def test_lines_that_are_no_entries(tmp_path, line):
    (tmp_path / "videos.jsonl").write_text(json.dumps(ENTRIES[0]) + "\n" + line + "\n")
    with pytest.raises(DataError, match="is damaged at line 2"):
        list(read_entries(tmp_path / "videos.jsonl"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b.png,1,2,3,ab,1,x", "is damaged at line 3"),
        ("b.png,1,2,3,ab,1", "is damaged at line 3"),
        ("b.png,1,2,3,ab,1,-2", "is damaged at line 3: rows must be a count, got -2"),
        (f"b.png,1,2,3,ab,1,{10**25}", "is damaged at line 3: rows must be a count, got 1"),
        ("b.png,1,2,3,ab,1,2,3", "is damaged at line 3"),
    ],
)
def test_inputs_of_another_form_are_named_by_line(tmp_path, row, words):
    path = tmp_path / "inputs.csv"
    path.write_text(",".join([NAME, *INPUTS_COLUMNS]) + "\na.png,1,2,3,ab,1,1\n" + row + "\n")
    with pytest.raises(DataError) as caught:
        list(read_inputs(path, [NAME]))
    assert words in caught.value.message


def test_timelines_that_lead_out_are_refused(tmp_path):
    from affectkit.inference.result_files import OutputOptions, ResultFiles

    outside, folder = tmp_path / "outside", tmp_path / "results"
    outside.mkdir()
    folder.mkdir()
    (outside / "a.png").write_text("mine")
    (folder / "timelines").symlink_to(outside, target_is_directory=True)
    table = VideoTable.__new__(VideoTable)
    table.options = OutputOptions(results=folder, force=True)
    table.files = ResultFiles(folder, format="csv", header=["a"], journal="videos.jsonl.part")
    with pytest.raises(DataError, match="timelines is a link, to .*outside; nothing was touched"):
        table.__enter__()
    assert (outside / "a.png").read_text() == "mine"
