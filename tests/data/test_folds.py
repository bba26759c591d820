from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from affectkit.core.randomness import address_seed
from affectkit.data.folds import divide_units, unit_counts


def divided(labels, units, folds, *, classes=None, names=None, seed=0):
    """The fold of each item."""
    columns = np.eye(classes or int(max(labels)) + 1)[labels]
    counts, sizes = unit_counts(columns, np.asarray(units))
    ranks = [address_seed(seed, "fold", str(name)) for name in (names if names is not None else range(len(sizes)))]
    return divide_units(counts, sizes, [1 / folds] * folds, ranks)[units]


def unevenness(labels, fold, folds):
    """Spread over folds of the share of each class, their mean over the classes; and of the share of all items."""
    table = np.zeros((folds, int(max(labels)) + 1))
    np.add.at(table, (fold, labels), 1)
    there = table.sum(0) > 0
    return (table[:, there] / table[:, there].sum(0)).std(0).mean(), (table.sum(1) / len(labels)).std()


def drawn_data(rng):
    """Groups of unlike size, each with classes of its own."""
    folds, groups, classes = (int(rng.integers(low, high)) for low, high in ((2, 9), (10, 90), (2, 9)))
    items = int(rng.integers(200, 1500))
    sizes = rng.dirichlet(np.full(groups, rng.choice([0.3, 1, 5])))
    units = np.unique(rng.choice(groups, items, p=sizes), return_inverse=True)[1]
    shares = rng.dirichlet(rng.dirichlet(np.ones(classes)) * rng.choice([2, 20]) + 1e-3, size=groups)
    labels = (rng.random(items)[:, None] > shares[units].cumsum(1)[:, :-1]).sum(1)
    return labels, units, folds


def test_folds_are_as_balanced_as_those_of_scikit_learn_on_average():
    rng, ours, theirs = np.random.default_rng(1), [], []
    for number in range(25):
        labels, units, folds = drawn_data(rng)
        if units.max() + 1 < folds:
            continue
        fold = divided(labels, units, folds)
        assert all(len(set(fold[units == unit])) == 1 for unit in range(units.max() + 1))
        other = np.empty(len(labels), dtype=int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer items than folds
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=number)
            parts = list(splitter.split(labels, labels, units))
        for place, (_, held) in enumerate(parts):
            other[held] = place
        ours.append(unevenness(labels, fold, folds))
        theirs.append(unevenness(labels, other, folds))
    assert len(ours) >= 20
    assert np.mean(ours, 0)[0] < np.mean(theirs, 0)[0] and np.mean(ours, 0)[1] < np.mean(theirs, 0)[1]
    assert np.mean([one[0] <= other[0] + 1e-12 for one, other in zip(ours, theirs, strict=True)]) > 0.7


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_items_without_groups_are_stratified_to_one_item(folds):
    labels = np.random.default_rng(folds).choice(4, 211, p=[0.6, 0.3, 0.08, 0.02])
    fold = divided(labels, np.arange(211), folds)
    table = np.zeros((folds, 4), dtype=int)
    np.add.at(table, (fold, labels), 1)
    assert (np.ptp(table, axis=0) <= 1).all() and np.ptp(table.sum(1)) <= 1


def test_a_small_problem_is_solved_as_well_as_by_trying_everything():
    rng, matched = np.random.default_rng(2), 0
    for _ in range(12):
        sizes = rng.integers(2, 9, 8)
        units = np.repeat(np.arange(8), sizes)
        labels = rng.integers(0, 3, len(units))
        columns = np.eye(3)[labels]
        counts, totals = unit_counts(columns, units)
        values = np.column_stack([counts / counts.sum(0), totals / totals.sum()])

        def cost(part, values=values):
            return sum(np.square(values[np.asarray(part) == k].sum(0) - 0.5).sum() for k in (0, 1))

        best = min(cost(part) for part in itertools.product((0, 1), repeat=8) if 0 < sum(part) < 8)
        found = cost(divide_units(counts, totals, [0.5, 0.5], list(range(8))))
        assert found <= best + 0.02
        matched += found <= best + 1e-9
    assert matched >= 8


def test_the_order_of_items_and_of_units_does_not_matter():
    rng = np.random.default_rng(3)
    labels, units, folds = drawn_data(rng)
    names = [f"subject{number}" for number in range(units.max() + 1)]
    fold = divided(labels, units, folds, classes=9, names=names)
    order = rng.permutation(len(labels))
    renamed = rng.permutation(len(names))  # unit k is now called renamed[k]
    again = divided(
        labels[order], renamed[units[order]], folds, classes=9, names=[names[k] for k in np.argsort(renamed)]
    )
    assert again.tolist() == fold[order].tolist()
    assert divided(labels, units, folds, classes=9, names=names, seed=1).tolist() != fold.tolist()


def test_every_part_has_a_unit_and_shares_are_kept():
    for units, shares in ((3, [0.9, 0.1]), (2, [0.99, 0.01]), (5, [0.2] * 5)):
        for size in (1, 6):
            sizes = np.full(units, float(size))
            part = divide_units(sizes[:, None], sizes, shares, list(range(units)))
            assert sorted(set(part.tolist())) == list(range(len(shares)))
    labels = np.random.default_rng(4).choice(5, 3000, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    counts, sizes = unit_counts(np.eye(5)[labels], np.arange(3000))
    part = divide_units(counts, sizes, [0.9, 0.1], list(range(3000)))
    held = np.bincount(labels[part == 1], minlength=5)
    assert np.abs(held - 0.1 * np.bincount(labels)).max() <= 1 and abs(held.sum() - 300) <= 2
    with pytest.raises(ValueError, match="2 units cannot make 3 parts"):
        divide_units(np.ones((2, 1)), np.ones(2), [1 / 3] * 3, [0, 1])
