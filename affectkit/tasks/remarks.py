"""What stands beside the metrics of a model over classes: which classes it takes for which, and what its temperature
does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from affectkit.metrics import calibration

MOST = 3
"""Confusions that are named."""


def confusions(counts: np.ndarray, classes: Sequence[str]) -> str:
    """Name the most frequent confusions; empty where there is none.

    Args:
        counts: (C, C), a row for each true class.
        classes: their names.
    """
    wrong = counts - np.diag(np.diag(counts))
    pairs = [np.unravel_index(place, wrong.shape) for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST]]
    told = [
        f"{classes[true]} as {classes[taken]} {wrong[true, taken]:,} of {counts[true].sum():,}"
        for true, taken in pairs
        if wrong[true, taken]
    ]
    return f"most frequent confusions: {', '.join(told)}" if told else ""


def of_temperature(outputs: np.ndarray, target: np.ndarray, temperature: float) -> str:
    """Say what is computed with the temperature, and whether it makes confidences here worse, beyond chance (by more
    than two standard errors); empty where it is 1.

    Confidences are judged by the target's top class. One that is fitted to labels, of which raters' votes are no
    certain ones, may make these better and take the shares away from the votes: both are said.

    Args:
        outputs: logits (N, C).
        target: shares (N, C).
        temperature: of the model.
    """
    if temperature == 1:
        return ""
    tiny = np.finfo(float).tiny
    logs = [np.log(np.maximum(calibration.softmax(outputs, one), tiny)) for one in (temperature, 1.0)]
    top = target.argmax(1)
    of_labels = [-log[np.arange(len(top)), top] for log in logs]
    of_shares = [-(target * log).sum(1) for log in logs]
    text = f"loss and *_uncalibrated are without the temperature, {temperature:.3g}; nll, ece and brier with it"
    if _is_worse(*of_labels):
        text += (
            f". It makes confidences worse here: cross-entropy {of_labels[0].mean():.4f}, without it "
            f"{of_labels[1].mean():.4f}; it was fitted on other images, perhaps few (train --calibrate none fits none)"
        )
    elif _is_worse(*of_shares):
        text += (
            f". It moves confidences away from the shares of the targets: cross-entropy {of_shares[0].mean():.4f}, "
            f"without it {of_shares[1].mean():.4f}; of their top classes {of_labels[0].mean():.4f}, without it "
            f"{of_labels[1].mean():.4f} (calibrate --temperature targets fits one to the shares)"
        )
    return text


def _is_worse(with_it: np.ndarray, without: np.ndarray) -> bool:
    change = with_it - without
    return len(change) > 1 and bool(change.mean() > 2 * change.std(ddof=1) / math.sqrt(len(change)))
