"""Workers of preparations: what comes back, and what happens to them when something is stopped or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from affectkit.core.stopping import Never
from affectkit.errors import DataError, RunError, Stopped
from affectkit.prep.worker_pool import WorkerPool

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")


def double(number):
    return os.getpid(), 2 * number


def refuse(number):
    if number == 3:
        raise DataError(f"chunk {number} is bad.")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def touch_slowly(folder, number):
    (folder / f"begun{number}").touch()
    time.sleep(0.2)
    (folder / f"done{number}").touch()
    return number


class Requested:
    """A stop from the time on that ``path`` is there."""

    def __init__(self, path):
        self.path = path

    @property
    def requested(self):
        return self.path.exists()

    def error(self, saved, hint):
        return Stopped(saved, hint)


@LINUX
@pytest.mark.parametrize("ahead", [False, True])
def test_every_chunk_comes_back_once_and_chunks_are_taken_as_they_are_needed(ahead):
    taken = 0

    def chunks():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield (number,)

    with WorkerPool(3, Never()) as pool:
        results = pool.run(double, chunks(), ahead=ahead)
        first = next(results)
        assert taken <= (6 if ahead else 3)
        found = [first, *results]
    assert sorted(value for _, value in found) == [2 * number for number in range(40)]
    assert os.getpid() not in {process for process, _ in found}


@pytest.mark.parametrize("given", [{"workers": 1}, {"workers": 2, "alone": True}])
def test_little_work_is_done_in_this_process(given):
    with WorkerPool(given.pop("workers"), Never()) as pool:
        assert [process for process, _ in pool.run(double, [(1,), (2,)], **given)] == [os.getpid()] * 2


@LINUX
def test_the_error_of_a_chunk_is_raised_and_nothing_runs_on(tmp_path):
    with WorkerPool(2, Never()) as pool:
        with pytest.raises(DataError, match="chunk 3 is bad"):
            list(pool.run(refuse, [(number,) for number in range(9)]))
        assert list(pool.run(refuse, [(7,)])) == [7]  # the pool still works
        results = pool.run(touch_slowly, ((tmp_path, number) for number in range(9)))
        next(results)
        results.close()
        begun, done = (len(list(tmp_path.glob(f"{name}*"))) for name in ("begun", "done"))
        assert begun == done < 9


@LINUX
def test_a_stop_lets_the_chunks_in_work_end_and_begins_no_other(tmp_path):
    with WorkerPool(2, Requested(tmp_path / "begun2")) as pool:
        found = list(pool.run(touch_slowly, ((tmp_path, number) for number in range(12))))
    assert sorted(found) == list(range(len(found))) and 3 <= len(found) <= 4
    assert len(list(tmp_path.glob("begun*"))) == len(found)


@LINUX
def test_a_killed_worker(tmp_path):
    with WorkerPool(2, Never()) as pool, pytest.raises(RunError, match="a worker process was killed"):
        list(pool.run(die, [(number,) for number in range(5)]))
    with WorkerPool(2, Never()) as pool:  # before the work begins
        pool.warm(abort)
        deadline = time.monotonic() + 30
        while pool.warming and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not pool.warming
        with pytest.raises(RunError, match="a worker process was killed"):
            list(pool.run(double, [(1,)]))
    (tmp_path / "asked").touch()
    with WorkerPool(2, Later(tmp_path / "asked", after=2)) as pool:  # killed by who stopped this process
        assert list(pool.run(die, [(number,) for number in range(5)])) == []


def abort():
    os._exit(9)


class Later(Requested):
    """A stop that arrives after it was asked for ``after`` times: a signal to a group reaches the workers first."""

    def __init__(self, path, *, after):
        super().__init__(path)
        self.after = after

    @property
    def requested(self):
        self.after -= 1
        return self.after < 0 and super().requested


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from affectkit.core.stopping import Never
from affectkit.prep.worker_pool import WorkerPool
import os, signal
def work(folder, number):
    (Path(folder) / f"begun{{number}}-{{os.getpid()}}").touch()
    time.sleep({seconds})
    (Path(folder) / f"done{{number}}").touch()
    return number
class Flag(Never):
    def error(self, saved, hint): raise SystemExit
flag = Flag()
def stop(number, frame): flag.requested = True
signal.signal(signal.SIGTERM, stop)
with WorkerPool(2, flag) as pool:
    print(len(list(pool.run(work, (({folder!r}, number) for number in range(50))))))
"""


def start(tmp_path, seconds):
    text = SCRIPT.format(tests=os.path.dirname(__file__), folder=str(tmp_path), seconds=seconds)
    process = subprocess.Popen([sys.executable, "-c", text], start_new_session=True, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: len(list(tmp_path.glob("begun*"))) >= 2)
    return process, [int(path.name.split("-")[1]) for path in tmp_path.glob("begun*")]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@LINUX
def test_workers_end_with_a_killed_parent(tmp_path):
    process, workers = start(tmp_path, 60)
    assert len(workers) == 2 and all(os.path.exists(f"/proc/{worker}") for worker in workers)
    process.kill()
    process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers))


@LINUX
def test_a_signal_to_the_whole_group_loses_nothing_that_was_in_work(tmp_path):
    process, _ = start(tmp_path, 0.5)
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    begun, done = (len(list(tmp_path.glob(f"{name}*"))) for name in ("begun", "done"))
    assert process.returncode == 0 and begun == done == int(out) < 50
