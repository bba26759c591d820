"""Results from the time when videos were called films are renamed, whole and however often it is interrupted."""

from __future__ import annotations

import json

import pytest

from affectkit.inference.result_files import OutputOptions
from affectkit.inference.video import legacy_names
from affectkit.inference.video.legacy_names import rename_files, rename_results

ENTRY = {"name": "a", "rows": 1, "mark": None, "film": {"film": "a", "looks": 2, "looks_without_face": 1,
         "mean": {"film": 0.25}, "time": {"looks": 1.0}, "by_face": [{"face": 1, "looks": 1}]}}  # fmt: skip
RENAMED = {"name": "a", "rows": 1, "mark": None, "video": {"video": "a", "sampled_frames": 2, "frames_without_face": 1,
           "mean": {"film": 0.25}, "time": {"looks": 1.0}, "by_face": [{"face": 1, "sampled_frames": 1}]}}  # fmt: skip
"""Classes of a model may be called anything: their names stay."""


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "results" / "films"
    folder.mkdir(parents=True)
    (folder / "inference.json").write_text(json.dumps({"films": 1, "looks": 2, "results": str(folder / "x.csv")}))
    (folder / "films.csv").write_text("Video Name,Looks,Looks Without Face,mean Looks\na,2,1,0.25\n")
    (folder / "films.jsonl").write_text(json.dumps(ENTRY) + "\n")
    (folder / "films.jsonl.part").write_text(json.dumps({**ENTRY, "end": 7}) + "\n" + '{"name": "torn')
    (folder.parent / "inference.json").write_text(json.dumps({"images": 1, "film_results": {"films": 1}}))
    return folder


def is_renamed(folder):
    assert (folder / "videos.csv").read_text() == (
        "Video Name,Sampled Frames,Frames Without Face,mean Looks\na,2,1,0.25\n"
    )
    assert json.loads((folder / "videos.jsonl").read_text()) == RENAMED
    assert json.loads((folder / "videos.jsonl.part").read_text()) == {**RENAMED, "end": 7}  # without what is torn
    names = {"inference.json", "videos.csv", "videos.jsonl", "videos.jsonl.part"}
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == names


def test_files_columns_and_entries_get_the_names_of_today(old):
    rename_results(OutputOptions(results=old.parent))
    assert old.exists()  # neither resumed nor replaced: nothing is touched
    rename_results(OutputOptions(results=old.parent, resume=True))
    folder = old.parent / "videos"
    rename_files(folder)
    is_renamed(folder)
    record = json.loads((folder / "inference.json").read_text())
    assert record == {"videos": 1, "sampled_frames": 2, "results": str(folder / "x.csv")}
    assert json.loads((old.parent / "inference.json").read_text()) == {"images": 1, "video_results": {"videos": 1}}
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    rename_files(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("writes", range(4))
def test_interrupted_at_any_file_it_is_done_again(old, monkeypatch, writes):
    real, left = legacy_names.whole_file, [writes]

    def failing(path):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(legacy_names, "whole_file", failing)
        try:
            rename_files(old)
        except KeyboardInterrupt:
            assert writes < 3
        else:
            assert writes == 3
    rename_files(old)
    is_renamed(old)
