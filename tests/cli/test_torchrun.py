"""The command line under torchrun, as a user starts it: one voice, one writer, and an end for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support import TINY, invoke

TRAIN = ["train", "--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--early-stop", "0",
         "--workers", "1", "--cache", "none"]  # fmt: skip


def torchrun(count, *arguments):
    """Start the command line in ``count`` processes, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m", "affectkit",
         *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


def wait_for(path, content, process, seconds=90):
    """Until ``content`` stands in the file ``path``."""
    end = time.monotonic() + seconds
    while not (path.exists() and content in path.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{content!r} not in {path} after {seconds} s"
        time.sleep(0.1)


def family(process):
    """The process, its children and theirs."""
    own = psutil.Process(process.pid)
    return [own, *own.children(recursive=True)]


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_several_processes_print_what_one_prints(trained, votes, tmp_path, no_figures):
    arguments = ["test", "--checkpoint", trained, "--data", votes, "--json", "--workers", "0"]
    arguments += ["--by", r"file:0(\d)", "--min-group", "2"]
    single = invoke(*arguments, "--results", tmp_path / "one")
    process = torchrun(2, *arguments, "--results", tmp_path / "two")
    printed, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert json.loads(printed) == json.loads(single.stdout)
    assert said.count("test split: 12 images") == 1 and "over 2 processes (16 each)" in said
    for name in ("test_results.csv", "results.json", "per_class.csv", "groups.csv", "gaps.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize(
    "how", ["SIGTERM to the launcher", pytest.param("kill -9 of a process", marks=pytest.mark.slow)]
)
def test_all_processes_end_with_a_reason_and_leave_no_orphans(votes, tmp_path, how):
    run = tmp_path / "run"
    process = torchrun(2, *TRAIN, "--data", votes, "--output", run, "--epochs", "5000")
    wait_for(run / "history.csv", "\n2,", process)
    members = family(process)
    assert len(members) == 1 + 2 + 2 * 2, "torchrun, two processes, two loaders with a worker in each"
    if how.startswith("SIGTERM"):
        process.send_signal(signal.SIGTERM)
    else:
        members[2].kill()
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 30 and process.returncode == 1, "torchrun's own code, whatever the processes'"
    psutil.wait_procs(members, timeout=5)
    assert alive(members) == []
    status = json.loads((run / "status.json").read_text())
    if how.startswith("SIGTERM"):
        assert said.count("stopped by SIGTERM; the run is saved in") == 1 and status["state"] == "stopped"
    else:
        assert said.count("Error: one of the 2 processes of this run has ended, so all end.") == 1
        assert "start again with train --resume RUN" in said


LEAVING = """
import atexit, os, sys, tempfile, threading, time
from affectkit.__main__ import main
from affectkit.cli import app
from affectkit.runtime import distributed

class Aborts:
    def __del__(self):
        os.abort()

def write():
    time.sleep(0.1)
    print("thread")

def command(**_):
    sys.modules["kept"] = Aborts()
    atexit.register(print, "at the end")
    sys.modules["folder"] = made = tempfile.TemporaryDirectory()
    print(made.name)
    threading.Thread(target=write).start()
    END

app.make_app = lambda asked: command
distributed._parent = int(sys.argv[1])
main()
"""


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit('why')", 1, "why\n"),
        ("raise RuntimeError('why')", 1, "RuntimeError: why\n"),
        ("raise KeyboardInterrupt", 130, "Interrupted.\n"),
        ("os.dup2(os.open('/dev/full', os.O_WRONLY), 1); sys.exit()", 120, "<stdout> could not be written: "),
    ],
)
def test_processes_that_were_connected_leave_without_tearing_down(end, code, said):
    """Here a teardown aborts every time: without it threads are waited for, and what is registered for the end runs."""
    command = [sys.executable, "-c", LEAVING.replace("END", end), "1"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=buffered)
    assert done.returncode == code and said in done.stderr, done.stderr
    folder, *printed = done.stdout.splitlines() or [""]
    if code != 120:
        assert printed == ["thread", "at the end"] and not os.path.exists(folder)


def test_a_process_that_was_alone_is_torn_down():
    command = [sys.executable, "-c", LEAVING.replace("END", "sys.exit(3)"), "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGABRT and done.stdout.endswith("thread\nat the end\n"), done.stderr
