#!/bin/bash
# PyAV 18.1.0 (FFmpeg libraries 8.1), NumPy 2.4.6.
#
# One would guess: in an Ogg video (here VP8; Theora is the same) whose frames are a page each, so that each has a time of
# its own (a granule position), FFmpeg gives each frame that time.
#
# What happens: a frame that comes after a gap (a recorder dropped frames) is given the time of the one before plus one
# frame; the frame after it is right again. The demuxer takes the granule position of a page, which is that of its last
# packet, for what follows the page alone. So each gap of a video of variable rate is seen one frame too late, and the
# last one not at all.
#
# Why it matters: times of single frames (of a face, of an annotation) are off by the whole gap, in one frame of each
# gap: rare, without a pattern, and not seen in rates or lengths. The right time is the next packet's less one frame.
#
# Seen:
#   true times in the pages [0, 1, 2, 5, 6, 13, 14, 20] (frames of 1/25 s)
#   read by FFmpeg          [0, 1, 2, 3, 6, 7, 14, 15]
#   next, less one          [0, 1, 2, 5, 6, 13, 14]
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.4.6
env/bin/python - <<'P'
from fractions import Fraction

import av
import numpy as np

av.logging.set_level(av.logging.PANIC)
TRUE = [0, 1, 2, 5, 6, 13, 14, 20]

with av.open("gaps.ogv", "w", format="ogg", options={"page_duration": "1"}) as container:
    video = container.add_stream("libvpx", rate=25, options={"auto-alt-ref": "0", "lag-in-frames": "0"})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    for number, place in enumerate(TRUE):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
        frame.pts, frame.time_base = place, Fraction(1, 25)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def pages(raw):
    """Granule position and number of packets of each page, as RFC 3533 lays them out."""
    at = 0
    while at < len(raw):
        assert raw[at : at + 4] == b"OggS"
        lengths = raw[at + 27 : at + 27 + raw[at + 26]]
        yield int.from_bytes(raw[at + 6 : at + 14], "little"), sum(length < 255 for length in lengths)
        at += 27 + len(lengths) + sum(lengths)


granules = [(granule, packets) for granule, packets in pages(open("gaps.ogv", "rb").read()) if granule]
assert all(packets == 1 for _, packets in granules)
stated = [(granule >> 32) - 1 for granule, _ in granules]  # VP8 counts frames to the end of the packet's
print("true times in the pages", stated)
with av.open("gaps.ogv") as container:
    read = [round(frame.time * 25) for frame in container.decode(video=0)]
print("read by FFmpeg         ", read)
print("next, less one         ", [time - 1 for time in read[1:]])
assert stated == TRUE, stated
assert read == [0, 1, 2, 3, 6, 7, 14, 15], read
assert [time - 1 for time in read[1:]] == TRUE[:-1]
P
