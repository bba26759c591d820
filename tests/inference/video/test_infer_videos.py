"""``infer`` on videos and cameras: rows, times, face tracks, broken videos, resuming, annotated videos with sound."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from films import SIZE, coded, heard, loud_at, number_of, seen, write_film
from support import AMBIGUITY, FACE_COLUMNS, Heard
from torch import nn

from affectkit.config import resolve, value_of
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.media.video_stream import VideoStream
from affectkit.engines.torch_engine import TorchEngine
from affectkit.errors import DataError, DeviceError, Stopped, UsageError
from affectkit.inference.predictor import Predictor
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.video import annotated_video
from affectkit.inference.video.infer import infer_camera, infer_videos
from affectkit.inference.video.options import VideoOptions
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import ProcessGroup
from affectkit.settings.inference import InferSettings
from affectkit.settings.values import Every
from affectkit.tasks.classification import ClassificationTask
from affectkit.tasks.ratings import RatingsTask

CLASSES = ("dark", "middle", "bright")
SPEC = InputSpec("classification", 8, 8, channels=3, classes=CLASSES, mean=(0.0,) * 3, std=(1.0,) * 3)
HEADER = ["Video Name", "Frame", "Time", *FACE_COLUMNS, "Predicted Label", "Confidence", *CLASSES, *AMBIGUITY]
SIDE = 24


@dataclass(frozen=True)
class Item:
    name: str
    path: Path
    position: int = 0


class Brightness(nn.Module):
    """Logits that grow with how near the mean brightness is to 0.2, 0.5 and 0.8."""

    def __init__(self):
        super().__init__()
        self.levels = nn.Parameter(torch.tensor([0.2, 0.5, 0.8]))

    def forward(self, images):
        return -60 * (images.mean((1, 2, 3))[:, None] - self.levels) ** 2


class Squares(FaceDetector):
    """Stands in for a detector: finds squares of pure red, green and blue of ``SIDE`` pixels, by colour."""

    def __init__(self):
        super().__init__("haar")
        self._detect = self.squares

    def frame_face(self, picture, box, points):
        return box[0] + box[2] / 2, box[1] + box[3] / 2, max(box[2:]), 0.0

    def squares(self, picture):
        found = []
        for channel in range(3):
            rest = [other for other in range(3) if other != channel]
            inside = (picture[..., channel] > picture[..., rest].max(2).astype(int) + 60)[12:]
            if inside.sum() > SIDE * SIDE / 2:
                rows, columns = np.flatnonzero(inside.sum(1) > 4), np.flatnonzero(inside.sum(0) > 4)
                box = (columns[0], rows[0] + 12, len(columns), len(rows))
                found.append((tuple(map(float, box)), 0.5 + channel / 10, ()))
        return found


def scene(number, places=(), size=SIZE):
    """The number of the picture, and squares: (channel, left, top, level)."""
    picture = coded(number, size)
    for channel, left, top, level in places:
        square = np.zeros(3)
        square[channel] = 80
        picture[top : top + SIDE, left : left + SIDE] = np.clip(square + level, 0, 255)
    return picture


def moving(number):
    """A red square that goes right, a green one that goes left below, away for frames 20 to 29, and becomes bright."""
    level = 30 if number < 30 else 150
    places = [(0, 4 + number, 36, level)]
    places += [(1, 90 - number, 66, 90)] if not 20 <= number < 30 else []
    return scene(number, places)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    write_film(root / "a.mp4", 60, draw=moving, options={"movflags": "faststart"}, clicks=[2.0])
    raw = (root / "a.mp4").read_bytes()
    (root / "b-cut.mp4").write_bytes(raw[: len(raw) * 6 // 10])
    write_film(root / "c-none.mkv", 10)
    (root / "d-pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    return root


def chosen(**changes):
    paths = {} if "camera" in changes else {"paths": ["x"]}
    return resolve(InferSettings, flags={**paths, "batch_size": 4, **changes}).settings


def given(**changes):
    return {
        "model": Brightness().eval(), "task": ClassificationTask(SPEC), "context": RunContext.resolve("cpu", "fp32"),
        "face_detector": Squares(), "reporter": Silent(), "stdout": io.StringIO(), **changes,
    }  # fmt: skip


def arguments_of(settings, model, task, context, face_detector, reporter, stdout):
    """The predictor and the options that ``infer`` would make of ``settings``."""
    asked = {"every": str(settings.every or "0.5s"), "smooth": settings.smooth, "seconds": settings.seconds}
    summary = {"checkpoint": "x", "checkpoint_sha256": "0", "paths": ["x"], "recursive": False, **asked}
    batch = {"batch_size": settings.batch_size, "on_error": settings.on_error}
    options = VideoOptions(**{**asked, "every": value_of(settings.every, Every(0.5, 0))}, **batch)
    names = ("results", "format", "resume", "force", "annotate")
    output = OutputOptions(**{name: getattr(settings, name) for name in names}, shard=value_of(settings.shard))
    shared = {"options": options, "output": output, "summary": summary, "stdout": stdout, "reporter": reporter}
    return Predictor(TorchEngine(model, context, task), task, face_detector), shared


def items(folder, *names):
    return [Item(name, folder / name, position) for position, name in enumerate(names)]


def run(folder, *names, options=None, **changes):
    parts = given(**(options or {}))
    predictor, shared = arguments_of(chosen(**changes), **parts)
    return infer_videos(predictor, items(folder, *names), **shared), parts["stdout"].getvalue()


def table(text_or_path):
    text = text_or_path if isinstance(text_or_path, str) else text_or_path.read_text()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_a_frame_and_face(folder):
    summary, text = run(folder, "a.mp4", every="0.5s")
    assert text.splitlines()[0] == ",".join(HEADER)
    rows = table(text)
    assert [(int(row["Frame"]), float(row["Time"])) for row in rows if row["Face"] in ("1", "")] == [
        (number, number / 10) for number in range(0, 60, 5)
    ]
    first = [row for row in rows if row["Face"] == "1"]
    assert len(first) == 12
    for row in first:
        assert abs(int(row["x"]) - (4 + int(row["Frame"]))) <= 1 and row["y"] == "36"
        assert row["Predicted Label"] == ("dark" if int(row["Frame"]) < 30 else "bright")
        assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-5)
    second = [int(row["Frame"]) for row in rows if row["Face"] == "2"]
    assert second == [0, 5, 10, 15, 30, 35, 40, 45, 50, 55]  # known again after a second
    assert (summary["videos"], summary["sampled_frames"], summary["faces"], summary["rows"], summary["skipped"]) == (
        1,
        12,
        2,
        22,
        0,
    )
    (film,) = summary["videos_first"]
    assert film["seconds"] == pytest.approx(6.0) and film["frames_without_face"] == 0
    one, two = film["by_face"]
    assert one["time"] == pytest.approx({"dark": 0.5, "bright": 0.5}) and one["seconds_seen"] == pytest.approx(6.0)
    assert two["seconds_seen"] == pytest.approx(5.0) and two["from"] == 0 and two["to"] == 5.5
    for name in CLASSES:
        assert one["mean"][name] == pytest.approx(np.mean([float(row[name]) for row in first]), abs=1e-6)
        assert film["mean"][name] == pytest.approx(np.mean([float(row[name]) for row in rows]), abs=1e-6)


def test_rows_do_not_depend_on_batches_and_are_those_of_frames_alone(folder):
    texts = {size: run(folder, "a.mp4", every="7", batch_size=size)[1] for size in (1, 3, 64)}
    assert len(set(texts.values())) == 1
    assert [int(row["Frame"]) for row in table(texts[1]) if row["Face"] == "1"] == list(range(0, 60, 7))
    assert [float(row["Time"]) for row in table(run(folder, "a.mp4", seconds=1.2)[1]) if row["Face"] == "1"] == [
        0,
        0.5,
        1.0,
    ]


def test_results_of_videos_of_which_some_are_broken(folder, tmp_path):
    reporter = Heard()
    names = ("a.mp4", "b-cut.mp4", "c-none.mkv", "d-pointer.mp4")
    summary, text = run(folder, *names, results=tmp_path / "r", options={"reporter": reporter})
    assert text == "" and summary["skipped"] == 2 and summary["videos"] == 4
    assert [item["image"] for item in summary["skipped_first"]] == ["b-cut.mp4", "d-pointer.mp4"]
    rows = table(tmp_path / "r" / "inference_results.csv")
    whole = [row for row in rows if row["Video Name"] == "a.mp4"]
    cut = [row for row in rows if row["Video Name"] == "b-cut.mp4"]
    assert 8 < len(cut) < len(whole)
    assert [{**row, "Video Name": "a.mp4"} for row in cut] == whole[: len(cut)]  # the rows so far stand
    none = [row for row in rows if row["Video Name"] == "c-none.mkv"]
    assert [(row["Frame"], row["Face"], row["bright"]) for row in none] == [("0", "", ""), ("5", "", "")]
    skipped = table(tmp_path / "r" / "skipped.csv")
    assert [row["Video Name"] for row in skipped] == ["b-cut.mp4", "d-pointer.mp4"]
    assert "after" in skipped[0]["Reason"] and "pointer" in skipped[1]["Reason"]
    films = table(tmp_path / "r" / "videos.csv")
    assert [(row["Video Name"], row["Face"]) for row in films] == [
        *(("a.mp4", face) for face in ("", "1", "2")), *(("b-cut.mp4", face) for face in ("", "1", "2")),
        ("c-none.mkv", ""), ("d-pointer.mp4", ""),
    ]  # fmt: skip
    assert films[0]["Frames Without Face"] == "0" and films[6]["Frames Without Face"] == "2" and films[3]["Reason"]
    assert float(films[1]["time bright"]) == pytest.approx(0.5)
    timelines = sorted(path.name for path in (tmp_path / "r" / "timelines").iterdir())
    assert timelines == ["a.mp4.png", "b-cut.mp4.png", "c-none.mkv.png"]
    assert json.loads((tmp_path / "r" / "inference.json").read_text())["videos"] == 4
    assert not list((tmp_path / "r").glob("*.part"))
    with pytest.raises(DataError, match="b-cut"):
        run(folder, *names, on_error="fail")


class Breaking(Squares):
    """Raises a signal, or an error, at the n-th look."""

    def __init__(self, at, number=None):
        super().__init__()
        self.left, self.number = at, number

    def squares(self, picture):
        self.left -= 1
        if self.left == 0:
            if self.number is None:
                raise MemoryError("as if the machine went down")
            os.kill(os.getpid(), self.number)  # to the main thread; this is another
        return super().squares(picture)


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT])
def test_a_rerun_resumes_with_the_video_that_was_stopped(folder, tmp_path, number):
    names = ("a.mp4", "b-cut.mp4", "c-none.mkv", "e.mp4")
    source = tmp_path / "films"
    source.mkdir()
    for name in names[:3]:
        (source / name).write_bytes((folder / name).read_bytes())
    (source / "e.mp4").write_bytes((folder / "a.mp4").read_bytes())
    run(source, *names, results=tmp_path / "whole")
    wanted = (tmp_path / "whole" / "inference_results.csv").read_text()
    stopping = {"face_detector": Breaking(28, number)}
    with pytest.raises(MemoryError if number is None else Stopped) as caught:
        run(source, *names, results=tmp_path / "r", options=stopping, batch_size=1)
    if number is not None:
        assert caught.value.exit_code == (130 if number == signal.SIGINT else 75) and "--resume" in caught.value.hint
    part = tmp_path / "r" / "inference_results.csv.part"
    assert part.exists() and not (tmp_path / "r" / "videos.csv").exists()
    with pytest.raises(UsageError, match="exists"):
        run(source, *names, results=tmp_path / "r")
    with pytest.raises(UsageError, match="every"):
        run(source, *names, results=tmp_path / "r", resume=True, every="1s")
    with part.open("a") as stream:
        stream.write('e.mp4,20,2.0,1,"torn')
    reporter = Heard()
    summary, _ = run(source, *names, results=tmp_path / "r", resume=True, options={"reporter": reporter})
    assert any("resuming after" in note for note in reporter.notes)
    assert (tmp_path / "r" / "inference_results.csv").read_text() == wanted
    for name in ("videos.csv", "skipped.csv"):
        mine, other = ((tmp_path / which / name).read_text() for which in ("r", "whole"))
        assert mine == other
    again, _ = run(source, *names, results=tmp_path / "r", resume=True, options={"face_detector": Breaking(1)})
    assert again == summary


def test_what_cannot_be_done_is_refused(folder, tmp_path):
    from affectkit.core.clipspec import ClipSpec

    with pytest.raises(UsageError, match="--shard takes images"):
        run(folder, "a.mp4", shard="1/2", results=tmp_path / "r")
    clips = ClassificationTask(SPEC.with_(clip=ClipSpec()))
    with pytest.raises(UsageError, match="takes clips whole"):
        run(folder, "a.mp4", every="2s", options={"task": clips})
    context = RunContext.resolve("cpu", "fp32")
    context.group = ProcessGroup(world_size=2)
    with pytest.raises(UsageError, match="there are 2"):
        run(folder, "a.mp4", options={"context": context})
    with pytest.raises(DataError, match="no video"):
        run(folder)
    for name, told in (("x.avi", "ends in"), ("x.mp4", "2 videos")):
        with pytest.raises(UsageError, match=told):
            run(folder, *("a.mp4", "c-none.mkv")[: 1 + (told == "2 videos")], annotate=tmp_path / name)


def test_times_are_those_of_a_player_where_the_picture_begins_after_the_sound(tmp_path):
    late = [1500 + 100 * number for number in range(20)]
    write_film(tmp_path / "late.mkv", 20, times=late, clicks=[1.0])
    write_film(tmp_path / "plain.mkv", 20, clicks=[1.0])
    write_film(tmp_path / "silent.mkv", 20, times=late)
    heard = Heard()
    names = ("late.mkv", "plain.mkv", "silent.mkv")
    record, _ = run(tmp_path, *names, options={"reporter": heard}, every="1s", results=tmp_path / "r")
    times = {name: [] for name in names}
    for row in table(tmp_path / "r" / "inference_results.csv"):
        times[row["Video Name"]].append(float(row["Time"]))
    # A picture alone begins with the file; one that comes 1.5 s after the sound does not.
    assert times["plain.mkv"] == times["silent.mkv"] == [0.0, 1.0]
    assert times["late.mkv"] == pytest.approx([1.5, 2.0, 3.0])
    videos = {row["Video Name"]: row for row in table(tmp_path / "r" / "videos.csv") if not row["Face"]}
    assert [float(videos[name]["Picture Start"]) for name in names] == [1.5, 0.0, 0.0]
    assert [videos[name]["From"] for name in names] == [videos[name]["Picture Start"] for name in names]
    assert float(videos["late.mkv"]["Sound Start"]) == 0 and videos["silent.mkv"]["Sound Start"] == ""
    assert [float(videos[name]["To"]) for name in names] == pytest.approx([3.5, 2.0, 2.0])
    assert record["videos"] == 3 and not record["skipped"]


def test_what_is_inferred_about_a_video_is_reported_once(tmp_path):
    (tmp_path / "one.ts").write_bytes(write_film(tmp_path / "part.ts", 20).read_bytes() * 3)
    heard = Heard()
    run(tmp_path, "one.ts", options={"reporter": heard}, every="0.5s", results=tmp_path / "r")
    assert [text for text in heard.notes if "set anew" in text] == [
        "one.ts: its clock was set anew 2 times: the times go on"
    ]
    rows = table(tmp_path / "r" / "inference_results.csv")
    assert [float(row["Time"]) for row in rows] == pytest.approx(np.arange(12) / 2)
    (entry,) = map(json.loads, (tmp_path / "r" / "videos.jsonl").read_text().splitlines())
    assert entry["video"]["notes"] == ["its clock was set anew 2 times: the times go on"]


def test_ratings_and_whole_pictures(folder, tmp_path):
    class Two(nn.Module):
        def forward(self, images):
            return images.mean((1, 2, 3))[:, None] * torch.tensor([[1.0, 2.0]])

    task = RatingsTask(SPEC.with_(task="ratings", classes=("valence", "arousal")))
    summary, _ = run(
        folder, "a.mp4", results=tmp_path, options={"task": task, "model": Two().eval(), "face_detector": None}
    )
    rows = table(tmp_path / "inference_results.csv")
    assert len(rows) == 12 and {row["Face"] for row in rows} == {"1"} and rows[0]["width"] == str(SIZE[0])
    assert all(
        float(row["Predicted Arousal"]) == pytest.approx(2 * float(row["Predicted Valence"]), abs=2e-6) for row in rows
    )
    (film,) = summary["videos_first"]
    assert set(film["mean"]) == {"Predicted Valence", "Predicted Arousal"} and "time" not in film
    assert (tmp_path / "timelines" / "a.mp4.png").stat().st_size > 5000


def coloured_boxes(picture):
    """Which of the colours of annotations are in a picture: blue of the first face, vermilion of the second."""
    values = picture.astype(int)
    return [bool((np.abs(values - colour).sum(2) < 60).sum() > 20) for colour in ((0, 114, 178), (213, 94, 0))]


def test_an_annotated_video_is_in_step(folder, tmp_path):
    target = tmp_path / "out.mp4"
    run(folder, "a.mp4", annotate=target)
    found = seen(target)
    assert [number_of(picture) for _, picture in found] == list(range(60))  # all frames, at their own rate
    assert [at for at, _ in found] == pytest.approx(np.arange(60) / 10, abs=1e-3)
    assert abs(loud_at(target) - 2.0) < 0.05 and abs(loud_at(target) - loud_at(folder / "a.mp4")) < 0.05
    wave, rate = heard(target)
    assert len(wave) / rate == pytest.approx(6.0, abs=0.1)
    kept = [coloured_boxes(picture) for _, picture in found]
    assert all(one for one, _ in kept) and [two for _, two in kept] == [not 20 <= k < 30 for k in range(60)]
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    with pytest.raises(UsageError, match="exists"):
        run(folder, "a.mp4", annotate=target)


def test_annotated_videos_of_a_folder_as_far_as_they_go(folder, tmp_path):
    target = tmp_path / "annotated"
    run(folder, "b-cut.mp4", "c-none.mkv", "d-pointer.mp4", annotate=target, every="3")
    assert sorted(path.name for path in target.iterdir()) == ["b-cut.mp4", "c-none.mkv.mp4"]
    numbers = [number_of(picture) for _, picture in seen(target / "b-cut.mp4")]
    film = VideoStream(folder / "b-cut.mp4")
    with pytest.raises(DataError):
        list(film)
    assert 15 < film.count < 59 and numbers == list(range(film.count))
    assert [number_of(picture) for _, picture in seen(target / "c-none.mkv.mp4")] == list(range(10))
    with pytest.raises(UsageError, match="is the video itself"):
        run(folder, "a.mp4", annotate=folder, force=True)


def test_odd_sides_turned_late_sound_and_an_uneven_rate(tmp_path):
    times = [0, 100, 200, 700, 800, 900, 1000, 1100, 1900, 2000]
    write_film(tmp_path / "v.mkv", 10, times=times, draw=lambda k: scene(k, [(0, 30, 30, 60)], (131, 97))[:96, :130])
    run(tmp_path, "v.mkv", annotate=tmp_path / "v.mp4", every="1")
    for at, picture in seen(tmp_path / "v.mp4"):
        number = number_of(picture)
        shown = max(k for k, begin in enumerate(times) if begin <= 1000 * at + 120)
        assert abs(number - shown) <= 1
    write_film(tmp_path / "t.mp4", 20, draw=lambda k: scene(k, [(0, 30, 30, 60)]), turn=(90,), clicks=[1.0], late=0.5)
    run(tmp_path, "t.mp4", annotate=tmp_path / "o.mp4")
    assert seen(tmp_path / "o.mp4")[0][1].shape == (128, 96, 3)
    assert abs(loud_at(tmp_path / "o.mp4") - 1.0) < 0.06


def test_a_stop_while_drawing_leaves_no_half_video(folder, tmp_path, monkeypatch):
    whole = annotated_video.draw_face_marks
    calls = []

    def counting(*arguments):
        calls.append(1)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)
        return whole(*arguments)

    monkeypatch.setattr(annotated_video, "draw_face_marks", counting)
    with pytest.raises(Stopped):
        run(folder, "a.mp4", annotate=tmp_path / "x" / "out.mp4", results=tmp_path / "r")
    assert not list((tmp_path / "x").iterdir())
    monkeypatch.setattr(annotated_video, "draw_face_marks", whole)
    run(folder, "a.mp4", annotate=tmp_path / "x" / "out.mp4", results=tmp_path / "r", resume=True)
    assert len(seen(tmp_path / "x" / "out.mp4")) == 60


class Capture:
    def __init__(self, count=40, opened=True):
        self.count, self.opened, self.number = count, opened, 0

    def isOpened(self):
        return self.opened

    def read(self):
        if self.number >= self.count:
            return False, None
        time.sleep(0.02)
        self.number += 1
        return True, moving(self.number - 1)[:, :, ::-1]

    def release(self): ...


def watch(tmp_path, capture, **changes):
    settings = chosen(**{"camera": 0, "every": "1", "results": tmp_path / "r", **changes})
    predictor, shared = arguments_of(settings, **given())
    return infer_camera(predictor, 0, open_camera=lambda _: capture, **shared)


def test_a_camera_until_it_ends(tmp_path):
    summary = watch(tmp_path, Capture(1000), seconds=0.5, annotate=tmp_path / "o.mp4")
    rows = table(tmp_path / "r" / "inference_results.csv")
    assert {row["Video Name"] for row in rows} == {"camera 0"} and summary["skipped"] == 0
    first = [row for row in rows if row["Face"] == "1"]
    assert summary["sampled_frames"] == len(first) > 5
    assert all(abs(int(row["x"]) - 4 - int(row["Frame"])) <= 1 for row in first)
    found = seen(tmp_path / "o.mp4")
    assert [number_of(picture) for _, picture in found] == [int(row["Frame"]) for row in first]
    assert [at for at, _ in found] == pytest.approx([float(row["Time"]) for row in first], abs=2e-3)
    assert all(coloured_boxes(picture)[0] for _, picture in found)
    assert (tmp_path / "r" / "timelines" / "camera 0.png").exists()


def test_a_camera_that_goes_one_that_is_not_there_and_ctrl_c(tmp_path):
    summary = watch(tmp_path / "1", Capture(5))
    assert summary["skipped"] == 1 and 0 < summary["sampled_frames"] <= 5
    assert "gives no more pictures" in summary["skipped_first"][0]["reason"]
    with pytest.raises(DeviceError, match="no camera 0"):
        watch(tmp_path / "2", Capture(opened=False))
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    summary = watch(tmp_path / "3", Capture(1000))
    assert summary["skipped"] == 0 and summary["sampled_frames"] > 3  # Ctrl-C is how one ends it
    assert chosen().every is None  # the half second of videos, and of animations the first frame


def minute(number):
    """Two schematic faces at 24 pictures a second: one rests, the other one walks past it and back; a flash at 40 s."""
    picture = np.full((240, 320, 3), 120, np.uint8)
    if number == 960:
        return np.full_like(picture, 255)
    for place, (left, top) in enumerate(((20, 60), (180 + round(30 * np.sin(number / 60)), 70))):
        face = FACES[place]
        picture[top : top + len(face), left : left + len(face)] = face
    return picture


FACES = [
    draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=110) for seed in (6, 20)
]  # fmt: skip


@pytest.mark.slow
def test_a_minute_with_sound_and_a_real_detector(tmp_path):
    film = write_film(tmp_path / "minute.mp4", 1440, fps=24, draw=minute, clicks=[40.0])
    options = {"face_detector": FaceDetector("haar")}
    run(tmp_path, "minute.mp4", seconds=5.0, results=tmp_path / "5", annotate=tmp_path / "5.mp4", options=options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = {"face_detector": FaceDetector("haar")}
    summary, _ = run(tmp_path, "minute.mp4", results=tmp_path / "r", annotate=tmp_path / "out.mp4", options=options)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB; a minute of pictures is 330,000
    rows = table(tmp_path / "r" / "inference_results.csv")
    assert sorted({int(row["Frame"]) for row in rows}) == list(range(0, 1440, 12))
    assert all(float(row["Time"]) == pytest.approx(int(row["Frame"]) / 24, abs=1e-3) for row in rows)
    assert summary["sampled_frames"] == 120 and summary["skipped"] == 0
    still = [row for row in rows if row["Face"] and int(row["x"]) + int(row["width"]) / 2 < 130]
    walks = [row for row in rows if row["Face"] and int(row["x"]) + int(row["width"]) / 2 >= 130]
    assert len(still) > 100 and len(walks) > 90
    assert len({row["Face"] for row in still}) == len({row["Face"] for row in walks}) == 1
    frames = seen(tmp_path / "out.mp4")
    assert len(frames) == 1440 and frames[-1][0] == pytest.approx(1439 / 24, abs=1 / 24)
    flash = max(frames, key=lambda pair: pair[1].mean())[0]
    assert flash == pytest.approx(40.0, abs=1 / 24) and loud_at(tmp_path / "out.mp4") == pytest.approx(
        flash, abs=1 / 24
    )
    assert loud_at(film) == pytest.approx(40.0, abs=0.03)


def test_a_picture_that_begins_after_the_end_asked_for_is_reported(tmp_path):
    write_film(tmp_path / "late.mkv", 20, times=[1500 + 100 * number for number in range(20)], clicks=[1.0])
    heard = Heard()
    run(tmp_path, "late.mkv", options={"reporter": heard}, seconds=1.0, results=tmp_path / "r")
    assert [text for text in heard.notes if "begins" in text] == [
        "late.mkv: its picture begins at 1.5 s, after the 1 s asked for"
    ]
    (row,) = table(tmp_path / "r" / "videos.csv")
    assert float(row["From"]) == float(row["To"]) == 1.0 and float(row["Picture Start"]) == 1.5
