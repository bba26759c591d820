from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
import types

import pytest
from support import affectkit, settings

from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.training import run
from affectkit.training.loggers import Loggers, name_to_id


def test_wandb_that_is_not_installed_is_an_error_with_the_next_step(votes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        run.train(settings(votes, tmp_path / "run", track="wandb"), reporter=Silent())
    assert "pip install wandb" in caught.value.hint
    assert not (tmp_path / "run" / "history.csv").exists()


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_offline_keeps_the_run_on_this_machine(votes, tmp_path):
    done = affectkit(
        "train", "--data", votes, "--output", tmp_path / "run", "--epochs", "2", "--model", "test_resnet",
        "--no-pretrained", "--image-size", "24", "--track", "wandb", WANDB_MODE="offline", WANDB_SILENT="true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 1 and files[0].stat().st_size > 1000
    assert name_to_id(tmp_path / "run") in files[0].name


def test_a_run_keeps_its_id():
    text = (
        "from pathlib import Path; from affectkit.training.loggers import name_to_id; print(name_to_id(Path('/a/b')))"
    )
    ids = {subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(ids) == 1 and len(ids.pop().strip()) == 16


def series(events):
    """The series in a folder of events, as TensorBoard itself reads them: steps and values by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(events), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


ODD = (
    "valid_loss", "valid_\x1b[31mred", "valid_a\nb", "valid_a\\x0ab", "valid_\0", "valid_\udcff", "valid_../../x",
    "/etc/x", "valid_" + "x" * 5000, "valid_" + "x" * 5001, "valid_\u202eexe", "valid_Glück 😀", "valid_a b",
    "valid_a_b", "",
)  # fmt: skip


def test_names_of_every_kind_are_series_of_their_own_and_stay_in_the_folder(tmp_path):
    loggers = Loggers(tmp_path / "run" / "events", first_epoch=0, service="none", name="run", settings={})
    for epoch in (1, 2):
        loggers.log(epoch, {name: float(number + epoch) for number, name in enumerate(ODD)})
    loggers.close()
    found = series(tmp_path / "run" / "events")
    assert len(found) == len(ODD)
    assert sorted(found.values()) == [[(1, 1.0 + n), (2, 2.0 + n)] for n in range(len(ODD))]
    assert all(tag.isprintable() and 0 < len(tag) <= 200 for tag in found)
    assert {"valid/loss", "valid/Glück 😀", "valid/a b", "valid/a_b"} <= set(found)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent for path in files] == [tmp_path / "run" / "events"]


def test_wandb_gets_names_that_it_takes(tmp_path, monkeypatch):
    told = {}
    fake = types.SimpleNamespace(
        init=lambda **given: (
            told.update(given) or types.SimpleNamespace(log=lambda numbers, step: told.update(numbers=numbers))
        )
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    name = "run\x1b]0;x\x07" + "y" * 500
    loggers = Loggers(tmp_path / "events", first_epoch=0, service="wandb", name=name, settings={})
    loggers.log(1, dict.fromkeys(ODD, 1.0))
    assert told["name"].isprintable() and len(told["name"]) <= 128 and told["name"].startswith("run\\x1b]0;x\\x07y")
    assert len(told["numbers"]) == len(ODD) and all(key.isprintable() and len(key) <= 200 for key in told["numbers"])


def test_a_clock_set_back_before_resuming_hides_no_epoch(tmp_path, monkeypatch):
    now = 1_900_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    for begin, values in ((1, (1.0, 2.0, 3.0)), (3, (30.0, 40.0)), (5, (50.0,))):
        first = 0 if begin == 1 else begin
        loggers = Loggers(tmp_path / "events", first_epoch=first, service="none", name="run", settings={})
        for epoch, value in enumerate(values, start=begin):
            loggers.log(epoch, {"valid_loss": value})
        loggers.close()
        now -= 86_400
    assert series(tmp_path / "events") == {"valid/loss": [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0), (5, 50.0)]}
