"""Signals to the commands with decoding workers: exit codes, what is left on disk, and that no process is left.

The commands run in forked processes with a session of their own, as a terminal's or a job's; what is sent goes to the
whole session, so that the workers hear it too. See test_commands.py for train in a process of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import psutil
import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
import torch
import torch.utils.tensorboard
from support import TINY, make_folders, settings

from affectkit.cli.app import app
from affectkit.core.progress import Silent
from affectkit.engines import torch_engine
from affectkit.evaluation import evaluate
from affectkit.training import final_evaluation
from affectkit.training import run as runs
from affectkit.training.trainer import Trainer
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")

TRAIN = ("train", "--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--cache", "none",
         "--epochs", "500", "--early-stop", "0")  # fmt: skip
ONE = ("--batch-size", "1")
SIGNALS = [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow), signal.SIGINT]
"""SIGUSR1 is answered as SIGTERM is, by one function: that of training is sent in each run."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("faces"), train=24, valid=6, test=60)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(Trainer, "draw", lambda *args: None)


@pytest.fixture(scope="module")
def trained_on_faces(faces, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "draw", lambda *args: None)
        runs.train(settings(faces, root, epochs=1), reporter=Silent())
    return root


class Command:
    """``affectkit`` with ``arguments`` in a forked process; ``prepare`` changes that process first."""

    def __init__(self, folder: Path, *arguments: object, prepare=None) -> None:
        self.told = folder / "told.txt"
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                os.setsid()
                stream = os.open(self.told, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(stream, 1)
                os.dup2(stream, 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
                sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
                torch.set_num_threads(1)
                if prepare is not None:
                    prepare()
                app([*map(str, arguments)])
            except SystemExit as error:
                code = error.code or 0
            except BaseException:
                traceback.print_exc()
            atexit._run_exitfuncs()  # as at the end of any process: the workers are ended there
            os._exit(code)

    def wait_for(self, found, seconds: float = 40) -> None:
        """Until ``found()``."""
        end = time.monotonic() + seconds
        while not found():
            assert os.waitpid(self.pid, os.WNOHANG) == (0, 0), self.told.read_text()
            assert time.monotonic() < end, self.told.read_text()
            time.sleep(0.02)

    def family(self) -> list[psutil.Process]:
        """The processes of its session that live."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        return found

    def send(self, number: signal.Signals) -> None:
        """To every process of the session."""
        for process in self.family():
            process.send_signal(number)

    def end(self, seconds: float = 20) -> tuple[int, str]:
        """Its exit code, negative for a signal, and what it said; all its processes must be gone 5 s later."""
        limit = time.monotonic() + seconds
        while (found := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > limit:
                self.send(signal.SIGKILL)
                pytest.fail(f"it did not end in {seconds} s: {self.told.read_text()}")
            time.sleep(0.02)
        gone = time.monotonic() + 5
        while (left := self.family()) and time.monotonic() < gone:
            time.sleep(0.05)
        assert left == [], f"processes outlived it: {left}"
        return os.waitstatus_to_exitcode(found[1]), self.told.read_text()


def slowed(module, name: str, begun: Path, seconds: float):
    """A preparation: each call of ``module.name`` takes so much longer, and the second one makes the file ``begun``."""

    def prepare() -> None:
        real, count = getattr(module, name), [0]

        def slow(*args, **kwargs):
            count[0] += 1
            if count[0] == 2:
                begun.touch()
            time.sleep(seconds)
            return real(*args, **kwargs)

        setattr(module, name, slow)

    return prepare


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_train_with_workers_saves_and_ends_them(faces, tmp_path, number):
    run = tmp_path / "run"
    command = Command(tmp_path, *TRAIN, "--data", faces, "--output", run, "--workers", "2")
    command.wait_for((run / "history.csv").exists)
    assert len(command.family()) == 1 + 4, "two loaders with two workers each"
    command.send(number)
    code, told = command.end()
    assert code == (130 if number == signal.SIGINT else 75), told
    assert f"{number.name}: stopping at the end of this step." in told
    assert f"stopped by {number.name}; the run is saved in {run}" in told and f"train --resume {run}" in told
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "stopped" and number.name in status["reason"]
    assert list((run / "state").glob("state-*")) and not list((run / "state").glob(".*"))


def test_a_stop_while_the_end_is_computed_is_answered_and_loses_nothing(faces, tmp_path):
    """The model then holds the best epoch's weights, which must not be saved as the state."""
    short = (*TRAIN[:-4], "--epochs", "2", "--workers", "0", "--data", faces)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert Command(tmp_path, *short, "--output", whole).end()[0] == 0

    def stop_at_the_end() -> None:
        real = final_evaluation.load_tensors
        final_evaluation.load_tensors = lambda *args, **more: (
            real(*args, **more),
            os.kill(os.getpid(), signal.SIGTERM),
        )

    code, told = Command(tmp_path, *short, "--output", cut, prepare=stop_at_the_end).end()
    assert code == 75 and "--resume" in told, told
    assert json.loads((cut / "status.json").read_text())["state"] == "stopped"
    code, told = Command(tmp_path, "train", "--resume", cut).end()
    assert code == 0 and "only the end is left" in told
    for name in ("best.safetensors", "last.safetensors", "history.csv", "metrics.json"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


@pytest.mark.parametrize("moment", ["training", "between"])
def test_a_stop_among_repeats_names_the_run_of_all(faces, tmp_path, moment):
    """Also one that comes while the last files of a repeat are written."""
    short = (*TRAIN[:-4], "--epochs", "1", "--workers", "0", "--data", faces, "--repeat", "2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert Command(tmp_path, *short, "--output", whole).end()[0] == 0

    def stop() -> None:
        owner, name = (Learner, "optimizer_step")
        if moment == "between":
            owner, name = final_evaluation, "write_json"
        real = getattr(owner, name)
        setattr(owner, name, lambda *args: (os.kill(os.getpid(), signal.SIGTERM), real(*args))[1])

    code, told = Command(tmp_path, *short, "--output", cut, prepare=stop).end()
    assert code == 75 and f"Resume with: affectkit train --resume {cut}\n" in told, told
    status = json.loads((cut / "status.json").read_text())
    assert status["state"] == "stopped" and status["done"] == int(moment == "between")
    assert (cut / "repeat-1" / "metrics.json").exists() == (moment == "between")
    assert Command(tmp_path, "train", "--resume", cut).end()[0] == 0
    for name in ("repeats.csv", "repeat-2/best.safetensors", "repeat-2/history.csv"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_test_that_is_stopped_has_written_nothing(faces, trained_on_faces, tmp_path, number, workers):
    begun = tmp_path / "begun"
    command = Command(
        tmp_path, "test", "--checkpoint", trained_on_faces, "--data", faces, "--results", tmp_path / "results",
        "--workers", workers, *ONE, prepare=slowed(evaluate, "forward_in_blocks", begun, 0.05),
    )  # fmt: skip
    command.wait_for(begun.exists)
    assert len(command.family()) == 1 + workers
    command.send(number)
    code, told = command.end()
    assert code == (130 if number == signal.SIGINT else 143), told
    assert f"stopped by {number.name}; nothing was written." in told and not (tmp_path / "results").exists()


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("number", SIGNALS)
def test_an_inference_that_is_stopped_goes_on_to_the_same_bytes(faces, trained_on_faces, tmp_path, number, workers):
    begun = tmp_path / "begun"
    arguments = ("infer", faces / "test", "--recursive", "--checkpoint", trained_on_faces, "--workers", workers, *ONE)
    results, slow = tmp_path / "results", slowed(torch_engine, "forward_in_blocks", begun, 0.03)
    command = Command(tmp_path, *arguments, "--results", results, prepare=slow)
    command.wait_for(begun.exists)
    command.send(number)
    code, told = command.end()
    assert code == (130 if number == signal.SIGINT else 75), told
    assert f"stopped by {number.name}" in told and "--resume" in told
    part = results / "inference_results.csv.part"
    assert 1 <= len(part.read_text().splitlines()) < 61
    assert Command(tmp_path, *arguments, "--results", results, "--resume").end()[0] == 0
    assert Command(tmp_path, *arguments, "--results", tmp_path / "whole").end()[0] == 0
    assert len((results / "inference_results.csv").read_text().splitlines()) == 61
    assert (results / "inference_results.csv").read_bytes() == (tmp_path / "whole/inference_results.csv").read_bytes()


def test_a_second_ctrl_c_ends_at_once(faces, tmp_path):
    run, begun = tmp_path / "run", tmp_path / "begun"
    slow = slowed(Learner, "optimizer_step", begun, 30)
    command = Command(tmp_path, *TRAIN, "--data", faces, "--output", run, "--workers", "2", prepare=slow)
    command.wait_for((run / "config.yaml").exists)
    command.wait_for(lambda: len(command.family()) == 3)
    time.sleep(0.5)
    command.send(signal.SIGINT)
    command.wait_for(lambda: "SIGINT: stopping" in command.told.read_text())
    command.send(signal.SIGINT)  # the same Ctrl-C, passed on by a launcher
    time.sleep(1.1)
    assert os.waitpid(command.pid, os.WNOHANG) == (0, 0), "one Ctrl-C waits for the step"
    command.send(signal.SIGINT)
    code, told = command.end(5)
    assert code == 130 and "Interrupted." in told and "Traceback" not in told
    assert not list(run.glob("state/state-*"))


def test_a_pipeline_of_a_shell_leaves_no_process(faces, trained_on_faces, tmp_path):
    """The whole of it in its own processes: python's own end, with workers, behind a closed pipe."""
    make_folders(tmp_path / "more", train=300, valid=3, test=3)
    line = (
        f"{sys.executable} -m affectkit infer {tmp_path}/more/train --recursive --checkpoint {trained_on_faces}"
        " --workers 2 --batch-size 1 -q | head -n 1; exit ${PIPESTATUS[0]}"
    )
    shell = subprocess.Popen(
        ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    seen = set()
    while shell.poll() is None:
        seen |= set(psutil.Process(shell.pid).children(recursive=True)) if psutil.pid_exists(shell.pid) else set()
        time.sleep(0.05)
    printed, told = shell.communicate(timeout=60)
    assert shell.returncode == 141 and told == "" and printed.count("\n") == 1
    assert len(seen) >= 4, "affectkit, head and two workers were seen at work"
    _, left = psutil.wait_procs(seen, timeout=5)
    assert left == []
