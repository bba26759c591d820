"""``--slurm`` as a user types it: what is submitted, what is said, and jobs that run on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import TINY, affectkit, invoke, make_folders, settings

pytestmark = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="needs submitit")

FAST = ("--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--workers", "0")
SMALL = ("--train", "8", "--valid", "8", "--test", "8", "--size", "24")

SBATCH = """#!/bin/bash
[ -n "$REFUSE" ] && { echo "sbatch: error: $REFUSE" >&2; exit 1; }
cp "$1" "$RECORDED/script.sh"
env > "$RECORDED/env"
echo "Submitted batch job 4242"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
  case $1 in --output) out=$2; shift;; --error) err=$2; shift;; esac
  shift
done
name() { sed "s/%j/$SLURM_JOB_ID/; s/%t/0/" <<< "$1"; }
exec "$@" >> "$(name "$out")" 2>> "$(name "$err")"
"""
SCONTROL = """#!/bin/bash
echo "$*" >> "$RECORDED/told"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """A folder that stands in for a cluster: its commands record what they are given."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORDED", str(folder))
    return folder


def until(found, seconds: float = 60):
    """What ``found()`` gives once it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return value


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def outcome(job: dict) -> tuple[str, object]:
    """What submitit kept of a job that has ended."""
    from submitit.core.utils import pickle_load

    path = Path(job["stdout"].replace("_log.out", "_result.pkl"))
    until(path.exists)
    return pickle_load(path)


# --- submission ---


