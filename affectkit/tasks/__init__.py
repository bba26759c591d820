"""Define what is predicted: targets, loss, metrics, result tables and figures of each task.

Loops over data stand in training, evaluation and inference; importing this loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from affectkit.core.registry import Registry
from affectkit.errors import DataError

if TYPE_CHECKING:
    from affectkit.core.spec import InputSpec
    from affectkit.data.split import Split
    from affectkit.tasks.base import Task

TASKS = Registry("task")
TASKS.add("distribution", "affectkit.tasks.distribution:DistributionTask", "a probability for every emotion")
TASKS.add("classification", "affectkit.tasks.classification:ClassificationTask", "one emotion label")
TASKS.add("audiovisual", "affectkit.tasks.audiovisual:AudiovisualTask", "one emotion label, from clips")
TASKS.add(
    "ratings",
    "affectkit.tasks.ratings:RatingsTask",
    "valence and arousal, a number each",
    settings=("outputs", "rating_range"),
)


def make_task(spec: InputSpec, options: Mapping[str, Any] | None = None) -> Task:
    """Build the task that ``spec`` names, with what it reads from ``options``."""
    return TASKS.resolve(spec.task).from_options(spec, options or {})


def headline_metrics(names: Collection[str], monitor: str = "", *, most: int = 2) -> list[str]:
    """Return the names of the metrics that are shown first: the monitored one unless it is the loss, then those of the
    first task that has all its headline metrics among ``names``; some of ``names`` where no task has.

    >>> headline_metrics(["loss", "mse", "kl", "js", "top1", "ece"], "loss")
    ['kl', 'top1']
    >>> headline_metrics(["loss", "accuracy", "balanced_accuracy", "macro_f1"], "macro_f1")
    ['macro_f1', 'accuracy']
    """
    found = [monitor] if monitor in names and monitor != "loss" else []
    for task in TASKS:
        own = [name for name in TASKS.resolve(task).headline_metrics if name != "loss"]
        if own and set(own) <= set(names):
            found += own
            break
    else:
        found += [name for name in names if name != "loss"]
    return list(dict.fromkeys(found))[:most]


def choose_task(split: Split) -> str:
    """Return the name of the task that the targets of ``split`` are for: the first in ``TASKS`` that claims them.

    Raises:
        DataError: no task does.
    """
    for name in TASKS:
        if TASKS.resolve(name).is_default_for(split):
            return name
    raise DataError(
        f"the {split.name} split of {split.root} has targets of no known kind.", f"Name one: --task {'|'.join(TASKS)}."
    )
