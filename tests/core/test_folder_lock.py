"""Locks: refused while another process writes, taken over once it is gone, with and without locks of the system."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from locking import locked_elsewhere
from support import Heard

from affectkit.core import folder_lock, lock_owner
from affectkit.core.folder_lock import Output, is_lock_name, locked
from affectkit.core.lock_owner import LockOwner, locks_reach_hosts
from affectkit.errors import DataError, LockedError


@pytest.fixture
def without_locks(monkeypatch):
    """A file system on which lockf is not implemented."""
    import fcntl

    def lockf(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)


def leave(lock: Path, *, pid: int = 0, age: float = 0.0, **changes) -> LockOwner:
    """Write the lock file of a process that was killed, or of one elsewhere; by default of one that has ended."""
    owner = LockOwner.this_process()
    if not pid:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    owner = replace(owner, pid=pid, **changes)
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(owner.to_bytes())
    os.utime(lock, (time.time() - age, time.time() - age))
    return owner


def is_locked(output: Output) -> bool:
    """Whether another process is refused."""
    pid = os.fork()
    if pid == 0:
        folder_lock._held.clear()
        code = 2
        try:
            with locked(output):
                code = 0
        except LockedError:
            code = 1
        finally:
            os._exit(code)
    return {0: False, 1: True}[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


@pytest.mark.parametrize("kind", ["folder", "file", "shard"])
def test_the_lock_stands_while_the_block_runs_and_goes_with_it(tmp_path, kind):
    output = Output(tmp_path / "a" / "b", kind)
    with locked(output):
        assert output.lock.is_file() and is_lock_name(output.lock.name)
        assert is_locked(output)
        assert stat.S_IMODE(output.lock.stat().st_mode) & 0o600 == 0o600
        with locked(output):  # train within the train of the command line
            pass
        assert output.lock.is_file() and is_locked(output)
        # Last: a process that closes the file has the lock no more (fcntl(2)).
        record = json.loads(output.lock.read_bytes())
        assert record["pid"] == os.getpid() and record["host"] == os.uname().nodename and record["held"] is True
    assert list(tmp_path.iterdir()) == [], "the folders that were made for it have gone, too"
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), locked(output):
        raise KeyboardInterrupt
    assert not output.lock.exists() and (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("kind", ["folder", "file", "shard"])
def test_another_process_is_named_with_its_age_and_the_next_step(tmp_path, kind):
    output = Output(tmp_path / "shard-1-of-2", kind)
    with locked_elsewhere(output.path, kind) as pid:
        os.utime(output.lock, (time.time() - 7300, time.time() - 7300))
        with pytest.raises(LockedError) as error, locked(output):
            raise AssertionError
        written = output.lock.read_bytes()
    told = error.value.message
    what = f"shard-1-of-2 in {tmp_path}" if kind == "shard" else str(output.path)
    assert told.startswith(f"{what} is being written by process {pid} on {os.uname().nodename} (")
    assert re.search(r", since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(2 h ago\); nothing was changed\.$", told)
    assert error.value.exit_code == 1 and f"remove {output.lock}" in error.value.hint
    assert output.lock.read_bytes() == written, "a refused run leaves the lock as it was"
    heard = Heard()
    with locked(output, reporter=heard):  # killed: the same host takes over
        assert json.loads(output.lock.read_bytes())["pid"] == os.getpid()
    assert len(heard.notes) == 1 and f"process {pid} on" in heard.notes[0] and "has ended" in heard.notes[0]
    assert not output.lock.exists()


def test_a_run_of_all_and_a_shard_exclude_each_other_and_shards_do_not(tmp_path):
    root = Output(tmp_path / "out")
    one, two = (Output(root.path / f"shard-{number}-of-2", "shard") for number in (1, 2))
    with locked_elsewhere(one.path, "shard") as pid:
        with locked(two):
            pass
        with pytest.raises(LockedError, match=f"shard-1-of-2 in .*out is being written by process {pid} "):
            locked(root).__enter__()
        assert not root.lock.exists()
    with locked(root):  # the file of the killed shard is in nobody's way
        assert is_locked(two) and is_locked(one)
    with locked_elsewhere(root.path) as pid, pytest.raises(LockedError, match=f"out is being written by process {pid}"):
        locked(two).__enter__()
    assert not two.lock.exists()
    with locked(two):
        assert not is_locked(one) and is_locked(root)


def test_an_empty_lock_file_of_an_earlier_version(tmp_path):
    import fcntl

    output, heard = Output(tmp_path), Heard()
    output.lock.touch()
    with locked(output, reporter=heard):
        assert is_locked(output)
    assert heard.notes == [] and not output.lock.exists()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:  # as earlier versions lock
        descriptor = os.open(output.lock, os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(tell, b"1")
        signal.pause()
    try:
        os.read(told, 1)
        with pytest.raises(LockedError, match="is being written by another process, since "):
            locked(output).__enter__()
        assert output.lock.exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told)
        os.close(tell)
    with locked(output):
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                descriptor = os.open(output.lock, os.O_CREAT | os.O_RDWR, 0o644)
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0, "an earlier version is refused by a lock of this one"


def test_a_forked_process_ends_without_the_lock_of_its_parent(tmp_path):
    output = Output(tmp_path)
    with locked(output):
        entered = locked(Output(tmp_path / "x"))
        entered.__enter__()
        pid = os.fork()
        if pid == 0:  # as a decoding worker that an exception takes down
            try:
                entered.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert (tmp_path / "x" / ".lock").exists() and is_locked(Output(tmp_path / "x"))
        entered.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


# --- what other hosts left -------------------------------------------------------------------------------------------


def test_what_another_host_left_is_taken_where_locks_reach_it(tmp_path, monkeypatch):
    output, heard = Output(tmp_path), Heard()
    leave(output.lock, host="node7", machine="another", age=90)
    with locked(output, reporter=heard):
        pass
    assert len(heard.notes) == 1 and " on node7 (" in heard.notes[0]
    leave(output.lock, host="node7", machine="another", age=172_900)
    monkeypatch.setattr(folder_lock, "locks_reach_hosts", lambda path: False)
    with pytest.raises(LockedError) as error:
        locked(output).__enter__()
    assert "may still be written by process" in error.value.message and "on node7" in error.value.message
    assert "(2 days ago)" in error.value.message and f"remove {output.lock}" in error.value.hint
    output.lock.unlink()
    with locked(output):
        pass


@pytest.mark.parametrize("reaches", [True, False])
def test_a_job_that_slurm_starts_again_takes_over(tmp_path, monkeypatch, reaches):
    monkeypatch.setattr(folder_lock, "locks_reach_hosts", lambda path: reaches)
    monkeypatch.setenv("SLURM_JOB_ID", "812")
    output = Output(tmp_path)
    leave(output.lock, host="node7", machine="another", job="812", restart=0)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    heard = Heard()
    with locked(output, reporter=heard):
        assert json.loads(output.lock.read_bytes())["restart"] == 1
    assert len(heard.notes) == 1
    # The server still holds the lock of a node that is down; and not that of a sibling of the same start.
    with locked_elsewhere(tmp_path) as pid:
        with pytest.raises(LockedError):
            locked(output).__enter__()
        record = json.loads(output.lock.read_bytes())
        output.lock.write_text(json.dumps({**record, "restart": 0}))
        with locked(output, reporter=heard):
            assert json.loads(output.lock.read_bytes())["pid"] == os.getpid()
        assert f"process {pid} on" in heard.notes[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options", "reaches"),
    [
        ("ext4", "rw", True), ("nfs4", "rw,vers=4.2,local_lock=none", True), ("nfs", "rw,nolock,vers=3", False),
        ("nfs", "rw,local_lock=posix", False), ("nfs4", "rw,local_lock=all", False), ("lustre", "rw,flock", True),
        ("lustre", "rw,localflock", False), ("fuse.sshfs", "rw", False), ("beegfs", "rw", False), ("gpfs", "rw", True),
        ("ceph", "rw", True), ("9p", "rw", False),
    ],
)  # fmt: skip
def test_which_file_systems_pass_locks_on(tmp_path, monkeypatch, kind, options, reaches):
    device = tmp_path.stat().st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime master:1 - {kind} server:/x {options}\n"
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 250:9 / / rw - tmpfs none rw\n" + line)
    there = Path
    monkeypatch.setattr(lock_owner, "Path", lambda text: mounts if str(text) == "/proc/self/mountinfo" else there(text))
    assert locks_reach_hosts(tmp_path) is reaches


# --- file systems without locks --------------------------------------------------------------------------------------


def test_without_locks_the_file_is_the_lock(tmp_path, without_locks):
    output = Output(tmp_path / "run")
    with locked(output):
        assert json.loads(output.lock.read_bytes())["held"] is False and is_locked(output)
    assert list(tmp_path.iterdir()) == []
    with locked_elsewhere(output.path) as pid, pytest.raises(LockedError, match=f"is being written by process {pid} "):
        locked(output).__enter__()
    heard = Heard()
    with locked(output, reporter=heard):  # killed meanwhile
        assert is_locked(output)
    assert f"process {pid} on" in heard.notes[0] and os.listdir(output.path) == []


def test_without_locks_a_number_that_another_process_has_now_is_not_its_owner(tmp_path, without_locks):
    output = Output(tmp_path)
    mine = LockOwner.this_process()
    parent = os.getppid()
    leave(output.lock, pid=parent, started=mine.started + 1_000_000_000, held=False)
    with locked(output):
        pass
    started = lock_owner._start_of(parent)
    assert started > 0
    leave(output.lock, pid=parent, started=started, held=False)
    with pytest.raises(LockedError, match=f"is being written by process {parent} on"):
        locked(output).__enter__()


@pytest.mark.parametrize("offset", [-90_000.0, 90_000.0])
def test_a_clock_decides_nothing(tmp_path, without_locks, monkeypatch, offset):
    """Set back or on by a day, after the lock was taken: a live one stays, one that was left goes."""
    output, now = Output(tmp_path), time.time
    with locked_elsewhere(tmp_path):
        os.utime(output.lock, (now() - offset, now() - offset))
        monkeypatch.setattr(time, "time", lambda: now() + offset)
        with pytest.raises(LockedError) as error:
            locked(output).__enter__()
        assert ("(1 day ago)" if offset > 0 else "(in the future: a clock was set back)") in error.value.message
    os.utime(output.lock, (now() - offset, now() - offset))
    with locked(output):
        assert is_locked(output)


def test_without_locks_another_host_is_not_overruled_however_old(tmp_path, without_locks):
    output = Output(tmp_path)
    leave(output.lock, host="node7", machine="another", held=False, age=40 * 86400 + 600)
    with pytest.raises(LockedError, match=r"on node7 .*\(40 days ago\)"):
        locked(output).__enter__()
    output.lock.write_bytes(b"")  # cut off before it was written
    with pytest.raises(LockedError, match="may still be written by another process"):
        locked(output).__enter__()


def test_of_many_that_take_over_one_gets_it(tmp_path, without_locks):
    """Twelve processes at once find the lock of one that has ended; those that get it hold it one after the other."""
    output, log = Output(tmp_path / "out"), tmp_path / "log"
    leave(output.lock, held=False)
    log.touch()
    pids = []
    for _ in range(12):
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                with locked(output), log.open("ab", buffering=0) as stream:
                    stream.write(b"+")
                    time.sleep(0.02)
                    stream.write(b"-")
                code = 0
            except LockedError:
                code = 1
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert set(codes) <= {0, 1} and codes.count(0) >= 1
    assert log.read_bytes() == b"+-" * codes.count(0)
    assert os.listdir(output.path) == []


def test_a_file_that_goes_while_it_is_opened_is_no_lock(tmp_path, monkeypatch):
    """Its holder ends, and removes it, between the opening and the locking of the next one."""
    output, real, calls = Output(tmp_path), folder_lock._try_lock, []
    output.lock.touch()

    def try_lock(descriptor, *, shared):
        calls.append(descriptor)
        if len(calls) == 1:
            output.lock.unlink()
        return real(descriptor, shared=shared)

    monkeypatch.setattr(folder_lock, "_try_lock", try_lock)
    with locked(output):
        assert len(calls) == 2 and output.lock.exists() and is_locked(output)


def test_a_lock_that_came_in_place_of_one_that_was_left_stays(tmp_path):
    path = tmp_path / ".lock"
    path.write_bytes(b"left")
    with path.open("rb") as stream:
        path.unlink()
        path.write_bytes(b"of another run")
        folder_lock._remove_left(stream.fileno(), path)
    assert path.read_bytes() == b"of another run" and os.listdir(tmp_path) == [".lock"]
    with path.open("rb") as stream:
        folder_lock._remove_left(stream.fileno(), path)
    assert os.listdir(tmp_path) == []


# --- what cannot be written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_what_cannot_be_written_is_not_locked(tmp_path, monkeypatch, number):
    before, opened = os.open, []

    def refuse(path, flags, *mode):
        if flags & os.O_CREAT:
            opened.append(path)
            raise OSError(number, os.strerror(number), str(path))
        return before(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    with locked(Output(tmp_path)):
        assert opened == [tmp_path / ".lock"]
    assert os.listdir(tmp_path) == []


def test_other_errors_of_the_disk_are_reported(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "ftruncate", full)
    with pytest.raises(OSError, match="No space left"), locked(Output(tmp_path / "a")):
        raise AssertionError


def test_what_is_missing_is_not_made_unless_asked_for(tmp_path):
    with locked(Output(tmp_path / "a", make=False)):
        assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with locked(Output(tmp_path / "file")):  # the command says that it is a file
        pass


@pytest.mark.parametrize(
    "text",
    [b"mine", b"[]", b'{"pid": "1"}', b"[" * 8000, b'{"host": 1}', b"\xff\xfe", b'{"pid": true}'],
)
def test_a_file_of_another_kind_is_left_alone(tmp_path, text):
    (tmp_path / ".lock").write_bytes(text)
    with pytest.raises(DataError, match="is not a lock of affectkit"):
        locked(Output(tmp_path)).__enter__()
    assert (tmp_path / ".lock").read_bytes() == text


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is not a lock of affectkit"):
        locked(Output(tmp_path / "run")).__enter__()
    assert (tmp_path / "elsewhere").read_bytes() == b""
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / ".lock")
    with pytest.raises(DataError, match="is not a lock of affectkit"):
        locked(Output(tmp_path / "pipe")).__enter__()


def test_what_a_lock_says_cannot_write_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "locks_reach_hosts", lambda path: False)
    leave(tmp_path / ".lock", host="a\x1b[31mb\nError: c", command="y\r", machine="another")
    with pytest.raises(LockedError) as error:
        locked(Output(tmp_path)).__enter__()
    assert "a?[31mb?Error: c (y?)" in error.value.message
