from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image
from support import affectkit, invoke

from affectkit.cli import demo
from affectkit.cli.demo import next_commands, places, steps
from affectkit.cli.demo_view import timeline
from affectkit.evaluation import outputs
from affectkit.prep.images import schematic_scene
from affectkit.prep.images.schematic_scene import KEYS, SCENE, draw_frame, draw_scene, expression_at, write_film


def test_the_demo_runs_the_commands_it_prints_and_a_second_run_finds_them_done(tmp_path, monkeypatch):
    """With few faces; the first step is a process as in a user's demo, the others are run in this one.

    Training and test draw all their figures here, once.
    """
    steps_run = []

    class InThisProcess:
        """A step in this process, which has torch already."""

        def __init__(self, command, *, stdout, text):
            assert command[:3] == [sys.executable, "-m", "affectkit"] and text
            steps_run.append(invoke(*command[3:]))
            self.returncode = steps_run[-1].returncode
            if stdout is None:  # what a process would print by itself
                print(steps_run[-1].stdout, end="")

        def communicate(self):
            return steps_run[-1].stdout, None

    def started(command, **options):
        with_torch = command[3] != "prep"
        return (InThisProcess if with_torch else subprocess.Popen)(command, **options)

    def fewer(*arguments, **options):
        made, *others = steps(*arguments, **options)
        assert made[:2] == ["prep", "schematic"] and made[3:] == ["--train", "1200"]
        return [[*made[:3], "--train", "96", "--valid", "48", "--test", "48"], *others]

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(Popen=started, PIPE=subprocess.PIPE))
    monkeypatch.setattr(demo, "steps", fewer)
    done = invoke("demo", tmp_path / "demo", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stderr.splitlines() if line.startswith("$ affectkit ")]
    assert [line.split()[2] for line in printed] == ["infer", "prep", "train", "test", "infer"]
    assert [one.args for one in steps_run] == [shlex.split(line)[2:] for line in printed if " prep " not in line]
    # The model sees what was drawn, in the picture and, in this order, in the film.
    assert "scene.png, face 3: " in done.stdout and "film.mp4, from 0 to 6 s:\n    neutral " in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("    ")}
    begins = [re.search("[▆▇█]", lines[name]).start() for name in ("neutral", "happiness")]
    assert begins == sorted(begins)
    assert done.stderr.startswith("About a minute on two free processors, longer on busy ones: ")
    for line in next_commands():
        assert f"  {line}\n" in done.stdout
    for path, _ in places(tmp_path / "demo"):
        assert path.is_file() and str(path) in done.stdout, path
    figures = {"reliability.png", "confusion.png", "recall.png", "bars.png", "worst.png", "risk_coverage.png"}
    drawn = {name: {path.name for path in (tmp_path / "demo" / name / "plots").iterdir()} for name in ("run", "test")}
    assert drawn == {"run": figures | {"curves.png"}, "test": figures}
    with (tmp_path / "demo" / "infer" / "inference_results.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 12
    steps_run.clear()
    monkeypatch.setattr(outputs, "draw_figures", lambda *args, **kwargs: None)
    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(Popen=InThisProcess, PIPE=subprocess.PIPE))
    again = invoke("demo", tmp_path / "demo", "--epochs", "1", "--json")
    assert again.returncode == 0, again.stderr
    assert [step.stderr.count("nothing to do") for step in steps_run] == [2, 1, 1, 0, 1]
    found = json.loads(again.stdout)
    steps_found = found["steps"]
    assert steps_found["test"]["images"] == 48 and steps_found["train"]["best_epoch"] == 1
    assert steps_found["look"]["faces"] == 3 and steps_found["look"]["video_results"]["sampled_frames"] == 24
    assert found["next"] == next_commands()


def test_the_built_in_model_reads_the_faces_as_they_are_drawn(tmp_path):
    """Whatever model is shipped: a demo that shows it wrong shows nobody what it is for."""
    Image.fromarray(draw_scene()).save(tmp_path / "scene.png")
    done = invoke("infer", tmp_path / "scene.png", "--json")
    assert done.returncode == 0, done.stderr
    rows = sorted(json.loads(done.stdout)["predictions"], key=lambda row: row["x"])
    assert [row["Predicted Label"] for row in rows] == [name for _, name in SCENE]
    assert min(row["Confidence"] for row in rows) > 0.7


