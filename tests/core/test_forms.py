"""Forms of values from files: two ways to look at one must agree."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest

from affectkit.core.forms import Count, Hash, Number, form_faults, is_closed, matcher

NAMED = {"a": Count}
FORMS = (
    int, float, str, bool, None, Any, Count, Number, Hash, dict, list, int | None, str | int | float | bool | None,
    list[int], list[Any], dict[str, Count], dict[str, Any], tuple[int, int, str], tuple[str, Count, Hash],
    tuple[int, ...], tuple[str | None, float], Literal["a", 1, True], tuple[int, str] | None,
    {"a": int, "b?": str, "c?": Count}, {"a?": {"b": list[str]}, "n": Number}, list[NAMED],
)  # fmt: skip
SCALARS = (
    None, True, False, 0, 1, -1, 2**63, -(2**63), 10**25, 0.5, float("inf"), float("nan"), 1e308, "", "a", "ab" * 16,
    "AB" * 16, "ab" * 32,
)  # fmt: skip
MEANT = (
    {"a": 1}, {"a": 1, "b": "x", "c": 2}, {"n": 1}, {"a": {"b": ["x"]}, "n": 0.5}, [1, 2, "a"], ["a", 1, "ab" * 16],
    ["a", 0.5], [1, "x"], [{"a": 3}],
)  # fmt: skip


def drawn(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.random()
    if depth == 0 or kind < 0.5:
        return rng.choice(SCALARS)
    if kind < 0.75:
        return [drawn(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice("abcn"): drawn(rng, depth - 1) for _ in range(rng.randrange(4))}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_fast_matcher_is_as_strict_as_the_words(form):
    rng, holds, seen = random.Random(0), matcher(form), set()
    for value in (*SCALARS, *MEANT, *(drawn(rng) for _ in range(3000))):
        assert holds(value) == (not any(form_faults(value, form))), value
        seen.add(holds(value))
    assert form is Any or seen == {True, False}


@pytest.mark.parametrize(
    ("form", "closed"),
    [({"a": int, "b?": list[str]}, True), (dict[str, Any], False), ({"a": {"b": list[dict]}}, False), (None, True)],
)
def test_whether_a_form_bounds_the_nesting(form, closed):
    assert is_closed(form) is closed
