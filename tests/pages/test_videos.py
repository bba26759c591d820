"""Pages of videos, of tables by hand and of a film that is predicted: rows, tracks, cuts, frames."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from films import write_film
from pages.result_folders import CLASSES, FACE, data_of, predicted, shares, text_of, write_csv
from PIL import Image

from affectkit.pages.make import make_report

HEADER = ["Video Name", "Frame", "Time", *FACE, "Predicted Label", "Confidence", *CLASSES]


def rows_of(name: str, seen: list[list[int]], step: float = 0.5) -> list[list[str]]:
    """Rows of a video: which faces are seen in each sampled frame."""
    found = []
    for place, faces in enumerate(seen):
        begin = [name, str(15 * place), f"{place * step:.6f}"]
        for face in faces:
            row = shares(1, seed=100 * place + face)[0]
            found.append([*begin, str(face), "10", "8", "40", "40", "57.000000", *predicted(row)])
        if not faces:
            found.append([*begin, *[""] * (len(HEADER) - 3)])
    return found


def folder_of(root, rows, record=None, *, name="inference_results.csv"):
    write_csv(root / name, HEADER, rows)
    record = {"classes": list(CLASSES), "paths": [str(root / "films")], **(record or {})}
    (root / "inference.json").write_text(json.dumps(record))
    return root


def test_every_row_is_in_the_page_by_track(tmp_path):
    rows = rows_of("<b>a</b>.mp4", [[1, 2], [1, 2], [], [2], [3]]) + rows_of("b.mp4", [[1], [1]])
    make_report(folder_of(tmp_path, rows), tmp_path / "page.html")
    films = data_of(tmp_path / "page.html")["videos"]["videos"]
    assert [film["name"] for film in films] == ["<b>a</b>.mp4", "b.mp4"]
    assert films[0]["frames"] == [0, 15, 30, 45, 60]
    assert films[0]["times"] == [0, 0.5, 1, 1.5, 2]
    found = {
        (film["name"], film["frames"][at], track["face"]): values
        for film in films
        for track in film["tracks"]
        for at, values in zip(track["at"], track["values"], strict=True)
    }
    assert found == {(row[0], int(row[1]), row[3]): [float(cell) for cell in row[-8:]] for row in rows if row[3]}
    assert "<b>a" not in text_of(tmp_path / "page.html")


def test_cuts_are_those_of_the_run_and_else_guessed_from_the_tracks(tmp_path):
    rows = rows_of("a.mp4", [[1, 2], [2], [3, 4], [4], [], [5]])
    folder = folder_of(tmp_path, rows)
    make_report(folder, tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["videos"]["videos"][0]["cuts"] == [1.0]
    entry = {"name": "a.mp4", "rows": 8, "video": {"video": "a.mp4", "seconds": 3.0, "cuts": [0.75, 2.25]}}
    (folder / "videos.jsonl").write_text(json.dumps(entry) + "\n")
    make_report(folder, tmp_path / "page.html")
    film = data_of(tmp_path / "page.html")["videos"]["videos"][0]
    assert (film["cuts"], film["recorded"], film["end"]) == ([0.75, 2.25], True, 3.0)


def test_pages_have_no_times_and_no_cuts(tmp_path):
    rows = [[*row[:2], "", *row[3:]] for row in rows_of("pages.tif", [[1], [2], []])]
    make_report(folder_of(tmp_path, rows), tmp_path / "page.html")
    film = data_of(tmp_path / "page.html")["videos"]["videos"][0]
    assert (film["timed"], film["times"], film["cuts"]) == (False, [0, 1, 2], [])
    assert "nan" not in text_of(tmp_path / "page.html")


def test_results_of_when_videos_were_called_films_are_read(tmp_path):
    folder = folder_of(tmp_path / "films", rows_of("a.mp4", [[1], []]), {"paths": [str(tmp_path)]})
    entry = {"name": "a.mp4", "rows": 2, "film": {"film": "a.mp4", "seconds": 1.5, "looks": 2}}
    (folder / "films.jsonl").write_text(json.dumps(entry) + "\n")
    header = ["Video Name", "Face", "From", "To", "Seconds Seen", "Looks", "Looks Without Face", "mean neutral"]
    write_csv(folder / "films.csv", header, [["a.mp4", "", "0", "0.5", "0.5", "2", "1", "0.25"]])
    for results in (folder, tmp_path):
        (tmp_path / "inference.json").write_text(json.dumps({"classes": list(CLASSES)}))
        make_report(results, tmp_path / "page.html")
        film = data_of(tmp_path / "page.html")["videos"]["videos"][0]
        assert (film["name"], film["end"]) == ("a.mp4", 1.5)
        assert "1 without a face" in text_of(tmp_path / "page.html")


def test_a_film_too_long_is_thinned_and_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr("affectkit.pages.videos.MOST_FRAMES", 10)
    make_report(folder_of(tmp_path, rows_of("a.mp4", [[1]] * 25)), tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["videos"]["videos"][0]["frames"] == [45 * k for k in range(9)]
    assert "every 3rd is in this page" in text_of(tmp_path / "page.html")
    assert "25" in text_of(tmp_path / "page.html")


def test_a_stopped_run_and_a_missing_film_are_told(tmp_path):
    rows = rows_of("a.mp4", [[1], [1]])
    made = make_report(folder_of(tmp_path, rows, name="inference_results.csv.part"), tmp_path / "page.html")
    assert (made["pictures"], made["without_picture"]) == (0, 2)
    text = text_of(tmp_path / "page.html")
    assert "The run was stopped" in text
    assert "1 original is not where the record says" in text


def test_a_camera_has_no_film_to_look_at(tmp_path):
    folder = folder_of(tmp_path, rows_of("camera 0", [[1], [1]]), {"camera": 0, "paths": []})
    make_report(folder, tmp_path / "page.html")
    assert "frames of a camera are not kept" in text_of(tmp_path / "page.html")


@pytest.mark.parametrize("box", [True, False])
def test_frames_of_the_film_are_shown_at_their_places(tmp_path, box):
    def draw(number):
        return np.full((96, 128, 3), 8 * number, np.uint8)

    write_film(tmp_path / "films" / "a.mp4", 20, draw=draw)
    rows = [[*row[:1], str(5 * k), f"{k * 0.5:.6f}", *row[3:]] for k, row in enumerate(rows_of("a.mp4", [[1]] * 4))]
    if not box:
        rows = [[*row[:4], *[""] * 5, *row[9:]] for row in rows]
    made = make_report(folder_of(tmp_path, rows), tmp_path / "page.html")
    assert made["pictures"] == 4
    film = data_of(tmp_path / "page.html")["videos"]["videos"][0]
    assert film["size"] == [128, 96]
    for place, address in film["stills"].items():
        picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert picture.size == (128, 96)
        assert abs(np.asarray(picture).mean() - 8 * film["frames"][int(place)]) < 6


def test_clips_that_were_predicted_whole_show_their_first_picture(tmp_path):
    write_film(tmp_path / "clips" / "a.mp4", 5, draw=lambda number: np.full((96, 128, 3), 200, np.uint8))
    own = shares(1)[0]
    write_csv(tmp_path / "results" / "inference_results.csv", ["Image Name", "Predicted Label", "Confidence", *CLASSES],
              [["a.mp4", *predicted(own)]])  # fmt: skip
    record = {"classes": list(CLASSES), "paths": [str(tmp_path / "clips")]}
    (tmp_path / "results" / "inference.json").write_text(json.dumps(record))
    assert make_report(tmp_path / "results", tmp_path / "page.html")["pictures"] == 1
    grid = data_of(tmp_path / "page.html")["grid"]
    assert grid["what"] == "clip"
    picture = Image.open(io.BytesIO(base64.b64decode(grid["pictures"][0].partition(",")[2])))
    assert abs(np.asarray(picture).mean() - 200) < 6
