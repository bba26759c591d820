"""The seam between a runner and the science: what every task offers, and how results are collected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.core.text import count_text
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.metrics import metrics_of
from affectkit.reports import FIGURES
from affectkit.statistics.intervals import estimates
from affectkit.statistics.measures import ItemValues, Measure, metric_values
from affectkit.tasks.decision import PLAIN, Decision

if TYPE_CHECKING:
    import torch

FEWEST = 10
"""Items below which metrics have no intervals: so few say too little of others."""

SELECTIVE = {"aurc": "min", "excess_aurc": "min"}
"""Metrics of a model that may abstain, by name: which is better."""

Batch = dict[str, Any]
Figure = Callable[[Path], object]


def shown_as(split: Split) -> tuple[str, str]:
    """Return how the names of files about ``split`` begin where they name it, and what pictures call it.

    A table or folder that is tested as a whole ("all") has no split of its own: its files are those of a test.
    """
    known = {"train": ("train", "training"), "valid": ("valid", "validation"), "all": ("test", "all items"),
             "out_of_fold": ("out_of_fold", "out of fold")}  # fmt: skip
    return known.get(split.name, ("test", "test"))


@dataclass(frozen=True)
class Results:
    """A model's outputs on a split, in the order of the split's items whatever the batches were.

    Attributes:
        split: the items, in the order of the rows below.
        outputs: (N, K) float32, what the model gave.
        fields: the targets of the task by name, each (N, ...).
        extras: what else was collected of each item, each (N, ...); see ``Task.evaluation_outputs``.
        recompute: given indices of the evaluated split, runs the model on those items again; see
            ``Task.visual_outputs``.
    """

    split: Split
    outputs: np.ndarray
    fields: dict[str, np.ndarray]
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    recompute: Callable[[Sequence[int]], dict[str, np.ndarray]] | None = None


class Collector:
    """Gathers outputs with their sample numbers; they are put in order at the end.

    Metrics are computed once from everything in order, so they depend neither on batches nor on who came first.
    """

    def __init__(self) -> None:
        self._taken: dict[str, list[np.ndarray]] = {}

    def update(self, index: torch.Tensor, outputs: np.ndarray | torch.Tensor | Mapping[str, torch.Tensor]) -> None:
        """Add the ``outputs`` (B, ...) of the items ``index`` (B,), or several by name, ``outputs`` among them."""
        if not isinstance(outputs, Mapping):
            outputs = {"outputs": outputs if isinstance(outputs, np.ndarray) else outputs.float()}
        for name, value in {"index": index, **outputs}.items():
            array = value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
            self._taken.setdefault(name, []).append(array)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the collected arrays: ``index`` (n,), ``outputs`` (n, ...) and what came with it; empty for
        nothing.
        """
        return {name: np.concatenate(values) for name, values in self._taken.items()}

    @staticmethod
    def results(
        parts: Sequence[dict[str, np.ndarray]],
        split: Split,
        targets: Mapping[str, torch.Tensor],
        *,
        recompute: Callable[[Sequence[int]], dict[str, np.ndarray]] | None = None,
    ) -> Results:
        """Join the ``arrays`` of several collectors in the order of ``split``; items that none has are left out.

        Args:
            parts: what each process collected; empty where it had no item.
            split: the items by their sample numbers.
            targets: of all items of ``split``, by field name.
            recompute: see ``Results``, by indices of ``split``.
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
            extras=taken,
            recompute=None if recompute is None else lambda chosen: recompute([int(index[row]) for row in chosen]),
        )


class Task(ABC):
    """Define what is predicted: targets, loss, metrics, result tables and figures. A runner knows no task by name.

    Args:
        spec: the model's input specification; its classes name the outputs.
    """

    name: ClassVar[str]
    own_metrics: ClassVar[Mapping[str, str]] = {}
    """Metrics beside ``loss`` and those of ``metrics.METRICS``, by name: "min" or "max", which is better."""
    headline_metrics: ClassVar[tuple[str, ...]]
    """The metrics shown on the progress line and first in a table."""
    robustness_metrics: ClassVar[tuple[str, ...]]
    """The metrics by which a model is compared with itself under corruptions, the most important one first."""
    accuracy_metric: ClassVar[str] = ""
    """The metric that is a share of right answers, whose complement is an error; empty where there is none."""
    label_task: ClassVar[str] = ""
    """The task of its labels alone, as which models of this and of others can be compared; empty for none."""
    class_metrics: ClassVar[tuple[str, ...]] = ()
    """The metrics that say nothing of classes without an image in the split, and appear to."""
    loss_parts: ClassVar[tuple[str, ...]] = ()
    """The parts of the training loss that the history has columns for, where an epoch has them."""
    measures_training: ClassVar[bool] = False
    """Whether the history has measures of the outputs of the training steps, see ``training_metrics``."""
    supports_distributed: ClassVar[bool] = True
    """Whether it can be trained in several processes."""
    supports_distillation: ClassVar[bool] = False
    """Whether its targets are shares of classes, with which predictions of teachers can be mixed (distillation)."""
    output_name: ClassVar[str] = "logits"
    """What the outputs are called where a file of another format names them."""
    predicts_ratings: ClassVar[bool] = False
    """Whether its targets are ratings of valence and arousal, which a table may hold beside others."""
    figures_folder: ClassVar[str] = "plots"
    """Where ``test`` puts pictures within its results."""

    decision: Decision = PLAIN
    """How ``rows`` are made of outputs; see ``decide``."""
    scale: tuple[float, float] | None = None
    """Of ratings: the least and the greatest that can be given."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    @property
    def metric_direction(self) -> Mapping[str, str]:
        """Return every metric that can be monitored, by name: "min" or "max", which is better."""
        registered = {name: entry.direction for name, entry in metrics_of(self.name).items()}
        return {"loss": "min", **registered, **self.own_metrics}

    def registered_metrics(self, predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Compute the metrics that ``metrics.METRICS`` has for this task, see ``metrics.Metric``."""
        return {
            name: float(np.mean(entry.load()(predicted, target))) + 0.0  # no -0.0
            for name, entry in metrics_of(self.name).items()
        }

    def registered_values(self, predicted: np.ndarray, target: np.ndarray) -> dict[str, ItemValues]:
        """Compute the values by item of ``registered_metrics``, of those that have some."""
        directions = {name: entry.direction for name, entry in metrics_of(self.name).items()}
        return metric_values(target, predicted, directions)

    def registered_figures(self, results: Results) -> dict[str, Figure]:
        """Return the figures that ``reports.FIGURES`` has for this task, by file name."""
        return {
            file: lambda path, entry=entry: entry.load()(path, results)
            for file, entry in FIGURES.items()
            if self.name in entry.tasks
        }

    @classmethod
    def from_options(cls, spec: InputSpec, options: Mapping[str, Any]) -> Task:
        """Make the task with what it reads from ``options`` (settings of a run, or those recorded in a checkpoint)."""
        return cls(spec)

    @classmethod
    def is_default_for(cls, split: Split) -> bool:
        """Return whether ``--task auto`` means this task for the targets of ``split``."""
        return False

    @classmethod  # noqa: B027 - most refuse nothing
    def check_can_predict(cls, recorded: Mapping[str, Any], *, path: Path) -> None:
        """Refuse to predict with a checkpoint whose classifier has not been trained.

        Args:
            recorded: the options that ``recorded_options`` gave when it was written.
            path: the checkpoint, for the message.

        Raises:
            UsageError: its predictions would mean nothing.
        """

    def recorded_options(self) -> dict[str, Any]:
        """Return the options that a checkpoint must record for ``test`` to report what training reported."""
        return {}

    def monitors(self, split: Split) -> list[str]:
        """List the metrics that can be monitored on ``split``."""
        return list(self.metric_direction)

    def fit(self, split: Split) -> list[str]:
        """Take what depends on the training targets (class weights) from the training split.

        Returns:
            Notes for the user.
        """
        return []

    @abstractmethod
    def select_items(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        """Select the items of ``split`` that have a target, with classes matched by name.

        Args:
            split: the items.
            training: whether it is to be trained on, which may need less of a target than being measured.

        Returns:
            The items, and a sentence on those left out; empty where there are none.

        Raises:
            DataError: the split has no targets of the kind needed, or its classes differ.
        """

    @abstractmethod
    def targets(self, split: Split, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """Return the targets of all items, (N, ...) each by field name; ``epoch`` is given for training."""

    @abstractmethod
    def loss(self, outputs: torch.Tensor, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        """Compute the training loss, under ``"loss"``, and its parts; ``progress`` runs from 0 to 1 over training."""

    @abstractmethod
    def metrics(self, results: Results) -> dict[str, float]:
        """Compute all metrics of ``results``, in the order in which a table shows them."""

    def measures(self, results: Results) -> list[Measure]:
        """Return the metrics of ``results`` as functions of sums over items, in the order of ``metrics``: what
        intervals, groups and comparisons of models are computed from. ``measures.left_out`` names the others.
        """
        return []

    def class_measures(self, results: Results) -> list[Measure]:
        """Return recall, precision and F1 of each class, ``recall NAME``; empty for a task without classes."""
        return []

    def training_metrics(self, outputs: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Compute the measures of the outputs that the training steps of an epoch gave, where ``measures_training``.

        Args:
            outputs: (N, K), float64, of a model in training mode, in the order of the steps.
            target: (N, ...), what they were trained towards.

        Returns:
            Measures by name, always the same names; those of ``metrics`` where they are alike.
        """
        return {}

    @abstractmethod
    def table(self, results: Results) -> dict[str, Any]:
        """Return the per-sample result table, column by column."""

    @abstractmethod
    def tables(self, results: Results) -> dict[str, dict[str, Any]]:
        """Return further tables by file name (a confusion matrix, recall by class), column by column."""

    @abstractmethod
    def figures(self, results: Results, image: Callable[[int], np.ndarray]) -> dict[str, Figure]:
        """Return figures by file name, each drawn when called with its path; ``image`` gives an item's pixels."""

    @abstractmethod
    def columns(self) -> list[str]:
        """Name the prediction columns that ``infer`` writes; the last one is ``ABSTAINED`` where labels may be left
        out."""

    @abstractmethod
    def rows(self, outputs: np.ndarray) -> list[list[Any]]:
        """Return the values of those columns, a list for each image, from ``outputs`` (B, K), float32."""

    def describe_row(self, row: Sequence[Any]) -> tuple[str, tuple[tuple[str, float], ...]]:
        """Describe one of ``rows`` for an annotated image: a title, and bars by name with values in [0, 1]."""
        return "", ()

    def describe_affect(self, row: Sequence[Any]) -> str:
        """Describe valence and arousal of one of ``rows`` for an annotated image; empty where it has none beside its
        label."""
        return ""

    def inputs(self, batch: Batch) -> tuple[torch.Tensor | None, ...]:
        """Return the model's inputs; None for a modality that it does not take."""
        return (batch["image"],)

    def predict_step(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> torch.Tensor:
        """Run ``model`` for inference; returns the outputs (B, ...) that ``rows`` reads."""
        return model(*inputs)

    def evaluation_outputs(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> Any:
        """Run ``model`` for an evaluation; returns the outputs (B, ...), or a mapping with those and further values."""
        return model(*inputs)

    def visual_outputs(self, model: Callable[..., Any], batch: Batch) -> dict[str, torch.Tensor]:
        """Run ``model`` for figures of a few items (reconstructions); returns values by name, (B, ...) each."""
        return {}

    def training_curves(self, history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        """Return figures of a training's history by file name, beside the curves of loss and metrics."""
        return {}

    def description(self) -> str:
        """Describe the outputs in a few words."""
        return f"{len(self.spec.classes)} classes"

    def loss_description(self) -> str:
        """Describe how the parts of a summed training loss are weighted; empty where there is nothing to say."""
        return ""

    def loss_record(self) -> dict[str, Any]:
        """Return what a record says of the training loss: the weight of each part; empty for a task without parts."""
        return {}

    def class_coverage(self, split: Split) -> dict[str, str]:
        """Describe for each of ``class_metrics`` which share of the classes it is over, where ``split`` lacks some, as
        "3 of 4 classes".
        """
        return {}

    def warnings(self, results: Results) -> list[str]:
        """Return warnings for users who would rely on the metrics of ``results``."""
        count = len(results.split)
        return (
            [f"metrics of {count_text(count, 'item')}, too few for intervals (at least {FEWEST})."]
            if count < FEWEST
            else []
        )

    def remarks(self, results: Results) -> list[str]:
        """Return what a user who looks at the metrics of ``results`` wants to know beside them, a line each."""
        return []

    def intervals(self, results: Results, *, clusters: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
        """Compute 95% intervals of the metrics that have one, by name (``statistics.intervals``).

        Args:
            results: of at least ``FEWEST`` items.
            clusters: (N,) what each item belongs to, where items of one are alike; None where items are independent.
        """
        found = estimates(self.measures(results), clusters=clusters)
        return {one.name: (one.low, one.high) for one in found if one.has_interval}

    def selective_metrics(self, results: Results) -> dict[str, float]:
        """Return the metrics of ``SELECTIVE``, of a model that may abstain; empty for a task without classes. They
        stand beside ``metrics`` in what ``test`` reports, and are not computed in each epoch.
        """
        return {}

    def judged(self, results: Results) -> tuple[np.ndarray, np.ndarray]:
        """Return the confidence (N,) of each prediction, the largest share of its distribution, and whether it is
        right (N,) bool: whether its class is the target's top one.

        Raises:
            UsageError: the task has no classes.
        """
        raise UsageError(f"the model predicts {self.name}, not classes: it has no confidence by which to abstain.")

    def recorded_intervals(
        self, results: Results, *, clusters: Sequence[str] | None = None, begin: str = ""
    ) -> dict[str, dict[str, Any]]:
        """Return ``intervals`` as records hold them, and under ``interval_methods`` how each was made, or why a metric
        has none; both empty for fewer than ``FEWEST`` items, which ``warnings`` says. The keys begin with ``begin``.
        """
        few = len(results.split) < FEWEST
        found = [] if few else estimates(self.measures(results), clusters=clusters)
        return {
            f"{begin}intervals": {one.name: [one.low, one.high] for one in found if one.has_interval},
            f"{begin}interval_methods": {one.name: one.method for one in found},
        }

    def decide(self, decision: Decision) -> None:
        """Take how ``rows`` are made of outputs from now on.

        Raises:
            UsageError: the task has no classes.
        """
        raise UsageError(
            f"the model predicts {self.name}, not classes: --abstain, --min-confidence, --question-margin and --prior "
            "are for classes."
        )

    def training_prior(self, split: Split, mode: str) -> dict[str, float]:
        """Return the share of each class in the training targets of ``split``, as the loss weighs them, which the mean
        of the predictions comes to; empty for a task without classes.

        Args:
            split: that was trained on.
            mode: as ``--calibrate``: with ``labels``, of the targets' top classes, for predictions are then of these.
        """
        return {}

    def baselines(self, train: Split, valid: Split) -> dict[str, dict[str, float]]:
        """Return what predictions that look at no item score on ``valid``: metrics by the name of the prediction, as
        ``tasks.baselines`` computes them; empty for a task that knows none.
        """
        return {}

    def calibrate(self, results: Results, mode: str) -> tuple[InputSpec, dict[str, Any]]:
        """Fit what can be fitted on validation results (a temperature).

        Args:
            results: of the validation split.
            mode: as ``--calibrate``.

        Returns:
            The input specification with it, and what a record says of the fit: whether it was ``fitted``, the
            ``reason`` where not, on how many items (``n``); empty for a task without calibration.
        """
        return self.spec, {}
