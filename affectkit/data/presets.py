"""Names of the augmentation presets. Importing this loads nothing heavy."""

from __future__ import annotations

PRESETS = {
    "none": "nothing",
    "flip": "horizontal flip, half of the time",
    "face": "flip; rotation within 10 degrees, scale and shift within 8%; light within 20%",
    "face-strong": "flip; rotation within 20 degrees, scale, shift within 15%; light within 35%; blur, noise, erasing",
    "vca": "VCA's: flip; rotation within 20 degrees, half of the time; Gaussian blur, a fifth of the time",
}
