"""What a model that has learned nothing would score on the validation split: the least that training must beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from affectkit.metrics import classification, distribution, ratings

if TYPE_CHECKING:
    from affectkit.tasks.base import Results, Task

Baselines = dict[str, dict[str, float]]
"""Metrics by the name of a prediction that looks at no image."""
TINY = np.finfo(np.float64).tiny


def class_baselines(task: Task, shares: np.ndarray, valid: Results, *, loss: Callable[[Results], float]) -> Baselines:
    """Return what three predictions score: a class drawn by lot, always the commonest class, the training shares.

    Args:
        task: whose ``headline_metrics`` are computed; those of labels for the first two, the others for the third.
        shares: (C,), of the classes in the training targets.
        valid: the validation split with its targets; its outputs are not looked at.
        loss: of results with logits.
    """
    target = valid.fields["target"].astype(np.float64)
    classes, commonest = len(shares), int(shares.argmax())
    chosen = np.full(len(target), commonest)
    predicted = np.tile(shares / shares.sum(), (len(target), 1))
    counts = classification.confusion_matrix(target.argmax(1), chosen, classes)
    of_labels = {
        "accuracy": (1 / classes, classification.accuracy(counts)),
        # Where several classes are the top one, each counts as right.
        "top1": (
            float((target == target.max(1, keepdims=True)).mean()),
            float(distribution.top1_agreement(predicted, target).mean()),
        ),
        "balanced_accuracy": (1 / classes, classification.balanced_accuracy(counts)),
    }
    found: Baselines = {"chance": {}, f"always {task.spec.classes[commonest]}": {}, "training shares": {}}
    by_lot, always, shared = found.values()
    for name in task.headline_metrics:
        if name in of_labels:
            by_lot[name], always[name] = of_labels[name]
        elif name == "kl":
            shared[name] = float(distribution.kl_divergence(predicted, target).mean())
    if "kl" not in shared:
        outputs = np.log(np.maximum(predicted, TINY))
        shared["loss"] = loss(replace(valid, outputs=outputs))
    return {name: values for name, values in found.items() if values}


def rating_baselines(training: np.ndarray, valid: np.ndarray) -> Baselines:
    """Return what the mean rating of training scores, as the mean over the dimensions.

    A prediction that never changes has no covariance with the ratings, so that its CCC is 0.

    Args:
        training: ratings (N, D) of the training split.
        valid: ratings (M, D) of the validation split.
    """
    mean = np.nanmean(training, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ratings.ConstantWarning)
        rmse = [ratings.rmse(np.full(len(valid), mean[k]), valid[:, k]) for k in range(valid.shape[1])]
    return {
        "mean rating": {
            "mse": float(np.mean(np.square(rmse))),
            "rmse": float(np.mean(rmse)),
            "ccc": 0.0,
        }
    }


def describe_baselines(baselines: Mapping[str, Mapping[str, float]], noun: str) -> str:
    """Describe baselines on validation ``noun`` in a line.

    >>> describe_baselines({"chance": {"accuracy": 0.125}, "training shares": {"kl": 2, "js": 0.5}}, "images")
    'baselines on validation images: chance accuracy 0.1250; training shares kl 2.0000, js 0.5000'
    """
    listed = {name: ", ".join(f"{key} {value:.4f}" for key, value in own.items()) for name, own in baselines.items()}
    return f"baselines on validation {noun}: " + "; ".join(f"{name} {text}" for name, text in listed.items())
