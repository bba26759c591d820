"""Copies and near copies within splits and across them, what they are labelled with, and the items without them.

A split is compared with those before it (train, valid, test), as ``data.layouts.duplicates`` does: what is told is how
many of its items a model has seen in training, or nearly so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from affectkit.core.text import percent
from affectkit.exploration.near_copies import NearCopies

EXACT, NEAR, MIRRORED = "exact", "near", "mirrored"
MOSTLY, FEWEST_PAIRS = 0.5, 5
"""Share of the pairs of near copies that differ in class above which these are look-alikes, and pairs from which the
share says something."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What is the same among N items.

    Attributes:
        of: int64 (N,), the content of each item, from 0; -1 where it is not known.
        first: int64 (K,), of each content the first item that has it.
    """

    of: NDArray[np.int64] = field(repr=False)
    first: NDArray[np.int64] = field(repr=False)


def group_contents(digests: Sequence[bytes]) -> Contents:
    """Return the contents of items, numbered in the order in which they occur.

    Args:
        digests: of each item, equal for exact copies; empty where it is not known.
    """
    numbers: dict[bytes, int] = {}
    of = np.full(len(digests), -1, np.int64)
    first: list[int] = []
    for place, digest in enumerate(digests):
        if digest:
            if digest not in numbers:
                numbers[digest] = len(first)
                first.append(place)
            of[place] = numbers[digest]
    return Contents(of, np.array(first, np.int64))


@dataclass(frozen=True, eq=False)
class Copies:
    """Exact and near copies among N items of S splits.

    Attributes:
        contents: what is the same.
        near: pairs of contents, or None where they were not searched.
        splits: names of the S splits, in order.
        split: int64 (N,), of each item its split.
    """

    contents: Contents
    near: NearCopies | None
    splits: tuple[str, ...]
    split: NDArray[np.int64] = field(repr=False)

    def counts(self) -> NDArray[np.int64]:
        """Return how many items of each split have a content, (K, S)."""
        known = self.contents.of >= 0
        found = np.zeros((len(self.contents.first), len(self.splits)), np.int64)
        np.add.at(found, (self.contents.of[known], self.split[known]), 1)
        return found

    def flags(self, *, near: bool) -> NDArray[np.bool_]:
        """Return whether an item has a copy in a split other than itself, bool (N, S).

        Args:
            near: count near copies with the exact ones.
        """
        counts = self.counts()
        of, known = self.contents.of, self.contents.of >= 0
        own = np.zeros((len(of), len(self.splits)), np.int64)
        own[np.arange(len(of)), self.split] = 1
        found = np.zeros((len(of), len(self.splits)), bool)
        found[known] = counts[of[known]] > own[known]
        if near and self.near is not None:
            there = counts > 0
            beside = np.zeros_like(there)
            np.logical_or.at(beside, self.near.first, there[self.near.second])
            np.logical_or.at(beside, self.near.second, there[self.near.first])
            found[known] |= beside[of[known]]
        return found

    def in_earlier(self, *, near: bool) -> NDArray[np.bool_]:
        """Return bool (N,): items that have a copy in a split before theirs."""
        flags = self.flags(near=near)
        earlier = np.arange(len(self.splits))[None, :] < self.split[:, None]
        return (flags & earlier).any(axis=1)

    def clusters(self, *, near: bool) -> NDArray[np.int64]:
        """Return the cluster of each item, (N,): items that copies connect, from 0 in the order of their first items;
        -1 for those without a copy.
        """
        of, count = self.contents.of, len(self.contents.first)
        group = np.arange(count)
        if near and self.near is not None and len(self.near):
            links = (np.ones(len(self.near), bool), (self.near.first, self.near.second))
            _, group = connected_components(coo_matrix(links, shape=(count, count)), directed=False)
        found = np.where(of >= 0, group[of], -1) if count else np.full(len(of), -1)
        sizes = np.bincount(found[found >= 0], minlength=1)
        found[(found >= 0) & (sizes[found] < 2)] = -1
        names, places = np.unique(found[found >= 0], return_index=True)
        rank = np.full(max(count, 1), -1, np.int64)
        rank[names[np.argsort(places)]] = np.arange(len(names))
        return np.where(found >= 0, rank[found], -1)

    def summary(self, labels: NDArray[np.int64], *, near: bool) -> dict[str, Any]:
        """Return what the copies of a kind are.

        Args:
            labels: int64 (N,), the class of each item; -1 where it has none.
            near: count near copies with the exact ones.

        Returns:
            by split ``items``, ``within`` (items with a copy in it), ``of`` (items with a copy in an earlier split, by
            that) and ``in_earlier`` (in any); ``clusters``, ``items_in_clusters``, ``largest``, and of the labelled
            clusters ``labels_differ``, how many hold several classes; ``pairs``, and of the labelled ones
            ``pairs_labels_differ``, the share of which the two classes differ.
        """
        flags, earlier = self.flags(near=near), self.in_earlier(near=near)
        by_split = {}
        for number, name in enumerate(self.splits):
            own = self.split == number
            by_split[name] = {
                "items": int(own.sum()),
                "within": int(flags[own, number].sum()),
                "of": {other: int(flags[own, place].sum()) for place, other in enumerate(self.splits[:number])},
                "in_earlier": int(earlier[own].sum()),
            }
        cluster = self.clusters(near=near)
        inside = cluster >= 0
        sizes = np.bincount(cluster[inside]) if inside.any() else np.zeros(0, np.int64)
        pairs, labelled, differ = self._near_pairs(labels) if near else self._exact_pairs(labels)
        return {
            "splits": by_split,
            "clusters": len(sizes),
            "items_in_clusters": int(inside.sum()),
            "largest": int(sizes.max(initial=0)),
            **_label_clusters(cluster[inside], labels[inside]),
            "pairs": pairs,
            "pairs_labels_differ": differ / labelled if labelled else float("nan"),
        }

    def _exact_pairs(self, labels: NDArray[np.int64]) -> tuple[int, int, int]:
        """Return pairs of exact copies: all, those with two classes known, and those whose classes differ."""
        known = self.contents.of >= 0
        sizes = np.bincount(self.contents.of[known], minlength=1)
        named = known & (labels >= 0)
        groups = np.bincount(self.contents.of[named], minlength=1)
        _, same = np.unique(np.stack([self.contents.of[named], labels[named]]), axis=1, return_counts=True)
        total, labelled, equal = (int((count * (count - 1) // 2).sum()) for count in (sizes, groups, same))
        return total, labelled, labelled - equal

    def _near_pairs(self, labels: NDArray[np.int64]) -> tuple[int, int, int]:
        """Return the same of pairs of near copies, each content by its first item."""
        if self.near is None:
            return 0, 0, 0
        one, other = (labels[self.contents.first[side]] for side in (self.near.first, self.near.second))
        named = (one >= 0) & (other >= 0)
        return len(self.near), int(named.sum()), int((one[named] != other[named]).sum())

    def rows(self) -> list[tuple[int, int, str, int | str, float | str]]:
        """Return the pairs as rows: both items, the kind, and of near copies the distance and the correlation.

        An exact copy stands once, beside the first item of its content; near copies stand once for each two contents,
        with the first items of both.
        """
        of, first = self.contents.of, self.contents.first
        found: list[tuple[int, int, str, int | str, float | str]] = [
            (int(first[content]), place, EXACT, "", "")
            for place, content in enumerate(of.tolist())
            if content >= 0 and first[content] != place
        ]
        if self.near is not None:
            sides = (first[self.near.first].tolist(), first[self.near.second].tolist())
            kinds = [MIRRORED if flag else NEAR for flag in self.near.mirrored.tolist()]
            rest = (self.near.distance.tolist(), self.near.correlation.tolist())
            found += zip(*sides, kinds, *rest, strict=True)
        return sorted(found, key=lambda row: row[:2])


def look_alikes(summary: Mapping[str, Any] | None) -> str:
    """Return what to know where near copies are probably none: pictures that look alike, as drawings or faces that are
    framed alike; else empty.

    Copies of one picture are labelled alike, but for errors. So where most pairs differ in class, and there are
    ``FEWEST_PAIRS`` or more, it is rather the pictures that are alike.

    Args:
        summary: of near copies, as ``Copies.summary`` returns it; None: they were not searched.
    """
    differ = summary["pairs_labels_differ"] or 0 if summary is not None else 0  # None: not a number, read from JSON
    if not differ > MOSTLY or summary["pairs"] < FEWEST_PAIRS:
        return ""
    share = percent(differ)
    return (
        f"{share} of the {summary['pairs']:,} pairs of near copies differ in class: these are look-alikes, as drawings "
        "or faces framed alike, rather than copies"
    )


def _label_clusters(cluster: NDArray[np.int64], labels: NDArray[np.int64]) -> Mapping[str, int]:
    """Count the clusters with two labelled items or more, and those of them that hold several classes."""
    named = labels >= 0
    sizes = np.bincount(cluster[named], minlength=1)
    pairs = np.unique(np.stack([cluster[named], labels[named]]), axis=1)
    kinds = np.bincount(pairs[0], minlength=1)
    return {"labelled_clusters": int((sizes >= 2).sum()), "labels_differ": int((kinds >= 2).sum())}
