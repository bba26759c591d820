from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from support import Heard, make_folders, settings, stop_after

from affectkit.checkpoints.checkpoint import load_model, read_header
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, DataError, LockedError, RunError, Stopped, UsageError
from affectkit.tasks.categorical import CategoricalOptions, class_weights
from affectkit.tasks.distribution import DistributionTask
from affectkit.training import run as runs
from affectkit.training import trainer
from affectkit.training.resume_state import states
from affectkit.training.run_folder import RunFolder
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_learns_and_leaves_what_it_promises(trained):
    names = {path.name for path in trained.iterdir()}
    assert names >= {
        "config.yaml", "history.csv", "timing.csv", "metrics.json", "best.safetensors", "last.safetensors", "state",
        "events", "valid", "status.json",
    }  # fmt: skip
    samples = rows_of(trained / "valid" / "valid_results.csv")
    assert len(samples) == 36
    assert sum(row["True Label"] == row["Predicted Label"] for row in samples) / 36 == pytest.approx(
        json.loads((trained / "metrics.json").read_text())["valid"]["top1"]
    )
    history = rows_of(trained / "history.csv")
    assert [row["epoch"] for row in history] == [str(1 + k) for k in range(8)]
    assert float(history[-1]["train_loss"]) < float(history[0]["train_loss"])
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["best_epoch"] == 1 + int(np.argmin([float(row["valid_loss"]) for row in history]))
    assert metrics["temperature"] == read_header(trained).spec.temperature != 1
    told = metrics["calibration"]
    assert (told["fitted"], told["reason"], told["n"], told["to"]) == (True, "", 36, "targets")
    assert told["cross_validated_nll"] < told["cross_validated_nll_uncalibrated"]
    assert read_header(trained).training["calibration"] == told
    assert json.loads((trained / "status.json").read_text())["state"] == "done"
    assert len(states(trained / "state")) == 2


def test_what_cannot_be_calibrated_is_reported(votes, tmp_path):
    few = make_folders(tmp_path / "few")
    for name, data, calibrate, reason in (
        ("few", few, "auto", "12 samples are too few: a temperature needs at least 20"),
        ("none", votes, "none", "--calibrate none"),
    ):
        heard, run = Heard(), tmp_path / f"run-{name}"
        runs.train(settings(data, run, epochs=1, calibrate=calibrate), reporter=heard)
        metrics, header = json.loads((run / "metrics.json").read_text()), read_header(run)
        assert metrics["temperature"] == header.spec.temperature == 1
        assert metrics["calibration"] == header.training["calibration"]
        assert metrics["calibration"]["fitted"] is False and metrics["calibration"]["reason"] == reason
        assert metrics["calibration"]["n"] == (12 if data is few else 36)
        notes = [text for text in heard.notes if "temperature" in text]
        assert notes == ([f"temperature 1, not fitted: {reason}"] if calibrate == "auto" else [])


def test_tensorboard_reads_the_events(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "events"))
    events.Reload()
    history = rows_of(trained / "history.csv")
    logged = [(item.step, item.value) for item in events.Scalars("valid/loss")]
    assert logged == [(int(row["epoch"]), pytest.approx(float(row["valid_loss"]), rel=1e-5)) for row in history]


VARIANTS = [
    {},
    {"accumulate": 2, "ema": 0.9, "mixup": 0.4, "clip_norm": 1.0, "optimizer": "adamw", "schedule": "cosine"},
    {"draw_labels": True, "task": "classification", "schedule": "plateau", "lr_patience": 0, "optimizer": "sgd"},
    {"workers": 2, "cache": "none", "augment": "face-strong", "warmup": 1.0, "schedule": "step", "step_size": 1},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=["plain", "accumulate-ema-mixup", "drawn-labels", "workers"])
@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_a_stopped_run_ends_as_if_it_had_not_been(votes, tmp_path, monkeypatch, changes, steps):
    changes = {"epochs": 3, **changes}
    runs.train(settings(votes, tmp_path / "whole", **changes), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        with pytest.raises(Stopped) as caught:
            runs.train(settings(votes, tmp_path / "cut", **changes), reporter=Silent())
    assert caught.value.exit_code == 75 and "--resume" in caught.value.hint
    assert json.loads((tmp_path / "cut" / "status.json").read_text())["state"] == "stopped"
    runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())
    for name in ("history.csv", "best.safetensors", "last.safetensors", "metrics.json"):
        assert digest(tmp_path / "cut" / name) == digest(tmp_path / "whole" / name), name


