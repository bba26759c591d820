from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from support import affectkit, settings

from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.training import run
from affectkit.training.loggers import name_to_id


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
