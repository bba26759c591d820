"""A split: which images, their classes by name, and their labels, distributions or votes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from affectkit.core.clipspec import ClipSpec
from affectkit.core.randomness import address_seed
from affectkit.core.text import count_text, list_some, one_of
from affectkit.data.layouts.class_names import likely_matches
from affectkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NAMES = ("train", "valid", "test", "all")


class Store(Protocol):
    """Holds the items of splits that are clips; ``layouts.clip_store.ClipStore`` is one.

    Attributes:
        spec: which frames, what part of them, which spectrogram.
        manifest: the record of the preparation.
        height: of a stored frame.
        width: of a stored frame.
        frames: how many are stored of a clip.
        variance: of the training split, by modality.
    """

    spec: ClipSpec
    manifest: dict[str, Any]
    height: int
    width: int
    frames: int
    variance: dict[str, float]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of an item by modality."""

    def images(self, names: Sequence[str], frames: Sequence[int]) -> np.ndarray:
        """Read frame ``frames[i]`` of clip ``names[i]``."""

    def sounds(self, names: Sequence[str]) -> np.ndarray:
        """Read the spectrograms of ``names``."""

    def frame_labels(self, names: Sequence[str]) -> np.ndarray:
        """Read shares of the classes for each frame of ``names``."""

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash what the clips called ``names`` were made from and how."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one part of a dataset, with what is known of each.

    Attributes:
        name: "train", "valid", "test" or "all".
        root: folder that the ids are relative to.
        ids: posix paths relative to ``root``; the identity of each item.
        classes: class names, in the order of the columns below.
        labels: int64 (N,), indices into ``classes``; None where there is no single label.
        distribution: float32 (N, C), rows of shares that sum to 1; None where only labels are known.
        votes: float32 (N, C), raters' counts; None where they are not known.
        ratings: float64 (N, 2), arousal and valence, NaN where one is not known; None where neither is.
        scale: the least and greatest rating that can be given.
        sources: of augmented copies the id of their original, of others their own; None where there are no copies.
        store: what holds the items where they are clips, by id, rather than image files; None where they are files.
        facts: what else is known of each item by class, (N, ..., C) by name, as votes of raters who only heard it.
    """

    name: str
    root: Path
    ids: list[str] = field(repr=False)
    classes: tuple[str, ...]
    labels: np.ndarray | None = field(default=None, repr=False)
    distribution: np.ndarray | None = field(default=None, repr=False)
    votes: np.ndarray | None = field(default=None, repr=False)
    ratings: np.ndarray | None = field(default=None, repr=False)
    scale: tuple[float, float] | None = None
    sources: list[str] | None = field(default=None, repr=False)
    store: Store | None = field(default=None, repr=False)
    facts: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"class names must differ, got {', '.join(self.classes)}.")
        size, width = len(self.ids), len(self.classes)
        if self.labels is not None:
            if self.labels.shape != (size,):
                raise ValueError(f"labels must be ({size},), got {self.labels.shape}")
            if size and not 0 <= self.labels.min() <= self.labels.max() < width:
                raise ValueError(f"labels must be in [0, {width - 1}]")
        for name, values in (("distribution", self.distribution), ("votes", self.votes)):
            if values is not None and values.shape != (size, width):
                raise ValueError(f"{name} must be ({size}, {width}), got {values.shape}")

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, index: int) -> Path:
        """Return the file of item ``index``."""
        return self.root / self.ids[index]

    def with_name(self, name: str) -> Split:
        """Return the same items under another split name."""
        return replace(self, name=name)

    def select(self, indices: ArrayLike) -> Split:
        """Return the items at ``indices`` (integers, or N booleans), in that order."""
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        return replace(
            self,
            ids=[self.ids[index] for index in chosen.tolist()],
            labels=None if self.labels is None else self.labels[chosen],
            distribution=None if self.distribution is None else self.distribution[chosen],
            votes=None if self.votes is None else self.votes[chosen],
            ratings=None if self.ratings is None else self.ratings[chosen],
            sources=None if self.sources is None else [self.sources[index] for index in chosen.tolist()],
            facts={name: values[chosen] for name, values in self.facts.items()},
        )

    def top(self) -> np.ndarray | None:
        """Return int64 (N,): the label, or the class with the largest share (the first on a tie); None where neither
        is.
        """
        if self.labels is not None:
            return self.labels
        return None if self.distribution is None else self.distribution.argmax(axis=1).astype(np.int64)

    def counts(self) -> dict[str, int]:
        """Count items per class, by label or by largest share; empty where neither is known."""
        top = self.top()
        if top is None:
            return {}
        numbers = np.bincount(top, minlength=len(self.classes))
        return {name: int(number) for name, number in zip(self.classes, numbers, strict=True)}

    def used(self) -> np.ndarray:
        """Return bool (C,): classes that any item has a label, a share or a vote in."""
        used = np.zeros(len(self.classes), dtype=bool)
        if self.labels is not None:
            used[np.unique(self.labels)] = True
        for values in (self.distribution, self.votes):
            if values is not None:
                used |= (values > 0).any(axis=0)
        return used

    def matched(self, classes: Sequence[str], *, named: bool = True) -> Split:
        """Return this split with its columns and labels in the order of ``classes``, matched by name.

        Classes that this split lacks get columns of zeros; classes of its own without any item are left out.

        Args:
            named: False: the names of the ``classes`` are not known (``InputSpec.named``), and this split must have as
                many, which are taken in the order that they have here.

        Raises:
            DataError: items belong to a class that is not in ``classes``, and the difference is spelled out; or, not
                ``named``, there are more classes or fewer.
        """
        wanted = tuple(classes)
        if not named:
            return self._by_order(wanted)
        if wanted == self.classes:
            return self
        if extra := self.unmatched(wanted):
            raise DataError(self.difference(wanted, extra), "Rename or remove what differs: classes go by name.")
        position = {name: index for index, name in enumerate(wanted)}
        kept = np.array([index for index, name in enumerate(self.classes) if name in position], dtype=np.int64)
        target = np.array([position[self.classes[index]] for index in kept], dtype=np.int64)

        def reorder(values: np.ndarray | None) -> np.ndarray | None:
            if values is None:
                return None
            result = np.zeros((*values.shape[:-1], len(wanted)), dtype=values.dtype)
            result[..., target] = values[..., kept]
            return result

        labels = self.labels
        if labels is not None:
            new = np.full(len(self.classes), -1, dtype=np.int64)
            new[kept] = target
            labels = new[labels]
        return replace(
            self,
            classes=wanted,
            labels=labels,
            distribution=reorder(self.distribution),
            votes=reorder(self.votes),
            facts={name: reorder(values) for name, values in self.facts.items()},
        )

    def unmatched(self, classes: Sequence[str]) -> list[str]:
        """Return the classes of items here that ``classes`` lacks."""
        return [name for name, flag in zip(self.classes, self.used(), strict=True) if flag and name not in classes]

    def _by_order(self, wanted: tuple[str, ...]) -> Split:
        if len(wanted) != len(self.classes):
            raise DataError(
                f"the checkpoint holds no class names, so that its {len(wanted):,} outputs can only be matched in "
                f"order, and the {self.name} split in {self.root} has {len(self.classes):,} classes: "
                f"{list_some(self.classes)}.",
                "Test it on data with exactly its classes: a folder each, or named with --classes for a table.",
            )
        return replace(self, classes=wanted)

    def difference(self, wanted: Sequence[str], extra: Sequence[str]) -> str:
        """Return one text that says which classes are too many here, which lack, and which may be the same."""
        if self.labels is not None:
            numbers = self.counts()
        else:
            values = self.votes if self.votes is not None else self.distribution
            columns = (values > 0).sum(axis=0) if values is not None else np.zeros(len(self.classes), dtype=int)
            numbers = dict(zip(self.classes, columns.tolist(), strict=True))
        missing = [name for name in wanted if name not in self.classes]
        text = f"the classes of the {self.name} split in {self.root} do not match.\n  extra here: "
        text += list_some([f"{name!r} ({count_text(numbers[name], 'item')})" for name in extra])
        text += f"\n  missing here: {list_some([repr(name) for name in missing]) if missing else 'none'}"
        text += f"\n  wanted: {list_some(wanted, 30)}"
        guesses = [(name, likely_matches(name, missing) or likely_matches(name, wanted)) for name in extra[:10]]
        meant = [f"{name!r} -> {one_of([*map(repr, near)])}" for name, near in guesses if near]
        return text + (f"\n  did you mean {list_some(meant)}?" if meant else "")

    def fingerprint(self) -> str:
        """Return a hash over ids in order, classes, labels, shares, votes and file sizes (not the images' bytes).

        Raises:
            DataError: a file is not there.
        """
        digest = hashlib.sha256()
        digest.update("\x1f".join(self.classes).encode("utf-8", "surrogateescape") + b"\x1e")
        digest.update("\x1f".join(self.ids).encode("utf-8", "surrogateescape") + b"\x1e")
        for values in (self.labels, self.distribution, self.votes):
            digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
            digest.update(b"\x1e")
        if self.ratings is not None:
            digest.update(np.ascontiguousarray(self.ratings).tobytes() + b"\x1e")
        if self.store is not None:
            digest.update(self.store.fingerprint(self.ids).encode())
        else:
            digest.update(np.array(self._sizes(), dtype="<i8").tobytes())
        return digest.hexdigest()

    def _sizes(self) -> list[int]:
        sizes, missing, prefix = [], [], str(self.root)
        for name in self.ids:
            try:
                sizes.append(os.stat(os.path.join(prefix, name)).st_size)
            except OSError:
                missing.append(name)
        if missing:
            raise DataError(
                f"{count_text(len(missing), 'file is', 'files are')} gone of the {self.name} split, from {prefix}: "
                f"{list_some(missing)}."
            )
        return sizes


def join_splits(one: Split, other: Split) -> Split:
    """Return the items of both splits, those of ``one`` first, with what is known of all of them.

    Raises:
        DataError: they lie in different places, or have no kind of target in common.
    """
    if one.root != other.root or one.store is not other.store or one.classes != other.classes:
        raise DataError(f"the {one.name} and {other.name} splits cannot be pooled: they lie in different places.")
    both: dict[str, Any] = {}
    for name in ("labels", "distribution", "votes", "ratings"):
        values = [getattr(split, name) for split in (one, other)]
        both[name] = None if any(value is None for value in values) else np.concatenate(values)
    if all(both[name] is None for name in ("labels", "distribution", "ratings")):
        raise DataError(
            f"the {one.name} and {other.name} splits cannot be pooled: one has labels, the other shares of classes.",
            "Make tables with the same columns.",
        )
    sources = None
    if one.sources is not None or other.sources is not None:
        sources = [*(one.sources or one.ids), *(other.sources or other.ids)]
    facts = {
        name: np.concatenate([values, other.facts[name]]) for name, values in one.facts.items() if name in other.facts
    }
    return replace(one, ids=[*one.ids, *other.ids], sources=sources, facts=facts, **both)


def split_off(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Divide ``split`` into (train, valid) with ``fraction`` of the items in valid, class by class.

    An item's side depends on the seed and the ids alone, not on the order of the items: within each class (label, or
    largest share) items are ranked by a hash of (seed, id) and the first are held out. Classes get their whole part
    of ``fraction``, and what is left goes to those cut off most. A class keeps at least one item in train.

    Copies of one image (``Split.sources``) stay on one side, that of train where the cut goes through them: measured on
    copies of what it was trained on, a model would look better than it is.

    Raises:
        UsageError: ``fraction`` is not between 0 and 1.
        DataError: one of the sides would be empty.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"the held-out fraction must be above 0 and below 1, got {fraction}.")
    top = split.top()
    groups = np.zeros(len(split), dtype=np.int64) if top is None else top
    sizes = np.bincount(groups, minlength=1)
    held = _parts(sizes, fraction)
    if not 0 < held.sum() < len(split):
        raise DataError(
            f"{fraction:g} of the {count_text(len(split), 'item')} of the {split.name} split leaves one side empty.",
            "Name a validation split of your own, or another fraction.",
        )
    names = split.ids if split.sources is None else split.sources
    ranks = np.array([address_seed(seed, "split", name) for name in names], dtype=np.int64)
    order = np.lexsort((ranks, groups))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    place = np.arange(len(split)) - np.repeat(starts, sizes)
    valid = np.zeros(len(split), dtype=bool)
    valid[order] = place < np.repeat(held, sizes)
    if split.sources is not None:
        of_train = {name for name, out in zip(names, valid, strict=True) if not out}
        valid &= np.array([name not in of_train for name in names])
        if not valid.any():
            raise DataError(
                f"no image of the {split.name} split can be held out with all of its copies: {fraction:g} of a class "
                "is less than the copies of one.",
                "Name a validation split of your own, or a larger fraction.",
            )
    return split.select(~valid).with_name("train"), split.select(valid).with_name("valid")


def _parts(sizes: np.ndarray, fraction: float) -> np.ndarray:
    """Return how many of each group to hold out: whole parts, then the largest remainders, never all of a group."""
    exact = sizes * fraction
    # A product such as 0.1 * 30 may end just below 3; what is nearly whole counts as whole.
    parts = np.floor(exact + 1e-9).astype(np.int64)
    left = round(float(sizes.sum() * fraction)) - int(parts.sum())
    for index in np.argsort(parts - exact, kind="stable"):
        if left > 0 and parts[index] + 1 < sizes[index]:
            parts[index] += 1
            left -= 1
    return parts
