"""Predictions under another class prior than that of training, and an estimate of that prior (label shift)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics.distribution import Floats, check_distributions, check_same_shape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SMALLEST = 1e-300
"""In place of a share of 0, whose logarithm is none: as good as 0, and finite."""
MOST_STEPS, CHANGE = 10_000, 1e-9
"""The EM algorithm ends after so many steps, or once no share changes by more."""


@dataclass(frozen=True, eq=False)
class PriorEstimate:
    """An estimated class prior.

    Attributes:
        prior: (C,) shares.
        steps: of the EM algorithm.
        converged: whether the last one changed no share by more than ``CHANGE``.
    """

    prior: Floats
    steps: int
    converged: bool


def prior_shift(prior: ArrayLike, training: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return what is added to logits (C,) for the class prior to be another: T log(prior / training).

    The softmax at temperature T of the sum is p(c | x) prior(c) / training(c), normalised: Bayes' rule where the inputs
    of each class are distributed as in training (Saerens, Latinne and Decaestecker 2002). It is 0 to the last bit where
    both are the same, and for classes that are in neither.

    Args:
        prior, training: (C,) shares that sum to 1; above 0 in training where the prior is.
        temperature: of the softmax.

    Raises:
        DataError: they are no distributions of one length, or a class was not there in training.
    """
    now, before = _shares(prior, "prior"), _shares(training, "training prior")
    check_same_shape(now, before, names=("prior", "training prior"))
    if ((before == 0) & (now > 0)).any():
        raise DataError("a class has a share in the prior and none in training: nothing can be re-weighted for it.")
    return temperature * (np.log(np.maximum(now, SMALLEST)) - np.log(np.maximum(before, SMALLEST)))


def reweighted(p: ArrayLike, prior: ArrayLike, training: ArrayLike) -> Floats:
    """Return distributions (N, C) under another prior; see ``prior_shift``, with p itself in place of logits."""
    p, now, before = check_distributions(p, "p"), _shares(prior, "prior"), _shares(training, "training prior")
    weighted = p * (now / before)
    total = weighted.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise DataError("a prediction is sure of a class whose prior is 0.", "Give each class a share above 0.")
    return weighted / total


def estimate_prior(p: ArrayLike, training: ArrayLike) -> PriorEstimate:
    """Estimate the class prior of the items with predictions ``p``: the maximum of its likelihood, by EM (Saerens,
    Latinne and Decaestecker 2002).

    Each step takes the mean of the predictions re-weighted by the prior so far; the likelihood is concave in the prior
    and never falls. It is the prior of these items where the predictions are calibrated, the inputs of each class are
    distributed as in training, and the items are independent of each other; nothing here can tell whether they are.

    Args:
        p: (N, C) predictions, as of the training prior.
        training: (C,) shares, above 0.

    Raises:
        DataError: they do not fit together, or there is no item.
    """
    p, before = check_distributions(p, "p"), _shares(training, "training prior")
    if not len(p):
        raise DataError("there is no prediction to estimate a class prior from.")
    if p.shape[1] != len(before) or not (before > 0).all():
        raise DataError("the training prior must have a share above 0 for each class of the predictions.")
    likelihood, prior = p / before, before
    change, step = 1.0, 0
    while change > CHANGE and step < MOST_STEPS:
        weighted = likelihood * prior
        found = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        change, prior, step = float(np.abs(found - prior).max()), found, step + 1
    return PriorEstimate(prior, step, change <= CHANGE)


def _shares(values: ArrayLike, name: str) -> Floats:
    """Return shares (C,) that sum to 1."""
    return check_distributions(np.asarray(values, np.float64)[None], name)[0]
