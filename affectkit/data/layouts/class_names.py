"""Class names that are written differently and may be one: 3 and 3.0, Sad and sad."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from affectkit.core.registry import nearest_names
from affectkit.errors import DataError

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
    for case and spaces, or similar.
    """
    number = number_of(name)
    same = [one for one in known if number is not None and number_of(one) == number]
    same = same or [one for one in known if one.strip().casefold() == name.strip().casefold()]
    # Similar numbers are others: 4 is not 3, nor 1 a misspelt 10.
    others = [one for one in known if number_of(one) is None] if number is not None else list(known)
    return same or nearest_names(name, others)
