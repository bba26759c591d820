"""Coverage of the difference of two recipes over items and repeats, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from populations import repeated

from affectkit.statistics.paired import difference
from affectkit.statistics.two_way import repeated_difference

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("n", "clusters"), [(100, None), (600, None), (300, 10)])
@pytest.mark.parametrize("repeats", [2, 3, 5, 10])
def test_other_items_and_other_trainings_are_covered(n, clusters, repeats):
    cluster = None if clusters is None else np.arange(n) % clusters
    for spread in (0.0, 0.15, 0.5):
        held: dict[str, list[bool]] = {}
        for number in range(400):
            rng = np.random.default_rng([n, repeats, number])
            for name, pair in repeated(rng, n, repeats, spread=spread, clusters=cluster).items():
                found = repeated_difference(*pair, clusters=cluster)
                held.setdefault(name, []).append(found.low <= 0 <= found.high)
        shares = {name: float(np.mean(values)) for name, values in held.items()}
        print(n, clusters, repeats, spread, shares)
        # Two repeats that differ little leave the interval wide; it must not be narrow.
        assert all(0.915 <= share <= 1 for share in shares.values()), shares
        assert len(shares) == 2


def test_one_training_each_says_nothing_of_others():
    """Why repeats are needed: intervals over items of single trainings miss what other trainings do."""
    held = []
    for number in range(400):
        pair = repeated(np.random.default_rng([1, number]), 1000, 1, spread=0.3)["skewed"]
        found = difference(pair[0][0], pair[1][0], permutations=1)
        held.append(found.low <= 0 <= found.high)
    assert np.mean(held) < 0.6
