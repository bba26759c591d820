"""Abstaining and class priors from end to end: fitted into a checkpoint, honoured by infer, judged by test."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image
from support import TINY, invoke, make_folders

import affectkit
from affectkit.checkpoints.abstention import stored_abstention
from affectkit.checkpoints.checkpoint import read_header
from affectkit.core.assets import SHA256, training_prior_file
from affectkit.core.files import sha256
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.tasks import make_task
from affectkit.tasks.decision import Decision

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COUNT = 70


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Smooth images whose labels are what the built-in model says, but for one in ten of the doubtful half."""
    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(3)
    for number in range(COUNT):
        rough = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
        rough.resize((48, 48), Image.BICUBIC).save(root / f"{number:02}.png")
    rows = list(affectkit.predict(affectkit.load("builtin", device="cpu"), root, faces="none"))
    with (root / "valid.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "label"])
        for row in rows:
            table.writerow([row["Image Name"], row["Predicted Label"]])
    return root, rows


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("fitted") / "new.safetensors"
    asked = ["calibrate", "builtin", "--data", data[0], "--classes", ",".join(EMOTIONS), "--output", path]
    run = invoke(*asked, "--abstain", "coverage=0.6,confidence=0.9", "--device", "cpu", "--workers", "0", "--json")
    assert run.returncode == 0, run.stderr
    return path, json.loads(run.stdout)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_checkpoint_holds_its_threshold_and_is_the_same_network(data, fitted):
    path, summary = fitted
    found, header = summary["abstention"], read_header(path)
    assert stored_abstention(header.training) == found and found["wished"] == {"coverage": 0.6}
    assert (found["n"], found["right"]) == (COUNT, found["accepted"]) and 0.6 < found["accepted"] / COUNT < 0.8
    assert summary["output_sha256"] == sha256(path) and header.training["calibrated"]["of"] == summary["source_sha256"]
    assert sum(header.training["training_prior"].values()) == pytest.approx(1, abs=1e-5)
    before, after = (affectkit.load(name, device="cpu", engine="torch") for name in ("builtin", path))
    assert before.spec == after.spec and after.checkpoint_hash == sha256(path)
    for one, other in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
        assert (one == other).all()
    shown = invoke("models", "--checkpoint", path)
    assert f"threshold {found['threshold']:g} promises with 0.9 confidence" in " ".join(shown.stdout.split())


def test_infer_honours_the_threshold_and_a_resume_must_name_it(data, fitted, tmp_path):
    (root, _), (path, summary) = data, fitted
    asked = ["infer", root, "--checkpoint", path, "--faces", "none", "--results", tmp_path / "r", "--device", "cpu"]
    run = invoke(*asked, "--abstain", "stored", "--workers", "0")
    assert run.returncode == 0, run.stderr
    rows, record = (
        table(tmp_path / "r" / "inference_results.csv"),
        json.loads((tmp_path / "r/inference.json").read_text()),
    )
    without = [row for row in rows if row["Abstained"] == "1"]
    assert len(rows) == COUNT and len(without) == COUNT - summary["abstention"]["accepted"] == record["abstained"]
    assert all(row["Predicted Label"] == "" and float(row["Confidence"]) < record["abstain"] for row in without)
    assert all(sum(float(row[name]) for name in EMOTIONS) == pytest.approx(1, abs=1e-5) for row in without)
    assert all(row["Predicted Label"] in EMOTIONS for row in rows if row["Abstained"] == "0")
    assert f"{len(without)} of {COUNT} images without a label" in run.stderr
    other = invoke(*asked, "--abstain", "0.3", "--resume", "--workers", "0")
    assert other.returncode == 2 and "--abstain" in other.stderr and "0.3 now" in other.stderr
    again = invoke(*asked, "--abstain", "stored", "--resume", "--workers", "0")
    assert again.returncode == 0 and "nothing to do" in again.stderr
    report = invoke("report", tmp_path / "r", "--output", tmp_path / "page.html")
    assert report.returncode == 0, report.stderr
    text = (tmp_path / "page.html").read_text()
    assert "no label" in text and "coverage of at least 0.6" in text


def test_test_checks_the_promise(data, fitted, tmp_path):
    (root, _), (path, summary) = data, fitted
    asked = ["test", "--data", root, "--split", "valid", "--device", "cpu", "--workers", "0", "--classes"]
    asked += [",".join(EMOTIONS), "--json"]
    run = invoke(*asked, "--checkpoint", path, "--abstain", "stored", "--results", tmp_path / "t")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["abstention"]["kept"] == {"coverage": "held", "accuracy": "held"}
    assert found["abstention"]["accepted"] == summary["abstention"]["accepted"] and "proves nothing" in run.stderr
    assert found["metrics"]["aurc"] == 0 and found["selective"][0]["accuracy"] == 1
    assert len(table(tmp_path / "t" / "risk_coverage.csv")) == COUNT
    assert (tmp_path / "t" / "plots" / "risk_coverage.png").stat().st_size > 5000
    stated = json.loads(invoke(*asked, "--checkpoint", "builtin", "--min-confidence", "1").stdout)["abstention"]
    assert (stated["threshold"], stated["from"], stated["accepted"]) == (1, "stated", 0)
    assert stated["accuracy"] is None and "kept" not in stated


def test_the_prior_of_training_changes_nothing_and_others_do(data, tmp_path):
    root, rows = data
    model = affectkit.load("builtin", device="cpu")
    own = dict(zip(EMOTIONS, _training_prior(), strict=True))
    assert list(affectkit.predict(model, root, faces="none", prior=own)) == rows
    even = dict.fromkeys(EMOTIONS, 1 / 8)
    found = list(affectkit.predict(model, root, faces="none", prior=even))
    for before, after in zip(rows, found, strict=True):
        p = np.array([before[name] for name in EMOTIONS]) / _training_prior()
        assert [after[name] for name in EMOTIONS] == pytest.approx(p / p.sum(), abs=1e-5)


def _training_prior():
    recorded = read_header("builtin").training["training_prior"]
    return np.array([recorded[name] for name in EMOTIONS])


def test_the_first_edition_has_its_prior_beside_its_weights():
    """Which were published before checkpoints recorded it."""
    assert "training_prior" not in read_header("affectkit:ferplus-small-1").training
    shares = {row["class"]: float(row["share"]) for row in table(training_prior_file([SHA256["ferplus-small-1"]]))}
    assert [shares[name] for name in EMOTIONS] == pytest.approx(_training_prior(), abs=1e-6)  # of the same images
    assert training_prior_file([SHA256["ferplus-small-2"]]) is None and training_prior_file(["0" * 64]) is None


def test_an_estimated_prior_is_named_and_gives_the_rows_of_the_same_stated_one(data, tmp_path):
    root, _ = data
    asked = ["infer", root, "--faces", "none", "--device", "cpu", "--workers", "0"]
    run = invoke(*asked, "--prior", "estimate", "--results", tmp_path / "a")
    assert run.returncode == 0, run.stderr
    assert "independent of each other" in run.stderr and f"{COUNT} items are few" in run.stderr
    record = json.loads((tmp_path / "a/inference.json").read_text())
    assert record["prior_from"] == "estimated" and record["prior_estimate"]["items"] == COUNT
    stated = ",".join(f"{name}={share}" for name, share in record["prior"].items())
    assert invoke(*asked, "--prior", stated, "--results", tmp_path / "b").returncode == 0
    assert (tmp_path / "a/inference_results.csv").read_bytes() == (tmp_path / "b/inference_results.csv").read_bytes()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--abstain", "stored"], "holds no threshold"),
        (["--abstain", "1.5"], "a confidence in [0, 1]"),
        (["--prior", "happiness=1"], "names no share of"),
        (["--prior", ",".join(f"{name}=0.2" for name in EMOTIONS)], "must sum to 1"),
        (["--prior", "joy=1"], "no class of the model"),
        (["--prior", "estimate", "--resume", "--results", "r"], "exclude each other"),
        (["--training-prior", "t.csv"], "needs --prior"),
    ],
)
def test_what_cannot_be_is_refused(data, more, message):
    run = invoke("infer", data[0], "--faces", "none", "--device", "cpu", *more)
    assert run.returncode == 2 and message in " ".join(run.stderr.split()) and not run.stdout


