"""``--min-confidence`` and ``--question-margin`` from end to end: tables, shards, films, Python, the server."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pytest
from films import write_film
from PIL import Image
from support import AMBIGUITY
from typer.testing import CliRunner

import affectkit
from affectkit.cli.app import app
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.inference import annotated_images
from affectkit.inference.video import annotated_video
from affectkit.settings.inference import InferSettings
from affectkit.tasks import make_task
from affectkit.tasks.decision import QUESTION_MARGIN, Decision

EMOTIONS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
COUNT, LEAST = 9, 0.5


def picture(number):
    rough = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((48, 48), Image.BICUBIC).convert("RGB"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
    return folder


def asked(*arguments, status=0):
    done = CliRunner().invoke(app, [str(item) for item in (*arguments, "--faces", "none", "--device", "cpu")])
    assert done.exit_code == status, done.output
    return done


def infer(*arguments, **more):
    return asked("infer", *arguments, **more)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def titles(monkeypatch) -> Iterator[list[str]]:
    """The titles that are drawn."""
    found: list[str] = []
    for module in (annotated_images, annotated_video):
        real = module.draw_face_marks

        def draw(pixels, marks, real=real, **more):
            found.extend(mark.title for mark in marks)
            return real(pixels, marks, **more)

        monkeypatch.setattr(module, "draw_face_marks", draw)
    return found


# --- the rules, by hand ----------------------------------------------------------------------------------------------


def task_of(*classes, **decision):
    task = make_task(InputSpec("classification", 24, 24, classes=classes))
    task.decide(Decision(**decision))
    return task


def title(shares, bound=QUESTION_MARGIN):
    task = task_of(*"abcdefgh"[: len(shares)], question_margin=bound)
    return task.describe_row(["a", max(shares), *shares, 0.0, 0.0])[0]


@pytest.mark.parametrize(
    ("shares", "bound", "asked"),
    [
        ([0.3, 0.2, 0.2, 0.2, 0.1], 0.1, False),  # 0.3 - 0.2 is 0.09999999999999998
        ([0.55, 0.45], 0.1, False),
        ([0.549999, 0.450001], 0.1, True),
        ([0.5499999, 0.4500001], 0.1, False),  # 0.1 with six decimals, as the table has it
        ([0.5, 0.5], 0.1, True),
        ([0.5, 0.5], 0.0, False),
        ([1 / 3] * 3, 1e-6, True),
        ([0.9, 0.1], 0.8, False),
        ([0.9, 0.1], 0.81, True),
        ([0.9, 0.1], 1.0, True),
        ([1.0, 0.0], 1.0, False),
        ([1.0], 1.0, False),
    ],
)
def test_a_question_mark_stands_below_the_bound(shares, bound, asked):
    assert title(shares, bound).split(" ")[0] == ("a?" if asked else "a")


def test_what_abstains_has_no_question_mark():
    assert task_of("a", "b", threshold=0.9).describe_row(["", 0.5, 0.5, 0.5, 0.0, 1.0, 1])[0] == "abstained 50%"


def test_a_label_needs_the_least_confidence():
    halves, rest = np.zeros((1, 2), np.float32), np.log(np.array([[3, 1]], np.float32))
    assert task_of("a", "b", threshold=0.5).rows(halves) == [["a", 0.5, 0.5, 0.5, 0.0, 1.0, 0]]
    assert task_of("a", "b", threshold=0.500001).rows(halves) == [["", 0.5, 0.5, 0.5, 0.0, 1.0, 1]]
    ((label, confidence, *shares, margin, bits, abstained),) = task_of("a", "b", threshold=0.76).rows(rest)
    assert (label, abstained) == ("", 1) and [confidence, *shares, margin] == pytest.approx([0.75, 0.75, 0.25, 0.5])
    assert bits == pytest.approx(2 - 0.75 * np.log2(3))
    assert task_of("a", threshold=1.0).rows(np.zeros((1, 1), np.float32)) == [["a", 1.0, 1.0, 1.0, 0.0, 0]]


def test_the_help_names_the_bound_that_holds():
    (entry,) = [entry for entry in dataclasses.fields(InferSettings) if entry.name == "question_margin"]
    assert entry.default is None and entry.metadata["default_text"] == f"{QUESTION_MARGIN:g}; 0: none"


# --- infer -----------------------------------------------------------------------------------------------------------


def test_it_is_abstain_with_a_confidence_and_belongs_to_the_run(images, tmp_path):
    done = infer(images, "--min-confidence", LEAST, "--results", tmp_path / "r")
    rows, record = table(tmp_path / "r/inference_results.csv"), json.loads((tmp_path / "r/inference.json").read_text())
    without = [row for row in rows if row["Abstained"] == "1"]
    assert 0 < len(without) < COUNT and all(float(row["Confidence"]) < LEAST for row in without)
    assert list(rows[0]) == ["Image Name", "Predicted Label", "Confidence", *EMOTIONS, *AMBIGUITY, "Abstained"]
    assert {row["Predicted Label"] for row in without} == {""}
    assert all(row["Predicted Label"] for row in rows if row not in without)
    assert all(sum(float(row[name]) for name in EMOTIONS) == pytest.approx(1, abs=1e-5) for row in rows)
    assert (record["abstain"], record["abstain_from"], record["abstained"]) == (LEAST, "stated", len(without))
    assert f"; {len(without)} of {COUNT} images without a label (confidence below 0.5)" in done.stderr
    first = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    assert "nothing to do" in infer(images, "--abstain", LEAST, "--results", tmp_path / "r", "--resume").stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == first
    for more, told in ((["--min-confidence", "0.3"], "0.3 now"), ([], "none now")):
        other = infer(images, *more, "--results", tmp_path / "r", "--resume", status=2)
        assert "--min-confidence (--abstain) 0.5 there" in other.stderr and told in other.stderr


def test_shards_are_merged_to_what_one_run_writes(images, tmp_path):
    for number in (1, 2):
        infer(images, "--min-confidence", LEAST, "--results", tmp_path / "r", "--shard", f"{number}/2")
    other = infer(images, "--min-confidence", "0.4", "--results", tmp_path / "r", "--shard", "1/2", status=2)
    assert "--min-confidence (--abstain) 0.5 there, 0.4 now" in other.stderr
    merged = json.loads(CliRunner().invoke(app, ["merge", str(tmp_path / "r"), "--json"]).stdout)
    infer(images, "--min-confidence", LEAST, "--results", tmp_path / "w")
    whole = json.loads((tmp_path / "w/inference.json").read_text())
    assert merged["abstained"] == whole["abstained"] > 0
    for name in ("inference_results.csv", "inputs.csv"):
        assert (tmp_path / "r" / name).read_bytes() == (tmp_path / "w" / name).read_bytes()


def test_formats_and_json_hold_an_empty_label(images, tmp_path):
    import pyarrow.parquet as pq

    infer(images, "--min-confidence", "1", "--results", tmp_path / "p", "--format", "parquet")
    rows = pq.read_table(tmp_path / "p/inference_results.parquet").to_pylist()
    found = json.loads(infer(images, "--min-confidence", "1", "--json").stdout)
    assert found["predictions"] == rows and found["abstained"] == len(rows) == COUNT
    assert {(row["Predicted Label"], row["Abstained"]) for row in rows} == {("", 1)}


def test_films_count_frames_without_a_label_and_draw_no_label(tmp_path, titles):
    path = write_film(tmp_path / "a.mp4", 10, draw=lambda number: picture(number // 5))
    more = ["--every", "5", "--annotate", tmp_path / "drawn.mp4"]
    done = infer(path, "--min-confidence", "1", "--results", tmp_path / "r", *more)
    assert "a.mp4, 1.0 s, 2 frames, 0 without a face, 1 face; 2 predictions without a label\n" in done.stderr
    assert "; 2 of 2 predictions without a label (confidence below 1)\n" in done.stderr
    assert {title.split(" ")[0] for title in titles} == {"abstained"} and (tmp_path / "drawn.mp4").stat().st_size > 500
    whole, face = table(tmp_path / "r/videos.csv")
    assert whole["Abstained"] == face["Abstained"] == "2"
    assert {whole[f"time {name}"] for name in EMOTIONS} == {""}, "no time has a label"
    rows = table(tmp_path / "r/inference_results.csv")
    for name in AMBIGUITY:
        assert float(whole[f"mean {name}"]) == pytest.approx(sum(float(row[name]) for row in rows) / 2, abs=1e-6)
    titles.clear()
    infer(path, "--question-margin", "1", "--results", tmp_path / "q", *more, "--force")
    assert len(titles) >= 2 and all(title.split(" ")[0].rstrip("?") in EMOTIONS for title in titles)
    assert all(title.split(" ")[0].endswith("?") for title in titles)


def test_pictures_are_drawn_with_question_marks_below_the_margin(images, tmp_path, titles):
    done = infer(images, "--annotate", tmp_path / "a", "--question-margin", "0.3")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    marked = [row["Predicted Label"] + "?" * (float(row["Margin"]) < 0.3) for row in rows]
    assert [title.split(" ")[0] for title in titles] == marked and 0 < sum("?" in one for one in marked) < COUNT
    assert "below 0.3 are drawn with a question mark" in done.stderr
    titles.clear()
    done = infer(images, "--annotate", tmp_path / "b", "--question-margin", "0")
    assert not any("?" in title for title in titles) and "question mark" not in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--min-confidence", "1.5"], "must be at least 0 and at most 1"),
        (["--min-confidence", "nan"], "--min-confidence"),
        (["--min-confidence", "0.5", "--abstain", "stored"], "--abstain and --min-confidence exclude each other"),
        (["--question-margin", "0.2"], "--question-margin needs --annotate"),
        (["--question-margin", "-1", "--annotate", "x"], "must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(images, more, message):
    done = infer(images, *more, status=2)
    assert message in " ".join(done.stderr.split()) and not done.stdout


def test_ratings_have_no_question(tmp_path):
    task = make_task(InputSpec("ratings", 24, 24, classes=("valence", "arousal")))
    with pytest.raises(UsageError, match=r"--min-confidence, --question-margin and --prior are for classes"):
        task.decide(Decision(question_margin=0.2))


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_python_takes_it_too(images):
    model = affectkit.load("builtin", device="cpu")
    found = list(affectkit.predict(model, images, faces="none", min_confidence=LEAST))
    assert found == list(affectkit.predict(model, images, faces="none", abstain=LEAST))
    assert [row["Predicted Label"] == "" for row in found] == [row["Confidence"] < LEAST for row in found]
    for wrong in ({"min_confidence": 2}, {"min_confidence": "0.5"}, {"min_confidence": 0.5, "abstain": 0.5}):
        with pytest.raises(UsageError, match="min_confidence"):
            affectkit.predict(model, images, **wrong)


def test_the_server_gives_no_label_and_says_below_which_confidence():
    pytest.importorskip("starlette", reason="the extra web is not installed")
    pytest.importorskip("httpx", reason="the extra web is not installed")
    from serving import client_of, face, png, serve_settings, service_of

    settings = serve_settings(faces="none", min_confidence=1.0, question_margin=0.25)
    with service_of(settings) as service:
        client = client_of(service)
        found = client.post("/predict", files={"file": ("a.png", png(face()))}).json()
        assert (found["abstain"], found["abstained"]) == (1.0, 1)
        (row,) = found["rows"]
        assert (row["Predicted Label"], row["Abstained"]) == ("", 1) and row["Margin"] > 0
        roles = client.get("/health").json()["roles"]
        assert (roles["margin"], roles["question_margin"]) == ("Margin", 0.25)
        assert client.post("/annotate", files={"file": ("a.png", png(face()))}).status_code == 200
