"""What a checkpoint holds, as tables that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.cli.console import Console, shown
from affectkit.core.assets import called

KNOWN = {
    "data_fingerprint": "training data", "valid_fingerprint": "validation data", "task_options": "options of the task",
    "training_prior": "shares of the classes", "monitor": "best by", "half": "half precision",
    "calibration": "temperature, fitted", "published": "from the published file", "pictures": "training pictures",
}  # fmt: skip
"""What keys of the record of a training are called in the table; others by themselves."""


def show_checkpoint(facts: Mapping[str, Any], console: Console) -> None:
    """Show the facts of ``affectkit models --checkpoint``: the model, its training, its metrics on validation items."""
    training = dict(facts["training"])
    metrics = training.pop("valid", None)
    console.table(["checkpoint", ""], _model_rows(facts))
    if training:
        rows = [[KNOWN.get(name, name.replace("_", " ")), readable_value(value)] for name, value in training.items()]
        console.table(["training", ""], rows)
    if isinstance(metrics, Mapping) and metrics:
        console.table(["validation", "value"], [[name, shown(value)] for name, value in metrics.items()])


def _model_rows(facts: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of everything but the training."""
    options = f" ({readable_value(facts['options'])})" if facts["options"] else ""
    classes = ", ".join(facts["classes"])
    numbers = "" if facts["class_names_known"] else " (numbers of the outputs: the file holds no names)"
    statistics = f"mean {readable_value(facts['mean'])}, std {readable_value(facts['std'])}"
    rows = {
        "file": called(facts["file"]),
        "sha256": facts["sha256"],
        "checksum": facts["checksum"],
        "weights": facts.get("weights") or "",
        "model": f"{facts['model']}{options}",
        "task": facts["task"],
        "classes": f"{classes}{numbers}",
        "input": f"{facts['input']}; {statistics}",
        "temperature": f"{facts['temperature']:.4g}",
        "abstaining": facts.get("abstaining", ""),
        "affectkit": facts["affectkit"],
    }
    return [[name, str(value)] for name, value in rows.items() if value != ""]


def readable_value(value: Any) -> str:
    """Return a value out of JSON as words: no brackets, quotes or digits that say nothing.

    >>> readable_value({"loss": "ccc", "scale": [1.0, 9.0], "of": {"n": 12, "ok": True, "why": None}})
    'loss ccc, scale 1 9, of (n 12, ok yes)'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        texts = {str(key).replace("_", " "): one for key, one in value.items() if one is not None}
        return ", ".join(
            f"{key} ({readable_value(one)})" if isinstance(one, Mapping) else f"{key} {readable_value(one)}"
            for key, one in texts.items()
        )
    if isinstance(value, list | tuple):
        return (" " if all(isinstance(one, int | float) for one in value) else ", ").join(map(readable_value, value))
    return "none" if value is None else str(value)
