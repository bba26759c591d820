"""Metrics as pure functions of NumPy arrays, in float64, and the registry of those that a task computes by name.

One file a kind of prediction; this one loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.registry import Entry, Registry


@dataclass(frozen=True)
class Metric(Entry):
    """A metric of predictions against targets.

    Its function takes both as float64 arrays: of tasks over classes, probabilities (N, C) and target shares (N, C); of
    ratings, predicted (N,) and actual (N,) of each dimension in turn. It returns one number, or (N,) numbers whose mean
    counts.

    Attributes:
        tasks: which report it, and can be monitored by it.
        direction: ``max`` where more is better, else ``min``.
    """

    tasks: tuple[str, ...] = ()
    direction: str = "min"


METRICS = Registry("metric", entry=Metric)
for _name, _target, _direction, _summary in (
    ("mse", "mse", "min", "mean squared difference of the probabilities"),
    ("total_variation", "total_variation", "min", "half the summed absolute difference"),
    ("kl", "kl_divergence", "min", "Kullback-Leibler divergence"),
    ("js", "js_divergence", "min", "Jensen-Shannon divergence"),
    ("emd", "earth_movers_distance", "min", "earth mover's distance"),
    ("top1", "top1_agreement", "max", "share of images whose top class is that of the target"),
):
    METRICS.add(
        _name, f"affectkit.metrics.distribution:{_target}", _summary, tasks=("distribution",), direction=_direction
    )
METRICS.add(
    "nll",
    "affectkit.metrics.classification:negative_log_likelihood",
    "negative log likelihood of the label, in nats",
    tasks=("classification", "audiovisual"),
)
for _name, _target, _direction, _summary in (
    ("ccc", "ccc", "max", "concordance correlation"),
    ("r", "pearson_r", "max", "Pearson's correlation"),
    ("r2", "r2", "max", "coefficient of determination of the predictions as they are"),
    ("rmse", "rmse", "min", "root mean squared error"),
    ("r2_fitted", "r2_fitted", "max", "explained variance after a least-squares line"),
    ("rmse_fitted", "rmse_fitted", "min", "root mean squared error after a least-squares line"),
):
    METRICS.add(_name, f"affectkit.metrics.ratings:{_target}", _summary, tasks=("ratings",), direction=_direction)


def metrics_of(task: str) -> dict[str, Metric]:
    """Return the registered metrics that the task called ``task`` reports, by name."""
    return {name: entry for name, entry in METRICS.items() if task in entry.tasks}
