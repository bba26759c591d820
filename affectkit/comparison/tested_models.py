"""Models that are compared: what was tested of each, one run or several repeats of a training."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from affectkit.core.text import count_text
from affectkit.errors import DataError, UsageError
from affectkit.statistics.measures import Measure
from affectkit.tasks.base import Results, Task

PLAIN_FOLDERS = frozenset({"test", "valid"})
PLAIN_FILES = frozenset({"best", "last"})
"""Names that say nothing of the model in them, of folders of a run and of files."""
ENDINGS = (".safetensors", ".onnx")


@dataclass(frozen=True, eq=False)
class TestedRun:
    """The outputs of one trained model on the items of a test.

    Attributes:
        source: folder of results, or checkpoint.
        task: with the specification and the options that it was tested with.
        results: outputs and targets.
        content: uint8 (N, 16), a hash of each item's content, zeros where it is not known; None: of none.
        recorded: metrics as the record of the test has them; empty where there is none.
        fingerprint: of the data, as the record has it; empty where it has none.
        condition: under what it was tested that is not the model as it is on the data as they are; empty without.
        only: metrics that it can be compared by; empty: all.
        exact: whether ``results`` are the outputs themselves, not what a table with six decimals has of them.
    """

    __test__ = False  # not a test class, whatever its name makes pytest think

    source: str
    task: Task
    results: Results = field(repr=False)
    content: np.ndarray | None = field(default=None, repr=False)
    recorded: dict[str, float | None] = field(default_factory=dict)
    fingerprint: str = ""
    condition: str = ""
    exact: bool = True
    only: tuple[str, ...] = ()

    @functools.cached_property
    def measures(self) -> dict[str, Measure]:
        """Return the metrics of the model as functions of sums over its items, by name.

        Raises:
            DataError: outputs are no numbers.
        """
        broken = ~np.isfinite(self.results.outputs).all(axis=1)
        if broken.any():
            first = self.results.split.ids[int(broken.argmax())]
            raise DataError(
                f"{self.source}: the outputs of {count_text(int(broken.sum()), 'item')} are NaN or infinite, the first "
                f"that of {first}.",
                "The model has diverged, or its weights are damaged: there is nothing to compare.",
            )
        found = (measure for measure in self.task.measures(self.results) if measure.of_model)
        return {measure.name: measure for measure in found if not self.only or measure.name in self.only}


@dataclass(frozen=True, eq=False)
class TestedModel:
    """A model of the comparison.

    Attributes:
        name: short, distinct.
        source: what the user named.
        runs: one, or as many as the training was repeated.
        notes: on how it was read.
    """

    __test__ = False

    name: str
    source: str
    runs: tuple[TestedRun, ...]
    notes: tuple[str, ...] = ()


def short_names(sources: Sequence[str], chosen: Sequence[str] = ()) -> list[str]:
    """Return a distinct name for each model: ``chosen``, or the last part of its path that tells it from the others.

    >>> short_names(["runs/a/test", "runs/b/best.safetensors", "builtin"]), short_names(["a/x", "b/x"])
    (['a', 'b', 'builtin'], ['a', 'b'])
    >>> short_names(["results/first", "results/last"]), short_names(["a/x", "b/x", "b/y"])
    (['first', 'last'], ['a/x', 'b/x', 'y'])

    Raises:
        UsageError: ``chosen`` are not one for each model, repeat, or one is empty.
    """
    if chosen:
        if len(chosen) != len(sources):
            raise UsageError(f"--names: {len(chosen)} names for {len(sources)} models; one for each is needed.")
        if len(set(chosen)) != len(chosen) or not all(chosen):
            raise UsageError(f"--names: names must differ, and none be empty; got {','.join(chosen)}.")
        return list(chosen)
    paths = [_parts(source) for source in sources]
    parts = _without_common_end([_telling(path) for path in paths])
    if len({tuple(part) for part in parts}) < len(parts):  # the test and the validation of one run, say
        parts = _without_common_end([_stems(path) for path in paths])
    names = [part[-1] for part in parts]
    for length in range(2, max(map(len, parts), default=0) + 1):
        twice = {name for name in names if names.count(name) > 1}
        names = ["/".join(part[-length:]) if name in twice else name for name, part in zip(names, parts, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name}-{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _parts(source: str) -> list[str]:
    return list(Path(os.path.abspath(source)).parts[1:]) or [source]


def _stems(parts: Sequence[str]) -> list[str]:
    """Return the parts of a path, its file without its ending."""
    *above, last = parts
    return [*above, Path(last).stem if last.endswith(ENDINGS) else last]


def _telling(parts: Sequence[str]) -> list[str]:
    """Return the parts of a path up to the last that says something."""
    found = _stems(parts)
    if len(found) > 1 and found != list(parts) and found[-1] in PLAIN_FILES:
        found.pop()
    while len(found) > 1 and found[-1] in PLAIN_FOLDERS:
        found.pop()
    return found


def _without_common_end(paths: Sequence[list[str]]) -> list[list[str]]:
    """Return the parts of ``paths`` up to the last in which they are not all alike; at least one of each."""
    end = 0
    while len(paths) > 1 and min(map(len, paths)) > end + 1 and len({path[-1 - end] for path in paths}) == 1:
        end += 1
    return [path[: len(path) - end] for path in paths]
