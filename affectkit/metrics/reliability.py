"""Agreement among raters beyond chance, of all items together: Fleiss' kappa and Krippendorff's alpha.

``votes`` is (N, C): how many raters chose each class for each item; whole numbers of at least 0. Raters need not be the
same for all items, nor as many: items with fewer than two votes take no part. Both are 1 where all agree, and 0 where
they do so as often as chance has it; NaN where no two votes differ, or there is no item with two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.metrics.distribution import Floats, check_matrix, check_whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def pair_agreement(votes: ArrayLike) -> Floats:
    """Return the share of pairs of raters that agree, (N,) in [0, 1]; NaN for items with fewer than two votes (Fleiss,
    "Measuring nominal scale agreement among many raters", 1971).
    """
    counts = _counts(votes)
    total = counts.sum(axis=1)
    pairs = np.where(total >= 2, total * (total - 1), np.nan)
    return (np.square(counts).sum(axis=1) - total) / pairs


def fleiss_kappa(votes: ArrayLike) -> float:
    """Return Fleiss' kappa (1971), in [-1, 1]: (P - Pe) / (1 - Pe), P the mean over items of ``pair_agreement``
    and Pe the sum of the squared shares of the classes among all votes.

    Fleiss has as many raters for each item; here items count alike where these are more or fewer.
    """
    counts = _counts(votes)
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return float("nan")
    chance = float(np.square(counts.sum(axis=0) / counts.sum()).sum())
    return float("nan") if chance == 1 else (float(pair_agreement(counts).mean()) - chance) / (1 - chance)


def krippendorff_alpha(votes: ArrayLike) -> float:
    """Return Krippendorff's alpha for nominal data, at most 1: 1 - Do / De, the observed over the expected disagreement
    ("Computing Krippendorff's alpha-reliability", 2011, section C).

    Votes count alike, so that items with many raters count for more than in ``fleiss_kappa``; De is corrected for the
    finite number of votes.
    """
    counts = _counts(votes)
    total = counts.sum(axis=1)
    counts, total = counts[total >= 2], total[total >= 2]
    number = counts.sum()
    by_class = counts.sum(axis=0)
    expected = number * number - np.square(by_class).sum() if number else 0.0
    if not expected:
        return float("nan")
    observed = ((np.square(total) - np.square(counts).sum(axis=1)) / (total - 1)).sum()
    return float(1 - (number - 1) * observed / expected)


def _counts(votes: ArrayLike) -> Floats:
    return check_whole(check_matrix(votes, "votes"), "count pairs of raters")
