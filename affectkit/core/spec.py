"""Specification of a model's input, kept in its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from affectkit.core.clipspec import ClipSpec
from affectkit.core.forms import check_form
from affectkit.core.limits import MAX_CLASSES, MAX_INPUT_SIDE, MAX_SPEC_NUMBER
from affectkit.errors import CheckpointError

FITS = {
    "stretch": "both sides resized to the input size, aspect ratio not kept",
    "crop": "shorter side resized to the input size, the centre cut out",
    "imagenet": "as crop, then the middle 7/8 of both sides: resize to 256 and crop 224, at any size",
    "pad": "longer side resized to the input size, the rest filled with black",
}
FORM = {
    "task": str, "height": int, "width": int, "channels?": int, "mean?": list[float], "std?": list[float],
    "fit?": str, "classes?": list[str], "named?": bool, "temperature?": float, "clip?": dict[str, Any] | None,
}  # fmt: skip
"""What it is in a file; see ``core.forms``."""


@dataclass(frozen=True)
class InputSpec:
    """Input and classes of a model.

    Attributes:
        task: name of the task the model was trained for.
        height, width: input size in pixels.
        channels: 3 (RGB) or 1 (gray).
        mean, std: one number per channel, on images in [0, 1]: the model sees ``(image - mean) / std``.
        fit: how an image of another shape is brought to the size, one of ``FITS``.
        classes: class names in the order of the model's outputs.
        named: whether these are the names of the classes. False: the outputs' numbers stand for them, since the
            published file that the model is from holds no names.
        temperature: logits are divided by it before the softmax (1 where nothing was fitted).
        clip: of an audio-visual model: how an image and a spectrogram come from a clip; None: it takes images.
    """

    task: str
    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    fit: str = "crop"
    classes: tuple[str, ...] = ()
    named: bool = True
    temperature: float = 1.0
    clip: ClipSpec | None = None

    def with_(self, **changes: Any) -> InputSpec:
        """Return a copy with ``changes``."""
        return replace(self, **changes)

    def in_colour(self) -> InputSpec:
        """Return the same input with three channels, where it has one."""
        return self if self.channels == 3 else self.with_(channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and YAML."""
        found = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del found["clip"]
        if self.named:  # as in checkpoints from before there was this entry, which older versions read
            del found["named"]
        return found if self.clip is None else {**found, "clip": self.clip.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSpec:
        """Return the inverse of ``to_dict``; a CheckpointError names what is missing, unknown or out of range."""
        check_form(values, dict[str, Any], "the input specification is damaged", error=CheckpointError)
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CheckpointError(
                f"the input specification has unknown entries: {', '.join(unknown)}.",
                "The checkpoint was probably written by a newer affectkit: upgrade with pip install -U affectkit.",
            )
        if missing := [name for name in FORM if not name.endswith("?") and name not in values]:
            raise CheckpointError(f"the input specification is not complete: {', '.join(missing)} missing.")
        check_form(values, FORM, "the input specification is damaged", error=CheckpointError)
        tuples: dict[str, Any] = {name: tuple(values[name]) for name in ("mean", "std", "classes") if name in values}
        if values.get("clip") is not None:
            tuples["clip"] = ClipSpec.from_dict(values["clip"])
        spec = cls(**{**values, **tuples})
        spec.check()
        return spec

    def check(self) -> None:
        """Raise a CheckpointError unless every entry is in range."""
        rules = {
            f"channels must be 1 or 3, got {self.channels}": self.channels in (1, 3),
            f"mean and std need {self.channels} numbers each": len(self.mean) == len(self.std) == self.channels,
            f"std must be above 0, got {self.std}": all(value > 0 for value in self.std),
            f"size must be at least 1x1, got {self.height}x{self.width}": min(self.height, self.width) >= 1,
            f"size must be at most {MAX_INPUT_SIDE}x{MAX_INPUT_SIDE}, got {self.height}x{self.width}": (
                max(self.height, self.width) <= MAX_INPUT_SIDE
            ),
            f"mean, std and temperature must be 0, or in size {1 / MAX_SPEC_NUMBER:g} to {MAX_SPEC_NUMBER:g}": all(
                value == 0 or 1 / MAX_SPEC_NUMBER <= abs(value) <= MAX_SPEC_NUMBER
                for value in (*self.mean, *self.std, self.temperature)
            ),
            f"classes must be at most {MAX_CLASSES:,}, got {len(self.classes):,}": len(self.classes) <= MAX_CLASSES,
            f"fit must be one of {', '.join(FITS)}, got {self.fit!r}": self.fit in FITS,
            f"temperature must be above 0, got {self.temperature}": self.temperature > 0,
            "class names must differ": len(set(self.classes)) == len(self.classes),
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise CheckpointError("the input specification is wrong: " + "; ".join(broken) + ".")
