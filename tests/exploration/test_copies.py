"""Copies within and across splits, against a loop over all pairs of items; clusters and their labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from affectkit.exploration.copies import Copies, group_contents
from affectkit.exploration.near_copies import NearCopies


def near(pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    count = len(first)
    return NearCopies(
        first, second, np.full(count, 3, np.uint8), np.full(count, 0.97, np.float32), np.zeros(count, bool)
    )


@pytest.fixture(params=range(4))
def drawn(request):
    """Items of three splits with few contents, some of which are not known, and pairs of contents."""
    rng = np.random.default_rng(request.param)
    digests = [b"" if number == 0 else b"%d" % number for number in rng.integers(0, 30, 40)]
    contents = group_contents(digests)
    every = list(itertools.combinations(range(len(contents.first)), 2))
    pairs = sorted(every[place] for place in rng.choice(len(every), 8, replace=False))
    split = np.sort(rng.integers(0, 3, 40))
    return (
        digests,
        Copies(contents, near(pairs), ("train", "valid", "test"), split),
        {*pairs, *(p[::-1] for p in pairs)},
    )


@pytest.mark.parametrize("loose", [False, True])
def test_flags_and_clusters_are_those_of_a_loop(drawn, loose):
    digests, copies, pairs = drawn
    of, split = copies.contents.of.tolist(), copies.split.tolist()

    def alike(a, b):
        return bool(digests[a]) and (digests[a] == digests[b] or (loose and (of[a], of[b]) in pairs))

    wanted = [[any(a != b and split[b] == k and alike(a, b) for b in range(40)) for k in range(3)] for a in range(40)]
    assert copies.flags(near=loose).tolist() == wanted
    earlier = [any(flag for k, flag in enumerate(row) if k < split[a]) for a, row in enumerate(wanted)]
    assert copies.in_earlier(near=loose).tolist() == earlier
    cluster = copies.clusters(near=loose).tolist()
    for a, b in itertools.combinations(range(40), 2):
        assert not alike(a, b) or cluster[a] == cluster[b] >= 0
    reached = list(range(40))
    for _ in range(40):
        reached = [min([reached[a], *(reached[b] for b in range(40) if b != a and alike(a, b))]) for a in range(40)]
    names = {
        root: number for number, root in enumerate(sorted({r for a, r in enumerate(reached) if reached.count(r) > 1}))
    }
    assert cluster == [names.get(root, -1) for root in reached]


def test_summary_counts_labels_that_differ():
    digests = [b"a", b"b", b"a", b"", b"a", b"c", b"c"]
    copies = Copies(group_contents(digests), near([(0, 1)]), ("train", "valid"), np.array([0, 0, 0, 0, 1, 1, 1]))
    labels = np.array([0, 1, 0, 2, 1, 2, -1])
    exact, loose = (copies.summary(labels, near=flag) for flag in (False, True))
    assert exact["splits"]["train"] == {"items": 4, "within": 2, "of": {}, "in_earlier": 0}
    assert exact["splits"]["valid"] == {"items": 3, "within": 2, "of": {"train": 1}, "in_earlier": 1}
    assert (exact["clusters"], exact["items_in_clusters"], exact["largest"], exact["pairs"]) == (2, 5, 3, 4)
    assert (exact["labelled_clusters"], exact["labels_differ"]) == (1, 1)  # of the pair "c" one has no label
    assert exact["pairs_labels_differ"] == pytest.approx(2 / 3)
    assert (loose["clusters"], loose["largest"], loose["pairs"], loose["pairs_labels_differ"]) == (2, 4, 1, 1)
    assert [row[:3] for row in copies.rows()] == [(0, 1, "near"), (0, 2, "exact"), (0, 4, "exact"), (5, 6, "exact")]


def test_nothing_is_a_copy_of_nothing():
    copies = Copies(group_contents([b"", b""]), near([]), ("all",), np.zeros(2, np.int64))
    summary = copies.summary(np.array([-1, -1]), near=True)
    assert summary["clusters"] == summary["pairs"] == 0 and copies.clusters(near=True).tolist() == [-1, -1]
    assert copies.rows() == [] and not copies.flags(near=True).any()