def test_same_seed_same_run_and_another_seed_another(votes, tmp_path):
    found = []
    for name, seed, workers in (("a", 3, 0), ("b", 3, 2), ("c", 4, 0)):
        runs.train(settings(votes, tmp_path / name, seed=seed, workers=workers, epochs=1), reporter=Silent())
        found.append(digest(tmp_path / name / "last.safetensors"))
    assert found[0] == found[1] != found[2]


def test_resuming_what_is_complete_does_nothing(trained):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    heard = Heard()
    result = runs.train(replace(settings(trained, trained), resume=trained), reporter=heard)
    assert any("nothing to do" in note for note in heard.notes) and result["best_epoch"] >= 1
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_resume_refuses_what_would_change_the_run(votes, tmp_path, trained):
    given = frozenset({"resume", "lr"})
    with pytest.raises(UsageError, match="--lr cannot be changed"):
        runs.train(replace(settings(votes, trained), resume=trained), given=given, reporter=Silent())
    with pytest.raises(CheckpointError, match="not a run folder"):
        runs.train(replace(settings(votes, tmp_path), resume=tmp_path), reporter=Silent())
    with pytest.raises(UsageError, match="not empty") as caught:
        runs.train(settings(votes, trained), reporter=Silent())
    assert "--resume" in caught.value.hint


def test_resume_refuses_changed_data(tmp_path, monkeypatch):
    data = make_folders(tmp_path / "data")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            runs.train(settings(data, tmp_path / "run"), reporter=Silent())
    (data / "train" / "anger" / "000.png").unlink()
    with pytest.raises(CheckpointError, match="has changed since"):
        runs.train(replace(settings(data, tmp_path / "run"), resume=tmp_path / "run"), reporter=Silent())


def test_a_folder_that_another_process_writes_is_refused(votes, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from affectkit.training.run_folder import RunFolder\n"
        f"with RunFolder(Path({str(tmp_path / 'run')!r})).locked(): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"is being written by process {other.pid} on "):
            runs.train(settings(votes, tmp_path / "run", force=True), reporter=Silent())
    finally:
        other.kill()
        other.wait()
    runs.train(settings(votes, tmp_path / "run", force=True, epochs=1), reporter=Silent())


def test_repeats_have_a_row_each_and_their_mean(votes, tmp_path):
    result = runs.train(settings(votes, tmp_path / "run", repeat=3, epochs=1), reporter=Silent())
    rows = rows_of(tmp_path / "run" / "repeats.csv")
    assert [row["repeat"] for row in rows] == ["1", "2", "3", "mean", "sd", "ci_low", "ci_high"]
    assert [row["seed"] for row in rows] == ["0", "1", "2", *[""] * 4]
    losses = [float(row["loss"]) for row in rows[:3]]
    assert len(set(losses)) == 3
    assert float(rows[3]["loss"]) == pytest.approx(np.mean(losses), abs=2e-6)
    assert float(rows[4]["loss"]) == pytest.approx(np.std(losses, ddof=1), abs=2e-6)
    assert result["valid"]["loss"] == pytest.approx(np.mean(losses), abs=1e-6)
    low, high = (float(row["loss"]) for row in rows[5:])
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, np.mean(losses), stats.sem(losses)), abs=4e-6)
    single = settings(votes, tmp_path / "single", seed=1, epochs=1)
    runs.train(single, reporter=Silent())
    assert digest(tmp_path / "single" / "last.safetensors") == digest(tmp_path / "run/repeat-2/last.safetensors")


