"""Audio-visual emotion at the command line, from clips of actors to predictions for new ones."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from clips import EMOTIONS, SHARED, make_cremad, write_clip, write_clip_moviepy
from support import invoke, make_folders

from affectkit.errors import EXIT_PARTIAL
from affectkit.training import trainer
from affectkit.training.trainer import Trainer

TINY = ("--hidden", 16, "--codes", 32, "--batch-size", 12, "--quantizer", "plain")
NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")


def run(*arguments, code=0):
    found = invoke(*arguments)
    assert found.returncode == code, found.stderr
    return found


def rows(path):
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    root = make_cremad(tmp_path_factory.mktemp("clone") / "CREMA-D", actors=13, seconds=0.25, size=(240, 180))
    folder = root / "VideoFlash"
    whole = (folder / "1001_IEO_ANG_XX.flv").read_bytes()
    (folder / "1002_IEO_ANG_XX.flv").write_bytes(whole[: len(whole) // 2])
    write_clip(folder / "1003_IEO_HAP_XX.flv", 3, silent=True, seconds=0.25)
    write_clip(folder / "1004_IEO_NEU_XX.flv", 4, sound=False, seconds=0.25)
    (folder / "1005_IEO_SAD_XX.flv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    return root


@pytest.fixture(scope="module")
def trained(clone, tmp_path_factory):
    root = tmp_path_factory.mktemp("av")
    run(
        "prep",
        "cremad",
        clone,
        "--output",
        root / "data",
        "--size",
        32,
        "--on-error",
        "skip",
        "--workers",
        1,
        code=EXIT_PARTIAL,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_figures", lambda *args, **kwargs: None)  # of the validation; test draws the same
        run("train", "--model", "cmvqvae", "--data", root / "data", "--output", root / "run", "--epochs", 20, *TINY)
    return root


@pytest.fixture(scope="module")
def few(trained, tmp_path_factory):
    """The same clips, but for a quarter of those to train on, for trainings of which nothing is to be learned."""
    root = Path(shutil.copytree(trained / "data", tmp_path_factory.mktemp("few") / "data"))
    lines = (root / "train.csv").read_text().splitlines(keepends=True)
    assert len(lines) > 48
    (root / "train.csv").write_text("".join(lines[:13]))
    return root


def test_faults_are_refused_then_left_out(clone, tmp_path, trained):
    found = invoke("prep", "cremad", clone, "--output", tmp_path / "out", "--size", 32)
    assert found.returncode == 1 and "git lfs pull" in found.stderr and "--on-error skip" in found.stderr
    reasons = {row["clip"]: row["reason"] for row in rows(trained / "data" / "report.csv") if row["reason"]}
    assert reasons == {
        "1002_IEO_ANG_XX": "truncated", "1003_IEO_HAP_XX": "silent", "1004_IEO_NEU_XX": "no-sound",
        "1005_IEO_SAD_XX": "pointer",
    }  # fmt: skip
    again = run(
        "prep",
        "cremad",
        clone,
        "--output",
        trained / "data",
        "--size",
        32,
        "--on-error",
        "skip",
        "--json",
        code=EXIT_PARTIAL,
    )
    assert json.loads(again.stdout)["already_done"] and sum(json.loads(again.stdout)["clips"].values()) == 74


def test_actors_never_seen_are_told(trained, tmp_path):
    run(
        "test",
        "--checkpoint",
        trained / "run",
        "--data",
        trained / "data",
        "--results",
        tmp_path / "t",
        "--batch-size",
        5,
    )
    summary = json.loads((tmp_path / "t" / "results.json").read_text())
    seen = {row["actor"] for row in rows(trained / "data" / "train.csv")}
    tested = {row["actor"] for row in rows(trained / "data" / "test.csv")}
    assert tested and not seen & tested
    assert summary["metrics"]["accuracy"] >= 0.9 and summary["metrics"]["balanced_accuracy"] >= 0.9
    for name in ("human_accuracy_voice", "human_accuracy_face", "human_ceiling_both", "rater_agreement"):
        assert 0 < summary["metrics"][name] < 1
    found = run("test", "--checkpoint", trained / "run", "--data", trained / "data", "--json", "--batch-size", 64)
    assert json.loads(found.stdout)["metrics"] == summary["metrics"]
    written = {path.name for path in (tmp_path / "t").rglob("*") if path.is_file()}
    assert {
        "confusion_matrix.csv", "codes_image.csv", "codes_audio.csv", "mask.csv", "test_results.csv", "spaces.png",
        "reconstructions.png", "reconstructions.safetensors", "codes.png",
    } <= written  # fmt: skip
    assert not {path for path in trained.rglob("*") if path.suffix in (".pkl", ".pt", ".pickle")}


def test_groups_of_actors_have_intervals_over_actors(trained, clone):
    test = ("test", "--checkpoint", trained / "run", "--data", trained / "data", "--split", "train", "--batch-size", 32)
    found = run(*test, "--by", "sex,age,sentence,level,race", "--json", "--min-group", 6)
    people = {row["actor"]: row["sex"] for row in rows(trained / "data" / "train.csv")}
    assert f"intervals and tests are over {len(people)} clusters (actor)" in found.stderr
    record = json.loads(found.stdout)["groups"]
    columns = {column["name"]: column["groups"] for column in record["columns"]}
    assert {group["name"]: group["clusters"] for group in columns["sex"]} == {
        sex: list(people.values()).count(sex) for sex in ("male", "female")
    }
    ages = {row["age"] for row in rows(trained / "data" / "train.csv")}
    assert {group["name"] for group in columns["age"]} == ages and "20s" in ages
    assert "race: 1 group to compare" in found.stderr
    (gap,) = (row for row in record["columns"][0]["gaps"] if row["metric"] == "accuracy")
    assert gap["test"] in ("permutation of clusters", "no test: nothing differs when exchanged")
    joined = run(*test, "--by", "Age=40,actor", "--groups", clone / "VideoDemographics.csv", "--min-group", 6, "--json")
    own = json.loads(joined.stdout)["groups"]["columns"]
    assert [group["name"] for group in own[0]["groups"]] == ["<40", ">=40"]
    assert len(own[1]["groups"]) == len(people) and own[1]["groups"][0]["clusters"] is None
    assert "joined by 'ActorID' (actor)" in joined.stderr and "each group is one actor" in joined.stderr


def test_the_history_has_every_part(trained):
    history = rows(trained / "run" / "history.csv")
    wanted = {
        f"train_{name}" for name in ("classification", "recon_image", "recon_audio", "vq_image", "perplexity_audio")
    }
    wanted |= {f"valid_{name}" for name in ("dead_codes_image", "codes_used_audio", "private_image", "complementarity")}
    assert len(history) == 20 and wanted <= set(history[0])
    last = history[-1]
    total = sum(
        float(last[f"train_{name}"])
        for name in ("classification", "recon_image", "recon_audio", "vq_image", "vq_audio")
    )
    assert 0 < float(last["train_loss"]) - total < 0.01  # the mask's part
    assert int(float(last["valid_codes_used_image"])) + int(float(last["valid_dead_codes_image"])) == 32
    assert (trained / "run" / "plots" / "losses.png").is_file() and (
        trained / "run" / "plots" / "perplexity.png"
    ).is_file()


def test_clips_are_predicted_as_they_were_tested(trained, clone, tmp_path, no_figures):
    run("test", "--checkpoint", trained / "run", "--data", trained / "data", "--results", tmp_path / "t")
    tested = {row["Image Name"]: row for row in rows(tmp_path / "t" / "test_results.csv")}
    found = run(
        "infer", clone / "VideoFlash", "--checkpoint", trained / "run", "--results", tmp_path / "i", code=EXIT_PARTIAL
    )
    predicted = {row["Image Name"].removesuffix(".flv"): row for row in rows(tmp_path / "i" / "inference_results.csv")}
    assert len(predicted) == 74 and set(tested) <= set(predicted)
    for name, row in tested.items():
        assert [float(row[f"predicted {emotion}"]) for emotion in NAMES] == pytest.approx(
            [float(predicted[name][emotion]) for emotion in NAMES], abs=1e-6
        )
    assert "silent" in found.stderr and "pointer" in found.stderr and "no sound track" in found.stderr
    one = run(
        "infer", clone / "VideoFlash" / "1001_IEO_SAD_XX.flv", "--checkpoint", trained / "run", "--format", "jsonl"
    )
    assert json.loads(one.stdout)["Predicted Label"] == predicted["1001_IEO_SAD_XX"]["Predicted Label"]
    (tmp_path / "empty").mkdir()
    assert "holds no image or video" in run("infer", tmp_path / "empty", "--checkpoint", trained / "run", code=1).stderr


def test_probe(trained, tmp_path):
    common = ("--checkpoint", trained / "run", "--data", trained / "data", "--split", "train")
    found = run(
        "reconstruct", *common, "--results", tmp_path / "p", "--clips", 3, "--sound", "--batch-size", 7, "--json"
    )
    summary = json.loads(found.stdout)
    other = run("reconstruct", *common, "--results", tmp_path / "q", "--clips", 2, "--batch-size", 50, "--json")
    for kind, errors in json.loads(other.stdout)["errors"].items():
        assert errors == pytest.approx(summary["errors"][kind], rel=1e-5)
    assert summary["errors"]["all"]["image"] < min(summary["errors"][kind]["image"] for kind in ("shared", "private"))
    assert {path.name for path in (tmp_path / "p").iterdir()} == {
        "image.png", "sound.png", "probe.csv", "probe.json", "probe.safetensors", "sounds",
    }  # fmt: skip
    assert len(list((tmp_path / "p" / "sounds").glob("*.wav"))) == 15
    assert "is not empty" in run("reconstruct", *common, "--results", tmp_path / "p", code=2).stderr


def test_corruptions_of_the_pictures_alone(trained):
    found = run(
        "eval-corruptions", "--checkpoint", trained / "run", "--data", trained / "data", "--corruptions", "contrast",
        "--severities", "5", "--json",
    )  # fmt: skip
    clean, dull = json.loads(found.stdout)["rows"]
    assert clean["metrics"]["recon_audio"] == dull["metrics"]["recon_audio"]
    assert clean["metrics"]["recon_image"] != dull["metrics"]["recon_image"]
    refused = run(
        "eval-corruptions", "--checkpoint", trained / "run", "--data", trained / "data", "--save-images", "x", code=2
    )
    assert "prepared clips" in refused.stderr


@pytest.mark.parametrize("mode", ["image-only", "audio-only"])
def test_one_modality_alone(few, clone, tmp_path, monkeypatch, mode):
    monkeypatch.setattr(Trainer, "draw", lambda *_: None)
    run(
        "train",
        "--model",
        "cmvqvae",
        "--data",
        few,
        "--output",
        tmp_path / "run",
        "--mode",
        mode,
        "--epochs",
        1,
        *TINY,
    )
    history = rows(tmp_path / "run" / "history.csv")[0]
    other = "audio" if mode == "image-only" else "image"
    assert f"valid_recon_{other}" not in history and f"train_recon_{other}" not in history
    silent, deaf = clone / "VideoFlash" / "1003_IEO_HAP_XX.flv", clone / "VideoFlash" / "1004_IEO_NEU_XX.flv"
    code = 0 if mode == "image-only" else EXIT_PARTIAL
    found = run(
        "infer", clone / "VideoFlash" / "1001_IEO_ANG_XX.flv", silent, deaf, "--checkpoint", tmp_path / "run", code=code
    )
    assert len(found.stdout.splitlines()) == (4 if mode == "image-only" else 2)


def test_baselines_stages_and_transfer(clone, trained, few, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "draw", lambda *_: None)  # pictures are not looked at
    for model in ("cmvqvae-baseline1", "cmvqvae-baseline2", "cmvqvae-baseline3", "cmvqvae-baseline4"):
        run("train", "--model", model, "--data", few, "--output", tmp_path / model, "--epochs", 1, *TINY)
        assert "accuracy" in json.loads((tmp_path / model / "metrics.json").read_text())["valid"]
    one = ("train", "--model", "cmvqvae", "--data", few, "--epochs", 1, *TINY)
    run(*one, "--output", tmp_path / "auto", "--stage", "autoencoder")
    clip = clone / "VideoFlash" / "1001_IEO_SAD_XX.flv"
    refused = invoke("infer", clip, "--checkpoint", tmp_path / "auto")
    assert refused.returncode == 2 and "has learned nothing" in refused.stderr
    valid = json.loads((tmp_path / "auto" / "metrics.json").read_text())["valid"]
    assert "accuracy" not in valid and "reconstruction" in valid
    found = run(*one, "--output", tmp_path / "solver", "--stage", "solver", "--init", tmp_path / "auto")
    assert "initial weights" in found.stderr
    metrics = json.loads((tmp_path / "solver" / "metrics.json").read_text())["valid"]
    assert metrics["recon_audio"] == pytest.approx(valid["recon_audio"], rel=1e-5)  # the autoencoders stood still
    assert "--stage solver needs --init" in run(*one, "--output", tmp_path / "x", "--stage", "solver", code=2).stderr
    moved = run(*one, "--output", tmp_path / "moved", "--init", trained / "run", "--reset-mask", "--lr", "1e-12")
    assert "tensors from" in moved.stderr
    shares = json.loads((tmp_path / "moved" / "metrics.json").read_text())["valid"]
    assert shares["shared_image"] == shares["shared_audio"] == 50


@pytest.mark.slow
def test_a_run_is_resumed_to_the_same_bytes(trained, tmp_path):
    found = run(
        "verify-resume",
        "--model",
        "cmvqvae",
        "--data",
        trained / "data",
        "--output",
        tmp_path / "v",
        "--epochs",
        2,
        *TINY,
    )
    assert "same" in found.stdout + found.stderr


def test_what_does_not_go_together(trained, tmp_path):
    data = trained / "data"
    make_folders(tmp_path / "faces", train=6, valid=3, test=3)
    found = run("train", "--model", "cmvqvae", "--data", tmp_path / "faces", "--output", tmp_path / "r", code=2)
    assert "takes clips" in found.stderr and "prep cremad" in found.stderr
    found = run(
        "train", "--model", "cmvqvae", "--data", data, "--output", tmp_path / "r", "--augment", "imagenet", code=2
    )
    assert "crops from whole images" in found.stderr
    found = run("train", "--model", "cmvqvae", "--data", data, "--output", tmp_path / "r", "--image-size", 64, code=2)
    assert "stored at 32x32" in found.stderr
    found = run("test", "--checkpoint", trained / "run", "--data", data, "--mask", "attention", code=2)
    assert "do not hold them" in found.stderr
    found = run("train", "--model", "cmvqvae-features", "--data", data, "--output", tmp_path / "r", code=2)
    assert "takes features" in found.stderr


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="CREMA-D's tables are not beside the checkout")
def test_all_actors_of_crema_d_with_clips_of_moviepy(tmp_path):
    """Clips that moviepy wrote, with the names of the real dataset: one sentence of each of the 91 actors."""
    clone = tmp_path / "CREMA-D"
    shutil.copytree(SHARED, clone)
    lines = (clone / "SentenceFilenames.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if "_IEO_" in line and ("_HI" in line or "NEU" in line)]
    (clone / "SentenceFilenames.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    names = [line.split(",")[1].strip('"') for line in kept]
    assert len({name[:4] for name in names}) == 91
    (clone / "VideoFlash").mkdir()
    for number, name in enumerate(names):
        path = clone / "VideoFlash" / f"{name}.flv"
        write_clip_moviepy(path, list(EMOTIONS).index(name[9:12]), seconds=0.5, seed=number)
    folder = clone / "VideoFlash"
    (folder / f"{names[0]}.flv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (folder / f"{names[7]}.flv").write_bytes((folder / f"{names[7]}.flv").read_bytes()[:20_000])
    write_clip(folder / f"{names[14]}.flv", silent=True)
    write_clip(folder / f"{names[21]}.flv", sound=False)
    prepared = ("prep", "cremad", clone, "--output", tmp_path / "data", "--size", 32, "--on-error", "skip", "--json")
    left_out = json.loads(run(*prepared, code=EXIT_PARTIAL).stdout)["left_out"]
    assert {fault["name"]: fault["reason"] for fault in left_out if fault["reason"] != "known-faulty"} == {
        names[0]: "pointer", names[7]: "truncated", names[14]: "silent", names[21]: "no-sound"
    }  # fmt: skip
    run("train", "--model", "cmvqvae", "--data", tmp_path / "data", "--output", tmp_path / "run", "--epochs", 12,
        "--hidden", 16, "--codes", 64, "--batch-size", 32)  # fmt: skip
    found = run("test", "--checkpoint", tmp_path / "run", "--data", tmp_path / "data", "--json")
    metrics = json.loads(found.stdout)["metrics"]
    assert metrics["accuracy"] > 0.9
    assert np.isfinite([metrics["human_accuracy_voice"], metrics["human_accuracy_face"]]).all()
