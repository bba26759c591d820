#!/bin/bash
# av 18.1.0 (FFmpeg libraries 8.1: the native encoder "aac"), NumPy 2.2.6.
#
# One would guess: encoding sound as AAC keeps its level within some hundredths of a decibel when bits suffice; what is
# near full scale may come back a little above it, and clip in a player.
#
# What happens: FFmpeg's encoder never lets a window (2048 samples) peak above 0.95 of full scale: it scales the whole
# window down to that. A tone at full scale comes back about 0.4 dB quieter, one at 0.94 unchanged, with no option to switch it
# off and at any bit rate. As it is done window by window, the gain of loud music moves up and down with its peaks.
#
# Why it matters: a test that compares levels before and after AAC to 0.1 dB passes with quiet signals and fails with
# normalised ones (speech data sets normalised to a peak of 1), and data sets whose sound was re-encoded by FFmpeg have
# levels in their loud parts that the originals do not have.
#
# Seen:
#   peak 0.50: level -0.00 dB, peak 0.94: level -0.00 dB, peak 0.97: level -0.16 dB, peak 1.00: level -0.37 dB
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.2.6
env/bin/python - <<'P'
import av
import numpy as np

RATE = 48000


def change(peak):
    """Decibels that a stereo tone gains by AAC at 256 kbit/s, away from its ends."""
    time = np.arange(3 * RATE) / RATE
    tone = np.float32(peak) * np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)])
    tone = np.ascontiguousarray(tone, np.float32)
    with av.open("tone.m4a", "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=256_000)
        for begin in range(0, tone.shape[1], 1000):
            part = np.ascontiguousarray(tone[:, begin : begin + 1000])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open("tone.m4a") as container:
        back = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)
    return 10 * np.log10(np.square(back[:, RATE : 2 * RATE]).mean() / np.square(tone[:, RATE : 2 * RATE]).mean())


found = {peak: change(peak) for peak in (0.5, 0.94, 0.97, 1.0)}
print(", ".join(f"peak {peak:.2f}: level {gain:+.2f} dB" for peak, gain in found.items()))
assert abs(found[0.5]) < 0.02 and abs(found[0.94]) < 0.02
assert -0.3 < found[0.97] < -0.1 and -0.55 < found[1.0] < -0.3
P
