"""Read the text of settings that stand for something else. Importing this loads nothing heavy."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from affectkit.core.limits import MAX_INTEGER
from affectkit.core.missing_paths import at_home
from affectkit.core.number_texts import meant_number
from affectkit.core.registry import did_you_mean
from affectkit.corruptions import SEVERITIES
from affectkit.data.faces import DETECTORS, RESERVED, detector_forms
from affectkit.errors import UsageError


class Interval(NamedTuple):
    """An interval between two actions: so many steps, or seconds; what does not count is 0."""

    steps: int
    seconds: float


class Faces(NamedTuple):
    """The name of a face detector, ``auto`` or ``none``, and its file where one is given."""

    detector: str
    file: Path | None


class Every(NamedTuple):
    """Distance of the predicted frames of a video: seconds or frames; the other is 0."""

    seconds: float
    frames: int


def parse_interval(text: str) -> Interval:
    """Read ``"200"`` as 200 steps and ``"10m"`` as 600 seconds; units are s, m and h.

    Raises:
        UsageError: something else, or 0.
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or not float(match[1] or match[2]):
        raise UsageError(f"must be a number of steps, as 200, or of minutes or hours, as 10m or 1.5h; got {text!r}.")
    if match[1]:
        return Interval(int(match[1]), 0.0)
    return Interval(0, float(match[2]) * {"s": 1, "m": 60, "h": 3600}[match[3]])


def parse_sampling(text: str) -> float:
    """Read ``"uniform"`` as 0, ``"balanced"`` as 1 and a number between them as itself.

    Raises:
        UsageError: something else.
    """
    word = text.strip().lower()
    named = {"uniform": 0.0, "balanced": 1.0}
    try:
        power = named[word] if word in named else float(word)
    except ValueError:
        power = math.nan
    if not 0 <= power <= 1:
        raise UsageError(
            f"must be uniform, balanced, or a power from 0 (uniform) to 1 (balanced), as 0.5; got {text!r}."
        )
    return power


def parse_faces(text: str) -> Faces:
    """Read ``"haar"`` or ``"yunet:FILE"`` as that detector, with its file where one is given.

    Raises:
        UsageError: something else.
    """
    if text in RESERVED:
        return Faces(text, None)
    kind, colon, file = text.partition(":")
    entry = DETECTORS.get(kind)
    if (
        entry is None
        or bool(colon) != bool(file)
        or not (entry.file if file else entry.file_optional or not entry.file)
    ):
        *known, last = *RESERVED, *detector_forms()
        guess = did_you_mean(kind, [*RESERVED, *DETECTORS], before=" ") if entry is None else ""
        raise UsageError(f"must be {', '.join(known)} or {last}; got {text!r}.{guess}")
    return Faces(kind, at_home(file) if file else None)


def parse_every(text: str) -> Every:
    """Read ``"0.5s"`` as 0.5 seconds, ``"2/s"`` (two a second) as the same, and ``"15"`` as 15 frames.

    Raises:
        UsageError: something else, or 0.
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)s|(\d+(?:\.\d+)?)/s", text.strip())
    if match is None or not float(match[1] or match[2] or match[3]):
        rate = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:fps|hz|/ ?s(?:ec|econd)?)", text.strip().lower())
        meant = f" {text} is {rate[1]}/s." if rate and float(rate[1]) else ""
        raise UsageError(
            "must be seconds, as 0.5s, frames a second, as 2/s, or a number of frames, as 15 for every 15th; "
            f"got {text!r}.{meant}"
        )
    if match[1]:
        return Every(0.0, int(match[1]))
    return Every(float(match[2]) if match[2] else 1 / float(match[3]), 0)


def parse_bytes(text: str) -> int:
    """Read ``"500M"`` as 500,000,000 bytes; ``K``, ``M`` and ``G`` are thousands, millions and billions.

    Raises:
        UsageError: something else, or less than 1.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)b?", text.strip().lower())
    size = round(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]]) if match else 0
    if not 1 <= size <= MAX_INTEGER:
        raise UsageError(f"must be a number of bytes, as 500M or 2G; got {text!r}.")
    return size


def parse_severities(text: str) -> tuple[int, ...]:
    """Read ``"1-5"``, ``"3"`` or ``"1,3-5"`` as whole numbers in order.

    Raises:
        UsageError: something else, or outside 1 to 5.
    """
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UsageError(f"must be severities in [1, 5], as 1-5, 3 or 1,3,5; got {text!r}.")
        ends = int(low), int(high or low)
        if not SEVERITIES[0] <= ends[0] <= ends[1] <= SEVERITIES[-1]:
            raise UsageError(f"must be severities in [1, 5], as 1-5, 3 or 1,3,5; got {text!r}.")
        found |= set(range(ends[0], ends[1] + 1))
    return tuple(sorted(found))


def parse_thresholds(text: str, *, example: str = "accuracy=0.8") -> dict[str, float]:
    """Read ``"accuracy=0.8,ece=0.05"`` as bounds by metric; which metrics there are is known to the task alone.

    Raises:
        UsageError: names what is not of that form.
    """
    found = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            bound = float(value)
        except ValueError as error:
            meant = meant_number(value) if name.strip() else ""
            guess = f" Did you mean {name.strip()}={meant}?" if meant else ""
            raise UsageError(f"{part!r} is not METRIC=VALUE, as in {example}.{guess}") from error
        if math.isnan(bound):
            raise UsageError(f"{part!r} bounds nothing; a number is needed, as in {example}.")
        found[name.strip()] = bound
    return found