def test_the_film_is_six_seconds_of_a_face_that_changes(tmp_path):
    write_film(tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        (stream,) = container.streams
        assert (stream.width, stream.height, stream.frames) == (480, 320, 72)
        assert float(stream.duration * stream.time_base) == pytest.approx(KEYS[-1][0])
        first = next(iter(container.decode(video=0))).to_ndarray(format="rgb24")
    assert np.abs(first.astype(int) - draw_frame(0.0)).mean() < 4  # but for what coding costs
    for time, name in KEYS:
        same = [np.allclose(expression_at(time), expression_at(other)) for other, named in KEYS if named == name]
        assert all(same)
    assert not np.allclose(expression_at(0.6), expression_at(0.0)) and np.allclose(expression_at(9), expression_at(6))


def test_a_timeline_has_a_line_for_each_class_that_is_seen():
    shares = {"neutral": [1.0, 0.55, 0.0], "joy": [0.0, 0.45, 0.97], "fear": [0.0, 0.24, 0.03]}
    assert timeline(shares) == ["neutral  █▄", "joy       ▄█"]
    assert timeline(shares, blocks=False) == ["neutral  84", "joy       48"]
    assert timeline({"fear": [0.1]}) == [] == timeline({})


def test_the_commands_for_files_of_ones_own_run(tmp_path, monkeypatch, no_figures):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PHOTOS").mkdir()
    Image.fromarray(draw_scene()).save(tmp_path / "PHOTOS" / "three.png")
    monkeypatch.setattr(schematic_scene, "KEYS", ((0.0, "rest"), (0.5, "anger")))
    write_film(tmp_path / "FILM.mp4")
    for number in range(24):
        path = tmp_path / "FACES" / ("calm" if number % 2 else "tense") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 48), 90 + 40 * (number % 2) + number, np.uint8)).save(path)
    for text in next_commands():
        words = shlex.split(text)[1:]
        done = invoke(*words, *(["--epochs", "1"] if words[0] == "train" else []))
        assert done.returncode == 0, (text, done.stderr)
    assert (tmp_path / "photos-annotated" / "three.png").is_file() and (tmp_path / "film-annotated.mp4").is_file()
    assert (tmp_path / "film-results" / "timelines" / "FILM.mp4.png").is_file()


@pytest.mark.slow
def test_a_failing_step_ends_the_demo_with_its_exit_code(tmp_path):
    done = affectkit("demo", tmp_path / "demo", "--epochs", "1", "--device", "cuda:9")
    assert done.returncode == 1 and "affectkit train ended with exit code 1" in done.stderr


def test_the_demo_trains_from_scratch_without_a_network():
    assert any("--no-pretrained" in step for step in steps(__import__("pathlib").Path("x"), epochs=1, device="auto"))


def test_prep_ferplus_by_the_authors_rules(tmp_path):
    source = tmp_path / "src"
    (source / "faces").mkdir(parents=True)
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [
        "Training,fer0000000.png,9,1,0,0,0,0,0,0,0,0",
        "Training,fer0000001.png,4,4,2,0,0,0,0,0,0,0",
        "Training,fer0000002.png,0,0,0,0,0,0,0,0,2,8",
        "PublicTest,fer0000003.png,0,8,1,1,0,0,0,0,0,0",
        "PrivateTest,fer0000004.png,0,0,0,6,2,2,0,0,0,0",
    ]
    (source / "fer2013new.csv").write_text("\n".join([header, *rows]) + "\n")
    for k in range(5):
        Image.new("L", (48, 48), 40 * k).save(source / "faces" / f"fer000000{k}.png")
    done = invoke("prep", "ferplus", source, "--output", tmp_path / "out", "--target", "majority")
    assert done.returncode == 0, done.stderr
    assert "dropped: " in done.stdout and "not a face" in done.stdout
    with (tmp_path / "out" / "train.csv").open(newline="") as stream:
        assert [(row["filename"].split("/")[-1], row["label"]) for row in csv.DictReader(stream)] == [
            ("fer0000000.png", "neutral")
        ]
    again = invoke("prep", "ferplus", source, "--output", tmp_path / "out", "--target", "majority", "--json")
    assert "nothing to do" in again.stderr and json.loads(again.stdout)["already_done"] is True
    other = invoke("prep", "ferplus", source, "--output", tmp_path / "out")
    assert other.returncode == 2 and "target majority there, distribution now" in other.stderr


def test_prep_affectnet_fused_gives_tables_that_train_reads(tmp_path, monkeypatch, no_figures):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "AffectNetFused"
    for split, count in (("train_set", 8), ("val_set", 4)):
        for part in ("images", "annotations"):
            (source / split / part).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (30, 30), (20 * k, 90, 90)).save(source / split / "images" / f"{k}.jpg")
            values = [0.04] * 13
            values[k % 13] = 0.52
            (source / split / "annotations" / f"{k}_prob_rank.txt").write_text(",".join(map(str, values)))
    done = invoke("prep", "affectnet-fused", source, "--output", tmp_path / "out", "--link", "hardlink")
    assert done.returncode == 0, done.stderr
    trained = invoke(
        "train", "--data", tmp_path / "out", "--output", tmp_path / "run", "--model", "test_resnet", "--no-pretrained",
        "--image-size", "24", "--epochs", "1", "--json",
    )  # fmt: skip
    assert trained.returncode == 0 and "13 classes" in trained.stderr
    direct = invoke("test", "--checkpoint", tmp_path / "run", "--data", source, "--split", "valid", "--json")
    prepared = invoke(
        "test", "--checkpoint", tmp_path / "run", "--data", tmp_path / "out", "--split", "valid", "--json"
    )
    assert json.loads(direct.stdout)["metrics"] == json.loads(prepared.stdout)["metrics"]
    assert json.loads(direct.stdout)["layout"] == "AffectNetFused"
