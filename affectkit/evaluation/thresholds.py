"""Check the thresholds that a pipeline sets with ``--fail-under``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from affectkit.core.number_texts import percent_for_share
from affectkit.core.progress import Reporter
from affectkit.core.registry import did_you_mean
from affectkit.errors import UsageError
from affectkit.metrics.same import known_as

AT_MOST_1 = ("accuracy", "f1", "top1", "ccc", "r2", "agreement")
"""Parts of the names of metrics that are shares or correlations."""


def check_thresholds(thresholds: Mapping[str, float], better: Mapping[str, str]) -> dict[str, float]:
    """Refuse bounds of metrics that there are not, and bounds in percent of shares.

    Args:
        thresholds: bounds by metric.
        better: "max" or "min" by name of the metrics that there are.

    Returns:
        The bounds by the names that ``better`` has (``metrics.same``).

    Raises:
        UsageError: names what is no metric, or a bound in percent of one that is a share.
    """
    found: dict[str, float] = {}
    for given, bound in thresholds.items():
        name = known_as(given, better)
        if name in found:
            raise UsageError(f"--fail-under: accuracy and top1 are one metric here, {name}; name it once.")
        if name not in better:
            guess = did_you_mean(name, better, before=" ")
            raise UsageError(f"--fail-under: there is no metric {name!r}; there are {', '.join(better)}.{guess}")
        meant = percent_for_share(bound, 1) if better[name] == "max" else ""
        if meant and any(word in name for word in AT_MOST_1):
            raise UsageError(f"--fail-under: {name} is at most 1; got {bound:g} ({meant}).")
        found[name] = bound
    return found


def missed_thresholds(
    thresholds: Mapping[str, float],
    metrics: Mapping[str, float],
    better: Mapping[str, str],
    *,
    reporter: Reporter | None = None,
) -> list[str]:
    """Write a sentence for every threshold that was missed; a metric that is not there, or NaN, misses.

    ``reporter`` gets a note of those that were met.
    """
    missed, met = [], []
    for name, bound in thresholds.items():
        value = metrics.get(name, float("nan"))
        word = "at least" if better[name] == "max" else "at most"
        if value >= bound if better[name] == "max" else value <= bound:
            met.append(f"{name} {value:.6g} ({word} {bound:g})")
        else:
            found = "not defined (NaN)" if math.isnan(value) else f"{value:.6g}"
            missed.append(f"{name} is {found}; {word} {bound:g} was asked for")
    if met and reporter is not None:
        reporter.note(f"--fail-under met: {', '.join(met)}")
    return missed
