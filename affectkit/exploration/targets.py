"""What the items of a split are labelled with: counts, entropy of distributions, agreement of raters, ratings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.split import Split
from affectkit.metrics.ambiguity import entropy
from affectkit.metrics.raters import leave_one_out_agreement, rater_ceiling
from affectkit.metrics.ratings import pearson_r
from affectkit.metrics.reliability import fleiss_kappa, krippendorff_alpha, pair_agreement

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TIE = 1e-6
"""Shares that differ by less are equal: they are float32."""
CELLS = 3
"""Rows and columns of the valence-arousal plane that are counted, of equal width over the scale."""


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Return mean, standard deviation (of the values, not an estimate), extremes and quantiles (linear between values)
    of those that are finite; NaN where none is.
    """
    found = np.asarray(values, np.float64)
    found = found[np.isfinite(found)]
    names = [f"q{round(100 * share):02d}" for share in QUANTILES]
    if not len(found):
        return dict.fromkeys(("mean", "sd", "min", *names, "max"), math.nan)
    levels = dict(zip(names, map(float, np.quantile(found, QUANTILES)), strict=True))
    return {
        "mean": float(found.mean()), "sd": float(found.std()), "min": float(found.min()), **levels,
        "max": float(found.max()),
    }  # fmt: skip


def tied(shares: NDArray[Any]) -> NDArray[np.bool_]:
    """Return bool (N,): whether several classes have the largest share."""
    return (shares >= shares.max(axis=1, keepdims=True) - TIE).sum(axis=1) > 1


def describe_distributions(split: Split) -> dict[str, Any] | None:
    """Return what the shares of a split are like; None where there are none.

    Returns:
        ``entropy`` in bits (``quantiles``) with ``most``, that of even shares; ``entropy_by_class``, the mean by the
        class with the largest share; ``ties``, items where several classes have it; ``without_majority``, those where
        it is half or less, ties among them.
    """
    shares = split.distribution
    if shares is None or not len(split):
        return None
    bits = entropy(shares)
    top = shares.argmax(axis=1)
    return {
        "entropy": quantiles(bits),
        "most": math.log2(len(split.classes)),
        "entropy_by_class": {
            name: float(bits[top == number].mean()) if (top == number).any() else math.nan
            for number, name in enumerate(split.classes)
        },
        "ties": int(tied(shares).sum()),
        "without_majority": int((shares.max(axis=1) <= 0.5 + TIE).sum()),
    }


def describe_raters(votes: NDArray[Any]) -> dict[str, Any]:
    """Return how many raters there were an item, and how far they agree.

    Returns:
        ``number`` (``quantiles``); ``agreement``, the mean share of pairs of raters that agree; ``fleiss_kappa`` and
        ``krippendorff_alpha`` (``metrics.reliability``); ``ceiling``, the mean share of the most frequent class; and
        ``leave_one_out``, how often a rater is of the others' plurality; NaN where votes are no whole numbers.
    """
    counts = np.asarray(votes, np.float64)
    number = counts.sum(axis=1)
    counts = counts[number > 0]
    if not len(counts):
        return {}
    whole = bool((counts == np.floor(counts)).all())
    found: dict[str, Any] = {"number": quantiles(number), "without": int((number <= 0).sum())}
    found["ceiling"] = float(rater_ceiling(counts).mean())
    if not whole:
        return found | dict.fromkeys(("agreement", "fleiss_kappa", "krippendorff_alpha", "leave_one_out"), math.nan)
    return found | {
        "agreement": _mean(pair_agreement(counts)),
        "fleiss_kappa": fleiss_kappa(counts),
        "krippendorff_alpha": krippendorff_alpha(counts),
        "leave_one_out": _mean(leave_one_out_agreement(counts)),
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def all_votes(split: Split) -> dict[str, NDArray[Any]]:
    """Return the votes of a split by what the raters were shown ("" where that is not said)."""
    found = {name.removeprefix("votes_"): values for name, values in split.facts.items() if name.startswith("votes_")}
    return found or ({"": split.votes} if split.votes is not None else {})


def describe_ratings(split: Split) -> dict[str, Any] | None:
    """Return what the ratings of a split are like; None where there are none.

    Returns:
        by dimension ``quantiles`` and ``missing``; ``scale``; ``r``, Pearson's correlation of both where both are
        known; ``cells``, counts of items in the valence-arousal plane, rows from high to low arousal, columns from low
        to high valence.
    """
    if split.ratings is None or not len(split):
        return None
    columns = dict(zip(RATINGS, split.ratings.T, strict=True))
    found: dict[str, Any] = {
        name: {**quantiles(values), "missing": int(np.isnan(values).sum())} for name, values in columns.items()
    }
    both = np.isfinite(split.ratings).all(axis=1)
    valence, arousal = columns["valence"][both], columns["arousal"][both]
    varied = len(valence) > 1 and np.ptp(valence) > 0 and np.ptp(arousal) > 0
    low, high = split.scale or (float(np.nanmin(split.ratings)), float(np.nanmax(split.ratings)))
    edges = np.linspace(low, high, CELLS + 1)
    counts, _, _ = np.histogram2d(arousal, valence, bins=(edges, edges))
    return found | {
        "scale": [low, high],
        "both": int(both.sum()),
        "r": float(pearson_r(valence, arousal)) if varied else math.nan,
        "cells": counts[::-1].astype(int).tolist(),
    }


def describe_counts(splits: dict[str, Split]) -> dict[str, dict[str, Any]]:
    """Return by split its ``items``, ``labelled`` (those with a class) and ``classes``, counts by class."""
    return {
        name: {
            "items": len(split),
            "labelled": 0 if split.top() is None else len(split),
            "classes": split.counts(),
        }
        for name, split in splits.items()
    }
