"""``infer`` on videos: rows and their times, broken videos, resuming, summaries, annotated videos in step."""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import time
from dataclasses import dataclass

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from films import coded, number_of, write_film
from support import AMBIGUITY, CLASSES, FACE_COLUMNS

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.faces.detection import FaceDetector, crop_face
from affectkit.data.loading.transforms import normalise
from affectkit.data.media.camera import Camera
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.inference import predictor as predicting
from affectkit.inference.infer import infer
from affectkit.inference.video import infer as module
from affectkit.settings.inference import InferSettings

HEADER = ["Video Name", "Frame", "Time", *FACE_COLUMNS, "Predicted Label", "Confidence", *CLASSES, *AMBIGUITY]


class Finding(FaceDetector):
    """In place of a detector: a face that moves with the number written in the picture, none in every fifth.

    In a part of a picture, which has no number, it finds none.
    """

    def __init__(self):
        super().__init__("haar")
        self._detect = lambda picture: []

    def search(self, picture, *, longest=None, turns=None):
        number = number_of(picture)
        if number % 5 == 4:
            return []
        boxes = [(20.0 + number % 60, 30.0, 24.0, 24.0)] + [(80.0, 60.0, 20.0, 20.0)] * (number % 2)
        return [(box, 1.0 + number, ()) for box in boxes]


@pytest.fixture
def finding(monkeypatch):
    monkeypatch.setattr(predicting, "make_face_detector", lambda *args: Finding())


def run(checkpoint, *paths, reporter=None, **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "batch_size": 3, **changes}
    settings = resolve(InferSettings, flags=values).settings
    out = io.StringIO()
    summary = infer(settings, reporter=reporter or Silent(), listed=io.StringIO(), stdout=out)
    return summary, list(csv.reader(io.StringIO(out.getvalue())))


def test_a_row_a_face_and_frame(trained, finding, tmp_path):
    """Every third frame of 10 a second: numbers, times, boxes, and the model's own numbers of each crop."""
    film = write_film(tmp_path / "a.mp4", 20)
    summary, (header, *rows) = run(trained, film, every="3")
    assert header == HEADER
    looks = sorted({(int(row[1]), float(row[2])) for row in rows})
    assert looks == [(k, pytest.approx(k / 10, abs=1e-3)) for k in range(0, 20, 3)]
    assert (summary["videos"], summary["sampled_frames"], summary["rows"], summary["skipped"]) == (1, 7, len(rows), 0)
    by_frame = {number: [row for row in rows if int(row[1]) == number] for number, _ in looks}
    for number, own in by_frame.items():
        if number % 5 == 4:
            assert [row[3:] for row in own] == [[""] * (len(HEADER) - 3)]
            continue
        assert len(own) == 1 + number % 2
        assert [int(value) for value in own[0][4:8]] == [20 + number, 30, 24, 24] and float(own[0][8]) == 1 + number
    model = affectkit.load(trained)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for number in (0, 6, 12):
        (face,) = Finding()(frames[number])
        crop = torch.from_numpy(crop_face(frames[number], face, model.spec)).permute(2, 0, 1)[None]
        with torch.no_grad():
            expected = (model(normalise(crop, model.spec)) / model.spec.temperature).softmax(1)[0]
        found = [float(value) for value in by_frame[number][0][23:26]]
        assert found == pytest.approx(expected.tolist(), abs=0.02)  # the two readers convert colours by themselves


def test_a_face_keeps_its_number_and_its_time_is_summed(trained, finding, tmp_path):
    film = write_film(tmp_path / "a.mp4", 30)
    summary, _ = run(trained, film, every="0.2s", results=tmp_path / "r")
    rows = list(csv.reader((tmp_path / "r" / "inference_results.csv").open()))[1:]
    assert {row[3] for row in rows if row[3]} == {"1"}  # every second frame has one face
    (told,) = summary["videos_first"]
    seen = [row for row in rows if row[3]]
    assert told["sampled_frames"] == 15 and told["frames_without_face"] == 15 - len(seen) and told["faces"] == 1
    assert told["seconds"] == pytest.approx(3.0, abs=0.01) and told["seconds_seen"] == pytest.approx(
        0.2 * len(seen), abs=0.02
    )
    for place, name in enumerate(CLASSES):
        assert told["mean"][name] == pytest.approx(np.mean([float(row[23 + place]) for row in seen]), abs=1e-5)
    labels = [row[21] for row in seen]
    assert told["time"] == pytest.approx({name: labels.count(name) / len(seen) for name in set(labels)}, abs=0.02)
    table = list(csv.DictReader((tmp_path / "r" / "videos.csv").open()))
    assert [row["Face"] for row in table] == ["", "1"] and table[0]["Sampled Frames"] == "15"
    (picture,) = (tmp_path / "r" / "timelines").rglob("a.mp4.png")
    assert picture.stat().st_size > 5000


def test_outputs_are_smoothed_over_time(trained, finding, tmp_path):
    """Against the exponential average of the logits, written out."""
    film = write_film(tmp_path / "a.mp4", 16)
    plain, smooth = (run(trained, film, every="2", smooth=seconds)[1][1:] for seconds in (0, 0.7))
    temperature = affectkit.load(trained).spec.temperature
    held, before = None, 0.0
    for one, other in zip(plain, smooth, strict=True):
        if not one[3]:
            continue
        # Of a distribution's logarithms, which are the logits over the temperature but for a constant.
        logits, time = temperature * np.log([float(value) for value in one[23:26]]), float(one[2])
        share = 1.0 if held is None else 1 - np.exp(-(time - before) / 0.7)
        held = logits if held is None else held + share * (logits - held)
        before = time
        expected = np.exp(held / temperature) / np.exp(held / temperature).sum()
        assert [float(value) for value in other[23:26]] == pytest.approx(expected.tolist(), abs=2e-4)


