from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import Heard

from affectkit.config import Parsed
from affectkit.core.shards import Shard
from affectkit.errors import CheckpointError, DataError, RunError, UsageError
from affectkit.slurm import job as _slurm_job
from affectkit.slurm.job import Job, Work, child_environment
from affectkit.slurm.job_policy import INFER, PREP, TEST, TRAIN
from affectkit.slurm.request import KEYS, Request, parse_request
from affectkit.slurm.submit import check_paths, make_work, without_slurm

needs_submitit = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="needs submitit")


# --- the value of --slurm ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("1:30:00", 5400), ("0:00:01", 1), ("1-12:00:00", 129_600), ("2-03", 183_600), ("2-03:30", 185_400)],
)
def test_times_are_rounded_up_to_minutes(text, seconds):
    assert parse_request(f"time={text},signal_delay=1").time == -(-seconds // 60)


@pytest.mark.parametrize("text", ["", "0", "1:30", "90m", "1:60:00", "1:00:60", "-5", "1.5", "1-", "999999999", "1h"])
def test_times_that_could_be_misread_are_refused(text):
    with pytest.raises(UsageError, match="--slurm time must be"):
        parse_request(f"time={text}")


def test_every_key_is_read():
    asked = (
        "time=2:00:00, partition=gpu,long ,gpus=a100:2,cpus=8,mem=32gb,nodes=2,tasks=4,account=lab_1,qos=high,"
        "constraint=a100|h100,exclude=node[1-3,5],node9,gres=gpu:a100:2,shard:1,name=run-1,mail-user=a@b.org,"
        "mail_type=end,FAIL,signal_delay=300,requeues=0,array=3,logs=~/jobs,cluster=slurm"
    )
    found = parse_request(asked)
    assert found == Request(
        time=120, partition="gpu,long", gpus="a100:2", cpus=8, mem="32G", nodes=2, tasks=4, account="lab_1",
        qos="high", constraint="a100|h100", exclude="node[1-3,5],node9", gres="gpu:a100:2,shard:1", name="run-1",
        mail_user="a@b.org", mail_type="END,FAIL", signal_delay=300, requeues=0, array=3, logs=Path.home() / "jobs",
        cluster="slurm",
    )  # fmt: skip
    named = {part.partition("=")[0].strip().replace("-", "_") for part in re.findall(r"[\w-]+=", asked)}
    assert named == {f"{key}" for key in KEYS} and set(KEYS) == set(vars(found))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu=1,time=60", ["unknown key 'gpu'", "gpus"]),
        ("partition,time=60", ["'partition' has no value"]),
        ("time=60,gpus", ["'gpus' has no value"]),
        ("time=60,,gpus=1", ["'' has no value"]),
        ("", ["'' has no value"]),
        ("time=60,time=70", ["time stands twice"]),
        ("time=60,gpus=-1", ["gpus must be a number", "'-1'"]),
        ("time=60,cpus=0", ["cpus must be a whole number from 1"]),
        ("time=60,nodes=x", ["nodes must be a whole number"]),
        ("time=60,mem=32", ["mem must be a number and a unit", "'32'"]),
        ("time=60,mail_type=ENDS", ["mail_type must be of", "TIME_LIMIT", "'ENDS'"]),
        ("time=60,cluster=pbs", ["cluster must be slurm or local", "'pbs'"]),
        ("time=60,logs=a%jb", ["logs must be a folder without %"]),
        ("time=60,partition=a b", ["partition must be a name", "'a b'"]),
        ("gpus=1", ["time is needed"]),
        ("time=2", ["signal_delay (120 s", "less than time (120 s)"]),
        ("cluster=local,nodes=2", ["nodes must be 1; got 2"]),
        ("cluster=local,gpus=a100:1", ["gpus must be a number"]),
        ("cluster=local,array=2", ["has no arrays"]),
        ("time=60,array=0", ["array must be a whole number from 1"]),
    ],
)
def test_faults_say_the_key_the_value_and_the_rule(text, words):
    with pytest.raises(UsageError) as caught:
        parse_request(text)
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "--slurm" in caught.value.message and "for example" in caught.value.hint.lower()


def test_all_faults_stand_in_one_error():
    with pytest.raises(UsageError, match="4 settings are wrong") as caught:
        parse_request("gpu=1,time=1h,mem=3,cluster=x")
    assert len(caught.value.message.splitlines()) == 5


def test_no_value_can_leave_its_line_of_the_script():
    checked = 0
    for key in sorted(set(KEYS) - {"logs"}):
        for evil in ("a\nrm -rf /", "a;b", "$(b)", "a`b`", "a b", "a'b", 'a"b', "a\\b", "a#b", "a\tb", "a\u2028b"):
            with pytest.raises(UsageError, match=f"--slurm {key} must be"):
                parse_request(f"{key}={evil}")
            checked += 1
    assert checked == 11 * 19


# --- the command, and what resumes it ---


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["train", "--slurm", "time=1", "--lr", "1"], ("train", "--lr", "1")),
        (["train", "--slurm=time=1", "-q"], ("train", "-q")),
        (["infer", "a", "--slurm", "x", "--slurm=y", "b"], ("infer", "a", "b")),
        (["infer", "--slurm", "x", "--", "--slurm", "y"], ("infer", "--", "--slurm", "y")),
        (["infer", "--slurm-like", "y"], ("infer", "--slurm-like", "y")),
    ],
)
def test_the_command_is_the_same_without_slurm(argv, kept):
    assert without_slurm(argv) == kept


@dataclass(frozen=True)
class Asked:
    """Settings of any command."""

    output: Path | None = None
    results: Path | None = None
    resume: object = None
    force: bool = False
    shard: str | None = None


def test_train_goes_on_with_its_run_once_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["train", "--data", "d", "--output", "r", "--config", "c.yaml", "-q", "--slurm", "time=60"]
    work = make_work(argv, name="train", policy=TRAIN, settings=Asked(output=Path("r")))
    plain = ("train", "--data", "d", "--output", "r", "--config", "c.yaml", "-q")
    assert work.argv == plain and work.folder == str(tmp_path)
    assert work.arguments(restarted=False) == work.arguments(restarted=True) == plain
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.yaml").touch()
    assert work.arguments(restarted=True) == ("train", "--resume", str(tmp_path / "r"), "-q")
    assert work.arguments(restarted=False) == plain


def test_a_run_from_before_the_job_is_not_gone_on_with(tmp_path):
    record = tmp_path / "config.yaml"
    record.touch()
    argv = ["train", "--output", str(tmp_path), "--force"]
    work = make_work(argv, name="train", policy=TRAIN, settings=Asked(output=tmp_path, force=True))
    assert work.arguments(restarted=True) == tuple(argv)
    os.utime(record, ns=(1, record.stat().st_mtime_ns + 1))
    assert work.arguments(restarted=True) == ("train", "--resume", str(tmp_path))


def test_a_resumed_run_goes_on_with_the_same_command(tmp_path):
    argv = ["train", "--resume", str(tmp_path), "--workers", "2"]
    work = make_work(argv, name="train", policy=TRAIN, settings=Asked(resume=tmp_path))
    assert work.arguments(restarted=True) == tuple(argv)


@pytest.mark.parametrize("shard", [None, "2/3"])
def test_infer_goes_on_with_resume_in_place_of_force(tmp_path, shard):
    argv = ["infer", "--force", "x", "--results", str(tmp_path), "--", "--force"]
    settings = Asked(results=tmp_path, force=True, shard=shard and Parsed(shard, Shard.parse(shard)))
    work = make_work(argv, name="infer", policy=INFER, settings=settings)
    assert work.arguments(restarted=True) == tuple(argv)
    folder = tmp_path / "shard-2-of-3" if shard else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "inference.json").touch()
    again = ("infer", "--resume", "x", "--results", str(tmp_path), "--", "--force")
    assert work.arguments(restarted=True) == again and work.arguments(restarted=False) == tuple(argv)
    stubborn = make_work(argv, name="infer", policy=INFER, settings=settings, forced_by_file=True)
    assert stubborn.arguments(restarted=True) == tuple(argv)


def test_test_replaces_what_it_left_and_prep_is_the_same(tmp_path):
    argv = ["test", "--results", "r"]
    work = make_work(argv, name="test", policy=TEST, settings=Asked(results=tmp_path))
    assert work.arguments(restarted=True) == ("test", "--force", "--results", "r") and work.argv == tuple(argv)
    assert make_work(["test"], name="test", policy=TEST, settings=Asked()).again == ("test",)
    prep = ["prep", "schematic", "schematic"]
    assert make_work(prep, name="schematic", policy=PREP, settings=Asked(output=tmp_path)).again == tuple(prep)


# --- checks before submission ---


def train_settings(**values):
    from affectkit.config import resolve
    from affectkit.settings.training import TrainSettings

    return resolve(TrainSettings, flags={"data": Path("."), "output": Path("o"), **values}).settings


def infer_settings(**values):
    from affectkit.config import resolve
    from affectkit.settings.inference import InferSettings

    base = {"paths": ["."], "checkpoint": Path("."), "results": Path("r")}
    return resolve(InferSettings, flags={**base, **values}).settings


def test_inputs_must_be_there_unless_only_the_nodes_can_have_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard = Heard()
    check_paths(TRAIN, train_settings(), heard)
    check_paths(INFER, infer_settings(paths=["*.png", "/scratch/*.png"]), heard)
    assert heard.warnings == []
    with pytest.raises(DataError, match="--data faes does not exist in"):
        check_paths(TRAIN, train_settings(data=Path("faes")), heard)
    with pytest.raises(DataError, match="PATHS pics does not exist"):
        check_paths(INFER, infer_settings(paths=[".", "pics"]), heard)
    check_paths(TRAIN, train_settings(data=Path("/scratch/faces")), heard)
    assert len(heard.warnings) == 1 and "--data /scratch/faces does not exist on this machine" in heard.warnings[0]


def test_outputs_that_are_taken_are_met_before_the_queue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "o"
    run.mkdir()
    (run / "config.yaml").write_text("settings: {}\n")
    with pytest.raises(UsageError, match="--output o is not empty") as caught:
        check_paths(TRAIN, train_settings(), Heard())
    assert "--resume o" in caught.value.hint
    check_paths(TRAIN, train_settings(force=True), Heard())
    check_paths(TRAIN, train_settings(resume=Path("o"), output=None, data=None), Heard())
    (run / "status.json").write_text('{"state": "done"}')  # train itself says whether there is nothing to do
    check_paths(TRAIN, train_settings(), Heard())
    with pytest.raises(CheckpointError, match="is not a run folder"):
        check_paths(TRAIN, train_settings(resume=tmp_path), Heard())
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "other.txt").touch()
    check_paths(INFER, infer_settings(), Heard())
    (tmp_path / "r" / "inference.json").write_text("{}")
    with pytest.raises(UsageError, match="r holds results"):
        check_paths(INFER, infer_settings(), Heard())
    check_paths(INFER, infer_settings(resume=True), Heard())
    check_paths(INFER, infer_settings(force=True), Heard())


def test_infer_needs_files_on_both_sides():
    with pytest.raises(UsageError, match="--slurm needs --results"):
        check_paths(INFER, infer_settings(results=None), Heard())
    with pytest.raises(UsageError, match="no standard input"):
        check_paths(INFER, infer_settings(paths=["-"]), Heard())


# --- the job ---

CHILD = """
import os, signal, sys, time
order, *rest = sys.argv[1:]
if order == "exit":
    sys.exit(int(rest[0]))
if order == "die":
    os.kill(os.getpid(), int(rest[0]))
if order == "tell":
    names = "RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR MASTER_PORT TORCHELASTIC_RUN_ID".split()
    open(rest[0], "w").write(" ".join(os.environ.get(name, "-") for name in names))
    sys.exit()
def stop(number, frame):
    with open(rest[0] + ".heard", "a") as told:
        told.write(signal.Signals(number).name + "\\n")
    time.sleep(0.08)
    sys.exit(int(rest[1]))
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, stop)
open(rest[0], "w").write(str(os.getpid()))
if "hang" in rest:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
time.sleep(30)
"""


@pytest.fixture
def child(tmp_path) -> Path:
    """A folder in which ``python -m affectkit`` is a stand-in that does as it is told."""
    folder = tmp_path / "work"
    (folder / "affectkit").mkdir(parents=True)
    (folder / "affectkit" / "__init__.py").touch()
    (folder / "affectkit" / "__main__.py").write_text(CHILD)
    return folder


@pytest.fixture
def inside(monkeypatch):
    """As in a task of a local job; handlers are put back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    for name, value in {"EXECUTOR": "local", "LOCAL_JOB_ID": "7", "LOCAL_NTASKS": "1", "LOCAL_GLOBALID": "0"}.items():
        monkeypatch.setenv(f"SUBMITIT_{name}", value)
    monkeypatch.setattr(_slurm_job, "end_with_parent", lambda number: None)  # pytest goes on
    monkeypatch.setattr(_slurm_job, "LINGER", 0.1)
    yield monkeypatch
    for number, handler in before.items():
        signal.signal(number, handler)


def job_of(folder: Path, *argv: str, **more) -> Job:
    return Job(Work(argv=argv, again=argv, folder=str(folder), **more))


def wait_for(path: Path, seconds: float = 20) -> str:
    end = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)
    return path.read_text()


def later(path: Path, *numbers: int, pause: float = 0.0) -> None:
    """Send ``numbers`` to this process once ``path`` is there."""

    def send() -> None:
        wait_for(path)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(pause)

    threading.Thread(target=send, daemon=True).start()


@needs_submitit
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("exit", "1"), ["exit code 1", "failed"]),
        (("exit", "2"), ["exit code 2", "an option is wrong"]),
        (("exit", "3"), ["exit code 3", "threshold"]),
        (("exit", "4"), ["exit code 4", "in part"]),
        (("exit", "75"), ["did not come as Slurm's warning", "not queued again", "is saved", "exit code 75"]),
        (("exit", "143"), ["did not come as Slurm's warning", "exit code 143"]),
        (("die", "9"), ["killed by signal 9", "out of memory?"]),
        (("die", "11"), ["killed by signal 11"]),
    ],
)
def test_an_exit_code_fails_the_job_and_stands_in_the_message(child, inside, argv, words):
    with pytest.raises(RunError) as caught:
        job_of(child, *argv)()
    assert all(word in caught.value.message for word in words), caught.value.message
    assert f"affectkit {' '.join(argv)} " in caught.value.message


@needs_submitit
def test_a_command_that_succeeds_gives_0_and_a_later_warning_is_ignored(child, inside):
    signal.signal(signal.SIGUSR2, lambda *_: pytest.fail("the warning was heard"))
    assert job_of(child, "exit", "0")() == 0
    os.kill(os.getpid(), signal.SIGUSR2)
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN


@needs_submitit
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_child_once(child, inside, number):
    ready = child / "ready"
    later(ready, number, signal.SIGTERM, pause=0.03)
    with pytest.raises(RunError, match="was stopped by a signal"):
        job_of(child, "wait", str(ready), "75")()
    assert (child / "ready.heard").read_text().split() == [number.name]


class Requeued(SystemExit):
    pass


def as_submitit(job: Job) -> list:
    """A handler for SIGUSR2 as submitit's; what ``checkpoint`` gave."""
    given = []

    def handle(number, frame):
        given.append(job.checkpoint())
        raise Requeued

    signal.signal(signal.SIGUSR2, handle)
    return given


@needs_submitit
@pytest.mark.parametrize("before", [(), (signal.SIGTERM,)])  # preemption sends SIGTERM first
@pytest.mark.parametrize("code", ["75", "143", "1"])
def test_a_warning_saves_and_queues_again(child, inside, before, code):
    ready = child / "ready"
    job = job_of(child, "wait", str(ready), code)
    given = as_submitit(job)
    later(ready, *before, signal.SIGUSR2, pause=0.03)
    with pytest.raises(Requeued):
        job()
    assert (child / "ready.heard").read_text().split() == ["SIGTERM"]
    (delayed,) = given
    assert delayed.function.work == job.work and delayed.function.attempt == 1 and delayed.args == ()
    assert not alive(int(ready.read_text()))


@needs_submitit
def test_a_warning_that_comes_as_the_work_ends_does_not_queue_it_again(child, inside):
    ready = child / "ready"
    job = job_of(child, "wait", str(ready), "0")
    given = as_submitit(job)
    later(ready, signal.SIGUSR2)
    assert job() == 0 and given == []


@needs_submitit
def test_a_step_that_takes_too_long_is_given_up_and_queued_again(child, inside):
    inside.setattr(_slurm_job, "END", 0.3)
    ready = child / "ready"
    job = job_of(child, "wait", str(ready), "75", "hang", patience=0.3)
    given = as_submitit(job)
    later(ready, signal.SIGUSR2)
    with pytest.raises(Requeued):
        job()
    assert len(given) == 1 and not alive(int(ready.read_text()))


@needs_submitit
def test_a_warning_before_the_child_is_there_queues_again():
    delayed = job_of(Path("/none"), "train").checkpoint()
    assert delayed.function.attempt == 1 and delayed.function.work.argv == ("train",)


@needs_submitit
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_further_task_stops_its_child_and_leaves_the_word_to_the_first(child, inside, number):
    inside.setenv("SUBMITIT_LOCAL_GLOBALID", "1")
    ready = child / "ready"
    later(ready, number)
    with pytest.raises(SystemExit) as caught:
        job_of(child, "wait", str(ready), "75")()
    assert caught.value.code == 0 and (child / "ready.heard").read_text().split() == ["SIGTERM"]


