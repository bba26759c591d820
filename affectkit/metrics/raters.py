"""Limits that raters' disagreement sets: agreement of a model with them, and of them with each other.

``votes`` is (N, C): how many raters chose each class for each sample. Rows at least 0 with a sum above 0; shares
instead of counts are accepted where a function does not say otherwise. All functions return (N,) and raise a
DataError that names the rows for other votes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics.distribution import (
    Floats,
    check_distributions,
    check_matrix,
    check_same_shape,
    check_whole,
    rows_text,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def expected_agreement(p: ArrayLike, votes: ArrayLike) -> Floats:
    """Share of the raters who chose the model's class, in [0, 1]: the chance that a rater drawn at random agrees.

    The model's class is the most probable one of p (N, C), the first of them on a tie. Its mean over samples is the
    expected accuracy against single raters, and at most the mean of ``rater_ceiling``.
    """
    p = check_distributions(p, "p")
    votes = _votes(votes)
    check_same_shape(p, votes, names=("p", "votes"))
    chosen = np.take_along_axis(votes, p.argmax(axis=1)[:, None], axis=1)[:, 0]
    return chosen / votes.sum(axis=1)


def rater_ceiling(votes: ArrayLike) -> Floats:
    """Return the largest share of a class, in [1/C, 1]: no single label agrees more often with a rater drawn from these
    votes.
    """
    votes = _votes(votes)
    return votes.max(axis=1) / votes.sum(axis=1)


def leave_one_out_agreement(votes: ArrayLike) -> Floats:
    """Return the chance, in [0, 1], that a rater drawn at random agrees with the plurality of the other raters of the
    sample.

    Where several classes share the others' largest count, one of them is picked at random. How well a person does
    who is judged as a model is; the drawn rater has no vote in the label, unlike in ``rater_ceiling``. NaN for a
    sample with a single vote.

    ``votes`` must be whole numbers, since one vote at a time is taken away.
    """
    votes = check_whole(_votes(votes), "leave one out")
    total, top = votes.sum(axis=1), votes.max(axis=1)
    # Without the vote of the drawn rater, a class stays on top only if it led alone (two leaders: the other one wins),
    # and then it ties with every class that was one vote behind.
    alone = (votes == top[:, None]).sum(axis=1) == 1
    rivals = (votes == top[:, None] - 1).sum(axis=1)
    agreement = np.where(alone, top / total / (1 + rivals), 0.0)
    return np.where(total >= 2, agreement, np.nan)


def _votes(votes: ArrayLike) -> Floats:
    array = check_matrix(votes, "votes")
    broken = array.sum(axis=1) <= 0
    if broken.any():
        raise DataError(f"each row of votes must hold at least one vote; none in {rows_text(broken)}.")
    return array
