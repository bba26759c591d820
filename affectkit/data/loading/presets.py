"""Names of the augmentation presets, and which one an epoch has. Importing this loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Augmentation:
    """The preset of each epoch of a training.

    Attributes:
        preset: a name of ``PRESETS``.
        finish: that of the last epochs; None: the same.
        finish_from: the first of these, from 0.
    """

    preset: str = "none"
    finish: str | None = None
    finish_from: int = 0

    @staticmethod
    def of(value: str | Augmentation) -> Augmentation:
        """Return ``value``, or that of a preset in every epoch."""
        return Augmentation(value) if isinstance(value, str) else value

    @property
    def presets(self) -> tuple[str, ...]:
        """Return all presets that an epoch may have."""
        return (self.preset,) if self.finish is None else (self.preset, self.finish)

    def at(self, epoch: int) -> str:
        """Return the preset of ``epoch``, from 0."""
        return self.preset if self.finish is None or epoch < self.finish_from else self.finish
