"""Rating scales, and what the columns of ratings are called. Importing this loads nothing heavy."""

from __future__ import annotations

import math

from affectkit.errors import UsageError

RATINGS = ("arousal", "valence")
"""The rated dimensions, in the order of a model's outputs (that of the published VCA checkpoints)."""
HEADERLESS = ("filename", "extension", "arousal", "valence")
"""The columns of a ratings table without a header line, as the VCA study shares them."""
SAM = (1.0, 9.0)
"""The Self-Assessment Manikin's nine points, on which IAPS and its like are rated."""
SIGNED = (-1.0, 1.0)

Scale = tuple[float, float]


def parse_scale(text: str) -> Scale:
    """Return ``"1,9"`` as (1.0, 9.0); a UsageError names what is not of that form.

    >>> parse_scale("-1,1")
    (-1.0, 1.0)
    """
    parts = text.replace(":", ",").split(",")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"a rating scale is LOW,HIGH with LOW below HIGH, as in 1,9; got {text!r}.")
    return low, high


def scale_text(scale: Scale) -> str:
    """Return ``"1 to 9"``."""
    return f"{scale[0]:g} to {scale[1]:g}"
