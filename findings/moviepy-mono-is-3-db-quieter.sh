#!/bin/bash
# moviepy 2.1.2, imageio-ffmpeg 0.6.0 (FFmpeg 7.0.2), av 15.1.0, NumPy 2.2.6.
#
# One would guess: AudioFileClip(...).to_soundarray() of a sound with one channel has that channel twice, so that the
# mean of both is the sound as every other reader gives it (PyAV, wave, librosa, torchaudio).
#
# What happens: moviepy asks FFmpeg for two channels (-ac 2), and libswresample spreads one channel over two at equal
# power, with the root of one half in each. The mean is 0.7071 of the sound: -3.01 dB. Two equal channels come as they
# are, so that two files that sound alike differ by 3.01 dB in every cell of a spectrogram in decibels.
#
# Why it matters: audio-visual emotion code reads FLV and MP4 clips by moviepy and feeds decibels, not normalised, to a
# network. Weights that were trained so, and read by anything else afterwards (or by a faster reader in the same code),
# see another level. The gain depends on the channels of each file, so no constant mends it for a mixed folder.
#
# Seen:
#   1 channel: moviepy's mean is -3.01 dB of the samples in the file, PyAV's +0.00 dB
#   2 channels: moviepy's mean is +0.00 dB of the samples in the file, PyAV's +0.00 dB
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet moviepy==2.1.2 imageio-ffmpeg==0.6.0 av==15.1.0 numpy==2.2.6
env/bin/python - <<'P'
import wave

import av
import numpy as np
from moviepy import AudioFileClip

RATE = 44100


def decibels(values, own):
    return 10 * np.log10(np.square(values).mean() / np.square(own).mean())


gaps = []
for channels in (1, 2):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    samples = np.rint(np.repeat(tone[:, None], channels, 1) * 32767).astype("<i2")
    with wave.open("sound.wav", "wb") as stream:
        stream.setnchannels(channels), stream.setsampwidth(2), stream.setframerate(RATE)
        stream.writeframes(samples.tobytes())
    own = samples.mean(1) / 32768
    clip = AudioFileClip("sound.wav")
    by_moviepy = decibels(clip.to_soundarray(fps=RATE).mean(1), own)
    clip.close()
    with av.open("sound.wav") as container:
        pieces = [frame.to_ndarray() for frame in container.decode(audio=0)]
    by_pyav = decibels(np.concatenate(pieces, 1).reshape(-1, channels).mean(1) / 32768, own)
    print(
        f"{channels} channel{'s' * (channels > 1)}: moviepy's mean is {by_moviepy:+.2f} dB of the samples in the file, "
        f"PyAV's {by_pyav:+.2f} dB"
    )
    gaps.append((by_moviepy, by_pyav))
(one, plain), (two, _) = gaps
assert abs(one - 10 * np.log10(0.5)) < 0.01 and abs(two) < 0.01 and abs(plain) < 0.01, gaps
P
