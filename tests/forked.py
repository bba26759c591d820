"""The command line in a forked process, as its users start it, on a terminal or in pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def on_terminal(*arguments: object, prepare: Callable[[], None] | None = None) -> tuple[int, str]:
    """Exit code and all that reaches a terminal of 500 columns: names that wrap are not found."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))
    pid = os.fork()
    if pid == 0:
        _become(arguments, slave, slave, prepare)
    os.close(slave)
    pieces = []
    with contextlib.suppress(OSError):  # EIO: the terminal's last process has ended
        while piece := os.read(master, 1 << 16):
            pieces.append(piece)
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), b"".join(pieces).decode(errors="surrogateescape")


def in_pipes(folder: Path, *arguments: object, prepare: Callable[[], None] | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr where neither is a terminal."""
    paths = [folder / ".out", folder / ".err"]
    streams = [os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC) for path in paths]
    pid = os.fork()
    if pid == 0:
        _become(arguments, *streams, prepare)
    for stream in streams:
        os.close(stream)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    texts = [path.read_bytes().decode(errors="surrogateescape") for path in paths]
    for path in paths:
        path.unlink()
    return code, texts[0], texts[1]


def _become(arguments: tuple[object, ...], out: int, err: int, prepare: Any) -> None:
    """Run ``affectkit`` in this process and end it."""
    code: Any = 99
    try:
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        os.environ |= {"HF_HUB_OFFLINE": "1", "TERM": "xterm-256color"}
        os.environ.pop("COLUMNS", None)  # the terminal's size counts; workers of pytest have one of their own
        torch.set_num_threads(1)
        if prepare is not None:
            prepare()
        from affectkit.__main__ import main

        sys.argv = ["affectkit", *map(str, arguments)]
        main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
