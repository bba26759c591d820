"""Emotion labels: one class per image, from labels or from the majority of votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from affectkit.core.text import count_text
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.metrics import classification
from affectkit.tasks.base import Results
from affectkit.tasks.categorical import CategoricalTask, one_hot


class ClassificationTask(CategoricalTask):
    """Targets are labels; a dataset with votes or probabilities alone gives its top class where there is one."""

    name = "classification"
    own_loss = "ce"
    headline_metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "balanced_accuracy")
    robustness_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy", "ece")
    accuracy_metric = "accuracy"
    label_task: ClassVar[str] = "classification"
    supports_distillation: ClassVar[bool] = True
    class_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy", "macro_f1")
    own_metrics: ClassVar[Mapping[str, str]] = {
        "accuracy": "max", "balanced_accuracy": "max", "macro_f1": "max", "ece": "min",
        "ece_top1": "min", "brier": "min", "ece_uncalibrated": "min", "ece_top1_uncalibrated": "min",
        "brier_uncalibrated": "min", "rater_agreement": "max",
    }  # fmt: skip

    @classmethod
    def is_default_for(cls, split: Split) -> bool:
        return split.ratings is None and (split.labels is not None or split.distribution is None)

    def select_items(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        if split.distribution is None and split.labels is None:
            raise DataError(f"the {split.name} split of {split.root} has neither labels nor distributions.")
        split = split.matched(self.spec.classes, named=self.spec.named)
        if split.labels is not None or (training and self.options.draw_labels):
            return split, ""
        top = split.distribution.max(1, keepdims=True)
        single = (split.distribution == top).sum(1) == 1
        kept = split.select(np.flatnonzero(single))
        kept = replace(kept, labels=kept.distribution.argmax(1).astype(np.int64))
        tied = int((~single).sum())
        return kept, f"{split.name}: {count_text(tied, 'image')} left out, their top classes tie." if tied else ""

    def target_of(self, split: Split) -> np.ndarray:
        return one_hot(split.labels, len(self.spec.classes))

    def metrics(self, results: Results) -> dict[str, float]:
        p, target = self.probabilities(results), results.fields["target"].astype(np.float64)
        counts = self.confusion(results)
        return {
            "loss": self.plain_loss(results),
            "accuracy": classification.accuracy(counts),
            "balanced_accuracy": classification.balanced_accuracy(counts),
            "macro_f1": classification.macro_f1(counts),
            **self.registered_metrics(p, target),
            **self.calibration_metrics(results),
            **self.rater_metrics(results),
        }
