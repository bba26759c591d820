#!/bin/bash
# PyAV 18.1.0 (FFmpeg libraries 8.1), NumPy 2.4.6.
#
# One would guess: H.264 with B frames in AVI, whose packets have no times of showing but slots (dts), is read right when
# the pictures, which the decoder gives in order, get the slots in order: the k-th picture that of the k-th packet.
#
# What happens: that holds at a constant rate alone. An encoder hands picture k on when the one that comes `delay` later
# is there, and the slot is of that moment; the first `delay` slots are made up. Where a frame was dropped, all pictures
# that wait in the encoder get slots of before the gap: they come too early, by the gap, each gap anew. Right is the slot
# of packet k + delay, less what the first picture waited; `delay` is the codec context's reorder depth. The times that
# FFmpeg gives (frame.pts) are not even in order.
#
# Why it matters: screen recorders and cameras of variable rate write such files; rows of a table by time are off by up
# to the longest gap, and are not where the sound is.
#
# Seen (frames of 1/25 s):
#   true                     [0, 1, 2, 5, 6, 13, 14, 15, 20, 21]
#   FFmpeg's times           [1, 3, 4, 2, 8, 15, 7, 17, 18, 16]
#   k-th packet's slot       [0, 1, 2, 3, 4, 7, 8, 15, 16, 17]
#   slot of k + delay (2)    [0, 1, 2, 5, 6, 13, 14, 15]
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.4.6
env/bin/python - <<'P'
from fractions import Fraction

import av
import numpy as np

av.logging.set_level(av.logging.PANIC)
TRUE = [0, 1, 2, 5, 6, 13, 14, 15, 20, 21]

with av.open("gaps.avi", "w") as container:
    video = container.add_stream("libx264", rate=25, options={"bf": "2", "b_strategy": "0", "threads": "1"})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    for number, place in enumerate(TRUE):
        picture = np.full((48, 64, 3), 20 * number + 30, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = place, Fraction(1, 25)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))

slots, times, levels = [], [], []
with av.open("gaps.avi") as container:
    video = container.streams.video[0]
    for packet in container.demux(video):
        if packet.size:
            slots.append(packet.dts)
        for frame in packet.decode():
            times.append(frame.pts)
            levels.append(float(frame.to_ndarray(format="gray").mean()))
    delay = video.codec_context.reorder_depth
print("true                  ", TRUE)
print("FFmpeg's times        ", times)
print("k-th packet's slot    ", slots)
right = [slot - slots[delay] + slots[0] for slot in slots[delay:]]
print(f"slot of k + delay ({delay}) ", right)
assert levels == sorted(levels), "the pictures are in order"
assert slots != TRUE and times != sorted(times)
assert delay == 2 and right == TRUE[:-delay]
P
