"""Class names that are written differently and may be one: 3 and 3.0, Sad and sad."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from decimal import Decimal

from affectkit.core.registry import count_slips, nearest_names
from affectkit.data.layouts.class_words import EMOTIONS
from affectkit.errors import DataError

SHORTEST = 3
"""Letters that two forms of a word begin with at least."""
ENDINGS = {"", *"d e y ed er ry ied ous ety ity ful ion ment ness iness om ly ily rily uous".split()}  # noqa: SIM905
"""What may follow them."""
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?")


def number_of(name: str) -> Decimal | None:
    """Return the number that a class name is, as 3, 03 or 3.0 is 3; None where it is none."""
    return Decimal(name).normalize() if _NUMBER.fullmatch(name) and name.isascii() else None


def refuse_same_number(classes: Sequence[str], where: str) -> None:
    """Refuse two class names that are one number, as a program writes it here and there.

    Args:
        where: what holds them, for the error.

    Raises:
        DataError: there are such names.
    """
    by_number: dict[Decimal, list[str]] = {}
    for name in classes:
        if (number := number_of(name)) is not None:
            by_number.setdefault(number, []).append(name)
    if same := [" and ".join(map(repr, names)) for names in by_number.values() if len(names) > 1]:
        raise DataError(
            f"{where}: classes that are the same number: {', '.join(same[:5])}.",
            "Write each class in one way: names are compared as text. (pandas writes 3.0 where a column had empty "
            "cells.)",
        )


def likely_matches(name: str, known: Sequence[str]) -> list[str]:
    """Return those of ``known`` that ``name`` may stand for, the likeliest kind alone: the same number, the same but
    for case and spaces, another form of the word, or similar.

    >>> likely_matches("happy", ["sadness", "happiness"]), likely_matches("happiness", ["sadness", "anger"])
    (['happiness'], [])
    """
    number = number_of(name)
    same = [one for one in known if number is not None and number_of(one) == number]
    same = same or [one for one in known if one.strip().casefold() == name.strip().casefold()]
    # Similar numbers are others: 4 is not 3, nor 1 a misspelt 10.
    others = [one for one in known if number_of(one) is None] if number is not None else list(known)
    return same or [one for one in others if _same_stem(name, one)] or _near(name, others)


def _same_stem(name: str, other: str) -> bool:
    """Return whether two names are forms of one word, as happy and happiness, or one is short for the other."""
    name, other = name.casefold(), other.casefold()
    begin = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))
    return (begin >= SHORTEST and {name[begin:], other[begin:]} <= ENDINGS) or (
        min(len(name), len(other)) == begin >= SHORTEST and {name, other} <= EMOTIONS
    )


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Return those of ``known`` of which ``name`` may be a slip; of two words for emotions neither is one."""
    if name.casefold() in EMOTIONS:
        known = [one for one in known if one.casefold() not in EMOTIONS]
    return [
        one
        for one in nearest_names(name, known)
        if count_slips(name.casefold(), one.casefold()) <= max(1, min(len(name), len(one)) // 3)
    ]
