"""``affectkit datasplit`` and ``affectkit relabel`` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from splitting import class_folders, tree
from support import affectkit, invoke

SIZES = {"a": 12, "b": 5}


def test_dry_run_then_split_then_undo(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    before = tree(source, hidden=True)
    dry = invoke("datasplit", source, "--balance", "--dry-run")
    assert dry.returncode == 0 and "nothing was changed" in dry.stderr
    assert tree(source, hidden=True) == before
    done = invoke("datasplit", source, "--balance", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == dry.stdout
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "class" and len(lines) == 4
    assert lines[2].split()[:6] == ["b", "5", "4", "1", "6", "1"]
    again = invoke("datasplit", source, "--balance")
    assert "nothing to do" in again.stderr and again.stdout == done.stdout
    undone = invoke("datasplit", source, "--undo")
    assert undone.returncode == 0 and "3 originals put back" in undone.stderr
    assert tree(source, hidden=True) == before


def test_json(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    out = ["--output-path", tmp_path / "out", "--json"]
    told = json.loads(invoke("datasplit", source, *out, "--balance-train").stdout)
    assert told["train"] == 20 and told["test"] == 3 and not told["dry_run"]
    assert [row["label"] for row in told["rows"]] == ["a", "b"]
    undone = json.loads(invoke("datasplit", source, *out, "--undo").stdout)
    assert undone["removed"] == 23 + 3


def test_skipped_images_end_with_4(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    (source / "train" / "a" / "bad.png").write_bytes(b"no image")
    failed = invoke("datasplit", source)
    assert failed.returncode == 1 and "train/a/bad.png: is not an image" in failed.stderr
    done = invoke("datasplit", source, "--on-error", "skip")
    assert done.returncode == 4 and "left alone" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--train-split", "0.5"], "--train-split must be above 0.5 and below 1; got 0.5"),
        (["--train-split", "1"], "--train-split must be above 0.5 and below 1; got 1"),
        (["--global-multiplier", "0.9"], "--global-multiplier must be at least 1"),
        (["--group-by", "x"], "--group-by x: parentheses are missing"),
        (["--link", "hardlink"], "--link needs --output;"),
        (["--label-col", "x", "--filename-col", "x"], "they must differ"),
        (["--label-col", "draw"], "add --plain-csv"),
        (["--preview", "x.png", "--dry-run"], "--dry-run makes nothing"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--quality", "101"], "--quality must be"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, words):
    failed = invoke("datasplit", class_folders(tmp_path / "faces", SIZES), *options)
    assert failed.returncode == 2
    assert words in failed.stderr


def test_multiplier_without_balancing_says_so(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    done = invoke("datasplit", source, "--global-multiplier", 2, "--dry-run")
    assert done.returncode == 0
    assert "--global-multiplier counts only when a side is balanced, and none is" in done.stderr


def test_relabel(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    before = tree(source, hidden=True)
    (tmp_path / "labels.csv").write_text("pth,label\na/s05_0005.png,b\na/s06_0006.png,c\n")
    done = invoke("relabel", source, "--labels-csv", tmp_path / "labels.csv")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [["a", "b", "1"], ["a", "c", "1"], ["all", "2"]]
    assert invoke("relabel", source, "--undo").returncode == 0
    assert tree(source, hidden=True) == before
    assert invoke("relabel", source).returncode == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_to_the_whole_group_stops_cleanly_and_the_same_command_goes_on(tmp_path, number, code):
    source = class_folders(tmp_path / "faces", {"a": 900, "b": 30}, kind="jpg")
    before = tree(source)
    command = [sys.executable, "-m", "affectkit", "datasplit", str(source), "--balance", "--workers", "2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    made = source / "train" / "b"
    while len(os.listdir(made)) < 60 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, number)
    _, said = running.communicate(timeout=30)
    assert running.returncode == code, said
    assert "Traceback" not in said and "no original was moved yet" in said
    time.sleep(0.3)
    found = tree(source)
    assert {name: digest for name, digest in found.items() if name in before} == before
    assert len(found) < 1500
    done = affectkit("datasplit", source, "--balance", "--workers", 1)
    assert done.returncode == 0 and "resuming the split" in done.stderr, done.stderr
    assert "720 train + 180 test" in done.stderr.replace(",", "") or "1,440 train + 360 test" in done.stderr
