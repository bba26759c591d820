"""Check the thresholds that a pipeline sets with ``--fail-under``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from affectkit.errors import UsageError


def check_thresholds(thresholds: Mapping[str, float], better: Mapping[str, str]) -> dict[str, float]:
    """Refuse bounds of metrics that there are not.

    Args:
        thresholds: bounds by metric.
        better: "max" or "min" by name of the metrics that there are.

    Raises:
        UsageError: names what is no metric.
    """
    for name in thresholds:
        if name not in better:
            raise UsageError(f"--fail-under: there is no metric {name!r}; there are {', '.join(better)}.")
    return dict(thresholds)


def missed_thresholds(
    thresholds: Mapping[str, float], metrics: Mapping[str, float], better: Mapping[str, str]
) -> list[str]:
    """Write a sentence for every threshold that was missed; a metric that is not there, or NaN, misses."""
    missed = []
    for name, bound in thresholds.items():
        value = metrics.get(name, float("nan"))
        held = value >= bound if better[name] == "max" else value <= bound
        if not held:
            word = "at least" if better[name] == "max" else "at most"
            found = "not defined (NaN)" if math.isnan(value) else f"{value:.6g}"
            missed.append(f"{name} is {found}; {word} {bound:g} was asked for")
    return missed
