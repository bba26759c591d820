"""Read ``--by``: the columns by which the items of a test are grouped. Importing this loads nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from affectkit.core.expressions import PATTERN
from affectkit.errors import UsageError


@dataclass(frozen=True)
class By:
    """One of the columns of ``--by``.

    Attributes:
        names: of the columns; several are crossed, each pair (or more) of values a group.
        edges: of the bands of the only column; empty: quantiles where it holds many numbers.
        values: each value is a group, however many numbers there are.
    """

    names: tuple[str, ...]
    edges: tuple[float, ...] = ()
    values: bool = False

    def __str__(self) -> str:
        return "*".join(self.names)


def parse_groups(text: str) -> tuple[By, ...]:
    """Read what ``--by`` names, separated by commas; see ``parse_by``.

    Raises:
        UsageError: a part is not of that form, or stands there twice.
    """
    if text.startswith(PATTERN):  # a comma may be part of an expression
        return (parse_by(text),)
    found = tuple(parse_by(part.strip()) for part in text.split(",") if part.strip())
    names = [str(one) for one in found]
    if not found:
        raise UsageError("names no column; as in --by sex,race.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"names {', '.join(twice)} twice.")
    return found


def parse_by(text: str) -> By:
    """Read ``sex``, ``sex*race``, ``age=20-30-40`` (edges; ``pose=-30:0:30`` where one is negative), ``actor=values``.

    Raises:
        UsageError: it is none of these.
    """
    if text.startswith(PATTERN):
        return By((text,))
    name, equals, rest = (part.strip() for part in text.partition("="))
    names = tuple(part.strip() for part in name.split("*"))
    if not all(names) or len(set(names)) < len(names) or (equals and (len(names) > 1 or not rest)):
        raise UsageError(
            f"{text!r} is not COLUMN, COLUMN*COLUMN, COLUMN=EDGE-EDGE-... or COLUMN=values, as in "
            "sex,race,age=20-30-40,sex*race."
        )
    if not equals or rest == "values":
        return By(names, values=rest == "values")
    try:
        edges = tuple(float(part) for part in rest.split(":" if ":" in rest else "-"))
    except ValueError:
        edges = ()
    if not edges or not all(map(math.isfinite, edges)) or any(a >= b for a, b in pairwise(edges)):
        raise UsageError(
            f"{text!r}: edges must be rising numbers, as {name}=20-30-40; with negative ones, {name}=-1:0:1."
        )
    return By(names, edges)
