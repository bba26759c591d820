"""B frames at uneven times, as programs for meetings and converted videos of phones have them."""

import numpy as np
import pytest
from video_zoo import Zoo, read_number, run

from affectkit.data.media.video_stream import VideoStream

LATE = 2.37


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "mov", "ts", "flv", "nut"])
def test_times_are_as_stated(tmp_path, kind, count):
    """Matroska and NUT store no times of decoding: those that FFmpeg guesses step back at first."""
    zoo = Zoo(tmp_path, {})
    rng = np.random.default_rng(2)
    times = np.cumsum([0, *rng.uniform(1 / 30, 0.9, 39)]).round(3).tolist()
    path = run(
        f"-i {zoo.sound(times[-1] + 3)} -itsoffset {LATE} -i {zoo.frames(range(40), times)} -map 0:a -map 1:v "
        f"-c:v libx264 -bf {count} -pix_fmt yuv420p -enc_time_base:v 1/1000 "
        "-fps_mode passthrough -c:a aac",
        zoo.path("uneven", kind),
    )
    stream = VideoStream(path)
    found = [(read_number(frame.pixels), frame.time) for frame in stream]
    assert [number for number, _ in found] == list(range(40)) and stream.notes == []
    # Where encoders' first samples count as sound the file begins by so much earlier.
    assert [time for _, time in found] == pytest.approx([LATE + time for time in times], abs=0.03)
