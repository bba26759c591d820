"""What ``train`` says: what must be beaten, how long it takes, why an epoch is the best, what comes next."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace

import pytest
from support import TINY, invoke

from affectkit.cli.next_steps import next_steps
from affectkit.config import dump_yaml, plain
from affectkit.core.yaml_files import load_yaml
from affectkit.settings.training import TrainSettings

FAST = ("--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--workers", "0")


def test_a_training_says_what_must_be_beaten_and_what_comes_next(votes, tmp_path, monkeypatch, no_figures):
    """And what comes next runs as it is printed, in the folder that the training was started in."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(votes, "the data")
    command = ("train", "--data", "the data", "--output", "runs/it's one", "--epochs", "2", "--lr", "3e-3")
    done = invoke(*command, *FAST)
    assert done.returncode == 0, done.stderr
    record = load_yaml((tmp_path / "runs/it's one/config.yaml").read_text(), "config")
    baselines = record["data"]["baselines"]
    kl, top1 = baselines["training shares"]["kl"], baselines["chance"]["top1"]
    assert f"baselines on validation images: chance top1 {top1:.4f}; always " in done.stderr
    assert f"training shares kl {kl:.4f}\n" in done.stderr
    best = json.loads((tmp_path / "runs/it's one/metrics.json").read_text())
    assert f"best epoch {best['best_epoch']} of 2: least validation loss, " in done.stderr
    # Two metrics of all that are kept.
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["validation", "kl", "top1"]
    assert f"{len(best['valid']) - 2} more metrics: --verbose shows them" in done.stderr
    tested, inferred = re.findall(r"^(?:next:|     ) (affectkit .*)$", done.stderr, re.M)
    assert shlex.split(tested)[1:] == [
        "test", "--checkpoint", "runs/it's one", "--data", "the data", "--results", "runs/it's one-test",
    ]  # fmt: skip
    assert invoke(*shlex.split(tested)[1:], "--workers", "0").returncode == 0
    words = ["the data/images/test" if word == "PHOTOS" else word for word in shlex.split(inferred)[1:]]
    assert invoke(*words, "--workers", "0").returncode == 0
    assert (tmp_path / "runs/it's one-photos/inference_results.csv").is_file()
    verbose = invoke("train", "--resume", "runs/it's one", "--verbose")
    rows = [line.split()[0] for line in verbose.stdout.splitlines()]
    assert rows == ["validation", *best["valid"]] and "more metrics" not in verbose.stderr
    assert tested in verbose.stderr and inferred in verbose.stderr
    told = invoke("train", "--resume", "runs/it's one", "--json")
    assert json.loads(told.stdout).keys() == {"run", *best} and "next:" not in told.stderr


def test_repeats_show_two_metrics_and_name_the_first(votes, tmp_path, no_figures):
    done = invoke("train", "--data", votes, "--output", tmp_path / "r", "--epochs", "1", "--repeat", "2", *FAST)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["2", "validation", "kl", "top1"]
    assert f"--checkpoint {tmp_path / 'r' / 'repeat-1'} " in done.stderr.split("next:")[1]


@pytest.fixture
def written(tmp_path):
    """Writes the record of a run; returns what comes next."""

    def write(splits, *, folder="", task="distribution", result=(), typed=(), **given):
        settings = TrainSettings(data=tmp_path / "data", output=tmp_path / "run", **given)
        record = {"settings": plain(settings), "data": {"task": task, "splits": dict.fromkeys(splits, 9)}}
        (tmp_path / "run" / folder).mkdir(parents=True)
        (tmp_path / "run" / folder / "config.yaml").write_text(dump_yaml(record))
        steps = next_steps({key: {} for key in result}, replace(settings, **dict(typed)))
        return [step.replace(str(tmp_path), "X") for step in steps]

    return write


def test_the_split_that_comes_next_is_one_that_there_is(written):
    test, infer = written(["train", "valid", "test"])
    assert test == "affectkit test --checkpoint X/run --data X/data --results X/run-test"
    assert infer == "affectkit infer PHOTOS --checkpoint X/run --results X/run-photos"


def test_without_a_test_split_it_is_validation(written):
    assert " --data X/data --split valid --results " in written(["train", "valid"])[0]


@pytest.mark.parametrize(("splits", "result"), [(["train"], []), (["all"], []), (["train", "test"], ["test"])])
def test_what_is_held_out_or_tested_already_leaves_other_data(written, splits, result):
    assert written(splits, result=result)[0] == "affectkit test --checkpoint X/run --data TEST-DATA"


def test_options_by_which_the_data_are_read_come_along(written, tmp_path):
    given = {"labels": tmp_path / "my labels.csv", "classes": ("a b", "c"), "follow_links": True}
    test, _ = written(["test"], **given)
    assert " --labels 'X/my labels.csv' --classes 'a b,c' --follow-links --results " in test


def test_folds_are_tested_and_a_model_of_clips_takes_clips(written):
    assert written(["all"], folder="fold-1", result=["folds"], task="audiovisual") == [
        "affectkit infer CLIPS --checkpoint X/run/fold-1 --results X/run-clips"
    ]


def test_a_run_without_a_record_that_can_be_read_has_nothing_next(tmp_path):
    assert next_steps({}, TrainSettings(data=tmp_path, output=tmp_path)) == []
    (tmp_path / "config.yaml").write_text("settings: [")
    assert next_steps({}, TrainSettings(data=tmp_path, output=tmp_path)) == []
