#!/bin/bash
# av 18.1.0 (FFmpeg libraries 8.1, decoder h264), NumPy 2.2.6.
#
# One would guess: asking the decoder to leave out frames that no other refers to (skip_frame NONREF, the usual way to
# sample a film faster) leaves out just these; damage in a frame that others refer to is reported as without it.
#
# What happens: a packet whose slice cannot be parsed has no known importance any more and counts as one that may be
# left out. Decoding raises no error, the frame is missing, and all frames up to the next key frame are drawn from the
# wrong reference, without a flag on any of them. Without skip_frame the same file raises InvalidDataError at that packet.
#
# Why it matters: a film with a damaged place, sampled with NONREF, gives frames that were never in it, and whoever
# counts errors counts none. What may be left out has to be told from the packets (nal_ref_idc), not left to the decoder.
#
# Seen:
#   damaged film, all decoded: 31 of 120 frames, then InvalidDataError
#   whole film, NONREF: 77 frames, no error
#   damaged film, NONREF: 76 frames, no error; 18 of them are not those of the whole film
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.2.6
env/bin/python - <<'P'
import random

import av
import numpy as np

COUNT = 120


def write(path):
    """A film of a square that moves over noise, a key frame at each 60th."""
    noise = np.random.default_rng(1).integers(0, 60, (96, 128, 3), np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, width=128, height=96, pix_fmt="yuv420p")
        stream.options = {"g": "60", "keyint_min": "60", "sc_threshold": "0", "bf": "3", "b-adapt": "0"}
        for number in range(COUNT):
            picture = np.roll(noise, number, 1)
            picture[20:50, number : number + 8] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))


def read(path, skip):
    """Mean picture by time stamp, and the error that ends the reading."""
    frames = {}
    with av.open(path) as container:
        context = container.streams.video[0].codec_context
        context.thread_type, context.thread_count, context.skip_frame = "NONE", 1, skip
        try:
            for frame in container.decode(video=0):
                frames[frame.pts] = frame.to_ndarray().tobytes()
        except av.error.InvalidDataError as error:
            return frames, type(error).__name__
    return frames, "no error"


write("whole.mp4")
data = bytearray(open("whole.mp4", "rb").read())
with av.open("whole.mp4") as container:
    packets = [packet for packet in container.demux(video=0) if packet.size]
whole = read("whole.mp4", "NONREF")
packet = packets[33]
assert bytes(packet)[4] & 0x60, "others refer to it (nal_ref_idc is not 0)"
data[packet.pos + 5 : packet.pos + packet.size] = random.Random(33).randbytes(packet.size)[: packet.size - 5]
open("damaged.mp4", "wb").write(data)
decoded, error = read("damaged.mp4", "DEFAULT")
sampled, silence = read("damaged.mp4", "NONREF")
wrong = sum(whole[0].get(time) != picture for time, picture in sampled.items())
print(f"damaged film, all decoded: {len(decoded)} of {COUNT} frames, then {error}")
print(f"whole film, NONREF: {len(whole[0])} frames, {whole[1]}")
print(f"damaged film, NONREF: {len(sampled)} frames, {silence}; {wrong} of them are not those of the whole film")
assert error == "InvalidDataError" and len(decoded) < 60
assert whole[1] == silence == "no error" and len(sampled) == len(whole[0]) - 1 and wrong > 10
P