def test_a_repeat_refuses_data_other_than_those_of_the_first(tmp_path, monkeypatch):
    data = make_folders(tmp_path / "data")
    shutil.rmtree(data / "valid")  # so that each repeat holds out others
    chosen, root = settings(data, tmp_path / "run", repeat=2, epochs=1), tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 4)  # in the second repeat
        with pytest.raises(Stopped):
            runs.train(chosen, reporter=Silent())
    image = next((data / "train" / "anger").iterdir())
    pixels, resumed = image.read_bytes(), replace(chosen, resume=root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "fit", None)  # nothing is trained
        for begun in (True, False):
            if not begun:
                shutil.rmtree(root / "repeat-2")
            image.write_bytes(pixels + b" ")
            with pytest.raises(DataError, match="files of train in .* have changed since the repeats began"):
                runs.train(resumed, reporter=Silent())
    image.write_bytes(pixels)
    result = runs.train(resumed, reporter=Silent())
    tables = [rows_of(root / f"repeat-{k}" / "valid" / "valid_results.csv") for k in (1, 2)]
    assert len(result["repeats"]) == 2 and len({tuple(row["Image Name"] for row in table) for table in tables}) == 2


def test_early_stopping_ends_the_run_and_keeps_the_best(votes, tmp_path):
    chosen = settings(votes, tmp_path / "run", lr=1e-12, epochs=9, early_stop=2, schedule="constant", augment="none")
    result = runs.train(chosen, reporter=Silent())
    epochs = [float(row["valid_loss"]) for row in rows_of(tmp_path / "run" / "history.csv")]
    assert result["best_epoch"] + 2 == len(epochs) < 9


def test_best_is_chosen_by_the_monitored_metric_in_its_direction(votes, tmp_path):
    chosen = settings(votes, tmp_path / "run", epochs=3, monitor="top1", lr=3e-3, early_stop=0)
    result = runs.train(chosen, reporter=Silent())
    values = [float(row["valid_top1"]) for row in rows_of(tmp_path / "run" / "history.csv")]
    assert result["best_epoch"] == 1 + int(np.argmax(values))
    with pytest.raises(UsageError, match="no metric 'error'"):
        runs.train(settings(votes, tmp_path / "x", task="distribution", monitor="error"), reporter=Silent())


def test_accumulation_equals_a_larger_batch(votes, tmp_path, monkeypatch):
    """Gradients of two batches of 6 are those of one batch of 12 (without batch norm, dropout and shuffling)."""
    in_order = lambda n, b, **_: np.array_split(np.arange(n), n // b)  # noqa: E731
    monkeypatch.setattr(trainer, "epoch_batches", in_order)
    shared = {"model": "test_vit", "image_size": 32, "dropout": 0.0, "augment": "none", "epochs": 1,
              "optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "lr": 0.05}  # fmt: skip
    runs.train(settings(votes, tmp_path / "a", batch_size=12, **shared), reporter=Silent())
    runs.train(settings(votes, tmp_path / "b", batch_size=6, accumulate=2, **shared), reporter=Silent())
    one, two = (load_model(tmp_path / name / "last.safetensors").state_dict() for name in "ab")
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_without_a_validation_split_some_training_images_are_held_out(tmp_path):
    data = make_folders(tmp_path / "data", train=30)
    for part in ("valid", "test"):
        for path in sorted((data / part).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (data / part).rmdir()
    heard = Heard()
    runs.train(settings(data, tmp_path / "run", epochs=1, val_fraction=0.2), reporter=heard)
    assert any("6 of 30 training images held out" in note for note in heard.notes)


def test_bad_images_are_fatal_or_skipped_and_counted(tmp_path):
    data = make_folders(tmp_path / "data")
    (data / "train" / "anger" / "000.png").write_bytes(b"\x89PNG broken")
    for cache in ("ram", "none"):
        with pytest.raises(DataError, match=r"anger/000\.png"):
            runs.train(settings(data, tmp_path / f"fail-{cache}", cache=cache, epochs=1), reporter=Silent())
        runs.train(
            settings(data, tmp_path / f"skip-{cache}", cache=cache, on_error="skip", epochs=1), reporter=Silent()
        )
        metrics = json.loads((tmp_path / f"skip-{cache}" / "metrics.json").read_text())
        assert [item["image"] for item in metrics["skipped"]] == ["train/anger/000.png"]
    for name in ("last.safetensors", "history.csv"):
        assert digest(tmp_path / "skip-ram" / name) == digest(tmp_path / "skip-none" / name)


def test_stored_settings_hold_absolute_paths(votes, tmp_path, monkeypatch):
    monkeypatch.chdir(votes.parent)
    relative = settings(votes.relative_to(votes.parent), tmp_path / "run", epochs=1)
    runs.train(relative, reporter=Silent())
    assert f"data: {votes}" in (tmp_path / "run" / "config.yaml").read_text()


def test_training_works_off_the_main_thread(votes, tmp_path):
    failures = []

    def work():
        try:
            runs.train(settings(votes, tmp_path / "run", epochs=1), reporter=Silent())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert failures == []
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 1


SPEC = InputSpec("distribution", 8, 8, classes=("a", "b", "c"))


def test_class_weights_balance_and_smoothing_are_as_defined():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0, 0, 0, 1, 1, 2])
    target = np.eye(3, dtype=np.float32)[labels]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert np.allclose(class_weights("balanced", SPEC.classes, target), expected)
    assert class_weights("b=2", SPEC.classes, target).tolist() == [1, 2, 1]
    with pytest.raises(UsageError, match="less than one image of c"):
        class_weights("balanced", SPEC.classes, target[:5])
    with pytest.raises(UsageError, match="2 settings are wrong"):
        class_weights("d=1,a=-1", SPEC.classes, target)


def test_weighted_smoothed_loss_agrees_with_torch():
    task = DistributionTask(SPEC, CategoricalOptions(loss="ce", label_smoothing=0.1))
    logits, labels = torch.randn(16, 3), torch.randint(0, 3, (16,))
    batch = {"target": torch.nn.functional.one_hot(labels, 3).float()}
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(task.loss(logits, batch, 0.0)["loss"], expected, atol=1e-6)
    task = DistributionTask(SPEC, CategoricalOptions(loss="ce"))
    task.weights = torch.tensor([1.0, 2.0, 5.0])
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=task.weights)
    assert torch.allclose(task.loss(logits, batch, 0.0)["loss"], expected, atol=1e-6)


