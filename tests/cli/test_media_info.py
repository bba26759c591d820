"""``affectkit media-info``: blocks, a line of JSON a file, exit codes, folders and patterns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from films import write_film
from PIL import Image
from support import invoke


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video, one that was cut, one whose name looks like an address, an animation, a photograph and a text."""
    root = tmp_path_factory.mktemp("media")
    write_film(root / "a.mkv", 20, clicks=[1.0])
    content = write_film(root / "2024-05-01T10:30:00.mkv", 20).read_bytes()
    (root / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("black", "red")]
    frames[0].save(root / "moves.gif", save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(root / "still.png")
    (root / "notes.txt").write_text("none")
    return root


def test_a_folder_is_one_line_of_json_a_file_and_exit_code_4(folder):
    done = invoke("media-info", folder, "--json")
    assert done.returncode == 4
    reports = {Path(report["file"]).name: report for report in map(json.loads, done.stdout.splitlines())}
    assert list(reports) == ["2024-05-01T10:30:00.mkv", "a.mkv", "cut.mkv", "moves.gif"]
    assert [name for name, report in reports.items() if report["faults"]] == ["cut.mkv"]
    assert reports["a.mkv"]["pictures"]["count"] == 20 and reports["a.mkv"]["sound"]["samples"] > 0
    assert reports["moves.gif"]["kind"] == "animation"
    assert len({frozenset(report) for report in reports.values()}) == 1  # the same keys, whatever the file is
    assert "passed over: 1 still image (still.png); neither images nor videos: 1 .txt" in done.stderr
    assert f"faulty: 1 of 4 files ({folder / 'cut.mkv'})" in done.stderr


def test_a_whole_file_is_a_block_and_exit_code_0(folder):
    done = invoke("media-info", folder / "a.mkv")
    assert done.returncode == 0 and done.stderr == ""
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines() if line[:1].strip())
    assert rows["file"] == str(folder / "a.mkv") and rows["kind"].startswith("video, ")
    assert rows["fault"] == "none found; --decode reads every frame"
    assert rows["length"].endswith("stated") and rows["frames"].startswith("20, 10/s on average, constant, 0.1000 s")
    assert "dBFS" in rows["level"] and rows["shown"].startswith("128x96, stored 128x96")
    done = invoke("media-info", folder / "a.mkv", "--decode", "--no-levels")
    assert done.returncode == 0 and "20, 20 decoded" in done.stdout and "dBFS" not in done.stdout
    assert done.stdout.split()[-1] == "none"


def test_patterns_lists_and_paths_that_are_not_there_are_as_for_infer(folder):
    done = invoke("media-info", folder / "*.mkv", "--json", "--no-levels")
    assert done.returncode == 4 and len(done.stdout.splitlines()) == 3
    missing = invoke("media-info", folder / "b.mkv")
    assert missing.returncode == 1 and "does not exist" in missing.stderr and "a.mkv" in missing.stderr
    still = invoke("media-info", folder / "still.png")
    assert still.returncode == 1 and "1 still image" in still.stderr
    assert invoke("media-info").returncode == 2
    text = invoke("media-info", folder / "notes.txt")
    assert text.returncode == 1 and "is a text, and no picture or video" in text.stderr and "- < " in text.stderr


def test_a_file_that_does_not_open_is_named_and_described_as_infer_does(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "bad.mp4").write_bytes(b"not a film" * 9)
    (tmp_path / "films" / "empty.mp4").touch()
    shown = invoke("media-info", tmp_path / "films", "--json")
    reports = [json.loads(line) for line in shown.stdout.splitlines()]
    assert shown.returncode == 4 and [Path(report["file"]).exists() for report in reports] == [True, True]
    told = invoke("infer", tmp_path / "films", "--results", tmp_path / "out").stderr
    for report in reports:
        (fault,) = report["faults"]
        assert fault["message"] in told
    assert "2 of 2 videos not read to the end" in told
