"""Classes of several data sets and models under one name: the file of ``--label-map``, and splits by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from affectkit.core.os_errors import read_fault
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some, one_of
from affectkit.data.layouts.class_names import likely_matches
from affectkit.data.split import Split
from affectkit.errors import DataError

HINT = "A line is 'happy = happiness', 'DATASET:happy = happiness', 'calm =' (left out) or a '# comment'."


@dataclass(frozen=True)
class LabelMap:
    """Common names of classes.

    Attributes:
        path: the file; None without one.
        names: (data set or model, or "" for all; class) -> common name, "" where the class is left out.
        lines: of the file, of each of ``names``.
    """

    path: Path | None = None
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def common(self, owner: str, name: str) -> str:
        """Return the common name of a class of ``owner``; "" where it is left out."""
        return self.names.get((owner, name), self.names.get(("", name), name))

    def check(self, classes: Mapping[str, Sequence[str]]) -> None:
        """Refuse lines that name nothing.

        Args:
            classes: of each data set and model, by its name.

        Raises:
            DataError: a class that none of them has, on the left or on the right, by line, with the nearest.
        """
        every = list(dict.fromkeys(name for names in classes.values() for name in names))
        errors = TableErrors(self.path or Path(), title=f"--label-map {self.path}")
        for (owner, name), common in self.names.items():
            line, there = self.lines[owner, name], classes[owner] if owner else every
            if name not in there:
                where = f"of {owner}" if owner else "of a data set or model"
                errors.add(f"the class on the left must be one {where}", line, _with_nearest(name, there))
            if common and common not in every:
                errors.add("the class on the right must be one of a model or data set", line,
                           _with_nearest(common, every))  # fmt: skip
        errors.check(f"There are {list_some(every, 40)}.")


def read_label_map(path: Path, owners: Sequence[str]) -> LabelMap:
    """Read the file of ``--label-map``.

    Args:
        path: UTF-8 text: a line a class.
        owners: names of data sets and models, which may stand before a class with a colon.

    Raises:
        DataError: it cannot be read; or by line: no ``=``, no class, a class twice, or a common name that is mapped on.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(*read_fault(f"--label-map {path}", path, error, HINT)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read --label-map {path}: {error}.", HINT) from error
    errors = TableErrors(path, title=f"--label-map {path}")
    names: dict[tuple[str, str], str] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, whole in enumerate(text.splitlines(), start=1):
        content = whole.split(" #")[0].strip()
        if not content or content.startswith("#"):
            continue
        left, equals, common = (part.strip() for part in content.partition("="))
        prefix, colon, rest = left.partition(":")
        key = (prefix.strip(), rest.strip()) if colon and prefix.strip() in owners else ("", left)
        if not equals or not key[1]:
            errors.add("a line must be CLASS = CLASS", line, repr(content[:60]))
        elif key in names:
            errors.add("a class must have one line", line, f"{left!r} as in line {lines[key]}")
        else:
            names[key], lines[key] = common, line
    for key, common in names.items():
        if common and names.get((key[0], common), names.get(("", common), common)) not in (common, ""):
            errors.add("a class on the right must not be on the left of another line", lines[key], repr(common))
    errors.check(HINT)
    return LabelMap(path, names, lines)


@dataclass(frozen=True)
class Aligned:
    """A split by the classes of a model.

    Attributes:
        split: the items that have one of them, under the model's names.
        of: how many items there were.
        left_out: items by class of the data set that the model lacks.
        rescaled: items whose shares of such classes were left out, and the rest brought to 1.
        hints: classes that may be one under two names.
    """

    split: Split
    of: int
    left_out: dict[str, int]
    rescaled: int
    hints: list[str]


def align(split: Split, classes: Sequence[str], labels: LabelMap, *, data: str, model: str) -> Aligned:
    """Return ``split`` by the ``classes`` of a model, matched by their common names.

    Items with a label, or the largest share, of a class that the model lacks are left out; of others shares and votes
    of such classes are left out, and shares brought to a sum of 1.

    Args:
        split: of the data set.
        classes: of the model.
        labels: common names.
        data, model: names of both, as ``labels`` has them.

    Raises:
        DataError: there is no class in common, or two classes of the model have one common name.
    """
    if split.top() is None:
        return Aligned(split, len(split), {}, 0, [])
    wanted: dict[str, str] = {}
    for name in classes:
        common = labels.common(model, name) or name
        if common in wanted:
            raise DataError(
                f"the label map makes {wanted[common]!r} and {name!r} of {model} one class; its outputs cannot be "
                "put together."
            )
        wanted[common] = name
    own = [wanted.get(labels.common(data, name)) for name in split.classes]
    counts = split.counts()
    lacking = [name for name, target in zip(split.classes, own, strict=True) if target is None]
    hints = [
        f"{name} = {near[0]}"
        for name in lacking
        if counts[name] and labels.common(data, name) and (near := likely_matches(name, list(classes)))
    ]
    if not any(own):
        raise DataError(
            f"{model} and {data} have no class in common: {list_some(classes)}, and {list_some(split.classes)}.",
            "A --label-map says which are one, as 'happy = happiness'.",
        )
    found, kept, rescaled = _moved(split, own)
    left_out = {name: counts[name] - found.get(name, 0) for name in split.classes if counts[name] > found.get(name, 0)}
    return Aligned(kept, len(split), left_out, rescaled, hints)


def _moved(split: Split, own: Sequence[str | None]) -> tuple[dict[str, int], Split, int]:
    """Return how many items of each class are kept, the items under the names ``own``, and how many were rescaled."""
    names = tuple(dict.fromkeys(name for name in own if name is not None))
    place = {name: number for number, name in enumerate(names)}
    targets = np.array([-1 if name is None else place[name] for name in own])

    def gather(values: np.ndarray) -> np.ndarray:
        result = np.zeros((*values.shape[:-1], len(names)), dtype=values.dtype)
        for column, target in enumerate(targets):
            if target >= 0:
                result[..., target] += values[..., column]
        return result

    top = split.top()
    keep, shares = targets[top] >= 0, split.distribution
    inside = None if shares is None else gather(shares)
    if inside is not None:
        keep &= inside.sum(axis=1) > 0
    rows = np.flatnonzero(keep)
    chosen = split.select(rows)
    rescaled = 0
    if inside is not None:
        inside = inside[rows].astype(np.float64)
        sums = inside.sum(axis=1, keepdims=True)
        rescaled = int((shares[rows][:, targets < 0].sum(axis=1) > 0).sum())
        inside = (inside / np.where(np.abs(sums - 1) <= 1e-6, 1.0, sums)).astype(np.float32)
    votes = None if chosen.votes is None else gather(chosen.votes)
    facts = {name: gather(values) if values.shape[-1] == len(own) else values for name, values in chosen.facts.items()}
    kept = replace(
        chosen,
        classes=names,
        labels=None if chosen.labels is None else targets[chosen.labels].astype(np.int64),
        distribution=inside,
        votes=votes if votes is None or (votes.sum(axis=1) > 0).all() else None,
        facts=facts,
    )
    numbers = np.bincount(top[rows], minlength=len(own))
    return {name: int(number) for name, number in zip(split.classes, numbers, strict=True)}, kept, rescaled


def _with_nearest(name: str, known: Sequence[str]) -> str:
    near = likely_matches(name, list(known))
    return f"{name!r}" + (f"; did you mean {one_of(near)}?" if near else "")
