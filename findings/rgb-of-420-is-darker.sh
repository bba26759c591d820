#!/bin/bash
# av 18.1.0 (libswscale 9.5), NumPy 2.2.6.
#
# One would guess: frame.to_ndarray(format="rgb24") of 8-bit or 10-bit Y'CbCr is the definition of BT.601 or BT.709,
# rounded, whatever the subsampling of chroma: a frame of one colour has no edges at which subsampling could matter.
#
# What happens: of 4:4:4 it is (the largest difference is half a level). Of 4:2:0 and 4:2:2, of one colour, all three
# channels come out 1 to 2 levels of 255 too dark on average and up to 3 at worst, with 10 bits as with 8. The flag
# ACCURATE_RND by itself makes it no better; ACCURATE_RND | FULL_CHR_H_INT gives the definition, and takes 1.5 to 3
# times as long.
#
# Why it matters: FFmpeg's command line (so moviepy) and OpenCV gave the same levels where we compared, so weights that
# were trained on frames of videos have that offset in their input, and the same faces as PNG do not. Frames of one
# scene that came through a subsampled and through a full codec differ by it.
#
# Seen (mean of the differences from the definition, and the largest):
#   yuv420p      -1.13   2.7     with ACCURATE_RND -1.51   with FULL_CHR_H_INT too  0.00
#   yuv422p      -1.13   2.7     with ACCURATE_RND -1.51   with FULL_CHR_H_INT too  0.00
#   yuv420p10le  -1.51   2.8     with ACCURATE_RND -1.51   with FULL_CHR_H_INT too  0.00
#   yuv444p       0.00   0.5     with ACCURATE_RND  0.00   with FULL_CHR_H_INT too  0.00
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.2.6
env/bin/python - <<'P'
import av
import numpy as np
from av.video.reformatter import Interpolation as How
from av.video.reformatter import VideoReformatter

WAYS = (How.BILINEAR, How.BILINEAR | How.ACCURATE_RND, How.BILINEAR | How.ACCURATE_RND | How.FULL_CHR_H_INT)
found = {}
for kind in ("yuv420p", "yuv422p", "yuv420p10le", "yuv444p"):
    for way in WAYS:
        draw, gaps = np.random.default_rng(0), []
        while len(gaps) < 300:
            y, cb, cr = int(draw.integers(40, 210)), *map(int, draw.integers(90, 160, 2))
            luma, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
            r, b = luma + 1.402 * red, luma + 1.772 * blue
            wanted = 255 * np.array([r, (luma - 0.299 * r - 0.114 * b) / 0.587, b])
            if wanted.min() < 4 or wanted.max() > 251:
                continue
            frame = av.VideoFrame(64, 48, kind)
            for plane, level in zip(frame.planes, (y, cb, cr)):
                deep = kind.endswith("10le")
                np.frombuffer(plane, np.uint16 if deep else np.uint8)[:] = level << 2 if deep else level
            frame.colorspace, frame.color_range = 6, 1
            rgb = VideoReformatter().reformat(frame, format="rgb24", interpolation=way, threads=1).to_ndarray()
            gaps.append(rgb[20, 20] - wanted)
        found[kind, way] = np.mean(gaps), np.abs(gaps).max()
    plain, exact, full = (found[kind, way] for way in WAYS)
    print(f"{kind:12s} {plain[0]:5.2f} {plain[1]:5.1f}     with ACCURATE_RND {exact[0]:5.2f}   "
          f"with FULL_CHR_H_INT too {full[0]:5.2f}")
for kind in ("yuv420p", "yuv422p", "yuv420p10le"):
    assert found[kind, WAYS[0]][0] < -0.8 and found[kind, WAYS[1]][0] < -0.8 and abs(found[kind, WAYS[2]][0]) < 0.1
assert abs(found["yuv444p", WAYS[0]][0]) < 0.1
P
