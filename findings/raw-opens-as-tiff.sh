#!/bin/bash
# Pillow 11.3.0, tifffile 2025.10.16, opencv-python-headless 4.12.0.88, NumPy 2.2.6.
#
# One would guess: camera raw (DNG, and NEF, ARW, CR2, which are built alike) is not read by Pillow: it is not among its
# formats, so a folder with raw files gives errors for these, or the photograph.
#
# What happens: such a file is a TIFF whose first picture is a preview of a few hundred pixels; the photograph lies in a
# sub-picture (TIFF tag 330). Pillow, and OpenCV likewise, open it by its first bytes as TIFF and give the preview as
# the picture, without a warning, with one frame and the preview's size. Nothing but tag 254 (reduced resolution) and
# tag 50706 (DNG) tells.
#
# Why it matters: a study that takes "whatever opens" evaluates photographs of 24 megapixels at 160 x 120, sharpened and
# compressed by the camera, beside JPEGs at full size; faces of 50 pixels vanish, and the accuracy is silently another.
#
# Seen:
#   Pillow: TIFF, 160 x 120, 1 frame, mean 40 (the photograph: 1200 x 800, mean 2000 of 4095)
#   OpenCV: 160 x 120, mean 40
#   tags: reduced 1, DNG True
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet pillow==11.3.0 numpy==2.2.6 tifffile==2025.10.16 opencv-python-headless==4.12.0.88
env/bin/python - <<'P'
import warnings

import cv2
import numpy as np
import tifffile
from PIL import Image

warnings.simplefilter("error")
preview = np.full((120, 160, 3), 40, np.uint8)
sensor = np.full((800, 1200), 2000, np.uint16)  # a colour filter array of 12 bits
with tifffile.TiffWriter("photograph.dng") as writer:
    writer.write(
        preview, photometric="rgb", subfiletype=1, subifds=1,
        extratags=[(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Maker Model", True)],
    )
    writer.write(sensor, photometric="cfa", subfiletype=0, extratags=[(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)])
image = Image.open("photograph.dng")
tags = image.tag_v2
pixels = np.asarray(image)
print(f"Pillow: {image.format}, {image.width} x {image.height}, {image.n_frames} frame, mean {pixels.mean():.0f}"
      f" (the photograph: {sensor.shape[1]} x {sensor.shape[0]}, mean {sensor.mean():.0f} of 4095)")
other = cv2.imread("photograph.dng")
print(f"OpenCV: {other.shape[1]} x {other.shape[0]}, mean {other.mean():.0f}")
print(f"tags: reduced {tags.get(254)}, DNG {50706 in tags}")
as_told = image.size == (160, 120) and image.n_frames == 1 and other.shape == (120, 160, 3) and tags.get(254) == 1
raise SystemExit(0 if as_told and 50706 in tags else 1)
P
