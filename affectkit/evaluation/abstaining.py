"""What a model's labels come to where it abstains from those it is not sure of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from affectkit.errors import UsageError
from affectkit.metrics.selective import COVERAGES, risk_coverage
from affectkit.statistics.exact import clopper_pearson
from affectkit.tasks.base import Results, Task

HELD, CHANCE, BROKEN = "held", "missed within chance", "broken"


def selective_accuracy(task: Task, results: Results) -> list[dict[str, float]]:
    """Return the accuracy of the surest items at each of ``COVERAGES``, with the coverage that ties make of it and the
    threshold; empty for a task without classes, or that has learned none."""
    if not task.selective_metrics(results):
        return []
    confidence, right = task.judged(results)
    curve = risk_coverage(confidence, ~right)
    return [
        {
            "wished_coverage": wished,
            "coverage": float(curve.coverage[place]),
            "threshold": float(curve.threshold[place]),
            "accuracy": 1 - float(curve.risk[place]),
        }
        for wished in COVERAGES
        for place in [curve.at(wished)]
    ]


def abstention_result(
    task: Task, results: Results, wanted: Mapping[str, Any], threshold: float, *, seen: Collection[str] = ()
) -> dict[str, Any]:
    """Return how many of ``results`` get a label at ``threshold``, how many of these are right, and whether what a
    stored threshold promises was held.

    A promise is ``held`` where the share that was seen is as promised, ``missed within chance`` where it is less and
    its exact 95% interval reaches the promise, else ``broken``.

    Args:
        task: of the model.
        results: of a split that the threshold was not fitted on.
        wanted: what ``checkpoints.abstention.wanted_threshold`` gave for the record.
        threshold: least confidence with which a label is given.
        seen: fingerprints of what has items in common with the split.
    """
    confidence, right = task.judged(results)
    taken = confidence >= threshold
    n, accepted, good = len(taken), int(taken.sum()), int(right[taken].sum())
    intervals = {"coverage": clopper_pearson(accepted, n), "accuracy": clopper_pearson(good, accepted)}
    shares = {"coverage": accepted / n, "accuracy": good / accepted if accepted else None}
    found: dict[str, Any] = {
        "threshold": threshold,
        "from": wanted["abstain_from"],
        "n": n,
        "accepted": accepted,
        "right": good,
        **shares,
        "coverage_interval": list(intervals["coverage"]),
        "accuracy_interval": list(intervals["accuracy"]) if accepted else None,
    }
    promise = wanted.get("abstain_promise")
    if promise is None:
        return found
    promises = {**promise["wished"]}
    if promise.get("accuracy_bound") is not None:
        promises["accuracy"] = promise["accuracy_bound"]
    kept = {
        name: _kept(shares[name], intervals[name][1], value)
        for name, value in promises.items()
        if shares[name] is not None
    }
    same = promise["data_fingerprint"] in {*seen, results.split.fingerprint()}
    return {**found, "promise": promise, "promised": promises, "kept": kept, "fitted_on_these": same}


def _kept(seen: float, high: float, promised: float) -> str:
    return HELD if seen >= promised else CHANCE if high >= promised else BROKEN


def refuse_ratings(task: Task, options: Mapping[str, Any]) -> None:
    """Refuse options of classes for a model of ratings.

    Raises:
        UsageError: one is set.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given and task.predicts_ratings:
        raise UsageError(
            f"{', '.join(given)}: the model predicts ratings ({task.description()}), and has no classes to be sure of.",
            "Leave it out.",
        )