def test_a_broken_video_gives_its_rows_and_the_next_is_predicted(trained, finding, tmp_path):
    whole = write_film(tmp_path / "films" / "b.mkv", 30)
    data = whole.read_bytes()
    (tmp_path / "films" / "a.mkv").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "films" / "c.mp4").write_bytes(b"")
    summary, _ = run(trained, tmp_path / "films", every="5", results=tmp_path / "r")
    rows = list(csv.reader((tmp_path / "r" / "inference_results.csv").open()))[1:]
    counts = {name: sum(row[0] == name for row in rows) for name in ("a.mkv", "b.mkv", "c.mp4")}
    assert 0 < counts["a.mkv"] < counts["b.mkv"] and counts["c.mp4"] == 0
    assert (summary["videos"], summary["skipped"]) == (3, 2)
    skipped = list(csv.reader((tmp_path / "r" / "skipped.csv").open()))
    assert [row[0] for row in skipped[1:]] == ["a.mkv", "c.mp4"] and "empty" in skipped[2][1]
    with pytest.raises(DataError):
        run(trained, tmp_path / "films", every="5", on_error="fail")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_other_forms_of_rows(trained, finding, tmp_path, form):
    film = write_film(tmp_path / "a.mp4", 10)
    expected = run(trained, film, every="2")[1][1:]
    run(trained, film, every="2", results=tmp_path / "r", format=form)
    path = tmp_path / "r" / f"inference_results.{form}"
    rows = pq.read_table(path).to_pylist() if form == "parquet" else list(map(json.loads, path.open()))
    assert [list(row) for row in rows[:1]] == [HEADER] and len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row["Frame"] == int(other[1]) and row["Face"] == (int(other[3]) if other[3] else None)


def test_annotating_never_touches_the_video(trained, finding, tmp_path):
    film = write_film(tmp_path / "a.mp4", 5)
    before = film.read_bytes()
    with pytest.raises(UsageError, match="is the video itself"):
        run(trained, film, annotate=film, force=True)
    with pytest.raises(UsageError, match="ends in"):
        run(trained, film, annotate=tmp_path / "x.gif")
    write_film(tmp_path / "b.mp4", 5)
    with pytest.raises(UsageError, match="is a file, and there are 2 videos"):
        run(trained, tmp_path / "a.mp4", tmp_path / "b.mp4", annotate=tmp_path / "x.mp4")
    assert film.read_bytes() == before and sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_what_videos_cannot_be_is_refused(trained, finding, tmp_path):
    film = write_film(tmp_path / "a.mp4", 5)
    with pytest.raises(UsageError, match="--shard takes images, not videos"):
        run(trained, film, results=tmp_path / "r", shard="1/2")
    for others in ({"paths": [str(film)]}, {"resume": True, "results": tmp_path / "r"}):
        with pytest.raises(UsageError, match="--camera and"):
            resolve(InferSettings, flags={"checkpoint": trained, "camera": 0, **others})


@dataclass
class Capture:
    """A camera that gives so many pictures, 2 ms each."""

    left: int

    def isOpened(self):
        return self.left > 0

    def read(self):
        self.left -= 1
        time.sleep(0.002)
        return (self.left >= 0, coded(max(self.left, 0)) if self.left >= 0 else None)

    def release(self):
        pass

    def set(self, *args):
        pass


def test_a_camera_is_sampled_until_its_time_is_over(trained, finding, tmp_path, monkeypatch):
    clock = iter(np.arange(200_000) / 10)  # neither ends while a busy machine loads the model
    monkeypatch.setattr(
        module,
        "Camera",
        lambda number, **kw: Camera(number, open_camera=lambda _: Capture(100_000), clock=lambda: next(clock), **kw),
    )
    summary, _ = run(trained, camera=2, every="0.3s", seconds=3.0, results=tmp_path / "r", annotate=tmp_path / "c.mp4")
    rows = list(csv.reader((tmp_path / "r" / "inference_results.csv").open()))[1:]
    assert {row[0] for row in rows} == {"camera 2"} and summary["videos"] == 1 and summary["skipped"] == 0
    assert 0 < len({row[1] for row in rows}) <= 11 and float(rows[-1][2]) < 3.0
    with av.open(str(tmp_path / "c.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len({row[1] for row in rows})
    monkeypatch.setattr(module, "Camera", lambda number, **kw: Camera(number, open_camera=lambda _: Capture(0), **kw))
    with pytest.raises(DeviceError, match="no camera 3"):
        run(trained, camera=3)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_does_not_grow_with_the_video(trained, finding, tmp_path):
    """Five minutes take no more than fifteen seconds did before: a process's greatest memory never falls."""
    short, long = (write_film(tmp_path / f"{count}.mp4", count) for count in (150, 3000))
    run(trained, short, results=tmp_path / "a", annotate=tmp_path / "a.mp4")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(trained, long, results=tmp_path / "b", annotate=tmp_path / "b.mp4")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB
