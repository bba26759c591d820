"""The confidence threshold that a checkpoint or an ONNX file holds, and what it promises.

It stands in the training summary, under ``abstention``, and not in the input specification: affectkit's earlier
versions read such files as they read others, and give each item a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.checkpoints.description import Described
from affectkit.core.forms import Count, check_form
from affectkit.core.text import count_text
from affectkit.errors import CheckpointError, UsageError
from affectkit.settings.abstention import Wish
from affectkit.statistics.abstention import Threshold, fit_accuracy, fit_coverage
from affectkit.tasks.base import Results, Task

KEY = "abstention"
FORM = {
    "threshold": float, "wished": {"accuracy?": float, "coverage?": float}, "confidence": float, "n": Count,
    "accepted": Count, "right": Count, "accuracy_bound?": float | None, "temperature": float, "split": str,
    "data_fingerprint": str, "chose_epoch": bool | None, "fit?": str | None,
}  # fmt: skip
"""What a header must hold of a threshold; see ``core.forms``."""


def fit_threshold(task: Task, results: Results, wish: Wish) -> Threshold:
    """Fit the threshold that ``wish`` asks for on the results of a split.

    Raises:
        UsageError: the task has no classes.
    """
    confidence, right = task.judged(results)
    fit = fit_accuracy if wish.target == "accuracy" else fit_coverage
    return fit(confidence, right, wish.value, level=wish.confidence)


def threshold_record(found: Threshold, task: Task, results: Results, *, chose_epoch: bool | None) -> dict[str, Any]:
    """Return what is recorded of a fit: for a header, where it has a threshold.

    Args:
        found: the fit.
        task: with the temperature that it was fitted at.
        results: of the split that it was fitted on.
        chose_epoch: whether the same split chose the epoch of the weights; None: not known.
    """
    fitted = {
        "threshold": found.threshold,
        "wished": {found.wished: found.value},
        "confidence": found.confidence,
        "n": found.n,
        "accepted": found.accepted,
        "right": found.right,
        "accuracy_bound": found.accuracy_bound,
        "temperature": task.spec.temperature,
        "split": results.split.name,
        "data_fingerprint": results.split.fingerprint(),
        "chose_epoch": chose_epoch,
        "fit": None if task.spec.clip is not None else task.spec.fit,
    }
    if found.threshold is None:
        return {**fitted, "reason": found.reason, "best": found.best, "needed": found.needed}
    return fitted


def stored_abstention(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the threshold in a training summary, with its promise; None where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    found = training.get(KEY)
    if found is None:
        return None
    check_form(found, FORM, "the threshold in the header is damaged", error=CheckpointError)
    if len(found["wished"]) != 1 or not 0 <= found["threshold"] <= 1:
        raise CheckpointError("the threshold in the header is damaged: it promises nothing, or is out of [0, 1].")
    return found


def wanted_threshold(model: Described, stated: float | None, *, with_prior: bool) -> tuple[float, dict[str, Any]]:
    """Return the threshold that ``--abstain`` asks for, and what a record says of it.

    Args:
        model: a loaded model.
        stated: a confidence; None: the threshold in its file.
        with_prior: whether predictions are re-weighted, of which a stored threshold promises nothing.

    Raises:
        UsageError: the file has none, it is of another temperature or fit, or predictions are re-weighted.
        CheckpointError: it is damaged.
    """
    if stated is not None:
        return stated, {"abstain": stated, "abstain_from": "stated"}
    found = stored_abstention(model.header.training)
    if found is None:
        raise UsageError(
            "--abstain stored: the checkpoint holds no threshold.",
            "Fit one: affectkit calibrate CHECKPOINT --data D --abstain accuracy=0.95 --output NEW.safetensors; or "
            "state a confidence, --abstain 0.8.",
        )
    if with_prior:
        raise UsageError(
            "--abstain stored and --prior exclude each other: the threshold was fitted without that prior, and "
            "promises nothing of predictions with it.",
            "State a confidence, --abstain 0.8, or leave --prior out.",
        )
    if found["temperature"] != model.spec.temperature:
        raise UsageError(
            f"--abstain stored: the threshold was fitted at temperature {found['temperature']:g}, and the checkpoint "
            f"has {model.spec.temperature:g}.",
            "Fit it again with affectkit calibrate.",
        )
    if model.spec.clip is None and found.get("fit") not in (None, model.spec.fit):
        raise UsageError(
            f"--abstain stored: the threshold was fitted with --fit {found['fit']}, and now it is {model.spec.fit}.",
            "Leave --fit out, or state a confidence.",
        )
    return found["threshold"], {"abstain": found["threshold"], "abstain_from": "stored", "abstain_promise": found}


def describe_promise(found: Mapping[str, Any]) -> str:
    """Describe a threshold and its promise in a line."""
    ((target, value),) = found["wished"].items()
    promised = f"at least {value:g} of the labels right" if target == "accuracy" else f"at least {value:g} get a label"
    if found.get("accuracy_bound") is not None:
        promised += f", and at least {found['accuracy_bound']:.4f} of these right"
    accuracy = f", {found['right'] / found['accepted']:.2%} of these right" if found["accepted"] else ""
    return (
        f"threshold {found['threshold']:g} promises with {found['confidence']:g} confidence: {promised} (fitted on "
        f"{count_text(found['n'], 'item')} of {found['split']}: "
        f"{found['accepted'] / found['n']:.1%} get a label{accuracy})"
    )


def no_promise(record: Mapping[str, Any]) -> str:
    """Return why there is no threshold, and the best that can be promised."""
    ((target, value),) = record["wished"].items()
    best = record.get("best")
    more = f" The greatest accuracy that can be promised here is {best:g}." if best is not None else ""
    return (
        f"no threshold promises {target} {value:g} with {record['confidence']:g} confidence: {record['reason']}.{more}"
    )
