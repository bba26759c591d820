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
         "--workers", "2", "--cache", "none"]  # fmt: skip


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


def test_several_processes_print_what_one_prints(trained, votes, tmp_path):
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
    assert len(members) == 1 + 2 + 2 * 4, "torchrun, two processes, two loaders with two workers in each"
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


def test_processes_that_were_connected_leave_without_tearing_down():
    """Here a teardown aborts every time; what is registered for the end still runs, and the code stays."""
    script = """
import atexit, os, sys
from affectkit.runtime import distributed

class Aborts:
    def __del__(self):
        os.abort()

kept = sys.modules["kept"] = Aborts()
atexit.register(print, "at the end")
distributed._parent = int(sys.argv[1])
distributed.leave(3)
"""
    for parent, code in (("1", 3), ("0", -signal.SIGABRT)):
        done = subprocess.run([sys.executable, "-c", script, parent], capture_output=True, text=True, timeout=60)
        assert done.returncode == code and done.stdout == "at the end\n", done.stderr