def test_a_summed_loss_says_its_weights_and_can_be_divided_by_their_sum(votes, tmp_path):
    told, found = {}, {}
    for name, normalise in (("sum", False), ("mean", True)):
        heard = Heard()
        chosen = settings(votes, tmp_path / name, epochs=1, loss="mse:1+kl:3", loss_normalise=normalise, lr=1e-9)
        runs.train(chosen, reporter=heard)
        told[name] = [text for text in heard.notes if text.startswith("loss = ")]
        found[name] = json.loads((tmp_path / name / "metrics.json").read_text())["valid"]["loss"]
    assert told["sum"] == ["loss = 1 mse + 3 kl: weights sum to 4; --loss-normalise divides by that"]
    assert told["mean"] == ["loss = 0.25 mse + 0.75 kl: weights divided by their sum, 4"]
    assert found["mean"] == pytest.approx(found["sum"] / 4, rel=1e-5)
    recorded = RunFolder(tmp_path / "mean").read_config()
    assert recorded["data"]["loss"] == {"weights": {"mse": 0.25, "kl": 0.75}}
    assert recorded["settings"]["loss_normalise"] is True
    header = read_header(tmp_path / "mean" / "best.safetensors")
    assert header.training["task_options"] == {"loss": "mse:1+kl:3", "loss_normalise": True}
    one = settings(votes, tmp_path / "one", loss="kl", loss_normalise=True)
    assert runs.without_effect(one, frozenset({"loss_normalise"})) == [
        "--loss-normalise has no effect with weights that sum to 1."
    ]


def test_force_starts_afresh_and_leaves_nothing_of_the_run_before(votes, tmp_path):
    run = tmp_path / "run"
    runs.train(settings(votes, run, epochs=3), reporter=Silent())
    (run / "mine.txt").write_text("kept")
    runs.train(settings(votes, run, epochs=1, seed=5, force=True), reporter=Silent())
    runs.train(settings(votes, tmp_path / "fresh", epochs=1, seed=5), reporter=Silent())
    for name in ("history.csv", "best.safetensors", "last.safetensors"):
        assert digest(run / name) == digest(tmp_path / "fresh" / name)
    assert (run / "mine.txt").read_text() == "kept"
    assert [s.name for s in states(run / "state")] == [s.name for s in states(tmp_path / "fresh" / "state")]


