"""``infer`` on every frame of a video: rows as those of single frames, ``--search-side``, frames of equal time."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from films import write_film
from PIL import Image
from support import Heard

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.faces.detection import Face, FaceDetector
from affectkit.data.media.video_stream import Frame, VideoStream
from affectkit.errors import UsageError
from affectkit.inference.infer import infer
from affectkit.inference.video import infer as module
from affectkit.inference.video.frame_log import FIRST_COLUMN, FrameLog
from affectkit.inference.video.sampled_frames import TrackedFace
from affectkit.inference.video.statistics import Columns
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.reports import timeline
from affectkit.settings.inference import InferSettings

EXPRESSIONS = np.zeros((2, len(PARAMETERS)))
EXPRESSIONS[1, list(PARAMETERS).index("mouth_curve")] = 1.0
FACES = [
    draw_face(expression, draw_appearance(np.random.default_rng(seed)), size=90)
    for expression, seed in zip(EXPRESSIONS, (6, 20), strict=True)
]


def scene(number):
    """Two faces, of which one walks and the other one comes after 8 frames."""
    picture = np.full((240, 320, 3), 120, np.uint8)
    for face, (left, top) in zip(FACES, ((20 + 2 * number, 20), (210, 130)), strict=True):
        if number >= 8 or left != 210:
            picture[top : top + 90, left : left + 90] = face
    return picture


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("dense") / "a.mp4", 32, fps=30, draw=scene)


def run(*paths, reporter=None, **changes):
    settings = resolve(InferSettings, flags={"paths": list(map(str, paths)), "faces": "haar", **changes}).settings
    out = io.StringIO()
    summary = infer(settings, reporter=reporter or Silent(), listed=io.StringIO(), stdout=out)
    return summary, out.getvalue()


def test_rows_are_those_of_single_frames_whatever_the_batch(film, monkeypatch):
    whole, search = [], FaceDetector.search
    monkeypatch.setattr(
        FaceDetector, "search", lambda self, picture, **how: whole.append(1) or search(self, picture, **how)
    )
    summary, text = run(film, every="1", batch_size=1)
    assert len(whole) <= 9 and summary["sampled_frames"] == 32  # anchors, and where the second face comes
    assert run(film, every="1", batch_size=64)[1] == text
    monkeypatch.undo()
    frames = [Image.fromarray(frame.pixels) for frame in VideoStream(film)]
    alone = list(affectkit.predict(affectkit.load("builtin"), frames, faces="haar"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["Face"] for row in rows} == {"1", "2"}
    clear = 0
    for one in alone:
        middle = one["x"] + one["width"] / 2, one["y"] + one["height"] / 2
        (own,) = (
            row
            for row in rows
            if row["Frame"] == one["Image Name"]
            and abs(int(row["x"]) + int(row["width"]) / 2 - middle[0]) < 8
            and abs(int(row["y"]) + int(row["height"]) / 2 - middle[1]) < 8
        )
        if one["Confidence"] > 0.6:  # below, a pixel of the box may turn a drawn face
            assert own["Predicted Label"] == one["Predicted Label"]
            assert float(own["Confidence"]) == pytest.approx(one["Confidence"], abs=0.25)
            clear += 1
    assert len(alone) >= 50 and clear >= 30


def test_the_search_side_is_recorded_and_the_same_where_a_table_is_resumed(film, tmp_path):
    found, _ = run(film, every="16", results=tmp_path / "r")
    assert found["search_side"] == 720 and found["faces"] == 2
    none, text = run(film, every="16", search_side=100)
    assert none["faces"] == 0 and text.count("\n") == 3  # 24 of 100 pixels are more than a face has there
    with pytest.raises(UsageError, match="--search-side 720 there, 1600 now"):
        run(film, every="16", search_side=1600, results=tmp_path / "r", resume=True)
    record = tmp_path / "r" / "inference.json"
    before = json.loads(record.read_text())
    assert before.pop("search_side") == 720
    record.write_text(json.dumps(before))  # as of a version that searched otherwise
    with pytest.raises(UsageError, match="--search-side not recorded there, 720 now"):
        run(film, every="16", results=tmp_path / "r", resume=True)
    whole, _ = run(film, every="16", faces="none", results=tmp_path / "w")
    assert "search_side" not in whole
    run(film, every="16", faces="none", search_side=1600, results=tmp_path / "w", resume=True)  # changes no row


def test_the_search_side_is_refused_beyond_its_limits_and_for_images_without_effect(film, tmp_path):
    for wrong in (99, 1601):
        with pytest.raises(UsageError, match="search-side"):
            run(film, search_side=wrong)
        with pytest.raises(UsageError, match="search_side must be a whole number of pixels in"):
            affectkit.predict(affectkit.load("builtin"), film, search_side=wrong)
    model = affectkit.load("builtin")
    assert [row["Face"] for row in affectkit.predict(model, film, faces="haar", every="16", search_side=100)] == [
        None,
        None,
    ]
    Image.fromarray(scene(0)).save(tmp_path / "a.png")
    heard = Heard()
    alone, _ = run(tmp_path / "a.png", search_side=100, reporter=heard)
    assert alone["faces"] == 1 and any("--search-side has no effect" in text for text in heard.warnings)


# --- frames of equal time --------------------------------------------------------------------------------------------


def test_frames_of_equal_time_stay_apart():
    def face(number, left):
        points = ((left, 3.0), (left + 2, 3.5)) if number == 2 else ()
        return TrackedFace(number, Face((left, 2.0, 3.0, 4.0), points=points), ["sad", 0.5])

    given = [(0.0, [face(1, 5.0)]), (0.5, [face(1, 6.0), face(2, 7.0)]), (0.5, []), (0.5, [face(2, 8.0)]), (1.0, [])]
    with FrameLog(Columns(("label", "value"), ())) as log:
        for at, faces in given:
            log.add(at, faces)
        read = list(log.frames())
        assert log.records().shape == (6, FIRST_COLUMN + 2)
    assert read == [
        (at, [(one.number, one.face.box, one.face.points, one.row) for one in faces]) for at, faces in given
    ]


class Stream:
    """Four frames, two of which have the same time."""

    timed, sounds, rate, start, count, end = True, False, 2.0, 0.0, 4, 2.0
    TIMES = (0.0, 0.5, 0.5, 1.5)

    def __init__(self, *args, **kwargs): ...

    def __iter__(self):
        for number, at in enumerate(self.TIMES):
            yield Frame(number, at, scene(8 if number % 2 else 0))


def test_a_timeline_of_frames_of_equal_time(tmp_path, monkeypatch, film):
    drawn = {}
    monkeypatch.setattr(module, "open_stream", Stream)
    monkeypatch.setattr(timeline, "draw_timeline", lambda path, **values: drawn.update(values))
    summary, _ = run(film, every="1", results=tmp_path / "r")
    assert summary["sampled_frames"] == 4
    assert list(drawn["edges"]) == [*Stream.TIMES, 2.0]
    by_name = [list(lane.frames) for lane in drawn["lanes"]]
    assert by_name == [[0, 1, 2, 3], [1, 3]]
