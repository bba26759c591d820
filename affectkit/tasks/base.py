"""The seam between a runner and the science: what every task offers, and how results are collected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from affectkit.core.spec import InputSpec
from affectkit.data.split import Split

FEWEST = 10
"""Items below which metrics have no intervals: resamples of so few differ too little."""

Batch = dict[str, Any]
Figure = Callable[[Path], object]


def shown_as(split: Split) -> tuple[str, str]:
    """How the names of files about ``split`` begin where they name it, and what pictures call it.

    A table or folder that is tested as a whole ("all") has no split of its own: its files are those of a test.
    """
    known = {"train": ("train", "training"), "valid": ("valid", "validation"), "all": ("test", "all items")}
    return known.get(split.name, ("test", "test"))


@dataclass(frozen=True)
class Results:
    """A model's outputs on a split, in the order of the split's items whatever the batches were.

    Attributes:
        split: the items, in the order of the rows below.
        outputs: (N, K) float32, what the model gave.
        fields: the targets of the task by name, each (N, ...).
        more: what else was collected of each item, each (N, ...); see ``Task.examined``.
        again: what ``Task.shown`` gives for the items at some indices of the evaluated split; the model is asked anew.
    """

    split: Split
    outputs: np.ndarray
    fields: dict[str, np.ndarray]
    more: dict[str, np.ndarray] = field(default_factory=dict)
    again: Callable[[Sequence[int]], dict[str, np.ndarray]] | None = None


class Collector:
    """Gathers outputs with their sample numbers; they are put in order at the end.

    Metrics are computed once from everything in order, so they depend neither on batches nor on who came first.
    """

    def __init__(self) -> None:
        self._taken: dict[str, list[np.ndarray]] = {}

    def update(self, index: torch.Tensor, outputs: torch.Tensor | Mapping[str, torch.Tensor]) -> None:
        """Take in the ``outputs`` (B, ...) of the items ``index`` (B,), or several by name, ``outputs`` among them."""
        values = outputs if isinstance(outputs, Mapping) else {"outputs": outputs.float()}
        for name, value in {"index": index, **values}.items():
            self._taken.setdefault(name, []).append(value.detach().cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """What was taken in: ``index`` (n,), ``outputs`` (n, ...) and what came with it; empty where nothing did."""
        return {name: np.concatenate(values) for name, values in self._taken.items()}

    @staticmethod
    def results(
        parts: Sequence[dict[str, np.ndarray]],
        split: Split,
        targets: Mapping[str, torch.Tensor],
        *,
        again: Callable[[Sequence[int]], dict[str, np.ndarray]] | None = None,
    ) -> Results:
        """The ``arrays`` of several collectors in the order of ``split``, items that none has left out of it.

        Args:
            targets: of all items of ``split``, by field name. again: see ``Results``, by indices of ``split``.
        """
        filled = [part for part in parts if part]
        index = np.concatenate([part["index"] for part in filled])
        order = np.argsort(index, kind="stable")
        index = index[order]
        taken = {name: np.concatenate([part[name] for part in filled])[order] for name in filled[0] if name != "index"}
        return Results(
            split=split.select(index),
            outputs=taken.pop("outputs"),
            fields={name: values.numpy()[index] for name, values in targets.items()},
            more=taken,
            again=None if again is None else lambda chosen: again([int(index[place]) for place in chosen]),
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
    by_class: ClassVar[tuple[str, ...]] = ()
    """The metrics that say nothing of classes without an image in the split, and look as if they did."""
    parts: ClassVar[tuple[str, ...]] = ()
    """The parts of the training loss that the history has a column for, where an epoch has them."""
    several: ClassVar[bool] = True
    """Whether it can be trained in several processes."""
    teachable: ClassVar[bool] = False
    """Whether its targets are shares of classes, with which predictions of teachers can be mixed (distillation)."""
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

    @classmethod
    def claims(cls, split: Split) -> bool:
        """Tell whether ``--task auto`` means this task for the targets of ``split``."""
        return False

    @classmethod  # noqa: B027 - most refuse nothing
    def check_predicts(cls, recorded: Mapping[str, Any], *, path: Path) -> None:
        """Refuse to predict with a checkpoint whose classifier has not been trained.

        Args:
            recorded: the options that ``recorded`` gave when it was written.
            path: the checkpoint, for the message.

        Raises:
            UsageError: its predictions would mean nothing.
        """

    def recorded(self) -> dict[str, Any]:
        """The options that a checkpoint must record for ``test`` to report what training reported."""
        return {}

    def monitors(self, split: Split) -> list[str]:
        """The metrics that can be monitored on ``split``."""
        return list(self.better)

    def fit(self, split: Split) -> list[str]:
        """Take what depends on the training targets (class weights) from the training split; what a user should know
        of it."""
        return []

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

    def told(self, row: Sequence[Any]) -> tuple[str, tuple[tuple[str, float], ...]]:
        """What a picture says of one of ``rows``: a title, and bars by name with values in [0, 1]."""
        return "", ()

    def inputs(self, batch: Batch) -> tuple[torch.Tensor | None, ...]:
        """What the model is called with; None for what it does not look at."""
        return (batch["image"],)

    def predicted(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> torch.Tensor:
        """The outputs (B, ...) that ``rows`` reads."""
        return model(*inputs)

    def examined(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> Any:
        """What an evaluation collects, sample by sample: the outputs (B, ...), or those and more by name."""
        return model(*inputs)

    def shown(self, model: Callable[..., Any], batch: Batch) -> dict[str, torch.Tensor]:
        """What pictures show of a few items beside their outputs, by name, (B, ...) each."""
        return {}

    def course(self, history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        """Pictures of a training's course by file name, beside the curves of loss and metrics."""
        return {}

    def described(self) -> str:
        """What the outputs are, in a few words."""
        return f"{len(self.spec.classes)} classes"

    def over_classes(self, split: Split) -> dict[str, str]:
        """For each of ``by_class`` how many of the classes it is over, where ``split`` lacks some: "3 of 4 classes"."""
        return {}

    def remarks(self, results: Results) -> list[str]:
        """What a user should know before relying on the metrics of ``results``."""
        count = len(results.split)
        return [f"metrics of {count} items, too few for intervals (at least {FEWEST})."] if count < FEWEST else []

    def intervals(self, results: Results) -> dict[str, tuple[float, float]]:
        """95% intervals of metrics by name, of the items being another sample (bootstrap); for at least ``FEWEST``."""
        return {}

    def told_intervals(self, results: Results) -> dict[str, list[float]]:
        """``intervals`` as records hold them; none of fewer than ``FEWEST`` items, which ``remarks`` says."""
        if len(results.split) < FEWEST:
            return {}
        return {name: list(pair) for name, pair in self.intervals(results).items()}

    def calibrated(self, results: Results, mode: str) -> tuple[InputSpec, dict[str, Any]]:
        """The input specification with what can be fitted on validation results (a temperature), and what a record
        says of the fit: whether it was ``fitted``, the ``reason`` where not, on how many (``n``); empty for none."""
        return self.spec, {}
