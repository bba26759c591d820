"""``infer`` of a film with known faces: tracks over cuts, ``--track-gap``, resumed tables."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict

import pytest
from face_film_kinds import make_film
from face_films import schematic_people
from films import write_film
from pages.result_folders import data_of

import affectkit
from affectkit.config import resolve
from affectkit.core.boxes import overlap
from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.inference.infer import infer
from affectkit.pages.make import make_report
from affectkit.settings.inference import InferSettings

FILM = make_film("cutaway", schematic_people(2, 1), 1)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(
        tmp_path_factory.mktemp("tracks") / "a.mp4", 72, fps=8, draw=lambda number: FILM.picture(number / 8)[0]
    )


def run(path, **changes):
    settings = resolve(
        InferSettings, flags={"paths": [str(path)], "faces": "haar", "every": "0.25s", **changes}
    ).settings
    out = io.StringIO()
    summary = infer(settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
    return summary, list(csv.DictReader(io.StringIO(out.getvalue())))


def numbers(rows, *, until=9.0):
    """Numbers of tracks by person, in order; boxes that are no face are left out."""
    found = defaultdict(list)
    for row in rows:
        if row["Face"] and float(row["Time"]) < until:
            box = tuple(float(row[name]) for name in ("x", "y", "width", "height"))
            for person, true in FILM.picture(float(row["Time"]))[1].items():
                if overlap(box, true) > 0.4:
                    found[person].append(int(row["Face"]))
    return found


def test_people_keep_their_numbers_over_cuts(film):
    _, rows = run(film)
    found = numbers(rows)
    assert set(found) == {0, 1} and all(len(own) >= 15 for own in found.values())
    # The last shot shows them from another side, in each other's place.
    assert all(len(set(own)) == 1 for own in numbers(rows, until=6.0).values())
    assert not set(found[0]) & set(found[1])


def test_the_gap_is_recorded_and_counts(film, tmp_path):
    found, _ = run(film, results=tmp_path / "r")
    assert found["track_gap"] == 5.0
    _, short = run(film, track_gap=0.5)
    assert all(len(set(own)) >= 2 for own in numbers(short, until=6.0).values())
    with pytest.raises(UsageError, match="--track-gap 5.0 there, 1.0 now"):
        run(film, results=tmp_path / "r", track_gap=1.0, resume=True)
    record = tmp_path / "r" / "inference.json"
    before = json.loads(record.read_text())
    assert before.pop("track_gap") == 5.0
    record.write_text(json.dumps(before))  # as of a version without
    run(film, results=tmp_path / "r", resume=True)
    with pytest.raises(UsageError, match="track-gap"):
        run(film, track_gap=-1)
    with pytest.raises(UsageError, match="track_gap must be seconds, 0 or more"):
        affectkit.predict(affectkit.load("builtin"), film, track_gap=-1)


def test_frames_taken_whole_are_one_face_from_beginning_to_end(film):
    _, rows = run(film, faces="none")
    assert {row["Face"] for row in rows} == {"1"} and len(rows) == 36


def test_the_cuts_are_recorded(film, tmp_path):
    summary, _ = run(film, results=str(tmp_path / "out"))
    # Of the film; of its frames every second is looked at.
    assert summary["videos_first"][0]["cuts"] == [2.5, 3.5, 5.0, 6.0]
    (line,) = (tmp_path / "out" / "videos.jsonl").read_text().splitlines()
    assert json.loads(line)["video"]["cuts"] == [2.5, 3.5, 5.0, 6.0]
    make_report(tmp_path / "out", tmp_path / "page.html")
    (shown,) = data_of(tmp_path / "page.html")["videos"]["videos"]
    assert (shown["cuts"], shown["recorded"]) == ([2.5, 3.5, 5.0, 6.0], True)
    whole, _ = run(film, faces="none")
    assert "cuts" not in whole["videos_first"][0]  # nothing has looked for them
