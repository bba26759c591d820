"""Outputs and targets of a tested model as plain arrays, and back: what a file holds of ``Results``.

- ``outputs`` (N, K) float32, as the model gave them: before the softmax and without the temperature;
- ``label`` (N,) int32, or ``target`` (N, C) float32 shares; of ratings ``ratings`` (N, 2) float64, arousal and valence;
- ``votes`` (N, C) float32, where raters' counts are known; ``extra_NAME`` (N,) of models that measure more;
- ``names``, uint8: the items' names in UTF-8, a zero byte between two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.tasks.base import Results, Task
from affectkit.tasks.categorical import one_hot


@dataclass(frozen=True)
class SplitFacts:
    """What is not in the arrays.

    Attributes:
        name: of the split.
        root: folder that the items' names are relative to.
        scale: of ratings, least and greatest.
    """

    name: str
    root: Path
    scale: tuple[float, float] | None = None


def result_arrays(task: Task, results: Results) -> dict[str, np.ndarray] | None:
    """Return ``results`` as arrays by name; None where the targets are neither ratings nor of classes."""
    split = results.split
    found = {
        "outputs": results.outputs.astype(np.float32),
        "names": np.frombuffer("\0".join(split.ids).encode("utf-8", "surrogateescape"), dtype=np.uint8),
        **{f"extra_{name}": values for name, values in results.extras.items() if values.ndim == 1},
    }
    if task.predicts_ratings:
        return {**found, "ratings": split.ratings}
    if "target" not in results.fields:
        return None
    target = results.fields["target"].astype(np.float32)
    if bool(((target == 1).sum(1) == 1).all() and ((target == 0).sum(1) == target.shape[1] - 1).all()):
        found["label"] = target.argmax(1).astype(np.int32)
    else:
        found["target"] = target
    if (votes := results.fields.get("votes")) is not None:
        found["votes"] = votes.astype(np.float32)
    return found


def results_of_arrays(task: Task, arrays: Mapping[str, np.ndarray], facts: SplitFacts) -> Results:
    """Return the results that ``result_arrays`` gave ``arrays`` of.

    Raises:
        DataError: they do not go together.
        KeyError: one is missing.
        UnicodeDecodeError: names are no text.
    """
    ids = arrays["names"].astype(np.uint8).tobytes().decode("utf-8", "surrogateescape").split("\0")
    if len(set(ids)) != len(ids):
        raise DataError("names repeat.")
    count, width = len(ids), len(task.spec.classes)
    outputs = _checked(arrays["outputs"], (count, width), "outputs", nan=True).astype(np.float32)
    fields: dict[str, np.ndarray] = {}
    known: dict[str, Any] = {}
    if task.predicts_ratings:
        ratings = _checked(arrays["ratings"], (count, 2), "ratings", nan=True).astype(np.float64)
        known = {"ratings": ratings, "scale": facts.scale}
    elif "label" in arrays:
        known["labels"] = _checked(arrays["label"], (count,), "label").astype(np.int64)
        if count and not 0 <= known["labels"].min() <= known["labels"].max() < width:
            raise DataError("label holds what is no class.")
        fields["target"] = one_hot(known["labels"], width)
    else:
        fields["target"] = _checked(arrays["target"], (count, width), "target").astype(np.float32)
        known["distribution"] = fields["target"]
    if "votes" in arrays:
        known["votes"] = fields["votes"] = _checked(arrays["votes"], (count, width), "votes").astype(np.float32)
    extras = {
        name.removeprefix("extra_"): _checked(values, (count,), name, nan=True)
        for name, values in arrays.items()
        if name.startswith("extra_")
    }
    split = Split(facts.name, facts.root, ids, task.spec.classes, **known)
    if task.predicts_ratings:
        fields = {name: values.numpy() for name, values in task.targets(split).items()}
    return Results(split, outputs, fields, extras)


def _checked(values: np.ndarray, shape: tuple[int, ...], name: str, *, nan: bool = False) -> np.ndarray:
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise DataError(f"{name} has the shape {values.shape} and the type {values.dtype}, and not {shape}.")
    if not nan and not np.isfinite(values).all():
        raise DataError(f"{name} holds what is no finite number.")
    return values
