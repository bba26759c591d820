"""What a pipeline asks of a comparison: no model worse by more than a margin, or none that is shown to be worse."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from affectkit.comparison.differences import Row
from affectkit.settings.compare import DIFFERENCE


def missed_margins(
    rows: Sequence[Row], margins: Mapping[str, float], first: str, *, same: Collection[str] = ()
) -> list[str]:
    """Write a sentence for every model that is not shown to be within a margin of the ``first``; NaN misses.

    A margin of -0.01 is held where the whole interval of the difference, counted so that above 0 the other model is
    better, lies above -0.01: non-inferiority at the one-sided 2.5% level (Piaggio et al. 2012, CONSORT's extension).
    Models of ``same`` give the very outputs of the first, and are within every margin below 0: nothing varies, so that
    their differences have no interval.
    """
    missed = []
    for metric, margin in margins.items():
        for row in rows:
            if row.second in same and row.difference > margin:
                continue
            if row.metric == metric and row.first == first and not row.least_gain > margin:
                found = "not defined (NaN)" if math.isnan(row.least_gain) else f"{row.least_gain:.6g}"
                missed.append(
                    f"{DIFFERENCE}{metric} of {row.second}: the interval's end at which it is worst is {found}; above "
                    f"{margin:g} was asked for"
                )
    return missed


def worse_models(rows: Sequence[Row], metrics: Sequence[str], first: str) -> list[str]:
    """Write a sentence for every model that is shown to be worse than the ``first`` in one of ``metrics``."""
    return [
        f"{row.metric} of {row.second} is shown to be worse than that of {first}: the difference is "
        f"{row.difference:.6g} ({row.low:.6g} to {row.high:.6g}), Holm's p {row.p_holm:.3g}"
        for row in rows
        if row.metric in metrics and row.first == first and row.shown and row.gain < 0
    ]


def describe_held(margins: Mapping[str, float], watched: Sequence[str]) -> str:
    """Say which conditions all models hold; empty where none was asked for."""
    found = [f"{DIFFERENCE}{name} above {margin:g} over the whole interval" for name, margin in margins.items()]
    found += [f"{name} not shown to be worse" for name in watched]
    return f"held: {' and '.join(found)}" if found else ""
