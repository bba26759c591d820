"""Names of the augmentation presets. Importing this loads nothing heavy."""

from __future__ import annotations

PRESETS = {
    "none": "nothing",
    "flip": "horizontal flip, half of the time",
    "face": "flip; rotation within 10 degrees, scale and shift within 8%; light within 20%",
    "face-strong": "flip; rotation within 20 degrees, scale, shift within 15%; light within 35%; blur, noise, erasing",
    "face-crop": "flip; rotation within 15 degrees, scale within 15%, shift within 8%; light, blur, noise, erasing",
    "face-wild": "face-crop; rotation within 20 degrees, scale 25%, more noise; low resolution, JPEG, moved pixels",
    "imagenet": "flip; a crop of 8 to 100% of the whole image, 3:4 to 4:3, resized to the input size",
    "vca": "VCA's: flip; rotation within 20 degrees, half of the time; Gaussian blur, a fifth of the time",
}