def test_the_script_and_the_job_are_what_was_asked_for(slurm, votes, tmp_path):
    from submitit.core.utils import DelayedSubmission

    asked = (
        "partition=gpu,time=1-02:00:30,gpus=4,tasks=4,nodes=2,cpus=6,mem=48G,account=lab,qos=high,constraint=a100|h100,"
        "exclude=n[1-3],n9,gres=shard:1,name=first,mail_user=a@b.org,mail_type=END,FAIL,signal_delay=200,requeues=7,"
        "logs=my logs"
    )
    done = affectkit(
        "train", "--data", votes, "--output", "runs/a", *FAST, "--slurm", asked, "--json", cwd=tmp_path,
        SLURM_JOB_ID="1", SLURM_CONF="/etc/slurm.conf", SBATCH_ACCOUNT="mine", SLURM_NTASKS="3",
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    job = json.loads(done.stdout)
    logs = tmp_path / "my logs"
    train = ["train", "--data", str(votes), "--output", "runs/a", *FAST, "--json"]
    assert job == {
        "job": "4242", "name": "first", "cluster": "slurm", "command": shlex.join(["affectkit", *train]),
        "folder": str(tmp_path), "stdout": f"{logs}/4242_0_log.out", "stderr": f"{logs}/4242_0_log.err",
        "follow": f"tail -F '{logs}/4242_0_log.err'", "status": "squeue -j 4242", "cancel": "scancel 4242",
    }  # fmt: skip
    script = (slurm / "script.sh").read_text()
    found = dict(re.fullmatch(r"#SBATCH --([\w-]+)(?:=(.*))?", line).groups()
                 for line in script.splitlines() if line.startswith("#SBATCH"))  # fmt: skip
    found = {key: shlex.split(value)[0] if value else value for key, value in found.items()}
    assert found == {
        "partition": "gpu", "time": "1561", "gpus-per-node": "4", "ntasks-per-node": "4", "nodes": "2",
        "cpus-per-task": "6", "mem": "48G", "account": "lab", "qos": "high", "constraint": "a100|h100",
        "exclude": "n[1-3],n9", "gres": "shard:1", "job-name": "first", "mail-user": "a@b.org",
        "mail-type": "END,FAIL", "signal": "USR2@200", "requeue": None, "open-mode": "append",
        "output": f"{logs}/%j_0_log.out", "error": f"{logs}/%j_0_log.err",
    }  # fmt: skip
    assert f"{sys.executable} -P -u -m submitit.core._submit" in script
    delayed = DelayedSubmission.load(logs / "4242_submitted.pkl")
    work = delayed.function.work
    assert work.argv == tuple(train) and work.folder == str(tmp_path) and work.patience == 180
    assert work.again == ("train", "--resume", str(tmp_path / "runs/a"), "--json")
    assert (delayed._timeout_min, delayed._timeout_countdown) == (1561, 7)
    around = dict(line.partition("=")[::2] for line in (slurm / "env").read_text().splitlines() if "=" in line)
    assert "SLURM_JOB_ID" not in around and "SLURM_NTASKS" not in around  # of the job around this one
    assert (around["SLURM_CONF"], around["SBATCH_ACCOUNT"]) == ("/etc/slurm.conf", "mine")
    assert not (tmp_path / "runs").exists()


def test_a_terminal_is_told_how_to_go_on(slurm, tmp_path):
    done = affectkit("prep", "schematic", "d", "--slurm=time=10,gpus=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = tmp_path / "slurm" / "4242_0_log"
    assert done.stdout.splitlines() == [
        "job     4242", f"stdout  {log}.out", f"stderr  {log}.err", f"follow  tail -F {log}.err",
        "status  squeue -j 4242", "cancel  scancel 4242",
    ]  # fmt: skip
    assert done.stderr == "Warning: gpus=2 with tasks=1: a process uses one GPU.\n"
    assert "--job-name=affectkit-schematic" in (slurm / "script.sh").read_text()


def test_a_job_of_slurm_is_queued_again_when_it_is_warned(slurm, tmp_path):
    few = ("--train", "80", "--valid", "8", "--test", "8")
    done = affectkit("prep", "schematic", "d", *few, "--slurm", "time=60", "--json", cwd=tmp_path)
    job = json.loads(done.stdout)
    run = ["bash", str(slurm / "script.sh")]
    around = {**os.environ, "SLURM_JOB_ID": "4242", "SLURM_NTASKS": "1"}
    script = subprocess.Popen(run, cwd=tmp_path, env=around)
    log = Path(job["stdout"])
    until(lambda: log.exists() and "affectkit prep schematic" in log.read_text())
    (task,) = until(lambda: children(script.pid))
    until(lambda: children(task))
    os.kill(task, signal.SIGUSR2)
    assert script.wait(30) == 255, log.read_text()
    assert (slurm / "told").read_text() == "requeue 4242\n"
    assert not log.with_name("4242_0_result.pkl").exists() and not (tmp_path / "d" / "manifest.json").exists()
    subprocess.run(run, cwd=tmp_path, env={**around, "SLURM_RESTART_COUNT": "1"}, check=True, timeout=60)
    assert outcome(job) == ("success", 0) and (tmp_path / "d" / "manifest.json").exists()
    assert log.read_text().count("affectkit prep schematic d --train 80") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["prep", "schematic", "d", "--slurm", "gpu=1,time=1h"], 2, ["2 settings", "gpu", "gpus", "D-HH:MM:SS"]),
        (["prep", "schematic", "--slurm", "time=60"], 2, ["OUTPUT is needed"]),
        (["prep", "schematic", "d", "--slurm", "time=60,tasks=2"], 2, ["runs in one process", "--shard"]),
        (["train", "--data", "faes", "--output", "o", "--slurm", "time=60"], 1, ["--data faes does not exist"]),
        (["train", "--lr", "-1", "--data", "d", "--output", "o", "--slurm", "x=1"], 2, ["--lr must be above 0"]),
        (["prep", "schematic", "d", "--slurm", "time=60,logs=/proc/x"], 2, ["logs /proc/x cannot be made"]),
        (["prep", "schematic", "d", "--slurm", "time=60,logs=open"], 2, ["written by everybody", "chmod o-w open"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_submitted(slurm, tmp_path, monkeypatch, arguments, code, words):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["affectkit", *arguments])
    done = invoke(*arguments)
    assert done.returncode == code and done.stdout == "", done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr and not (slurm / "script.sh").exists() and not (tmp_path / "slurm").exists()


def test_what_the_machine_lacks_is_said(slurm, tmp_path):
    prep = ("prep", "schematic", "d", "--slurm", "time=60")
    refused = affectkit(*prep, cwd=tmp_path, REFUSE="invalid partition")
    assert refused.returncode == 1 and refused.stderr.count("invalid partition") == 1, refused.stderr
    assert "sbatch refused the job" in refused.stderr
    ranks = affectkit(*prep, cwd=tmp_path, WORLD_SIZE="2", RANK="0")
    assert ranks.returncode == 2 and "torchrun" in ranks.stderr
    (slurm / "sbatch").unlink()
    absent = affectkit(*prep, cwd=tmp_path)
    assert absent.returncode == 2 and "there is no sbatch" in absent.stderr and "cluster=local" in absent.stderr
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "submitit.py").write_text("raise ImportError")
    bare = affectkit(*prep, cwd=tmp_path, PYTHONPATH=str(tmp_path / "shadow"))
    assert bare.returncode == 2 and 'pip install "affectkit[slurm]"' in bare.stderr


def test_every_long_command_can_be_submitted_and_print_config_stays_here(tmp_path):
    import typer

    from affectkit.cli.app import app

    found = set()

    def walk(command, path):
        found.update({" ".join(path)} if any("--slurm" in option.opts for option in command.params) else ())
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*path, name])

    walk(typer.main.get_command(app), [])
    assert {"train", "test", "infer", "prep ferplus", "prep affectnet-fused", "prep schematic"} <= found
    assert not {"models", "demo", "doctor", "completions"} & found
    done = affectkit("train", "--data", "d", "--output", "o", "--print-config", "--slurm", "time=60", cwd=tmp_path)
    assert done.returncode == 0 and "--epochs" in done.stdout and not list(tmp_path.iterdir())


