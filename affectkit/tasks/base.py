"""The seam between a runner and the science: what every task offers, and how results are collected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from affectkit.core.spec import InputSpec
from affectkit.data.split import Split

Batch = dict[str, Any]
Figure = Callable[[Path], object]


@dataclass(frozen=True)
class Results:
    """A model's outputs on a split, in the order of the split's items whatever the batches were.

    Attributes:
        split: the items, in the order of the rows below.
        outputs: (N, K) float32, what the model gave.
        fields: the targets of the task by name, each (N, ...).
    """

    split: Split
    outputs: np.ndarray
    fields: dict[str, np.ndarray]


class Collector:
    """Gathers outputs with their sample numbers; they are put in order at the end.

    Metrics are computed once from everything in order, so they depend neither on batches nor on who came first.
    """

    def __init__(self) -> None:
        self._index: list[np.ndarray] = []
        self._outputs: list[np.ndarray] = []

    def update(self, index: torch.Tensor, outputs: torch.Tensor) -> None:
        """Take in the ``outputs`` (B, ...) of the items ``index`` (B,)."""
        self._index.append(index.cpu().numpy())
        self._outputs.append(outputs.detach().float().cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """What was taken in: ``index`` (n,) and ``outputs`` (n, ...); empty where nothing was."""
        if not self._index:
            return {}
        return {"index": np.concatenate(self._index), "outputs": np.concatenate(self._outputs)}

    @staticmethod
    def results(parts: Sequence[dict[str, np.ndarray]], split: Split, targets: Mapping[str, torch.Tensor]) -> Results:
        """The ``arrays`` of several collectors in the order of ``split``, items that none has left out of it.

        Args:
            targets: of all items of ``split``, by field name.
        """
        filled = [part for part in parts if part]
        index = np.concatenate([part["index"] for part in filled])
        order = np.argsort(index, kind="stable")
        index = index[order]
        return Results(
            split=split.select(index),
            outputs=np.concatenate([part["outputs"] for part in filled])[order],
            fields={name: values.numpy()[index] for name, values in targets.items()},
        )


class Task(ABC):
    """What is predicted: targets, loss, metrics, result table and pictures. A runner knows no task by name.

    Args:
        spec: the model's input specification; its classes name the outputs.
    """

    name: ClassVar[str]
    better: ClassVar[Mapping[str, str]]
    """Metric name to "min" or "max": every metric that can be monitored."""
    headline: ClassVar[tuple[str, ...]]
    """The metrics shown on the progress line and first in a table."""
    compared: ClassVar[tuple[str, ...]]
    """The metrics by which a model under corruptions is compared with itself, the first of them first."""
    accuracy: ClassVar[str] = ""
    """The metric that is a share of right answers, whose complement is an error; empty where there is none."""
    rated: ClassVar[bool] = False
    """Whether its targets are ratings of valence and arousal, which a table may hold beside others."""
    figures_folder: ClassVar[str] = "plots"
    """Where ``test`` puts pictures within its results."""

    scale: tuple[float, float] | None = None
    """Of ratings: the least and the greatest that can be given."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    @classmethod
    def configured(cls, spec: InputSpec, options: Mapping[str, Any]) -> Task:
        """The task with what it reads from ``options`` (settings of a run, or those recorded in a checkpoint)."""
        return cls(spec)

    def recorded(self) -> dict[str, Any]:
        """The options that a checkpoint must record for ``test`` to report what training reported."""
        return {}

    def monitors(self, split: Split) -> list[str]:
        """The metrics that can be monitored on ``split``."""
        return list(self.better)

    def fit(self, split: Split) -> None:  # noqa: B027 - most tasks have nothing to take
        """Take what depends on the training targets (class weights) from the training split."""

    @abstractmethod
    def usable(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        """The items of ``split`` that have a target, with classes matched by name, and a sentence on the others.

        Args:
            training: whether it is to be trained on, which may need less of a target than being measured.

        Raises:
            DataError: the split has no targets of the kind needed, or its classes differ.
        """

    @abstractmethod
    def targets(self, split: Split, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """The targets of all items, (N, ...) each by field name; ``epoch`` is given for training."""

    @abstractmethod
    def loss(self, outputs: torch.Tensor, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        """The training loss under ``"loss"`` and its parts; ``progress`` runs from 0 to 1 over the training."""

    @abstractmethod
    def metrics(self, results: Results) -> dict[str, float]:
        """All metrics of ``results``, in the order in which a table shows them."""

    @abstractmethod
    def table(self, results: Results) -> dict[str, Any]:
        """The per-sample result table, column by column."""

    @abstractmethod
    def tables(self, results: Results) -> dict[str, dict[str, Any]]:
        """Further tables by file name (a confusion matrix, recall by class), column by column."""

    @abstractmethod
    def figures(self, results: Results, image: Callable[[int], np.ndarray]) -> dict[str, Figure]:
        """Pictures by file name, each drawn when called with its path; ``image`` gives an item's pixels."""

    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the prediction columns that ``infer`` writes."""

    @abstractmethod
    def rows(self, outputs: torch.Tensor) -> list[list[Any]]:
        """The values of those columns, a list an image."""

    def inputs(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """What the model is called with."""
        return (batch["image"],)

    def described(self) -> str:
        """What the outputs are, in a few words."""
        return f"{len(self.spec.classes)} classes"

    def remarks(self, results: Results) -> list[str]:
        """What a user should know before relying on the metrics of ``results``."""
        return []

    def intervals(self, results: Results) -> dict[str, tuple[float, float]]:
        """95% intervals of metrics by name, of the items being another sample (bootstrap)."""
        return {}

    def calibrated(self, results: Results, mode: str) -> InputSpec:
        """The input specification with what can be fitted on validation results (a temperature)."""
        return self.spec
