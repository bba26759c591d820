"""What a comparison says, in sentences that claim no more than it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from affectkit.comparison.differences import LEVEL, Row
from affectkit.core.text import count_text, list_some
from affectkit.tasks.base import FEWEST

BIASED = ("ece",)
"""Beginnings of metrics whose value in a sample is too large, the more the fewer items there are."""


def describe_rows(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each row: what is shown, what is not, and what would have been found."""
    tests = sum(not math.isnan(row.p) for row in rows)
    return [_describe(row, tests) for row in rows]


def describe_summary(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each pair of models: in which metrics which is better, and in which neither is shown to be;
    for tables with many rows.
    """
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        pairs.setdefault((row.first, row.second), []).append(row)
    found = []
    for (first, second), own in pairs.items():
        parts = []
        for name, sign in ((second, 1), (first, -1)):
            if better := [row.metric for row in own if row.shown and row.gain * sign > 0]:
                parts.append(f"{name} is better in {list_some(better, 30)}")
        if others := [row.metric for row in own if not row.shown and not math.isnan(row.p)]:
            parts.append(f"not shown to differ in {list_some(others, 30)}")
        if without := [row.metric for row in own if math.isnan(row.p)]:
            parts.append(f"without a test: {list_some(without, 30)}")
        found.append(f"{second} against {first}, after Holm's correction: {'; '.join(parts)}.")
    return found


def describe_scope(rows: Sequence[Row], column: str, split: str = "test") -> list[str]:
    """Return what intervals and tests are for: which other items, which other trainings.

    Args:
        rows: of the comparison.
        column: name of the clusters; empty where items are independent.
        split: what the models were tested on.
    """
    found = []
    if not rows:
        return found
    first = rows[0]
    others = (
        f"other values of {column} ({count_text(first.clusters or 0, 'cluster')} here) with their items"
        if column
        else "other items like these, each independent of the others"
    )
    repeated = [row for row in rows if row.repeat_error is not None]
    if split == "out_of_fold":
        found.append(
            f"Intervals and tests are for {others}. Each item is predicted by one of several trainings, which share "
            "most of their data: how others would turn out is not in them."
        )
        if not column:
            found.append("Where folds were made by group (--group-by), items of one are alike: name it with --cluster.")
    elif not repeated:
        found.append(
            f"Intervals and tests are for {others}; each model is one training, and how another would turn out is not "
            "in them (train --repeat shows it)."
        )
    else:
        found.append(f"Intervals and tests are for {others}, and for other trainings.")
        found += _describe_repeats(repeated)
    if split == "valid":
        found.append(
            "This is a validation split: a training chooses its epoch and its temperature on it, and looks a little "
            "better there than on data that it never met."
        )
    if (count := first.clusters or first.n) < FEWEST:
        found.append(f"{count_text(count, 'cluster' if column else 'item')}: nothing here can be relied on.")
    tests = sum(not math.isnan(row.p) for row in rows)
    if tests > 1:
        found.append(
            f"Holm p: corrected for the {tests} tests of this table, and for none that were made elsewhere. Detectable "
            "differences are those of a single test at 5%: with Holm's correction it takes more."
        )
    apart = {row.metric for row in rows if _apart(row)}
    if apart:
        found.append(
            f"{', '.join(sorted(apart))}: of the interval and the test of one row one finds a difference and the other "
            "does not, as two ways of computing may near the border. What is said goes by the test: report both."
        )
    if biased := sorted({row.metric for row in rows if row.metric.startswith(BIASED)}):
        found.append(
            f"{', '.join(biased)}: too large in a sample, the more the fewer items; of a difference most of that "
            "cancels, but not all."
        )
    return found


def _apart(row: Row) -> bool:
    """Return whether the interval leaves 0 out and p of the single test is above 5%, or the other way round."""
    if any(math.isnan(value) for value in (row.p, row.low, row.high)):
        return False
    return (row.low > 0 or row.high < 0) != (row.p <= 1 - LEVEL)


def _describe_repeats(rows: Sequence[Row]) -> list[str]:
    found = []
    for row in {(row.first, row.second): row for row in rows}.values():  # one of each pair
        counts = f"{row.first}: {row.first_repeats}, {row.second}: {row.second_repeats}"
        uneven = "" if row.first_repeats == row.second_repeats else " (not as many of each, which is allowed for)"
        once = [name for name, many in ((row.first, row.first_repeats), (row.second, row.second_repeats)) if many == 1]
        single = f"; {once[0]}, trained once, is taken as the one model that it is" if once else ""
        found.append(f"Repeats: {counts}{uneven}{single}.")
    if any(2 in (row.first_repeats, row.second_repeats) for row in rows):
        found.append("Of 2 repeats the spread is hardly known: intervals are wide for that reason.")
    return found


def _describe(row: Row, tests: int) -> str:
    values = f"{number(row.second_value)} against {number(row.first_value)}"
    head = f"{row.metric}, {row.second} against {row.first}:"
    if math.isnan(row.difference):
        return f"{head} not defined for one of them; nothing can be said."
    if row.difference == 0 and not row.error > 0:
        return f"{head} {values}; on these items there is no difference at all, and nothing to estimate one from."
    if math.isnan(row.p):
        return f"{head} {values}; there is no test for it here ({row.interval})."
    if math.isnan(row.low):
        verdict = f"{row.second if row.gain > 0 else row.first} is better" if row.shown else "not shown to differ"
        told = p_text(row.p_holm, "Holm p") if tests > 1 else p_text(row.p)
        return f"{head} {verdict}: {values}; {told}; {row.interval}."
    better, ends = row.second, (row.least_gain, row.most_gain)
    if row.gain < 0:
        better, ends = row.first, (-row.most_gain, -row.least_gain)
    gain = f"{better} is better by {number(abs(row.difference))}"
    span = "95% interval {} to {}".format(*map(number, ends))
    if row.shown:
        return f"{head} {gain} ({span}; {p_text(row.p_holm, 'Holm p')}): {values}."
    if row.p <= 1 - LEVEL:
        text = (
            f"{head} {gain} where this is the only question ({span}; {p_text(row.p)}), but that is not shown among "
            f"{tests} tests ({p_text(row.p_holm, 'Holm p')}): {values}."
        )
    else:
        span = f"difference {number(row.difference)}, 95% interval {number(row.low)} to {number(row.high)}"
        text = f"{head} not shown to differ: {values}; {span}; {p_text(row.p)}."
    if math.isnan(row.detectable):
        return text
    if row.better == "max" and row.detectable > 1 and min(row.first_value, row.second_value) >= 0:
        return f"{text} With so few items no difference would have been found reliably."
    return f"{text} A true difference of {number(row.detectable)} would have been found in 80% of such samples."


def number(value: float | None) -> str:
    """Write a metric or a difference: four decimals, or two digits that count where it is smaller.

    >>> [number(value) for value in (0.81234, -0.00001234, 0.0, float("nan"), 123.4567)]
    ['0.8123', '-1.2e-05', '0.0000', '-', '123.5']
    """
    if value is None or math.isnan(value):
        return "-"
    if value and abs(value) < 5e-4:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def p_text(p: float, name: str = "p") -> str:
    """Write a p-value with its name.

    >>> [p_text(value) for value in (0.04, 0.00001, 1.0, float("nan"))]
    ['p 0.040', 'p < 0.001', 'p 1.000', 'p -']
    """
    return f"{name} {p_number(p)}"


def p_number(p: float) -> str:
    """Write a p-value: three decimals."""
    if math.isnan(p):
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
