from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from unittest import mock

import pytest

from affectkit.core import process
from affectkit.core.process import end_with_parent, keep_freed_memory

LINUX = sys.platform.startswith("linux")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not LINUX, reason="a service of Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_ends_with_its_parent(number):
    code = f"""
import os, time
from affectkit.core.process import end_with_parent
readable, writable = os.pipe()
child = os.fork()
if child == 0:
    end_with_parent({int(number)})
    os.write(writable, b"asked")
    time.sleep(600)
os.read(readable, 5)
print(child, flush=True)
"""
    # The child holds the pipe too, so run() returns once it has gone; left alone, it would for ten minutes.
    began = time.monotonic()
    assert int(run(code)) > 0
    assert time.monotonic() - began < 30


@pytest.mark.skipif(not LINUX or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="glibc's malloc")
def test_freed_memory_is_kept_and_not_asked_for_again():
    code = """
import ctypes, resource
from affectkit.core.process import keep_freed_memory
malloc = ctypes.CDLL(None)
malloc.malloc.restype, malloc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [malloc.malloc(20 * 2**20) for _ in range(4)]
        for block in blocks:
            ctypes.memset(block, 1, 20 * 2**20)
        for block in reversed(blocks):
            malloc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
keep_freed_memory()
faults()
print(usual, faults())
"""
    usual, kept = map(int, run(code).split())
    assert usual > 20_000 and kept < usual / 50


def test_another_system_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: asked.append(name) or mock.Mock())
    monkeypatch.setattr(process.sys, "platform", "darwin")
    keep_freed_memory()
    end_with_parent(signal.SIGKILL)
    assert asked == []
    monkeypatch.setattr(process.sys, "platform", "linux")
    keep_freed_memory()
    end_with_parent(signal.SIGKILL)
    assert asked == [None] * 3


def test_a_c_library_without_the_function_is_no_fault(monkeypatch):
    monkeypatch.setattr(process.sys, "platform", "linux")
    asked = []

    class Bare:
        def __getattr__(self, name):
            asked.append(name)
            raise AttributeError(name)

    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: Bare())
    keep_freed_memory()
    end_with_parent(signal.SIGKILL)
    assert asked == ["mallopt", "mallopt", "prctl"], "each was looked for, and its absence let pass"
