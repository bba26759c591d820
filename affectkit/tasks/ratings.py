"""Ratings of valence and arousal, one number each for an image."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.data.layouts.rating_scale import RATINGS, Scale, scale_text
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.losses import RATING_LOSSES, describe_terms, normalised, parse_loss
from affectkit.metrics import metrics_of, ratings
from affectkit.metrics.quantiles import Quantiles, quantile_means
from affectkit.statistics.measures import ItemValues, Measure, mean_measures, rating_measures
from affectkit.tasks.base import Batch, Figure, Results, Task, shown_as
from affectkit.tasks.baselines import rating_baselines

if TYPE_CHECKING:
    import torch

BINS = 25
SHOWN = ("valence", "arousal")
"""The order in which tables show the dimensions; a model's outputs have arousal first."""
PUBLISHED = ("r", "r2_fitted", "rmse_fitted")
"""What the VCA study reports as R, R2 and RMSE."""
IDLE = {"label_smoothing": 0.0, "class_weights": "none", "draw_labels": False}
"""Settings of the tasks over classes, at the values that mean nothing."""


class RatingsTask(Task):
    """Valence and arousal, or one of them, as numbers on the scale of the training data.

    Args:
        spec: its classes name the outputs: of ``arousal``, ``valence``.
        loss: a loss expression; None for the published one.
        loss_normalise: divide the weights of a sum of losses by their sum.
        epochs: length of the training, on which the published weight of arousal depends.
        scale: least and greatest rating; None where a checkpoint does not say.
    """

    name = "ratings"
    headline_metrics: ClassVar[tuple[str, ...]] = ("loss", "ccc", "r")
    robustness_metrics: ClassVar[tuple[str, ...]] = ("ccc", "r", "rmse")
    measures_training: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = True
    output_name: ClassVar[str] = "ratings"
    figures_folder: ClassVar[str] = ""

    def __init__(
        self,
        spec: InputSpec,
        *,
        loss: str | None = None,
        loss_normalise: bool = False,
        epochs: int = 1,
        scale: Scale | None = None,
    ) -> None:
        super().__init__(spec)
        strange = [name for name in spec.classes if name not in RATINGS]
        if strange or not spec.classes:
            raise UsageError(
                f"the task ratings has the outputs {', '.join(RATINGS)}; got {', '.join(strange) or 'none'}."
            )
        self.columns_of = [RATINGS.index(name) for name in spec.classes]
        self.dimensions = [name for name in SHOWN if name in spec.classes]
        self.expression = loss or "vca"
        self.asked, self.normalise = parse_loss(self.expression, RATING_LOSSES), loss_normalise
        self.losses = normalised(self.asked) if loss_normalise else self.asked
        self.epochs = epochs
        self.scale = scale

    @property
    def metric_direction(self) -> Mapping[str, str]:  # type: ignore[override]
        """Implement ``Task.metric_direction``: the mean of each measure over the outputs, then each output's own."""
        measures = {name: entry.direction for name, entry in metrics_of(self.name).items()}
        found = {"loss": "min", **measures}
        if len(self.dimensions) > 1:
            # Measure by measure, so that the dimensions stand side by side.
            found |= {f"{own}_{name}": direction for name, direction in measures.items() for own in self.dimensions}
        for dimension in self.dimensions:
            found |= {f"{dimension}_quantile_{name}": measures[name] for name in ("r", "r2", "rmse")}
        return found

    @classmethod
    def from_options(cls, spec: InputSpec, options: Mapping[str, Any]) -> RatingsTask:
        idle = [name for name, value in IDLE.items() if options.get(name, value) != value]
        if idle:
            raise UsageError(
                f"{', '.join('--' + name.replace('_', '-') for name in idle)}: of emotion classes; the task ratings "
                "has none."
            )
        scale = options.get("scale")
        return cls(
            spec,
            loss=options.get("loss"),
            loss_normalise=bool(options.get("loss_normalise")),
            epochs=int(options.get("epochs", 1)),
            scale=(float(scale[0]), float(scale[1])) if scale else None,
        )

    @classmethod
    def is_default_for(cls, split: Split) -> bool:
        return split.ratings is not None

    def recorded_options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"loss": self.expression}
        if self.normalise:
            found["loss_normalise"] = True
        return {**found, **({"scale": list(self.scale)} if self.scale else {})}

    def loss_description(self) -> str:
        return describe_terms(self.asked, normalise=self.normalise)

    def loss_record(self) -> dict[str, Any]:
        return {"weights": self.losses}

    def fit(self, split: Split) -> list[str]:
        self.scale = split.scale
        return []

    def select_items(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        if split.ratings is None:
            raise DataError(
                f"the {split.name} split of {split.root} has no ratings of valence and arousal.",
                "The model predicts ratings. Name a table of them with --labels (filename, valence, arousal), or take "
                "a model of classes.",
            )
        absent = [name for name in self.spec.classes if np.isnan(split.ratings[:, RATINGS.index(name)]).all()]
        if absent:
            rest = [name for name in RATINGS if name not in absent]
            raise DataError(
                f"the {split.name} split of {split.root} has no column {', '.join(absent)}.",
                f"Add it, or train with --outputs {rest[0]}." if training and rest else "Add it to the table.",
            )
        if self.scale is not None and split.scale is not None and split.scale != self.scale:
            raise DataError(
                f"the ratings of the {split.name} split are on a scale of {scale_text(split.scale)}, and the model "
                f"was trained on {scale_text(self.scale)}.",
                "Bring them to one scale; --rating-range LOW,HIGH says which a table is on.",
            )
        return split, ""

    def targets(self, split: Split, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        import torch

        return {"target": torch.from_numpy(self.actual(split).astype(np.float32))}

    def actual(self, split: Split) -> np.ndarray:
        """Return the ratings (N, D), float64, in the order of the outputs."""
        return split.ratings[:, self.columns_of]

    def loss(self, outputs: torch.Tensor, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        from affectkit.losses.ratings import arousal_weight

        # Progress is the middle of an epoch as often as its beginning: the whole part counts.
        epoch = int(progress * self.epochs + 1e-6)
        return self._loss(outputs, batch["target"].to(outputs.dtype), arousal_weight(epoch, self.epochs))

    def _loss(self, outputs: torch.Tensor, target: torch.Tensor, weight: float) -> dict[str, torch.Tensor]:
        import torch

        parts = {}
        for name, share in self.losses.items():
            parts[name] = share * self._term(name, outputs, target, weight).mean()
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _term(self, name: str, outputs: torch.Tensor, target: torch.Tensor, weight: float) -> torch.Tensor:
        """Return a part of the loss: (N,), or a single number of all items."""
        function = RATING_LOSSES.resolve(name)
        return function(outputs, target, weight) if name == "vca" else function(outputs, target)

    def baselines(self, train: Split, valid: Split) -> dict[str, dict[str, float]]:
        return rating_baselines(self.actual(train), self.actual(valid))

    def metrics(self, results: Results) -> dict[str, float]:
        """Return all measures; ``loss`` has the weights of the last epochs throughout,
        so that epochs can be compared.
        """
        found = {"loss": self.plain_loss(results)}
        found |= self._agreement(self.pairs(results))
        for dimension, quantiles in self.quantiles(results).items():
            found |= {f"{dimension}_quantile_{name}": getattr(quantiles, name) for name in ("r", "r2", "rmse")}
        return found

    def measures(self, results: Results) -> list[Measure]:
        """Return all metrics but those of the quantile analysis, whose bins are no sums over items, and a loss that
        belongs to a whole batch (``ccc``).
        """
        pairs = self.pairs(results)
        predicted, actual = (np.stack([pair[side] for pair in pairs], axis=1) for side in (1, 2))
        losses = self.item_losses(results)
        loss = [] if losses is None else mean_measures({"loss": ItemValues(losses)})
        return loss + rating_measures(predicted, actual, self.dimensions)

    def training_metrics(self, outputs: np.ndarray, target: np.ndarray) -> dict[str, float]:
        shape = (-1, len(self.spec.classes))
        return self._agreement(self._pairs(outputs.reshape(shape), target.reshape(shape)))

    def _agreement(self, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Return each registered measure as the mean over the dimensions, then of each dimension."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ratings.ConstantWarning)  # ``warnings`` says it
            single = {name: self.registered_metrics(p, q) for name, p, q in pairs}
        names = list(metrics_of(self.name))
        found = {name: float(np.mean([values[name] for values in single.values()])) for name in names}
        if len(single) > 1:
            found |= {f"{dimension}_{name}": values[name] for name in names for dimension, values in single.items()}
        return found

    def plain_loss(self, results: Results) -> float:
        """Return the loss expression on all of ``results``, with equal weights of arousal and valence."""
        return float(self._loss(*self._tensors(results), 0.5)["loss"])

    def item_losses(self, results: Results) -> np.ndarray | None:
        """Return what ``plain_loss`` is the mean of, (N,); None where a part of it belongs to all items at once."""
        outputs, actual = self._tensors(results)
        parts = [share * self._term(name, outputs, actual, 0.5) for name, share in self.losses.items()]
        return sum(part.numpy() for part in parts) if all(part.ndim for part in parts) else None

    def _tensors(self, results: Results) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        return torch.from_numpy(results.outputs.astype(np.float64)), torch.from_numpy(self.actual(results.split))

    def pairs(self, results: Results) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Return (name, predicted (N,), actual (N,)) of each dimension in the order in which tables show them."""
        return self._pairs(results.outputs.astype(np.float64), self.actual(results.split))

    def _pairs(self, outputs: np.ndarray, actual: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        at = {name: index for index, name in enumerate(self.spec.classes)}
        return [(name, outputs[:, at[name]], actual[:, at[name]]) for name in self.dimensions]

    def quantiles(self, results: Results) -> dict[str, Quantiles]:
        """Return the quantile analysis of each dimension."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ratings.ConstantWarning)  # ``warnings`` says it
            return {name: quantile_means(q, p, BINS) for name, p, q in self.pairs(results)}

    def warnings(self, results: Results) -> list[str]:
        found = super().warnings(results)
        for name, predicted, actual in self.pairs(results):
            r = _agreement(predicted, actual)["r"]
            if r < 0:
                found.append(f"{name}: predictions fall as ratings rise (r = {r:.3f}); the fitted R2 hides it.")
            if np.isnan(r):
                constant = ratings.all_equal(predicted)
                what = f"every prediction is {predicted[0]:g}" if constant else f"every rating is {actual[0]:g}"
                found.append(f"{name}: {what}, so that r, CCC and R2 are not defined (NaN).")
        for name, quantiles in self.quantiles(results).items():
            if len(quantiles.count) < BINS:
                found.append(
                    f"{name}: {len(quantiles.count)} of {BINS} quantile bins are left, since ratings repeat or are few."
                )
        return found

    def table(self, results: Results) -> dict[str, Any]:
        columns: dict[str, Any] = {"Image Name": results.split.ids}
        for name, predicted, actual in self.pairs(results):
            columns |= {f"Actual {name.title()}": actual, f"Predicted {name.title()}": predicted}
        return columns

    def tables(self, results: Results) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        first, _ = shown_as(results.split)
        for name, predicted, actual in self.pairs(results):
            found[f"{first}_{name.title()}_actual_predicted.csv"] = {"Actual": actual, "Predicted": predicted}
        rows: dict[str, list[Any]] = {key: [] for key in ("dimension", "low", "high", "count", "actual", "predicted")}
        for name, quantiles in self.quantiles(results).items():
            bins = zip(
                quantiles.edges[:-1],
                quantiles.edges[1:],
                quantiles.count,
                quantiles.actual,
                quantiles.predicted,
                strict=True,
            )
            for values in bins:
                for key, value in zip(rows, (name, *values), strict=True):
                    rows[key].append(value)
        return found | {"quantiles.csv": rows}

    def figures(self, results: Results, image: Callable[[int], np.ndarray]) -> dict[str, Figure]:
        from affectkit.reports import ratings as drawings

        first, part = shown_as(results.split)
        prefix = "" if first == "test" else f"{first}_"
        facts = {**dict(zip(("low", "high"), self.scale or (None, None), strict=True)), "part": part}
        found: dict[str, Figure] = {}
        for name, predicted, actual in self.pairs(results):
            found[f"{first}_{name.title()}_scatter_plot.png"] = lambda path, name=name, p=predicted, q=actual: (
                drawings.draw_scatter(path, actual=q, predicted=p, name=name, measures=_agreement(p, q), **facts)
            )
        if len(self.dimensions) == 2:
            # Both with arousal first.
            outputs, actual = results.outputs.astype(np.float64), self.actual(results.split)
            found[f"{prefix}valence_arousal.png"] = lambda path: drawings.draw_valence_arousal_plane(
                path, actual=actual, predicted=outputs, **facts
            )
        found[f"{prefix}quantiles.png"] = lambda path: drawings.quantile_figure(
            path, quantiles=self.quantiles(results), **facts
        )
        return found

    def training_curves(self, history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        from affectkit.reports import plots

        panels = [f"{name}_{measure}" for name in self.dimensions for measure in PUBLISHED]
        if len(self.dimensions) == 1:
            panels = list(PUBLISHED)
        if not history or f"train_{panels[0]}" not in history[0]:
            return {}
        return {
            "ratings.png": lambda path: plots.training_curves(
                path,
                history=history,
                monitor="",
                best_epoch=0,
                panels=panels,
                heading="Ratings (train: outputs of the training steps)",
            )
        }

    def columns(self) -> list[str]:
        return [f"Predicted {name.title()}" for name in self.dimensions]

    def rows(self, outputs: np.ndarray) -> list[list[Any]]:
        order = [self.spec.classes.index(name) for name in self.dimensions]
        return np.asarray(outputs, np.float32)[:, order].astype(np.float64).tolist()

    def describe_row(self, row: Sequence[Any]) -> tuple[str, tuple[tuple[str, float], ...]]:
        title = ", ".join(f"{name} {value:.2f}" for name, value in zip(self.dimensions, row, strict=True))
        if self.scale is None:
            return title, ()
        low, high = self.scale
        shares = [(value - low) / (high - low) for value in row]
        return title, tuple(zip(self.dimensions, shares, strict=True))

    def description(self) -> str:
        outputs = " and ".join(self.spec.classes)
        return outputs + (f" on a scale of {scale_text(self.scale)}" if self.scale else "")


def _agreement(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ratings.ConstantWarning)  # ``warnings`` says it
        return ratings.agreement(predicted, actual)
