"""Settings of ``affectkit calibrate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import Parsed, setting
from affectkit.settings.abstention import Wish, fitted_abstention
from affectkit.settings.common import DATA, needed
from affectkit.settings.evaluation import TestedData, swapped


@dataclass(frozen=True, kw_only=True)
class CalibrateSettings(TestedData):
    """Settings of ``affectkit calibrate``."""

    checkpoint: Path | None = setting(
        None, "Checkpoint file, a run folder (its best model), or builtin.", argument=True, also="checkpoint"
    )
    output: Path | None = setting(None, "Checkpoint to write, NEW.safetensors.", group=DATA, metavar="FILE")
    split: str = setting(
        "valid",
        "Split to fit on, which the weights were not trained on; all takes a --labels table whole.",
        choices=("train", "valid", "test", "all"),
        group=DATA,
    )
    abstain: Parsed[Wish] | None = fitted_abstention(
        "Fit the threshold of the confidence below which no label is given: so that at least such a share of the "
        "labels is right, or such a share of items gets one, with that confidence (0.95).",
        group="Fitting",
    )
    temperature: str = setting(
        "keep",
        "Fit the temperature too, first: to the targets, to labels; none: 1; keep: that of the checkpoint.",
        choices=("keep", "targets", "labels", "none"),
        group="Fitting",
    )
    drop_copies: bool = setting(
        False, "Leave images out that are exact copies of images in an earlier split of --data.", group=DATA
    )
    force: bool = setting(False, "Replace --output.", group=DATA)

    engine = "torch"
    fit = None
    """The checkpoint's own; no settings."""

    def of_file(self) -> dict[str, Any]:
        """Return how the checkpoint is read, for ``load_model``."""
        return {name: getattr(self, name) for name in ("clip_weights", "mode", "mask", "verify")}

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = needed(self, "checkpoint", "data", output="the checkpoint to write, NEW.safetensors")
        if self.abstain is None and self.temperature == "keep":
            faults.append("--abstain or --temperature is needed: there is nothing to fit.")
        return faults or swapped(self.checkpoint, self.data)
