"""Names of corruptions, groups of them, and how a command line names one. Importing this loads nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affectkit.core.registry import Registry, unknown_name
from affectkit.errors import UsageError

SCALES = ("auto", "cifar", "tiny", "imagenet")
SEVERITIES = (1, 2, 3, 4, 5)
PUBLISHED = 3
"""The severity that stands for the strength of a study, where one is named."""

CORRUPTIONS = Registry("corruption")
for _name, _place, _summary in (
    ("gaussian_noise", "noises:GAUSSIAN_NOISE", "Gaussian noise"),
    ("shot_noise", "noises:SHOT_NOISE", "Poisson noise of few photons"),
    ("impulse_noise", "noises:IMPULSE_NOISE", "salt and pepper"),
    ("defocus_blur", "blurs:DEFOCUS_BLUR", "out of focus: a disk"),
    ("glass_blur", "glass:GLASS_BLUR", "seen through frosted glass: pixels of a neighbourhood exchanged"),
    ("motion_blur", "blurs:MOTION_BLUR", "camera moved along a line"),
    ("zoom_blur", "blurs:ZOOM_BLUR", "camera moved towards the scene"),
    ("snow", "weather:SNOW", "falling snow"),
    ("frost", "frost:FROST", "ice on the lens"),
    ("fog", "weather:FOG", "fog, as a plasma fractal"),
    ("brightness", "colours:BRIGHTNESS", "value of HSV raised"),
    ("contrast", "colours:CONTRAST", "drawn towards the mean of each channel"),
    ("elastic_transform", "elastic:ELASTIC_TRANSFORM", "stretched and squeezed in small regions"),
    ("pixelate", "digital:PIXELATE", "made smaller and larger again"),
    ("jpeg_compression", "digital:JPEG_COMPRESSION", "compressed as JPEG"),
    ("speckle_noise", "noises:SPECKLE_NOISE", "noise that grows with the value"),
    ("gaussian_blur", "blurs:GAUSSIAN_BLUR", "Gaussian blur"),
    ("spatter", "weather:SPATTER", "drops of water or mud on the lens"),
    ("saturate", "colours:SATURATE", "saturation of HSV changed"),
    ("noise", "vca_study:NOISE", "Gaussian noise of a given variance (VCA)"),
    ("color", "vca_study:COLOR", "hue turned by a share of the circle (VCA)"),
    ("lighting", "vca_study:LIGHTING", "multiplied, saturating (VCA)"),
    ("grayscale", "vca_study:GRAYSCALE", "colour taken out (VCA)"),
    ("mirror", "framing:MIRROR", "left and right exchanged"),
    ("framing", "framing:FRAMING", "nearer (framing=1.25) or farther (framing=0.75)"),
    ("tilt", "framing:TILT", "turned in the plane by degrees, counter-clockwise (tilt=-10)"),
):
    CORRUPTIONS.add(_name, f"affectkit.corruptions.{_place}", _summary)

_NAMES = tuple(CORRUPTIONS)
GROUPS = {
    "benchmark": _NAMES[:15],
    "validation": _NAMES[15:19],
    "all": _NAMES[:19],
    "alterations": _NAMES[19:23],
}
"""Names for several."""


@dataclass(frozen=True)
class CorruptionChoice:
    """One corruption as a command line names it: ``noise``, ``noise:4`` (severity) or ``noise=0.02`` (strength)."""

    name: str
    severity: int = PUBLISHED
    strength: float | None = None

    def __str__(self) -> str:
        return f"{self.name}={self.strength:g}" if self.strength is not None else f"{self.name}:{self.severity}"


def parse_corruption(text: str) -> CorruptionChoice:
    """Return ``noise`` (severity 3), ``noise:4`` or ``noise=0.02`` as a ``CorruptionChoice``.

    Raises:
        UsageError: an unknown name, a severity that is not 1 to 5, or a strength that is no number.
    """
    text = text.strip()
    for mark in ("=", ":"):
        name, found, value = text.partition(mark)
        if not found:
            continue
        _check_name(name)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if mark == "=":
            if not abs(number) < float("inf"):
                raise UsageError(f"{text!r}: the strength of {name} must be a number, as in {name}=0.1.")
            return CorruptionChoice(name, strength=number)
        if number not in SEVERITIES:
            raise UsageError(f"{text!r}: 'severity' must be a whole number in [1, 5]; got {value!r}.")
        return CorruptionChoice(name, int(number))
    return CorruptionChoice(_check_name(text))


def parse_corruptions(text: str) -> tuple[str, ...]:
    """Return the corruptions that a comma-separated list of names and groups means, in the registry's order, each once.

    Raises:
        UsageError: an unknown name, or none at all.
    """
    wanted: set[str] = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in GROUPS and name not in CORRUPTIONS:
            hint = _list_hint(name)
            what = (
                f"unknown corruption {name!r}." if hint else unknown_name("corruption", name, [*GROUPS, *CORRUPTIONS])
            )
            raise UsageError(what, hint)
        wanted.update(GROUPS.get(name, (name,)))
    if not wanted:
        raise UsageError("names no corruption; try benchmark, or a name as fog.")
    return tuple(name for name in CORRUPTIONS if name in wanted)


def _list_hint(name: str) -> str:
    """Return the next step for what may be several names, or one with a severity."""
    parts = re.split(r"[\s;+]+", name)
    if len(parts) > 1 and all(part in GROUPS or part in CORRUPTIONS for part in parts):
        return f"Write commas between names: {','.join(parts)}."
    if name.partition(":")[0] in CORRUPTIONS:
        return "Here it is a name alone; severities have an option of their own."
    return ""


def _check_name(name: str) -> str:
    if name not in CORRUPTIONS:
        raise UsageError(unknown_name("corruption", name, CORRUPTIONS))
    return name
