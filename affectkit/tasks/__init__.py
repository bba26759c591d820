"""Define what is predicted: targets, loss, metrics, result tables and figures of each task.

Loops over data stand in training, evaluation and inference; importing this loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
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