@needs_submitit
def test_what_slurm_itself_starts_anew_goes_on(child, inside):
    work = Work(argv=("exit", "5"), again=("exit", "0"), folder=str(child))
    for count in ("", "0"):
        inside.setenv("SLURM_RESTART_COUNT", count)
        with pytest.raises(RunError, match="exit code 5"):
            Job(work)()
    inside.setenv("SLURM_RESTART_COUNT", "1")
    with pytest.raises(RunError, match="exit code 5"):  # not a job of Slurm's: of one around it, at most
        Job(work)()
    inside.setenv("SUBMITIT_EXECUTOR", "slurm")
    inside.setenv("SLURM_JOB_ID", "7")
    assert Job(work)() == 0
    inside.delenv("SLURM_RESTART_COUNT")
    assert Job(work, attempt=1)() == 0
    record = child / "record"
    absent = replace(work, record=str(record))
    with pytest.raises(RunError, match="exit code 5"):
        Job(absent, attempt=1)()
    record.touch()
    assert Job(absent, attempt=1)() == 0


@needs_submitit
def test_torch_is_told_of_tasks_and_of_nothing_that_is_not_so(child, inside):
    from submitit import JobEnvironment

    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"):  # of a shell that submitted
        inside.setenv(name, "stale")
    assert job_of(child, "tell", str(child / "one"))() == 0
    assert set((child / "one").read_text().split()) == {"-"}
    inside.setenv("SUBMITIT_LOCAL_NTASKS", "3")
    inside.setenv("SUBMITIT_LOCAL_GLOBALID", "2")
    inside.setenv("SUBMITIT_LOCAL_LOCALID", "2")
    assert job_of(child, "tell", str(child / "three"))() == 0
    *found, port, elastic = (child / "three").read_text().split()
    assert found == ["2", "3", "2", "127.0.0.1"] and 20_000 <= int(port) <= 60_000 and elastic == "-"
    slurm = {"JOB_ID": "9", "NTASKS": "4", "JOB_NUM_NODES": "2", "PROCID": "3", "LOCALID": "1", "NODEID": "1"}
    for name, value in slurm.items():
        inside.setenv(f"SLURM_{name}", value)
    inside.setenv("SLURM_JOB_NODELIST", "node[07-08]")
    inside.setenv("SUBMITIT_EXECUTOR", "slurm")
    found = child_environment({"HOME": "/h"}, JobEnvironment())
    port = found.pop("MASTER_PORT")
    assert found == {
        "HOME": "/h", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "node07",
    }  # fmt: skip
    inside.setenv("SLURM_PROCID", "0")
    assert child_environment({}, JobEnvironment())["MASTER_PORT"] == port  # all tasks meet at the same one


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


SUBMIT = """
import sys
from submitit import LocalExecutor
from affectkit.slurm.job import Job, Work
logs, folder, *ready = sys.argv[1:]
executor = LocalExecutor(logs)
executor.update_parameters(timeout_min=60, signal_delay_s=1)
works = [Work(("wait", path, "75"), (), folder) for path in ready]
open(logs + "/ids", "w").write(" ".join(executor.submit(Job(work)).job_id for work in works))
"""


@needs_submitit
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs prctl")
def test_nothing_is_left_after_5_seconds(child, tmp_path):
    signals = [("task", signal.SIGKILL), ("controller", signal.SIGKILL), ("controller", signal.SIGTERM)]
    files = [child / f"ready-{number}" for number in range(len(signals))]
    subprocess.run([sys.executable, "-c", SUBMIT, str(tmp_path / "logs"), str(child), *map(str, files)], check=True)
    controllers = map(int, (tmp_path / "logs" / "ids").read_text().split())
    left = []
    for ready, controller, (victim, number) in zip(files, controllers, signals, strict=True):
        pid = int(wait_for(ready))
        task = parent_of(pid)
        assert parent_of(task) == controller and os.getpgid(pid) == pid != os.getpgid(task)
        os.kill(pid, signal.SIGUSR2)  # some clusters signal all processes of a job
        os.kill({"task": task, "controller": controller}[victim], number)
        left += [pid, task, controller]
    end = time.monotonic() + 5
    while any(map(alive, left)) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(left) == 9 and not any(map(alive, left))
    assert [Path(f"{ready}.heard").read_text().split()[0] for ready in files] == ["SIGTERM"] * 3
