#!/bin/bash
# Pillow 11.3.0 (libjpeg-turbo 3), opencv-python-headless 4.12.0.88, NumPy 2.2.6.
#
# One would guess: a JPEG decoded at 1/8 of its size (Pillow's Image.draft, OpenCV's IMREAD_REDUCED_COLOR_8: the usual
# way to read large photographs quickly) is the picture, eight times smaller; resized to a network's input it shows what
# the whole decode shows.
#
# What happens: the decoder scales blocks of 8 x 8, so a side of 785 gives ceil(785 / 8) = 99 pixels, and the picture
# ends at 98.125 of these. Resized whole, it is squeezed by 0.9% towards its first corner: 11 levels of 255 off in the
# mean at 48 pixels for the bars below (5 for a drawn face), where a side of 784 is 0.8 off. Pillow's draft returns the box that is the picture, and
# Image.thumbnail uses it; a resize after draft does not, and OpenCV has no such answer at all. OpenCV moreover gives
# another size for a PNG of the same pixels (floor), so that x.jpg and x.png of one picture are squeezed differently.
#
# Why it matters: sides are multiples of 8 in benchmarks and hardly ever in crops by a face detector. Accuracies change
# with the side of a crop and the name of a file; boxes that a detector finds in the reduced picture and that are
# scaled by width / reduced width are off by up to 7 pixels at the far edge.
#
# Seen:
#   784: draft gives 98 of 98.000; whole 0.76 levels off, with the box of draft 0.76
#   785: draft gives 99 of 98.125; whole 10.88 levels off, with the box of draft 0.95
#   791: draft gives 99 of 98.875; whole 1.74 levels off, with the box of draft 0.70
#   785 by OpenCV at 1/8: JPEG (99, 99), PNG (98, 98)
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet pillow==11.3.0 numpy==2.2.6 opencv-python-headless==4.12.0.88
env/bin/python - <<'P'
import cv2
import numpy as np
from PIL import Image

BILINEAR = Image.Resampling.BILINEAR


def bars(side):
    """Soft bars in both directions, some four pixels of the small picture wide."""
    place = (np.arange(side) + 0.5) / side
    wave = np.sin(2 * np.pi * 10 * place)
    return np.rint(128 + 50 * (wave[:, None] + wave[None])).astype(np.uint8)


right = True
for side in (784, 785, 791):
    Image.fromarray(bars(side)).save(f"{side}.jpg", quality=92)
    full = np.asarray(Image.open(f"{side}.jpg").resize((48, 48), BILINEAR)).astype(int)
    image = Image.open(f"{side}.jpg")
    _, box = image.draft(None, (96, 96))
    plain = np.abs(np.asarray(image.resize((48, 48), BILINEAR)) - full).mean()
    boxed = np.abs(np.asarray(image.resize((48, 48), BILINEAR, box=box)) - full).mean()
    print(f"{side}: draft gives {image.width} of {box[2]:.3f}; whole {plain:.2f} levels off, with the box of draft {boxed:.2f}")
    right &= boxed < 1.2 and image.width == -(-side // 8) and (plain > 4) == (side == 785)
Image.open("785.jpg").convert("RGB").save("785.png")
shapes = [cv2.imread(f"785.{kind}", cv2.IMREAD_REDUCED_COLOR_8).shape[:2] for kind in ("jpg", "png")]
print(f"785 by OpenCV at 1/8: JPEG {shapes[0]}, PNG {shapes[1]}")
raise SystemExit(0 if right and shapes == [(99, 99), (98, 98)] else 1)
P
