"""Records and tables of ``infer`` that were edited or cut: file, place and rule are named, and nothing is touched."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affectkit.errors import DataError
from affectkit.inference.journal import is_of, read_entries, reason_to_restart
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.run_record import IMAGES_FORM, VIDEOS_FORM, read_run_record
from affectkit.inference.table_reader import CsvRows, finished_items
from affectkit.inference.table_writer import to_parquet
from affectkit.inference.video.legacy_names import rename_files, rename_results
from affectkit.inference.video.prediction_table import VIDEO_ENTRY

IMAGES = {"format": "csv", "images": 1, "skipped": 0, "skipped_first": [], "results": "r.csv"}
FACE = {"face": 1, "sampled_frames": 1, "seconds_seen": 0.5, "from": 0.0, "to": 0.5, "mean": {"a": 0.5}}
VIDEO = {"video": "a.mp4", "sampled_frames": 1, "frames_without_face": 0, "faces": 1, "seconds": 1.0,
         "seconds_seen": 0.5, "mean": {"a": 0.5}, "by_face": [FACE]}  # fmt: skip
VIDEOS = {"videos": 1, "sampled_frames": 1, "faces": 1, "rows": 1, "skipped": 0, "skipped_first": [],
          "videos_first": [VIDEO]}  # fmt: skip


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("null", "it must be an object, got null"),
        ("[]", "it must be an object, got a list of 0"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested deeper than the 100 levels"),
        (json.dumps({"format": "exe"}), "format must be one of csv, jsonl, parquet, got 'exe'"),
        (json.dumps({"checkpoint_sha256": 3}), "checkpoint_sha256 must be text, got 3"),
        (json.dumps({"video_results": []}), "video_results must be an object, got a list of 0"),
    ],
)
def test_a_record_of_another_form_is_named(tmp_path, text, words):
    path = tmp_path / "inference.json"
    path.write_text(text)
    for read in (read_run_record, lambda path: is_of(path, "csv"), lambda path: reason_to_restart(path, "csv", "x")):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(path) in caught.value.message and words in caught.value.message and "--force" in caught.value.hint


def test_a_record_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "inference.json")
    with pytest.raises(DataError, match="it is no file"):
        read_run_record(tmp_path / "inference.json")


@pytest.mark.parametrize(
    ("form", "record", "change", "words"),
    [
        (IMAGES_FORM, IMAGES, {"images": "1"}, "images must be a count, got '1'"),
        (IMAGES_FORM, IMAGES, {"skipped_first": [{}]}, "skipped_first[0].image is missing"),
        (IMAGES_FORM, IMAGES, {"more_frames": 3}, "more_frames must be an object, got 3"),
        (VIDEOS_FORM, VIDEOS, {"videos_first": [{**VIDEO, "mean": [1]}]}, "videos_first[0].mean must be an object"),
        (VIDEOS_FORM, VIDEOS, {"videos_first": None}, "videos_first must be a list, got null"),
        (VIDEOS_FORM, VIDEOS, {"rows": 10**25}, "rows must be a count"),
    ],
)
def test_a_complete_record_of_another_form_is_named(tmp_path, form, record, change, words):
    path = tmp_path / "inference.json"
    path.write_text(json.dumps(record))
    assert read_run_record(path, form) == record
    path.write_text(json.dumps({**record, **change}))
    with pytest.raises(DataError) as caught:
        read_run_record(path, form)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": None}, "video.mean must be an object, got null"),
        ({"by_face": [{**FACE, "to": "end"}]}, "video.by_face[0].to must be a finite number, got 'end'"),
        ({"by_face": {}}, "video.by_face must be a list, got an object of 0"),
        ({"faces": -1}, "video.faces must be a count, got -1"),
        ({"reason": 3}, "video.reason must be text, got 3"),
    ],
)
def test_what_is_known_of_a_video_has_its_form(tmp_path, change, words):
    path = tmp_path / "videos.jsonl"
    entry = {"name": "a.mp4", "rows": 1, "mark": None, "video": VIDEO}
    path.write_text(json.dumps(entry) + "\n" + json.dumps({**entry, "video": {**VIDEO, **change}}) + "\n")
    with pytest.raises(DataError) as caught:
        list(read_entries(path, VIDEO_ENTRY))
    assert caught.value.message == f"{path} is damaged at line 2: {words}."


HEADER = ["Image Name", "happy"]
ITEMS = [{"name": "a.png", "rows": 1}, {"name": "b.png", "rows": 1}]


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("t.jsonl", '{"Image Name": "b.png"}', "is damaged at line 2: column 'happy' is missing"),
        ("t.jsonl", '{"Image Name": "b.png", "happy": {}}', "line 2: happy must be one value, got an object of 0"),
        ("t.jsonl", '["b.png", 1]', "is damaged at line 2: it must be an object, got a list of 2"),
        ("t.jsonl", '{"Image Name": "b.p', "is damaged at line 2: it is no line of JSON"),
        ("t.jsonl", '{"Image Name": "c.png", "happy": 1}', "the rows of b.png are not there"),
        ("t.csv", "b.png", "is damaged at line 3: it has 1 values, not 2"),
        ("t.csv", "b.png,1,2", "is damaged at line 3: it has 3 values, not 2"),
        ("t.csv", "b.png," + "9" * 200_000, "is damaged at line 3: field larger than field limit"),
        ("t.csv", "c.png,1", "the rows of b.png are not there"),
    ],
)
def test_a_finished_table_is_read_by_line(tmp_path, name, line, words):
    first = '{"Image Name": "a.png", "happy": 0.5}' if name == "t.jsonl" else "Image Name,happy\na.png,0.5"
    (tmp_path / name).write_text(f"{first}\n{line}\n")
    with pytest.raises(DataError) as caught:
        list(finished_items(tmp_path / name, HEADER, ITEMS, 0))
    assert words in caught.value.message and str(tmp_path / name) in caught.value.message


@pytest.mark.parametrize("how", ["cut", "text", "columns", "flipped"])
def test_a_parquet_table_that_is_none_is_named(tmp_path, how):
    path, columns = tmp_path / "t.parquet", HEADER if how != "columns" else ["Image Name", "sad"]
    pq.write_table(pa.Table.from_pylist([dict(zip(columns, ("a.png", 0.5), strict=True))]), path)
    data = path.read_bytes()
    path.write_bytes(
        {"cut": data[:-20], "text": b"no table", "columns": data, "flipped": b"PAR1" + bytes(40) + data[44:]}[how]
    )
    with pytest.raises(DataError, match="t.parquet is not as it was written"):
        list(finished_items(path, HEADER, ITEMS[:1], 0))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": "b.png"}', "is damaged at line 2: column 'x' is missing"),
        ("[]", "is damaged at line 2: it must be an object"),
        ("{", "is damaged at line 2: it is no line of JSON"),
        ('{"a": 3, "x": 1}', "is damaged at or behind line 1"),
        ('{"a": "b.png", "x": ' + "9" * 30 + "}", "is damaged at or behind line 1"),
    ],
)
def test_a_growing_table_that_was_edited_makes_no_parquet_table(tmp_path, line, words):
    source = tmp_path / "t.jsonl.part"
    source.write_text('{"a": "a.png", "x": 1}\n' + line + "\n")
    before = contents(tmp_path)
    with pytest.raises(DataError) as caught:
        to_parquet(source, tmp_path / "t.parquet")
    assert words in caught.value.message and str(source) in caught.value.message
    assert contents(tmp_path) == before


def test_rows_of_another_width_are_named(tmp_path):
    (tmp_path / "skipped.csv").write_text('a,b\n"c\nd",e\nf\n')
    with pytest.raises(DataError, match=r"skipped\.csv is damaged at line 4: it has 1 values, not 2"):
        list(CsvRows(tmp_path / "skipped.csv", 2))


@pytest.mark.parametrize(
    ("record", "journal", "words"),
    [
        ({"films": 1, "film_results": []}, "", "video_results must be an object, got a list of 0"),
        ([], "", "it must be an object, got a list of 0"),
        ({"films": 1, "results": 3}, "", "results must be text, got 3"),
        ({"films": 1}, "[]\n", "films.jsonl is damaged at line 1: it must be an object"),
        ({"films": 1}, '{"name": "a"}\nx\n', "films.jsonl is damaged at line 2: it is no line of JSON"),
    ],
)
def test_old_results_that_were_edited_are_named(tmp_path, record, journal, words):
    (tmp_path / "inference.json").write_text(json.dumps(record))
    (tmp_path / "films.jsonl").write_text(journal)
    with pytest.raises(DataError) as caught:
        rename_files(tmp_path)
    assert words in caught.value.message
    assert (tmp_path / "films.jsonl").read_text() == journal and not (tmp_path / "videos.jsonl").exists()


def test_a_damaged_record_is_not_in_the_way_of_force(tmp_path):
    (tmp_path / "inference.json").write_text("[]")
    rename_results(OutputOptions(results=tmp_path, force=True))
    with pytest.raises(DataError, match="must be an object"):
        rename_results(OutputOptions(results=tmp_path, resume=True))


def test_old_results_are_read_through_no_link(tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "films.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=r"films\.csv is a link"):
        rename_files(folder)
    assert not (folder / "videos.csv").exists()


@pytest.mark.parametrize("made", [os.mkdir, os.mkfifo])
def test_a_folder_or_pipe_in_place_of_a_table_is_named_and_not_waited_for(tmp_path, made):
    path = tmp_path / "t.csv"
    made(path)
    for read in (lambda: list(CsvRows(path)), lambda: list(read_entries(path))):
        with pytest.raises(DataError, match=r"cannot read .*t\.csv: (it is a folder|it is no regular file)"):
            read()
