#!/bin/bash
# moviepy 2.1.2, imageio-ffmpeg 0.6.0 (FFmpeg 7.0.2), NumPy 2.2.6.
#
# One would guess: AudioFileClip(path).to_soundarray() gives the samples of the file, for short ones as for long ones.
#
# What happens: a sound from 1 s up to 50,000 samples (1.13 s at 44.1 kHz) comes as one value, repeated: the sample at
# the time of 1 s, in as many rows as the sound has. Nothing is raised. Such a sound is asked for in one piece, which is
# longer than half of the reader's buffer (the sound itself); the reader then halves the piece and calls itself with the
# halves of its mask of booleans in place of the times, and True is taken for 1 s. (Sounds below 1 s end with an error.)
# moviepy 1.0.3, whose module moviepy.editor published code imports, does not halve.
#
# Why it matters: clips of one spoken word or exclamation are this long. Their spectrogram is that of a constant, so a
# model gets nothing of the sound and no message says so. A test with clips of 2 seconds does not show it.
#
# Seen:
#   1.05 s: 46,305 samples, of which 1 differ; 2,155 differ in the file
#   1.20 s: 52,920 samples, of which 2,155 differ; 2,155 differ in the file
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet moviepy==2.1.2 imageio-ffmpeg==0.6.0 numpy==2.2.6
env/bin/python - <<'P'
import wave

import numpy as np
from moviepy import AudioFileClip

RATE = 44100
found = {}
for seconds in (1.05, 1.2):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    samples = np.rint(np.repeat(tone[:, None], 2, 1) * 32767).astype("<i2")
    with wave.open("sound.wav", "wb") as stream:
        stream.setnchannels(2), stream.setsampwidth(2), stream.setframerate(RATE)
        stream.writeframes(samples.tobytes())
    clip = AudioFileClip("sound.wav")
    read = clip.to_soundarray()[:, 0]
    clip.close()
    found[seconds] = len(np.unique(read))
    own = len(np.unique(samples[:, 0]))
    print(f"{seconds:.2f} s: {len(read):,} samples, of which {found[seconds]:,} differ; {own:,} differ in the file")
assert found[1.05] == 1 and found[1.2] > 2000, found
P
