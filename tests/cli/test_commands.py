"""The command line: streams, exit codes, messages; in a process of its own where that is the point."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from support import TINY, affectkit, invoke, make_folders, stop_after

from affectkit.cli import console

FAST = ("--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--workers", "0")


def test_train_test_infer_as_a_user_would(votes, tmp_path, no_figures):
    run = tmp_path / "run"
    done = invoke("train", "--data", votes, "--output", run, "--epochs", "2", "--lr", "3e-3", *FAST)
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stderr and "run folder" in done.stderr and "epoch" not in done.stdout.splitlines()[1]
    assert done.stdout.startswith("validation")
    tested = invoke("test", "--checkpoint", run, "--data", votes, "--json", "--workers", "0")
    assert tested.returncode == 0 and json.loads(tested.stdout)["images"] == 12
    inferred = invoke("infer", votes / "images" / "test", "--checkpoint", run, "--workers", "0")
    rows = list(csv.reader(io.StringIO(inferred.stdout)))
    assert (
        inferred.returncode == 0 and len(rows) == 13 and rows[0][:3] == ["Image Name", "Predicted Label", "Confidence"]
    )
    again = invoke("train", "--resume", run)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    shown = invoke("models", "--checkpoint", run, "--json")
    assert json.loads(shown.stdout)["task"] == "distribution"


def test_json_is_one_object_and_quiet_is_quiet(votes, tmp_path, no_figures):
    done = invoke("train", "--data", votes, "--output", tmp_path / "r", "--epochs", "1", "--json", "--quiet", *FAST)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["best_epoch"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 2, ["2 settings are wrong", "--data is needed", "--output is needed"]),
        (["train", "--epochs", "many"], 2, ["--epochs", "many"]),
        (
            ["train", "--data", "x", "--output", "y", "--lr", "-1", "--dropout", "1"],
            2,
            ["--lr must be above 0", "--dropout"],
        ),
        (["train", "--data", "/none", "--output", "{tmp}/o", "--no-pretrained"], 1, ["/none"]),
        (["train", "--data", "{tmp}", "--output", "{tmp}/o", "--model", "resnet81"], 2, ["did you mean resnet18"]),
        (["train", "--loss", "msee", "--data", "x", "--output", "y"], 2, ["--loss", "mse"]),
        (["train", "--config", "{tmp}/none.yaml"], 2, ["none.yaml"]),
        (["train", "--resume", "{tmp}"], 1, ["is not a run folder"]),
        (["test", "--checkpoint", "/none.safetensors", "--data", "/x"], 1, ["does not exist"]),
        (["infer", "x.png"], 1, ["x.png does not exist"]),
        (["infer", "x.png", "--checkpoint", "{run}", "--device", "cuda:7"], 1, ["cuda:7"]),
        (["infer", "x.png", "--checkpoint", "{run}", "--device", "gpu"], 2, ["gpu"]),
        (["infer", "x.png", "--checkpoint", "{run}", "--precision", "fp16", "--device", "cpu"], 1, ["fp16"]),
        (["infer", "/none.png", "--checkpoint", "{run}"], 1, ["/none.png does not exist"]),
        (["infer", "--camera", "0", "--checkpoint", "{run}", "--json"], 2, ["--json and --camera need --results"]),
        (["test", "--checkpoint", "{run}", "--data", "{votes}", "--fail-under", "top1=1.01"], 3, ["top1 is"]),
        (["models", "zzzz"], 2, ["no model matches"]),
        (["prep", "ferplus", "{tmp}", "--output", "{tmp}/o"], 1, ["fer2013new.csv"]),
        (["completions"], 2, ["name a shell"]),
        (["nonsense"], 2, ["nonsense"]),
    ],
)
def test_errors_are_one_message_with_their_exit_code(arguments, code, words, trained, votes, tmp_path):
    places = {"tmp": tmp_path, "run": trained, "votes": votes}
    done = invoke(*(argument.format(**places) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "unexpected" not in done.stderr
    text = " ".join(done.stderr.split())
    for word in words:
        assert word in text, done.stderr
    assert done.stdout == "" or code == 3
    assert not (tmp_path / "o").exists() or not any((tmp_path / "o").iterdir())


def test_debug_shows_the_traceback(tmp_path):
    done = invoke("train", "--resume", tmp_path, "--debug")
    assert done.returncode == 1 and "Traceback" in done.stderr and "is not a run folder" in done.stderr


def test_partly_done_exits_4_with_a_report(trained, votes, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes((votes / "images" / "test" / "000.png").read_bytes())
    (tmp_path / "in" / "b[red].png").write_bytes(b"broken")
    done = invoke("infer", tmp_path / "in", "--checkpoint", trained, "--results", tmp_path / "out", "--workers", "0")
    assert done.returncode == 4 and "b[red].png" in done.stderr and "1 image skipped" in done.stderr
    assert "b[red].png" in (tmp_path / "out" / "skipped.csv").read_text()


def test_files_and_flags_are_told_apart_by_print_config(tmp_path):
    (tmp_path / "c.yaml").write_text("epochs: 7\nlr: 1e-2\ndata: d\noutput: o\n")
    done = invoke("train", "--config", tmp_path / "c.yaml", "--lr", "0.5", "--print-config", "--json")
    found = json.loads(done.stdout)
    assert found["epochs"] == {"value": 7, "source": f"file {tmp_path / 'c.yaml'}"}
    assert found["lr"] == {"value": 0.5, "source": "flag"} and found["seed"]["source"] == "default"
    plain = invoke("train", "--config", tmp_path / "c.yaml", "--print-config")
    assert re.search(r"--epochs +7 +file ", plain.stdout) and re.search(r"--seed +0 +default", plain.stdout)


def test_paths_with_brackets_and_long_lines_are_printed_as_they_are(votes, tmp_path, no_figures):
    run = tmp_path / "[bold]run[/bold] with a long name that would be wrapped at eighty columns by rich"
    done = invoke("train", "--data", votes, "--output", run, "--epochs", "1", *FAST)
    assert done.returncode == 0 and f"run folder: {run}" in done.stderr.splitlines()


def test_no_color_means_no_colours_even_where_they_are_forced():
    colour = re.compile(r"\x1b\[(\d+;)*(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;\d+)*m")
    done = affectkit("train", "--help", NO_COLOR="1", FORCE_COLOR="1")
    assert not colour.search(done.stdout) and "epochs" in done.stdout
    assert colour.search(affectkit("train", "--help", FORCE_COLOR="1").stdout)


@pytest.fixture
def start():
    """Starts the command line in a process of its own, which does not outlive a test that fails."""
    begun = []

    def start(*arguments, stderr=subprocess.PIPE):
        begun.append(subprocess.Popen(
            [sys.executable, "-m", "affectkit", *map(str, arguments)], stdout=subprocess.PIPE, stderr=stderr,
            stdin=subprocess.DEVNULL, text=True, env={**os.environ, "TERM": "xterm"},
        ))  # fmt: skip
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


class Terminal:
    """A terminal of 80 columns for the standard error of a process, and what has been written to it."""

    def __init__(self) -> None:
        self.main, self.side = pty.openpty()
        self.seen = b""

    def read(self, seconds: float = 0.05) -> None:
        """Read what is there within this time."""
        while select.select([self.main], [], [], seconds)[0]:
            try:
                chunk = os.read(self.main, 65536)
            except OSError:  # Linux's end of a terminal whose other side is closed
                return
            if not chunk:
                return
            self.seen += chunk

    @property
    def text(self) -> str:
        """All that was written."""
        return self.seen.decode()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),  # these two: also in test_stop_signals
        (signal.SIGTERM, 75),
        pytest.param(signal.SIGUSR1, 75, marks=pytest.mark.slow),
    ],
)
def test_on_a_terminal_a_bar_is_drawn_and_signals_save_the_run_which_can_be_resumed(
    votes, tmp_path, monkeypatch, start, number, code
):
    run, terminal = tmp_path / "run", Terminal()
    process = start(
        "train", "--data", votes, "--output", run, "--epochs", "200", "--early-stop", "0", *FAST, stderr=terminal.side
    )
    os.close(terminal.side)
    limit = time.monotonic() + 60
    while not (run / "history.csv").exists() or "━" not in terminal.text:
        assert process.poll() is None and time.monotonic() < limit, terminal.text
        terminal.read()
    process.send_signal(number)
    while process.poll() is None and time.monotonic() < limit + 60:
        terminal.read()
    terminal.read()
    assert process.wait(1) == code, terminal.text
    assert "\x1b[" in terminal.text and "top1" in terminal.text
    reported = "".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text).split())  # without colours and line ends
    assert signal.Signals(number).name in reported and f"affectkittrain--resume{run}" in reported
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert any((run / "state").iterdir()) and not list(run.rglob("*.part"))
    stop_after(monkeypatch, 2)
    again = invoke("train", "--resume", run)
    assert again.returncode == 75 and "resuming in epoch" in again.stderr, again.stderr


def test_sigterm_before_anything_can_be_saved_exits_143(tmp_path):
    reader = "import sys, signal, os; from affectkit.cli.console import Console\n"
    script = reader + "with Console().guard(): os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(5)"
    text = "import typer\ntry:\n" + "".join(f"    {line}\n" for line in script.splitlines())
    text += "except typer.Exit as error:\n    sys.exit(error.exit_code)\n"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143 and "SIGTERM" in done.stderr


def test_a_closed_pipe_ends_without_a_traceback(tmp_path):
    """With the built-in model, which needs no torch; test_stop_signals has a checkpoint and workers."""
    make_folders(tmp_path / "data", train=300, valid=3, test=3)
    command = (
        f"{sys.executable} -m affectkit infer {tmp_path}/data/train --recursive --faces none --batch-size 1"
        " --workers 0 -q | head -n 2; exit ${PIPESTATUS[0]}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("\n") == 2 and done.stderr == "" and done.returncode == 141


def test_off_a_terminal_progress_is_plain_lines(votes, tmp_path, monkeypatch, no_figures):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0)
    done = invoke("train", "--data", votes, "--output", tmp_path / "r", "--epochs", "1", *FAST)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^epoch 1/1: \d+/48 images, [\d.]+/s(, \d+ s left)?, loss \d\.\d+$", done.stderr, re.M), (
        done.stderr
    )
    assert "\x1b" not in done.stderr + done.stdout


def test_training_that_skipped_images_exits_4_and_names_them(tmp_path, no_figures):
    data = make_folders(tmp_path / "data")
    (data / "train" / "anger" / "000.png").write_bytes(b"broken")
    done = invoke("train", "--data", data, "--output", tmp_path / "r", "--epochs", "1", "--on-error", "skip", *FAST)
    assert done.returncode == 4 and "000.png" in done.stderr and "1 image could not be read" in done.stderr
    assert json.loads((tmp_path / "r" / "metrics.json").read_text())["skipped"][0]["image"] == "train/anger/000.png"


def test_a_missed_threshold_still_prints_the_result(trained, votes):
    done = invoke("test", "--checkpoint", trained, "--data", votes, "--fail-under", "top1=1.01", "--json")
    assert done.returncode == 3 and json.loads(done.stdout)["missed"] and "at least 1.01" in done.stderr


def test_print_config_of_a_resume_shows_the_run(trained):
    done = invoke("train", "--resume", trained, "--print-config", "--json")
    assert json.loads(done.stdout)["model"] == {"value": TINY, "source": f"run {trained}"}


def test_a_full_or_forbidden_disk_is_said_in_words(trained, votes, tmp_path):
    done = invoke("infer", votes / "images" / "test", "--checkpoint", trained, "--results", "/proc/none", "-q")
    assert done.returncode == 1 and "Check the disk" in done.stderr and "fault of affectkit" not in done.stderr


def test_help_writes_arguments_in_capitals_and_a_table_of_groups_alike_everywhere():
    import typer

    from affectkit.cli.app import app

    seen, tables = [], {}

    def walk(command, path):
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}".strip())
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                seen.append((path, parameter.metavar))
            elif "--groups" in parameter.opts:
                tables[path] = parameter.metavar

    walk(typer.main.get_command(app), "")
    assert ("calibrate", "CHECKPOINT") in seen and ("prep schematic", "OUTPUT") in seen
    assert [one for one in seen if not one[1] or one[1][0].islower()] == []
    assert tables == dict.fromkeys(("test", "compare", "describe", "train", "verify-resume"), "TABLE")