def test_python_abstains_and_refuses_as_the_command(data):
    root, rows = data
    model = affectkit.load("builtin", device="cpu")
    found = list(affectkit.predict(model, root, faces="none", abstain=0.5))
    assert [row["Abstained"] for row in found] == [int(row["Confidence"] < 0.5) for row in rows]
    assert "Abstained" not in rows[0]
    with pytest.raises(UsageError, match="holds no threshold"):
        affectkit.predict(model, root, abstain="stored")
    with pytest.raises(UsageError, match="abstain must be stored"):
        affectkit.predict(model, root, abstain=3)


def test_where_nothing_can_be_promised_nothing_is_written(data, tmp_path):
    asked = ["calibrate", "builtin", "--data", data[0], "--classes", ",".join(EMOTIONS), "--output"]
    run = invoke(*asked, tmp_path / "n.safetensors", "--abstain", "accuracy=0.99", "--device", "cpu", "--workers", "0")
    assert run.returncode == 3 and "299" in run.stderr and list(tmp_path.iterdir()) == []
    run = invoke(*asked, tmp_path / "n.safetensors")
    assert run.returncode == 2 and "--abstain or --temperature is needed" in run.stderr


def test_a_temperature_alone_leaves_the_threshold_out(data, fitted, tmp_path):
    out = tmp_path / "t.safetensors"
    asked = ["calibrate", fitted[0], "--data", data[0], "--classes", ",".join(EMOTIONS), "--output", out]
    run = invoke(*asked, "--temperature", "none", "--device", "cpu", "--workers", "0")
    assert run.returncode == 0 and "left out" in run.stderr
    header = read_header(out)
    assert header.spec.temperature == 1 and "abstention" not in header.training


def test_train_fits_a_threshold_and_records_the_class_shares(tmp_path, no_figures):
    root, run = make_folders(tmp_path / "d"), tmp_path / "run"
    asked = ["train", "--model", TINY, "--no-pretrained", "--data", root, "--output", run, "--epochs", "1"]
    asked += ["--image-size", "24", "--augment", "none", "--device", "cpu", "--workers", "0", "--class-weights"]
    done = invoke(*asked, "anger=2", "--abstain", "coverage=0.5,confidence=0.6")
    assert done.returncode == 0, done.stderr
    training, metrics = read_header(run).training, json.loads((run / "metrics.json").read_text())
    assert stored_abstention(training) == metrics["abstention"] and training["abstention"]["chose_epoch"] is True
    assert training["training_prior"] == pytest.approx({"anger": 0.5, "happiness": 0.25, "sadness": 0.25})
    assert "the same images chose the epoch" in " ".join(done.stderr.split())
    assert (run / "valid" / "risk_coverage.csv").exists()


def test_ratings_have_no_classes_to_abstain_from():
    task = make_task(InputSpec("ratings", 24, 24, classes=("valence", "arousal")))
    for call in (lambda: task.decide(Decision(0.5)), lambda: task.judged(None)):
        with pytest.raises(UsageError, match="classes"):
            call()
