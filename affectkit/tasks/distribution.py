"""Emotion distributions: the model's softmax against the share of raters, or of a model of raters, for each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.metrics import classification
from affectkit.tasks.base import Results
from affectkit.tasks.categorical import CategoricalTask, one_hot


class DistributionTask(CategoricalTask):
    """Targets are distributions over the classes; a dataset with labels alone gives one-hot ones."""

    name = "distribution"
    own_loss = "kl"
    headline_metrics: ClassVar[tuple[str, ...]] = ("loss", "kl", "top1")
    robustness_metrics: ClassVar[tuple[str, ...]] = ("kl", "top1", "ece")
    accuracy_metric = "top1"
    label_task: ClassVar[str] = "classification"
    supports_distillation: ClassVar[bool] = True
    class_metrics: ClassVar[tuple[str, ...]] = ("top1", "balanced_accuracy")
    own_metrics: ClassVar[Mapping[str, str]] = {
        "balanced_accuracy": "max", "ece": "min", "ece_top1": "min", "brier": "min", "ece_uncalibrated": "min",
        "ece_top1_uncalibrated": "min", "brier_uncalibrated": "min", "rater_agreement": "max",
    }  # fmt: skip

    @classmethod
    def is_default_for(cls, split: Split) -> bool:
        return split.ratings is None and split.labels is None and split.distribution is not None

    def select_items(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        if split.distribution is None and split.labels is None:
            raise DataError(f"the {split.name} split of {split.root} has neither labels nor distributions.")
        return split.matched(self.spec.classes, named=self.spec.named), ""

    def target_of(self, split: Split) -> np.ndarray:
        if split.distribution is not None:
            return split.distribution
        return one_hot(split.labels, len(self.spec.classes))

    def metrics(self, results: Results) -> dict[str, float]:
        p, target = self.probabilities(results), results.fields["target"].astype(np.float64)
        return {
            "loss": self.plain_loss(results),
            **self.registered_metrics(p, target),
            "balanced_accuracy": classification.balanced_accuracy(self.confusion(results)),
            **self.calibration_metrics(results),
            **self.rater_metrics(results),
        }
