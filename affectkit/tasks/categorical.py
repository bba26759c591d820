"""Parts that the two tasks over emotion classes share: targets as distributions, losses, calibration, tables,
pictures.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from affectkit.core.randomness import address_seed
from affectkit.core.spec import InputSpec
from affectkit.core.text import count_text, list_some, percent
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.losses import LOSSES, describe_terms, normalised, parse_loss
from affectkit.metrics import ambiguity, calibration, classification, distribution, raters, selective
from affectkit.metrics.emotion_norms import DIMENSIONS, column_names, mean_column
from affectkit.statistics.exact import clopper_pearson
from affectkit.statistics.measures import (
    ItemValues,
    Measure,
    calibration_measure,
    class_measures,
    mean_measures,
    per_class_measures,
)
from affectkit.tasks.base import Batch, Figure, Results, Task, shown_as
from affectkit.tasks.baselines import class_baselines
from affectkit.tasks.decision import ABSTAINED, ENTROPY, MARGIN, Decision
from affectkit.tasks.remarks import confusions, of_temperature

if TYPE_CHECKING:
    import torch

UNIT = 2.0**63
FEW = 5
"""Images of a class below which a weight by their number is worth a remark."""


@dataclass(frozen=True)
class CategoricalOptions:
    """Options of training a task over classes.

    Attributes:
        loss: a loss expression; None for the task's own.
        loss_normalise: divide the weights of a sum of losses by their sum.
        label_smoothing: share of each target spread over all classes.
        class_weights: ``none``, ``balanced`` or ``name=weight,...``.
        draw_labels: train on a label drawn from each item's distribution, a new one each epoch.
        seed: of the drawing.
    """

    loss: str | None = None
    loss_normalise: bool = False
    label_smoothing: float = 0.0
    class_weights: str = "none"
    draw_labels: bool = False
    seed: int = 0


class CategoricalTask(Task):
    """A task whose model gives one logit a class, trained towards a distribution over them."""

    own_loss: ClassVar[str]

    def __init__(self, spec: InputSpec, options: CategoricalOptions | None = None) -> None:
        super().__init__(spec)
        self.options = options or CategoricalOptions()
        self.asked = parse_loss(self.options.loss or self.own_loss, LOSSES)
        self.terms = normalised(self.asked) if self.options.loss_normalise else self.asked
        self.weights: torch.Tensor | None = None

    @functools.cached_property
    def losses(self) -> Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the function of the loss expression, made at first use: inference needs none, nor torch."""
        from affectkit.losses.distribution import weighted_sum

        return weighted_sum(self.terms)

    @classmethod
    def from_options(cls, spec: InputSpec, options: Mapping[str, Any]) -> CategoricalTask:
        known = {entry.name for entry in fields(CategoricalOptions)}
        return cls(spec, CategoricalOptions(**{name: value for name, value in options.items() if name in known}))

    def recorded_options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"loss": self.options.loss or self.own_loss}
        return {**found, "loss_normalise": True} if self.options.loss_normalise else found

    def loss_description(self) -> str:
        return describe_terms(self.asked, normalise=self.options.loss_normalise)

    def loss_record(self) -> dict[str, Any]:
        return {"weights": self.terms}

    def monitors(self, split: Split) -> list[str]:
        return [name for name in self.metric_direction if split.votes is not None or not name.startswith("rater_")]

    def targets(self, split: Split, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        import torch

        drawing = epoch is not None and self.options.draw_labels
        target = self._drawn(split, epoch or 0) if drawing else self.target_of(split)
        found = {"target": torch.from_numpy(target)}
        if split.votes is not None:
            found["votes"] = torch.from_numpy(split.votes)
        return found

    def target_of(self, split: Split) -> np.ndarray:
        """Return the target distributions (N, C), float32."""
        raise NotImplementedError

    def fit(self, split: Split) -> list[str]:
        drawn = self.options.draw_labels and split.distribution is not None
        expected = split.distribution if drawn else self.target_of(split)
        self.weights = class_weights(self.options.class_weights, self.spec.classes, expected)
        return [] if self.weights is None else [told_weights(self.spec.classes, self.weights.numpy(), expected)]

    def loss(self, outputs: torch.Tensor, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        target = batch["target"]
        weights = None
        if self.weights is not None:
            weights = target @ self.weights.to(target)
        if self.options.label_smoothing:
            share = self.options.label_smoothing
            target = (1 - share) * target + share / target.shape[1]
        parts = self.losses(outputs, target)
        if weights is None:
            return {name: values.mean() for name, values in parts.items()}
        return {name: (values * weights).sum() / weights.sum() for name, values in parts.items()}

    def description(self) -> str:
        if not self.spec.named:
            return f"{len(self.spec.classes)} classes whose names are not known"
        return f"{len(self.spec.classes)} classes ({list_some(self.spec.classes, 30)})"

    def class_coverage(self, split: Split) -> dict[str, str]:
        there, count = len(np.unique(split.top())), len(self.spec.classes)
        return dict.fromkeys(self.class_metrics, f"{there} of {count} classes") if there < count else {}

    def probabilities(self, results: Results) -> np.ndarray:
        """Return predicted distributions (N, C), float64, with the temperature that the specification holds."""
        return calibration.softmax(results.outputs, self.spec.temperature)

    def plain_loss(self, results: Results) -> float:
        """Return the loss expression on the outputs as they are: no smoothing, no class weights, no temperature."""
        return float(self.item_losses(results).mean())

    def item_losses(self, results: Results) -> np.ndarray:
        """Return what ``plain_loss`` is the mean of, (N,)."""
        import torch

        outputs = torch.from_numpy(results.outputs.astype(np.float64))
        target = torch.from_numpy(results.fields["target"].astype(np.float64))
        return self.losses(outputs, target)["loss"].numpy()

    def warnings(self, results: Results) -> list[str]:
        found, count, bins = super().warnings(results), len(results.split), calibration.BINS
        if count < bins:
            found.append(
                f"ece: {count_text(count, 'item')} in {count_text(bins, 'bin')}; errors of so few are large by chance "
                "alone."
            )
        if self.spec.temperature in calibration.TEMPERATURES:  # of checkpoints before ``calibration.fit_calibration``
            found.append(
                f"the checkpoint's temperature, {self.spec.temperature:g}, is a bound at which its fit failed: "
                "confidences and nll mean nothing; read *_uncalibrated, or train it again."
            )
        return found + self._of_absent_classes(results.split.counts())

    def remarks(self, results: Results) -> list[str]:
        target = results.fields["target"].astype(np.float64)
        found = (
            confusions(self.confusion(results), self.spec.classes),
            of_temperature(results.outputs, target, self.spec.temperature),
        )
        return [text for text in found if text]

    def _of_absent_classes(self, counts: Mapping[str, int]) -> list[str]:
        absent = [name for name, number in counts.items() if not number]
        if not absent:
            return []
        told = f"no image of {len(absent)} of {len(counts)} classes: {list_some(absent)}."
        there, names = [name for name, number in counts.items() if number], ", ".join(self.class_metrics)
        if len(there) == 1:
            return [f"{told} Every image is of {there[0]!r}: {names} say nothing of the others."]
        return [f"{told} {names} are over the other {len(there)}."]

    def calibrate(self, results: Results, mode: str) -> tuple[InputSpec, dict[str, Any]]:
        target = results.fields["target"]
        if mode == "none":
            return self.spec, {"fitted": False, "reason": "--calibrate none", "n": len(target)}
        found = calibration.fit_calibration(results.outputs, top_labels(target) if mode == "labels" else target)
        return self.spec.with_(temperature=found.temperature), {
            "fitted": found.fitted,
            "reason": found.reason,
            "n": found.samples,
            "to": "labels" if mode == "labels" else "targets",
            "cross_validated_nll": found.nll,
            "cross_validated_nll_uncalibrated": found.nll_before,
        }

    def calibration_metrics(self, results: Results) -> dict[str, float]:
        """Return the ECE and Brier score of the predictions, with the temperature and without it.

        The agreement of a prediction is the share of the target on the predicted class: 0 or 1 for a label, the
        raters' share where the target is a distribution. ``ece_top1`` takes the target's top class as the truth.
        """
        target = results.fields["target"].astype(np.float64)
        found = {}
        for suffix, temperature in (("", self.spec.temperature), ("_uncalibrated", 1.0)):
            p = calibration.softmax(results.outputs, temperature)
            confidence, share = _confidence(p, target)
            found[f"ece{suffix}"] = calibration.expected_calibration_error(confidence, share)
            found[f"ece_top1{suffix}"] = calibration.expected_calibration_error(
                confidence, distribution.top1_agreement(p, target).astype(np.float64)
            )
            found[f"brier{suffix}"] = float(calibration.brier_score(p, target).mean())
        return found

    def judged(self, results: Results) -> tuple[np.ndarray, np.ndarray]:
        p = self.probabilities(results)
        return p.max(1), distribution.top1_agreement(p, results.fields["target"].astype(np.float64))

    def selective_metrics(self, results: Results) -> dict[str, float]:
        """Return the area under the risk-coverage curve, and by how much it exceeds that of the best order; an error is
        a predicted class that is not the target's top one."""
        confidence, right = self.judged(results)
        return {
            "aurc": selective.aurc(confidence, ~right),
            "excess_aurc": selective.excess_aurc(confidence, ~right),
        }

    def rater_metrics(self, results: Results) -> dict[str, float]:
        """Return how often the predicted class agrees with a rater, and how often raters agree; empty without votes."""
        votes = results.fields.get("votes")
        if votes is None:
            return {}
        p, others = self.probabilities(results), raters.leave_one_out_agreement(votes)
        several = ~np.isnan(others)
        return {
            "rater_agreement": float(raters.expected_agreement(p, votes).mean()),
            "rater_ceiling": float(raters.rater_ceiling(votes).mean()),
            "rater_leave_one_out": float(others[several].mean()) if several.any() else math.nan,
        }

    def measures(self, results: Results) -> list[Measure]:
        found = {measure.name: measure for measure in self._all_measures(results)}
        return [found[name] for name in self.metrics(results) if name in found]

    def _all_measures(self, results: Results) -> list[Measure]:
        truth, chosen = results.fields["target"].argmax(1), results.outputs.argmax(1)
        return [
            *class_measures(truth, chosen, self.spec.classes),
            *mean_measures(self.item_values(results)),
            *self._calibration_measures(results),
        ]

    def class_measures(self, results: Results) -> list[Measure]:
        truth, chosen = results.fields["target"].argmax(1), results.outputs.argmax(1)
        return per_class_measures(truth, chosen, self.spec.classes)

    def item_values(self, results: Results) -> dict[str, ItemValues]:
        """Return the values by item whose means are metrics, by the metric's name."""
        p, target = self.probabilities(results), results.fields["target"].astype(np.float64)
        plain = calibration.softmax(results.outputs, 1.0)
        found = {
            "loss": ItemValues(self.item_losses(results)),
            **self.registered_values(p, target),
            "brier": ItemValues(calibration.brier_score(p, target)),
            "brier_uncalibrated": ItemValues(calibration.brier_score(plain, target)),
        }
        votes = results.fields.get("votes")
        if votes is not None:
            found |= {
                "rater_agreement": ItemValues(raters.expected_agreement(p, votes), "max"),
                "rater_ceiling": ItemValues(raters.rater_ceiling(votes), "max", of_model=False),
                "rater_leave_one_out": ItemValues(raters.leave_one_out_agreement(votes), "max", of_model=False),
            }
        return found

    def _calibration_measures(self, results: Results) -> list[Measure]:
        target, found = results.fields["target"].astype(np.float64), []
        for suffix, temperature in (("", self.spec.temperature), ("_uncalibrated", 1.0)):
            p = calibration.softmax(results.outputs, temperature)
            confidence, share = _confidence(p, target)
            top = distribution.top1_agreement(p, target).astype(np.float64)
            found.append(calibration_measure(f"ece{suffix}", confidence, share))
            found.append(calibration_measure(f"ece_top1{suffix}", confidence, top))
        return found

    def table(self, results: Results) -> dict[str, Any]:
        p = self.probabilities(results)
        target = results.fields["target"].astype(np.float64)
        classes = np.array(self.spec.classes, dtype=object)
        columns: dict[str, Any] = {
            "Image Name": results.split.ids,
            "True Label": list(classes[target.argmax(1)]),
            "Predicted Label": list(classes[p.argmax(1)]),
            "Confidence": p.max(1),
        }
        columns |= {f"true {name}": target[:, k] for k, name in enumerate(self.spec.classes)}
        columns |= {f"predicted {name}": p[:, k] for k, name in enumerate(self.spec.classes)}
        return columns | {
            "mse": distribution.mse(p, target),
            "total_variation": distribution.total_variation(p, target),
            "kl": distribution.kl_divergence(p, target),
            "js": distribution.js_divergence(p, target),
            "emd": distribution.earth_movers_distance(p, target),
            "brier": calibration.brier_score(p, target),
        }

    def tables(self, results: Results) -> dict[str, dict[str, Any]]:
        matrix = self.confusion(results)
        by_class = classification.per_class(matrix)
        confusion = {"true / predicted": list(self.spec.classes)}
        confusion |= {name: matrix[:, k] for k, name in enumerate(self.spec.classes)}
        return {
            "confusion_matrix.csv": confusion,
            "per_class.csv": {"class": list(self.spec.classes), **by_class},
            "risk_coverage.csv": self._risk_coverage(results),
        }

    def _risk_coverage(self, results: Results) -> dict[str, Any]:
        confidence, right = self.judged(results)
        curve = selective.risk_coverage(confidence, ~right)
        return {
            "threshold": [f"{value:.12g}" for value in curve.threshold],
            "accepted": curve.accepted,
            "errors": curve.errors.round().astype(int),
            "coverage": curve.coverage,
            "risk": curve.risk,
            "accuracy": 1 - curve.risk,
        }

    def confusion(self, results: Results) -> np.ndarray:
        """Count (C, C): one row for each true class (the top one of the target)."""
        truth = results.fields["target"].argmax(1)
        return classification.confusion_matrix(truth, results.outputs.argmax(1), len(self.spec.classes))

    def figures(self, results: Results, image: Callable[[int], np.ndarray]) -> dict[str, Figure]:
        from affectkit.reports import plots  # matplotlib: half a second that infer need not wait for

        matrix = self.confusion(results)
        by_class = classification.per_class(matrix)
        facts = {"classes": self.spec.classes, "part": shown_as(results.split)[1]}
        return {
            "reliability.png": lambda path: self._reliability(path, results),
            "confusion.png": lambda path: plots.confusion_matrix(path, counts=matrix, **facts),
            "recall.png": lambda path: plots.class_recall(
                path, recall=by_class["recall"], support=by_class["support"], bounds=_exact_recall(matrix), **facts
            ),
            "risk_coverage.png": lambda path: self._draw_risk_coverage(path, results),
            "bars.png": lambda path: self._bars(path, results, image, spread(len(results.split))),
            "worst.png": lambda path: self._bars(
                path, results, image, self._worst(results), heading="Furthest from the truth"
            ),
        }

    def baselines(self, train: Split, valid: Split) -> dict[str, dict[str, float]]:
        drawn = self.options.draw_labels and train.distribution is not None
        shares = (train.distribution if drawn else self.target_of(train)).mean(0, dtype=np.float64)
        fields = {name: values.numpy() for name, values in self.targets(valid).items()}
        return class_baselines(self, shares, Results(valid, np.zeros((len(valid), 0)), fields), loss=self.plain_loss)

    def training_prior(self, split: Split, mode: str) -> dict[str, float]:
        drawn = self.options.draw_labels and split.distribution is not None
        target = (split.distribution if drawn else self.target_of(split)).astype(np.float64)
        weights = np.ones(len(target)) if self.weights is None else target @ self.weights.numpy().astype(np.float64)
        target = top_labels(target) if mode == "labels" else target
        target = (1 - self.options.label_smoothing) * target + self.options.label_smoothing / target.shape[1]
        shares = weights @ target / weights.sum()
        return {name: float(share) for name, share in zip(self.spec.classes, shares, strict=True)}

    def decide(self, decision: Decision) -> None:
        self.decision = decision

    def columns(self) -> list[str]:
        affect = [] if self.decision.norms is None else column_names()
        abstained = [] if self.decision.threshold is None else [ABSTAINED]
        return ["Predicted Label", "Confidence", *self.spec.classes, MARGIN, ENTROPY, *affect, *abstained]

    def rows(self, outputs: np.ndarray) -> list[list[Any]]:
        outputs, least = self.decision.shifted(np.asarray(outputs, np.float32)), self.decision.threshold
        p = calibration.softmax(outputs, self.spec.temperature)
        values = np.column_stack([p, ambiguity.margin(p), ambiguity.entropy(p)]).tolist()
        rows = [[self.spec.classes[own.argmax()], float(own.max()), *row] for own, row in zip(p, values, strict=True)]
        if self.decision.norms is not None:
            rows = [[*row, *affect] for row, affect in zip(rows, self.decision.norms.values(p).tolist(), strict=True)]
        if least is None:
            return rows
        return [["", *row[1:], 1] if row[1] < least else [*row, 0] for row in rows]

    def describe_row(self, row: Sequence[Any]) -> tuple[str, tuple[tuple[str, float], ...]]:
        label, confidence, *shares = row
        shares = shares[: len(self.spec.classes)]
        doubt = "?" if label and self.decision.questions(ambiguity.margin([shares])[0]) else ""
        bars = tuple(zip(self.spec.classes, shares, strict=True))
        return f"{label or 'abstained'}{doubt} {percent(confidence)}", bars

    def describe_affect(self, row: Sequence[Any]) -> str:
        if self.decision.norms is None:
            return ""
        values = dict(zip(self.columns(), row, strict=True))
        return ", ".join(f"{name.lower()} {values[mean_column(name)]:.2f}" for name in DIMENSIONS)

    def _drawn(self, split: Split, epoch: int) -> np.ndarray:
        """Draw one-hot labels from each item's distribution, addressed by (seed, item, epoch)."""
        if split.distribution is None:
            raise DataError(
                "--draw-labels needs votes or probabilities, and the table has labels alone.",
                "Leave --draw-labels out, or add one column an emotion to the table.",
            )
        unit = np.array([address_seed(self.options.seed, "label", name, epoch) / UNIT for name in split.ids])
        cumulative = split.distribution.astype(np.float64).cumsum(1)
        drawn = (unit[:, None] * cumulative[:, -1:] >= cumulative).sum(1)
        return one_hot(drawn, len(self.spec.classes))

    def _reliability(self, path: Any, results: Results) -> None:
        from affectkit.reports import plots

        target = results.fields["target"].astype(np.float64)
        bins = {}
        for name, temperature in (("now", self.spec.temperature), ("before", 1.0)):
            confidence, share = _confidence(calibration.softmax(results.outputs, temperature), target)
            bins[name] = calibration.reliability(confidence, share)
            bins[f"{name} ece"] = calibration.expected_calibration_error(confidence, share)
        now, before = bins["now"], bins["before"]
        plots.reliability_diagram(
            path,
            count=now.count,
            confidence=now.confidence,
            agreement=now.agreement,
            edges=now.edges,
            ece=bins["now ece"],
            title=f"Reliability, {shown_as(results.split)[1]}, n = {len(results.split):,}",
            second=None
            if self.spec.temperature == 1
            else {
                "count": before.count,
                "confidence": before.confidence,
                "agreement": before.agreement,
                "ece": bins["before ece"],
                "label": "before temperature",
            },
        )

    def _draw_risk_coverage(self, path: Any, results: Results) -> None:
        from affectkit.reports.selective import draw_risk_coverage

        confidence, right = self.judged(results)
        curve = selective.risk_coverage(confidence, ~right)
        best = np.sort(~right).cumsum() / np.arange(1, len(right) + 1)
        draw_risk_coverage(
            path,
            coverage=curve.coverage,
            risk=curve.risk,
            best=best,
            aurc=selective.aurc(confidence, ~right),
            title=f"Risk and coverage, {shown_as(results.split)[1]}, n = {len(results.split):,}",
            marks=[(curve.coverage[k], curve.risk[k]) for k in sorted({curve.at(one) for one in selective.COVERAGES})],
        )

    def _worst(self, results: Results) -> np.ndarray:
        p, target = self.probabilities(results), results.fields["target"].astype(np.float64)
        return np.argsort(-distribution.kl_divergence(p, target), kind="stable")[:12]

    def _bars(
        self,
        path: Any,
        results: Results,
        image: Callable[[int], np.ndarray],
        chosen: np.ndarray,
        *,
        heading: str = "",
    ) -> None:
        from affectkit.reports import bars

        p, target = self.probabilities(results), results.fields["target"].astype(np.float64)
        kl = distribution.kl_divergence(p, target)
        bars.draw_distribution_bars(
            path,
            images=[image(int(k)) for k in chosen],
            predicted=p[chosen],
            target=target[chosen],
            classes=self.spec.classes,
            names=[results.split.ids[k].rsplit("/", 1)[-1] for k in chosen],
            captions=[f"KL {kl[k]:.3f}" for k in chosen],
            heading=heading,
        )


def _confidence(p: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of each prediction, and the target's share on the predicted class."""
    top = p.argmax(1)
    rows = np.arange(len(p))
    return p[rows, top], target[rows, top]


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return (N, C) float32 with a single 1 a row."""
    return np.eye(classes, dtype=np.float32)[labels]


def top_labels(target: np.ndarray) -> np.ndarray:
    """Return the one-hot of the top class; where classes tie at the top, they share the 1."""
    top = (target == target.max(1, keepdims=True)).astype(np.float32)
    return top / top.sum(1, keepdims=True)


def told_weights(classes: Sequence[str], weights: np.ndarray, target: np.ndarray) -> str:
    """Describe the weights of the classes, the images (or sums of shares) that each has,
    and what rests on few of them.
    """
    mass = target.sum(0, dtype=np.float64)
    each = [f"{name} {w:.3g} ({m:.4g})" for name, w, m in zip(classes, weights, mass, strict=True)]
    few = [name for name, value in zip(classes, mass, strict=True) if value < FEW]
    text = f"class weights, and images in brackets: {', '.join(each)}"
    return text + (
        f"; fewer than {FEW} images of {', '.join(few)}: their weights rest on next to nothing" if few else ""
    )


def spread(count: int, most: int = 12) -> np.ndarray:
    """Return up to ``most`` positions, evenly spread over ``count``."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)) if count else np.arange(0)


def class_weights(option: str, classes: tuple[str, ...], target: np.ndarray) -> torch.Tensor | None:
    """Return the weights (C,) of the classes, or None for none.

    Args:
        option: ``none``; ``balanced``: N / (C * mass of the class), as scikit-learn; or ``name=weight,...``, in which
            classes that are not named weigh 1.

    Raises:
        UsageError: a name is unknown, a weight is not a number above 0, or a class to be balanced has less than one
            image in all.
    """
    import torch

    if option == "none":
        return None
    if option == "balanced":
        mass = target.sum(0, dtype=np.float64)
        # Shares of raters can add up to next to nothing, and a weight to anything.
        absent = [f"{name} ({value:.3g})" for name, value in zip(classes, mass, strict=True) if value < 1 - 1e-4]
        if absent:
            raise UsageError(
                f"--class-weights balanced: the training images hold less than one image of {', '.join(absent)}.",
                "Name the weights yourself: --class-weights name=weight,...",
            )
        return torch.from_numpy((len(target) / (len(classes) * mass)).astype(np.float32))
    weights = torch.ones(len(classes))
    faults = []
    for part in option.split(","):
        name, _, text = part.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if name.strip() not in classes:
            faults.append(f"--class-weights: {name.strip()!r} is not one of {', '.join(classes)}.")
        elif not 0 < value < float("inf"):
            faults.append(f"--class-weights: {part!r} is not name=weight with a weight above 0.")
        else:
            weights[classes.index(name.strip())] = value
    if faults:
        raise UsageError.from_faults(faults)
    return weights


def _exact_recall(confusion: np.ndarray) -> list[tuple[float, float]]:
    """Return the 95% interval of the recall of each class, as ``per_class.csv`` has it of independent items."""
    hits, support = confusion.diagonal(), confusion.sum(1)
    return [clopper_pearson(int(k), int(n)) for k, n in zip(hits, support, strict=True)]
