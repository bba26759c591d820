"""Thresholds that a pipeline sets with ``--fail-under``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from affectkit.errors import UsageError


def parse_thresholds(text: str | None, better: Mapping[str, str] | None = None) -> dict[str, float]:
    """``"accuracy=0.8,ece=0.05"`` as a dict.

    Args:
        better: "max" or "min" by name of the metrics that there are; None where they are checked later.

    Raises:
        UsageError: names what is not of that form, or no metric.
    """
    found = {}
    for part in filter(None, (text or "").split(",")):
        name, _, value = part.partition("=")
        name = name.strip()
        example = "accuracy=0.8" if better is None else f"{next(iter(better))}=0.9"
        try:
            bound = float(value)
        except ValueError as error:
            raise UsageError(f"--fail-under: {part!r} is not METRIC=VALUE, as in {example}.") from error
        if math.isnan(bound):
            raise UsageError(f"--fail-under: {part!r} bounds nothing; a number is needed, as in {example}.")
        if better is not None and name not in better:
            raise UsageError(f"--fail-under: there is no metric {name!r}; there are {', '.join(better)}.")
        found[name] = bound
    return found


def missed_thresholds(
    thresholds: Mapping[str, float], metrics: Mapping[str, float], better: Mapping[str, str]
) -> list[str]:
    """A sentence for every threshold that was missed; a metric that is not there, or NaN, misses."""
    missed = []
    for name, bound in thresholds.items():
        value = metrics.get(name, float("nan"))
        held = value >= bound if better[name] == "max" else value <= bound
        if not held:
            word = "at least" if better[name] == "max" else "at most"
            told = "not defined (NaN)" if math.isnan(value) else f"{value:.6g}"
            missed.append(f"{name} is {told}; {word} {bound:g} was asked for")
    return missed
