#!/bin/bash
# opencv-python-headless 4.14.0.94, NumPy 2.4.6; haarcascade_frontalface_alt2.xml, whose window is 20 pixels.
#
# One would guess: CascadeClassifier.detectMultiScale tries its window at each place of each size, so that doubling a
# picture by repeating its pixels, with all sizes doubled, lets the same windows pass.
#
# What happens: below twice the size of the cascade's window (40 pixels here) only every second place across and down is
# tried, from there on each. In the doubled picture those windows are large ones, and four times as many pass.
#
# Why it matters: the smallest faces that minSize allows get a quarter of the looks, so that minNeighbors, which counts
# windows that pass, asks four times as much of them; whether one is found depends on whether it lies at an even or an
# odd pixel; and a test that moves a face by one pixel changes its counts. Who wants small faces doubles the picture.
#
# Seen:
#   windows below 40 pixels that pass: 325, with each pixel twice: 1278
#   windows from 40 pixels on: 2163, with each pixel twice: 2167
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==4.14.0.94 numpy==2.4.6
env/bin/python - <<'P'
import cv2
import numpy as np

cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
STEP = 2 ** (1 / 8)  # so that sizes of the doubled picture are twice those of the picture


def draw(side):
    """A gray drawn face, uint8 (side, side)."""
    face = np.full((240, 240), 90, np.uint8)
    cv2.ellipse(face, (120, 120), (85, 110), 0, 0, 360, 190, -1)
    for x in (85, 155):
        cv2.ellipse(face, (x, 95), (24, 10), 0, 0, 360, 70, -1)
        cv2.line(face, (x - 28, 72), (x + 28, 72), 60, 8)
    cv2.line(face, (120, 100), (120, 145), 150, 10)
    cv2.ellipse(face, (120, 180), (38, 12), 0, 0, 360, 80, -1)
    return cv2.resize(cv2.GaussianBlur(face, (0, 0), 4), (side, side), interpolation=cv2.INTER_AREA)


def windows(picture, least, most):
    """The windows that pass, before they are grouped."""
    return len(cascade.detectMultiScale(picture, STEP, 0, minSize=(least, least), maxSize=(most, most)))


small = large = small_doubled = large_doubled = 0
for side in range(24, 72, 4):
    for shift in range(4):
        picture = np.full((120, 120), 90, np.uint8)
        picture[30 : 30 + side, 30 + shift : 30 + shift + side] = draw(side)
        doubled = picture.repeat(2, 0).repeat(2, 1)
        small += windows(picture, 20, 39)
        small_doubled += windows(doubled, 40, 79)
        large += windows(picture, 40, 120)
        large_doubled += windows(doubled, 80, 240)
print(f"windows below 40 pixels that pass: {small}, with each pixel twice: {small_doubled}")
print(f"windows from 40 pixels on: {large}, with each pixel twice: {large_doubled}")
assert 3.5 < small_doubled / small < 4.5 and small > 200
assert 0.98 < large_doubled / large < 1.02
P