def test_forced_repeats_are_trained_again(votes, tmp_path):
    first = runs.train(settings(votes, tmp_path / "run", repeat=2, epochs=1), reporter=Silent())
    again = runs.train(settings(votes, tmp_path / "run", repeat=2, epochs=1, lr=1e-2, force=True), reporter=Silent())
    assert first["valid"]["loss"] != again["valid"]["loss"]


def test_the_same_command_again_says_that_there_is_nothing_to_do(votes, tmp_path):
    chosen = settings(votes, tmp_path / "run", epochs=1)
    before = runs.train(chosen, reporter=Silent())
    heard = Heard()
    assert runs.train(chosen, reporter=heard)["valid"] == before["valid"]
    assert any("nothing to do" in note for note in heard.notes)


def test_resuming_needs_neither_the_initial_weights_nor_the_hub(votes, trained, tmp_path, monkeypatch):
    shutil.copy(trained / "best.safetensors", tmp_path / "init.safetensors")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "run", init=tmp_path / "init.safetensors"), reporter=Silent())
    (tmp_path / "init.safetensors").unlink()
    runs.train(replace(settings(votes, tmp_path / "run"), resume=tmp_path / "run"), reporter=Silent())
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_a_damaged_newest_state_is_passed_over(votes, tmp_path, monkeypatch):
    runs.train(settings(votes, tmp_path / "whole", epochs=3), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, 8)
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "cut", epochs=3), reporter=Silent())
    newest = states(tmp_path / "cut" / "state")[0]
    (newest / "tensors.safetensors").write_bytes(b"torn")
    heard = Heard()
    runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=heard)
    assert any("damaged state" in text for text in heard.warnings)
    assert digest(tmp_path / "cut" / "history.csv") == digest(tmp_path / "whole" / "history.csv")


def test_settings_without_effect_are_named(votes, tmp_path):
    heard = Heard()
    given = frozenset({"momentum", "lr_min", "data", "dropout"})
    runs.train(settings(votes, tmp_path / "run", epochs=1, schedule="step"), given=given, reporter=heard)
    assert heard.warnings == [
        "--momentum has no effect with --optimizer adam.", "--lr-min has no effect with --schedule step.",
    ]  # fmt: skip


def test_a_metric_that_the_data_cannot_give_is_refused_before_training(tmp_path):
    data = make_folders(tmp_path / "data")
    with pytest.raises(UsageError, match="no metric 'rater_agreement' here"):
        runs.train(settings(data, tmp_path / "run", monitor="rater_agreement"), reporter=Silent())
    assert not (tmp_path / "run").exists()


def test_a_batch_of_one_is_refused_where_the_network_cannot_take_it(votes, tmp_path):
    with pytest.raises(UsageError, match="Choose a larger --batch-size"):
        runs.train(settings(votes, tmp_path / "run", batch_size=1, image_size=16), reporter=Silent())


def test_a_classifier_is_not_taken_over_for_other_classes(votes, folders, trained, tmp_path):
    heard = Heard()
    runs.train(settings(folders, tmp_path / "same", init=trained / "best.safetensors", epochs=1), reporter=heard)
    assert not any("left at their initial values" in note for note in heard.notes)
    other = make_folders(tmp_path / "data")
    for split in ("train", "valid", "test"):
        (other / split / "anger").rename(other / split / "zorn")
    heard = Heard()
    runs.train(settings(other, tmp_path / "other", init=trained / "best.safetensors", epochs=1), reporter=heard)
    assert any("left at their initial values: top.1.bias, top.1.weight" in note for note in heard.notes)


