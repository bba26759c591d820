"""What the tests of datasplit and relabel share: class folders of tiny images, trees compared, kills at any step."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import struct
from pathlib import Path

import numpy as np
from PIL import Image

PUBLISHED = {
    "anger": 3218, "contempt": 2871, "disgust": 2477, "fear": 3176,
    "happy": 5044, "neutral": 5126, "sad": 3091, "surprise": 4039,
}  # fmt: skip
STEPS = ("open", "write", "rename", "replace", "unlink", "fsync", "link", "rmdir", "mkdir")


def picture(number: int, kind: str = "png", size: int = 8) -> bytes:
    """A small image that no other number gives."""
    pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
    pixels[0, 0] = list(struct.pack("<I", number)[:3])
    stream = io.BytesIO()
    Image.fromarray(pixels).save(
        stream, {"png": "PNG", "jpg": "JPEG"}[kind], **({"quality": 95} if kind == "jpg" else {})
    )
    return stream.getvalue()


def class_folders(root: Path, sizes: dict[str, int], *, base: str = "train", kind: str = "png") -> Path:
    number = 0
    for label, count in sizes.items():
        (root / base / label).mkdir(parents=True)
        for index in range(count):
            (root / base / label / f"s{index % 7:02}_{index:04}.{kind}").write_bytes(picture(number, kind))
            number += 1
    return root


def tree(root: Path, *, hidden: bool = False) -> dict[str, str]:
    """Hash of every file by its path, and empty folders; what is hidden only where asked for."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not hidden and any(part.startswith((".affectkit", ".lock")) for part in name.split("/")):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                found[name + "/"] = ""
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def in_child(work, *, kill_at: int | None = None) -> int:
    """Run ``work()`` in a forked process that kills itself at the given step on the file system; the steps it took.

    A step is a call of one of ``STEPS``; the kill comes before it, or, where ``kill_at`` is odd, after it.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def counted(function):
            def call(*arguments, **named):
                nonlocal count
                count += 1
                now = count == kill_at
                if now and kill_at % 2 == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                try:
                    return function(*arguments, **named)
                finally:
                    if now:
                        os.kill(os.getpid(), signal.SIGKILL)

            return call

        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            os.sync = lambda: None
            work()
            os.write(writing, str(count).encode())
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    told = os.read(reading, 100)
    os.close(reading)
    if kill_at is None:
        assert os.waitstatus_to_exitcode(status) == 0
        return int(told)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), "the child failed by itself"
    return int(told) if told else -1
