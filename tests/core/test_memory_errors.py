"""Want of memory, as the packages report it, against errors that only quote such words."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing.connection import Client

import cv2
import numpy as np
import pytest
import torch
from support import TINY, invoke

from affectkit.core.memory_errors import interrupted, want_of_memory
from affectkit.errors import AffectkitError, CheckpointError, RunError, UsageError


def raised(make) -> BaseException:
    with pytest.raises(BaseException) as caught:
        make()
    return caught.value


def chained() -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise ValueError("what a decoder made of it") from error


OnnxFailure = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
REAL = {
    "numpy": lambda: np.empty(2**59),
    "torch": lambda: torch.empty(2**59),
    "python": lambda: bytearray(2**62),
    "opencv": lambda: cv2.resize(np.zeros((4, 4), np.uint8), (2**30, 2**30)),
    "system": lambda: (_ for _ in ()).throw(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "mmap")),
    "cuda": lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")),
    "loader": lambda: (_ for _ in ()).throw(ImportError("libtorch.so: failed to map segment from shared object")),
    "onnx": lambda: (_ for _ in ()).throw(OnnxFailure("initialization: std::bad_alloc")),
    "threads": lambda: (_ for _ in ()).throw(RuntimeError("can't start new thread")),
    "chained": chained,
}


@pytest.mark.parametrize("name", REAL)
def test_want_of_memory_is_known(name):
    error = raised(REAL[name])
    said = want_of_memory(error)
    assert said is not None and said.startswith("there is not enough memory"), repr(error)
    assert said.endswith(".") and "\n" not in said and len(said) < 400
    assert not interrupted(error)


def test_a_killed_worker_is_no_fault_of_ours():
    assert "killed" in want_of_memory(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert "killed" in want_of_memory(RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"))


def test_a_worker_that_was_killed_amid_what_it_sends():
    here, there = multiprocessing.Pipe()
    there.close()
    assert "killed" in want_of_memory(raised(here.recv))
    with tempfile.TemporaryDirectory() as folder:
        gone = os.path.join(folder, "socket")
        assert "killed" in want_of_memory(raised(lambda: Client(gone)))


@pytest.mark.parametrize(
    "error",
    [ValueError("column 'out of memory' is unknown"), RuntimeError("size mismatch"), OSError(errno.ENOENT, "memory"),
     EOFError("a table that is cut"), FileNotFoundError("multiprocessing"), KeyError("not enough memory"),
     ImportError("No module named 'memory'")],
)  # fmt: skip
def test_other_errors_stay_what_they_are(error):
    assert want_of_memory(error) is None


def test_a_ctrl_c_behind_an_error_is_found():
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = KeyboardInterrupt()
    assert interrupted(error) and interrupted(KeyboardInterrupt()) and not interrupted(RuntimeError())


def disguised(kind: type[AffectkitError]):
    def fail(*args, **given):
        try:
            torch.empty(2**59)
        except RuntimeError as error:
            raise kind("x.safetensors cannot be read.", "Fetch it again.") from error

    return fail


@pytest.mark.parametrize("kind", [CheckpointError, UsageError, RunError])
def test_want_of_memory_behind_another_error_is_named(tmp_path, monkeypatch, kind):
    from affectkit.training import run

    monkeypatch.setattr(run, "train", disguised(kind))
    done = invoke("train", "--model", TINY, "--data", tmp_path, "--output", tmp_path / "run")
    assert done.returncode == 1 and done.stderr.startswith("Error: x.safetensors cannot be read.\n"), done.stderr
    named = "Behind it: there is not enough memory" in done.stderr and "ulimit" in done.stderr
    assert named == (kind is not RunError) and ("Fetch it again" in done.stderr) == (kind is RunError)


@pytest.mark.parametrize("name", ["numpy", "torch", "chained"])
def test_a_command_that_runs_out_says_so(tmp_path, monkeypatch, name):
    from affectkit.training import run

    monkeypatch.setattr(run, "train", lambda *args, **given: REAL[name]())
    done = invoke("train", "--model", TINY, "--data", tmp_path, "--output", tmp_path / "run")
    assert done.returncode == 1 and done.stderr.startswith("Error: there is not enough memory"), done.stderr
    assert "--batch-size" in done.stderr and "fault" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_limit_of_the_shell(tmp_path):
    (tmp_path / "face.png").touch()  # the model is loaded before it is read
    command = f"ulimit -v 400000; exec {sys.executable} -m affectkit infer {tmp_path} --engine torch -q"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("Error: "), done.stderr
    assert "there is not enough memory" in done.stderr and "fault" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3 and "ulimit -v" in done.stderr
