"""Differences of every two models in every metric: intervals, tests with Holm's correction, and both sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from affectkit.comparison.tested_models import TestedModel
from affectkit.statistics.multiple import holm
from affectkit.statistics.paired import Difference, differences
from affectkit.statistics.students_t import t_quantile
from affectkit.statistics.two_way import RepeatedDifference, repeated_difference

LEVEL = 0.95
"""Coverage of all intervals, and 1 - the size of all tests."""


@dataclass(frozen=True)
class Row:
    """A metric of one model against another.

    Attributes:
        metric: its name.
        better: ``max`` or ``min``.
        first, second: names of the models; the first is the one that the other is compared with.
        first_value, second_value: of the metric; the means over repeats.
        difference: second - first.
        low, high: its 95% interval.
        interval: which that is, in words.
        p: of the test of no difference; ``p_holm`` after Holm's correction over all rows.
        test: which that is, in words.
        effect_size, effect: how large the difference is, and in what.
        detectable: the smallest true difference that the test finds with 80% power.
        n: items; ``clusters``: of them, None where they are independent.
        error: standard error; ``item_error``: over items, of the trainings there are; ``repeat_error``: of other
            trainings, None without repeats.
        item_low, item_high: the interval over items alone, of the trainings there are.
        first_repeats, second_repeats: how many trainings.
    """

    metric: str
    better: str
    first: str
    second: str
    first_value: float
    second_value: float
    difference: float
    low: float
    high: float
    interval: str
    p: float
    p_holm: float
    test: str
    effect_size: float
    effect: str
    detectable: float
    n: int
    clusters: int | None
    error: float
    item_error: float
    repeat_error: float | None
    item_low: float
    item_high: float
    first_repeats: int
    second_repeats: int

    @property
    def shown(self) -> bool:
        """Return whether the difference is shown, after Holm's correction."""
        return self.p_holm <= 1 - LEVEL

    @property
    def gain(self) -> float:
        """Return the difference, counted so that above 0 the second is better."""
        return self.difference if self.better == "max" else -self.difference

    @property
    def least_gain(self) -> float:
        """Return the end of the interval at which the second is worst, counted as ``gain``."""
        return self.low if self.better == "max" else -self.high

    @property
    def most_gain(self) -> float:
        """Return the other end."""
        return self.high if self.better == "max" else -self.low


def pairs_of(models: Sequence[TestedModel], *, all_pairs: bool) -> list[tuple[TestedModel, TestedModel]]:
    """Return (first, second) of each comparison: every other model with the first, or every two."""
    return list(combinations(models, 2)) if all_pairs else [(models[0], other) for other in models[1:]]


def compare_models(
    models: Sequence[TestedModel],
    metrics: Sequence[str],
    *,
    clusters: Sequence[str] | None,
    all_pairs: bool,
    draws: int,
    seed: int,
) -> list[Row]:
    """Return a row for each pair of ``models`` and each of ``metrics``.

    Args:
        models: with the same items in the same order.
        metrics: names of measures that all have.
        clusters: (N,) what each item belongs to; None where items are independent.
        all_pairs: every two; else each other one with the first.
        draws: swaps of permutation tests.
        seed: everything random follows from it.
    """
    rows: list[Row] = []
    for first, second in pairs_of(models, all_pairs=all_pairs):
        if max(len(first.runs), len(second.runs)) > 1:
            rows += [_repeated_row(first, second, name, clusters) for name in metrics]
            continue
        pairs = [(second.runs[0].measures[name], first.runs[0].measures[name]) for name in metrics]
        found = differences(pairs, clusters=clusters, level=LEVEL, draws=draws, seed=seed)
        rows += [_row(first, second, one) for one in found]
    adjusted = holm(np.array([row.p for row in rows]))
    return [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]


def _row(first: TestedModel, second: TestedModel, one: Difference) -> Row:
    return Row(
        **_shared(first, second, one),
        interval=one.method,
        test=one.test,
        effect_size=one.effect_size,
        effect=one.effect_name,
        item_error=one.error,
        repeat_error=None,
        item_low=one.low,
        item_high=one.high,
    )


def _repeated_row(first: TestedModel, second: TestedModel, name: str, clusters: Sequence[str] | None) -> Row:
    one = repeated_difference(
        [run.measures[name] for run in second.runs],
        [run.measures[name] for run in first.runs],
        clusters=clusters,
        level=LEVEL,
    )
    # Of these trainings alone: the items, and what items and trainings have together.
    units, items = one.n if one.clusters is None else one.clusters, math.hypot(one.items_error, one.together_error)
    half = t_quantile((1 + LEVEL) / 2, units - 1) * items if units > 1 else math.nan
    return Row(
        **_shared(first, second, one),
        interval=one.method,
        test=f"t with {one.freedom:.1f} degrees of freedom" if one.error > 0 else "",
        effect_size=one.difference / one.error if one.error > 0 else math.nan,
        effect="difference / SE",
        item_error=items,
        repeat_error=one.repeats_error,
        item_low=one.difference - half,
        item_high=one.difference + half,
    )


def _shared(first: TestedModel, second: TestedModel, one: Difference | RepeatedDifference) -> dict[str, Any]:
    """Return what both kinds of differences have; theirs is that of (second, first)."""
    return {
        "metric": one.name,
        "better": one.better,
        "first": first.name,
        "second": second.name,
        "first_value": one.second,
        "second_value": one.first,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "p": one.p,
        "p_holm": math.nan,
        "detectable": one.detectable,
        "n": one.n,
        "clusters": one.clusters,
        "error": one.error,
        "first_repeats": len(first.runs),
        "second_repeats": len(second.runs),
    }