def test_test_reports_the_loss_that_training_did(votes, tmp_path):
    from affectkit.config import resolve
    from affectkit.evaluation.test import test as run_test
    from affectkit.settings.evaluation import TestSettings

    result = runs.train(settings(votes, tmp_path / "run", loss="mse:2+l1:0.5", epochs=1), reporter=Silent())
    chosen = {"checkpoint": tmp_path / "run", "data": votes, "split": "valid", "workers": 0}
    summary = run_test(resolve(TestSettings, flags=chosen).settings, reporter=Silent())
    assert {name: summary["metrics"][name] for name in result["valid"]} == result["valid"]


def test_states_are_saved_by_steps_and_only_the_newest_are_kept(votes, tmp_path, monkeypatch):
    from affectkit.training import checkpointing as module

    saved = []
    save = module.save_state
    monkeypatch.setattr(module, "save_state", lambda *a, **k: saved.append((k["step"], k["keep"])) or save(*a, **k))
    chosen = {"epochs": 2, "accumulate": 2, "checkpoint_every": "2", "keep": 3}
    runs.train(settings(votes, tmp_path / "run", **chosen), reporter=Silent())
    # 48 images in batches of 8: 6 batches and 3 steps an epoch; a state has the number epoch * 7 + batches done.
    assert saved == [(4, 3), (7, 3), (7 + 4, 3), (14, 3)]
    assert [path.name for path in states(tmp_path / "run" / "state")] == [f"state-{n:09d}" for n in (14, 11, 7)]
    runs.train(settings(votes, tmp_path / "rarely", epochs=2, accumulate=2), reporter=Silent())
    for name in ("history.csv", "last.safetensors", "metrics.json"):
        assert digest(tmp_path / "run" / name) == digest(tmp_path / "rarely" / name), name


def test_states_are_saved_by_the_clock(votes, tmp_path, monkeypatch):
    from affectkit.training import checkpointing as module

    clock, saved = [0.0], []

    def tick():
        clock[0] += 1.0
        return clock[0]

    monkeypatch.setattr(module.time, "monotonic", tick)
    monkeypatch.setattr(module, "save_state", lambda *a, **k: saved.append(k["step"]))
    runs.train(settings(votes, tmp_path / "run", epochs=1, checkpoint_every="0.1m"), reporter=Silent())
    assert saved[0] > 1 and len(saved) >= 2 and saved[-1] == 7, "every six ticks of the clock, and at the end"


@pytest.mark.parametrize("text", ["0", "5 minutes", "m", "-3", "0m", "1d"])
def test_an_interval_that_is_none_is_refused(votes, tmp_path, text):
    with pytest.raises(UsageError, match="--checkpoint-every: must be a number of steps, as 200"):
        settings(votes, tmp_path / "run", checkpoint_every=text)


def test_a_batch_that_does_not_fit_is_computed_in_parts(votes, tmp_path, monkeypatch):
    """The gradients, and so the weights, are those of the whole batch (without batch norm and dropout)."""
    chosen = {"model": "test_vit", "image_size": 32, "dropout": 0.0, "optimizer": "sgd", "lr": 0.05, "accumulate": 2}
    runs.train(settings(votes, tmp_path / "whole", **chosen), reporter=Silent())
    forward, sizes = Learner.forward, []

    def scarce(self, batch):
        sizes.append(len(batch["index"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(Learner, "forward", scarce)
    heard = Heard()
    runs.train(settings(votes, tmp_path / "parts", **chosen), reporter=heard)
    assert sizes[:2] == [8, 4] and set(sizes[2:]) == {2}, "what fits is remembered"
    assert ["4 images at a time" in heard.warnings[0], "2 images at a time" in heard.warnings[1]] == [True, True]
    assert len(heard.warnings) == 2
    one, two = (load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("whole", "parts"))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)
    monkeypatch.setattr(Learner, "forward", lambda self, batch: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(RunError, match="out of memory with a single image"):
        runs.train(settings(votes, tmp_path / "none", **chosen), reporter=Silent())
    assert json.loads((tmp_path / "none" / "status.json").read_text())["state"] == "failed"


def test_a_val_fraction_without_effect_is_reported(votes, tmp_path):
    heard = Heard()
    runs.train(settings(votes, tmp_path / "run", epochs=1, val_fraction=0.3), reporter=heard)
    assert any("--val-fraction 0.3 has no effect" in text for text in heard.warnings)