# --- jobs on this machine ---


def test_a_local_job_runs_to_its_end_and_one_that_fails_says_so(tmp_path):
    local = ("--slurm", "cluster=local,mem=2G", "--json")
    done = affectkit("prep", "schematic", "d", *SMALL, *local, cwd=tmp_path)
    assert done.stderr == "cluster=local has no use for mem.\n", done.stderr
    job = json.loads(done.stdout)
    failing = json.loads(affectkit("prep", "ferplus", ".", "--output", "f", *local, cwd=tmp_path).stdout)
    assert outcome(job) == ("success", 0) and (tmp_path / "d" / "manifest.json").exists()
    assert "8 training, 8 validation and 8 test faces" in Path(job["stderr"]).read_text()
    assert job["cancel"] == f"kill {job['job']}"
    state, trace = outcome(failing)
    assert state == "error" and "affectkit prep ferplus . --output f --json ended with exit code 1" in trace
    assert "fer2013new.csv" in Path(failing["stderr"]).read_text()


def preempt_after_a_state(job: dict, run: Path, *, tasks: int = 1) -> None:
    """Warn the tasks of a local job, as Slurm does, once the run has saved a state."""
    until(lambda: list(run.glob("state/state-*")))
    pids = children(int(job["job"]))
    assert len(pids) == tasks
    for pid in pids:
        os.kill(pid, signal.SIGUSR2)


def bytes_of(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in ("history.csv", "last.safetensors", "best.safetensors")}


@pytest.mark.slow  # three starts of torch: 19 to 44 s beside other builders
def test_a_preempted_training_goes_on_to_the_same_bytes(votes, tmp_path):
    train = ("train", "--data", votes, "--epochs", "4", "--early-stop", "0", "--augment", "flip", *FAST)
    often = ("--checkpoint-every", "1", "--slurm", "cluster=local", "--json")
    done = affectkit(*train, "--output", "run", *often, cwd=tmp_path, OMP_NUM_THREADS="1")
    job = json.loads(done.stdout)
    preempt_after_a_state(job, tmp_path / "run")

    import torch

    from affectkit.core.progress import Silent
    from affectkit.training.run import train as run

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run(settings(votes, tmp_path / "whole", epochs=4, early_stop=0), reporter=Silent())
    torch.set_num_threads(threads)
    told = Path(job["stderr"]).read_text
    assert outcome(job) == ("success", 0), told()
    log = Path(job["stdout"]).read_text()
    assert log.count("Requeued job") == 1 and f"affectkit train --resume {tmp_path / 'run'} --json" in log
    assert "affectkit has saved" in log and "resuming in epoch" in told()
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_preempted_training_of_two_tasks_goes_on_to_the_same_bytes(votes, tmp_path):
    train = ("train", "--data", votes, "--epochs", "12", "--early-stop", "0", *FAST)
    asked = ("--slurm", "cluster=local,tasks=2", "--json")
    runs = {}
    for name in ("run", "whole"):
        done = affectkit(*train, "--output", name, *asked, cwd=tmp_path, OMP_NUM_THREADS="1")
        job = runs[name] = json.loads(done.stdout)
        if name == "run":
            preempt_after_a_state(job, tmp_path / name, tasks=2)
        assert outcome(job) == ("success", 0), Path(job["stderr"]).read_text()
        assert "2 processes" in Path(job["stderr"]).read_text()
    assert Path(runs["run"]["stdout"]).read_text().count("Requeued job") == 1
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_preempted_inference_goes_on_with_its_table(trained, tmp_path):
    pictures = make_folders(tmp_path / "in", train=600, valid=3, test=3) / "train"
    infer = ("infer", pictures, "--recursive", "--checkpoint", trained, "--batch-size", "1", "--workers", "0")
    done = affectkit(*infer, "--results", "r", "--slurm", "cluster=local", "--json", cwd=tmp_path)
    job = json.loads(done.stdout)
    part = tmp_path / "r" / "inference_results.csv.part"
    until(lambda: part.exists() and part.stat().st_size > 500)
    os.kill(children(int(job["job"]))[0], signal.SIGUSR2)
    assert outcome(job) == ("success", 0), Path(job["stderr"]).read_text()
    assert "affectkit infer --resume" in Path(job["stdout"]).read_text()
    assert re.search(r"resuming after [\d,]+ images", Path(job["stderr"]).read_text())
    whole = affectkit(*infer, "--results", tmp_path / "whole", "-q")
    assert whole.returncode == 0
    table = "inference_results.csv"
    assert (tmp_path / "r" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()
