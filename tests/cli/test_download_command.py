"""affectkit download as a user runs it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from support import affectkit
from web import serving

BODY = random.Random(5).randbytes(300_000)


@pytest.fixture
def web():
    with serving() as served:
        served.files = {"vca.pth": BODY, "notes.txt": b"read me\n"}
        yield served


def test_list_fetch_and_nothing_to_do(web, tmp_path):
    def run(*arguments):
        return affectkit("download", *arguments, cwd=tmp_path, AFFECTKIT_ZENODO=web.url, NO_PROXY="127.0.0.1")

    listed = run("zenodo:7", "--list")
    assert listed.returncode == 0 and listed.stderr == "" and list(tmp_path.iterdir()) == []
    assert listed.stdout.splitlines()[0] == "zenodo:7: Weights of a study" and "0.3 MB" in listed.stdout
    done = run("zenodo:7", "--file", "vca.pth", "--json")
    assert done.returncode == 0 and "1 file, 0.3 MB, from 127.0.0.1" in done.stderr
    told = json.loads(done.stdout)
    assert told["files"][0]["path"] == "zenodo-7/vca.pth"
    assert (tmp_path / "zenodo-7" / "vca.pth").read_bytes() == BODY
    again = run("zenodo:7", "--file", "vca.pth", "--json")
    assert json.loads(again.stdout)["files"][0]["status"] == "present" and "nothing to do" in again.stderr
    (tmp_path / "zenodo-7" / "vca.pth").write_bytes(b"mine")
    refused = run("zenodo:7", "--quiet")
    assert refused.returncode == 2 and "vca.pth has other content" in refused.stderr and "--force" in refused.stderr
    assert run().returncode == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGKILL, -9)])
def test_a_stopped_run_leaves_a_part_and_goes_on(web, tmp_path, number, code):
    web.stall = 200_000
    fetch = ["download", "zenodo:7", "--output", str(tmp_path), "--file", "vca.pth"]
    command = [sys.executable, "-m", "affectkit", *fetch]
    environment = {"AFFECTKIT_ZENODO": web.url, "NO_PROXY": "127.0.0.1", "PATH": "/usr/bin:/bin"}
    # A shell's background jobs, tests among them, are born deaf to SIGINT.
    running = subprocess.Popen(
        command, stderr=-1, stdout=-1, text=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    until = time.monotonic() + 30
    while time.monotonic() < until and not any(path.stat().st_size > 100_000 for path in tmp_path.iterdir()):
        time.sleep(0.02)
    running.send_signal(number)
    told = running.communicate(timeout=20)[1]
    web.stall = None
    assert running.returncode == code, told
    part, *locks = sorted(tmp_path.iterdir(), key=lambda path: path.name.endswith(".lock"))
    assert [path.name for path in locks] == ([".vca.pth.lock"] if number == 9 else [])
    assert part.suffix == ".part" and part.read_bytes() == BODY[: part.stat().st_size]
    if number != signal.SIGKILL:
        assert "0 of 1 files are whole, and 0.2 MB of vca.pth are in" in told and "same command resumes it" in told
    kept = part.stat().st_size
    web.asked.clear()
    done = affectkit("download", "zenodo:7", "--output", tmp_path, "--file", "vca.pth", "--json",
                     AFFECTKIT_ZENODO=web.url, NO_PROXY="127.0.0.1")  # fmt: skip
    assert json.loads(done.stdout)["files"][0]["status"] == "continued"
    assert web.asked[-1] == ("/files/vca.pth", f"bytes={kept}-") and [one.name for one in tmp_path.iterdir()] == [
        "vca.pth"
    ]
