"""Videos of hours: the times of their last frames, and memory that does not grow with them."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import number_of, write_film

from affectkit.data.media.video_stream import VideoStream

pytestmark = pytest.mark.slow

MEASURED = """
import resource, sys
from affectkit.__main__ import main
try:
    main()
except SystemExit as stop:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
    raise
"""
SPARE = 128
"""MiB by which a video of three hours with sound may take more than one of a minute: the stamps of half a million
packets, FFmpeg's own index of them, and no picture."""


def film(path: Path, seconds: int) -> Path:
    return write_film(path, seconds, fps=1, codec="mpeg4", clicks=[1.0, seconds - 2.0])


def infer(path: Path) -> tuple[list[dict[str, str]], int]:
    """Rows of a frame a minute, and the most memory of the process in KiB."""
    command = [sys.executable, "-c", MEASURED, "infer", str(path), "--faces", "none", "--every", "60s", "-q"]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=600
    )
    return list(csv.DictReader(io.StringIO(ended.stdout))), int(ended.stderr.split()[-1])


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_three_hours(tmp_path, ending):
    hours, minute = film(tmp_path / f"hours.{ending}", 3 * 3600), film(tmp_path / f"minute.{ending}", 60)
    stream = VideoStream(hours)
    for count, frame in enumerate(stream):
        assert frame.number == count and number_of(frame.pixels) == count % 4096
        assert frame.time == pytest.approx(count, abs=1e-3)
    assert stream.count == 3 * 3600 and stream.end == pytest.approx(3 * 3600, abs=0.01)
    rows, most = infer(hours)
    assert [float(row["Time"]) for row in rows] == pytest.approx(np.arange(180) * 60, abs=1e-3)
    few, least = infer(minute)
    assert len(few) == 1 and most < least + SPARE * 1024, (most, least)


def test_a_clock_that_is_set_anew_each_minute(tmp_path):
    part = film(tmp_path / "part.ts", 60).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 60)
    stream = VideoStream(tmp_path / "joined.ts")
    times = [frame.time for frame in stream]
    assert times == pytest.approx(np.arange(3600), abs=0.5) and stream.end == pytest.approx(3600, abs=0.5)
    assert stream.notes == ["its clock was set anew 59 times: the times go on"]
