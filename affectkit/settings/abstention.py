"""Options of abstaining, class priors and norms, which several commands have. Importing this loads nothing heavy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.config import Parsed, setting, value_of
from affectkit.core.missing_paths import at_home
from affectkit.core.number_texts import meant_number, percent_for_share
from affectkit.core.registry import did_you_mean
from affectkit.errors import UsageError

STORED, ESTIMATE = "stored", "estimate"
LEVEL = 0.95
TARGETS = ("accuracy", "coverage")
LABELS = "Labels"


class Wish(NamedTuple):
    """What a fitted threshold shall promise.

    Attributes:
        target: ``accuracy`` of the items that get a label, or ``coverage``, their share.
        value: at least so much, in (0, 1).
        confidence: of the promise, in (0, 1).
    """

    target: str
    value: float
    confidence: float


class Prior(NamedTuple):
    """Where class shares come from: a file, or shares by class; both None: they are estimated."""

    file: Path | None
    shares: dict[str, float] | None


def parse_wish(text: str) -> Wish:
    """Read ``"accuracy=0.95,confidence=0.9"`` as the promise that a threshold is fitted for.

    Raises:
        UsageError: something else, or a number out of range.
    """
    found = _numbers(text, "as accuracy=0.95 or coverage=0.8,confidence=0.9")
    for name, value in found.items():
        if name not in (*TARGETS, "confidence"):
            guess = did_you_mean(name, TARGETS, before=" ")
            raise UsageError(f"must name {' or '.join(TARGETS)}, and confidence beside it; got {name!r}.{guess}")
        if not 0 < value < 1:
            meant = percent_for_share(value, 1.0)
            raise UsageError(f"{name} must be above 0 and below 1; got {value:g}{meant and f' ({meant})'}.")
    named = [name for name in TARGETS if name in found]
    if len(named) != 1:
        raise UsageError(f"must name one of {' and '.join(TARGETS)}, as accuracy=0.95; got {text!r}.")
    return Wish(named[0], found[named[0]], found.get("confidence", LEVEL))


def parse_abstain(text: str) -> float | None:
    """Read ``"0.8"`` as that confidence, and ``"stored"`` as None: the checkpoint's threshold.

    Raises:
        UsageError: something else, or a number out of [0, 1].
    """
    if text == STORED:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        meant = meant_number(text if math.isnan(value) or not 2 <= value <= 100 else f"{text}%")
        guess = f" Did you mean {meant}?" if meant and meant != text else ""
        raise UsageError(
            f"must be {STORED}, the checkpoint's threshold, or a confidence in [0, 1]; got {text!r}.{guess}"
        )
    return value


def parse_prior(text: str) -> Prior:
    """Read ``"estimate"``, ``"happiness=0.2,sadness=0.8"`` or the path of a table.

    Raises:
        UsageError: a share is no number from 0 to 1.
    """
    if text == ESTIMATE:
        return Prior(None, None)
    if "=" not in text:
        return Prior(at_home(text), None)
    return Prior(None, _numbers(text, "a table, or shares as happiness=0.2,sadness=0.8"))


def parse_stated_prior(text: str) -> Prior:
    """Read as ``parse_prior`` what is not estimated."""
    if text == ESTIMATE:
        raise UsageError(f"must be a table or shares, as happiness=0.2,sadness=0.8; got {text!r}.")
    return parse_prior(text)


def _numbers(text: str, example: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, number = (piece.strip() for piece in part.rpartition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not name or math.isnan(value):
            meant = meant_number(number) if name else ""
            guess = f" Did you mean {name}={meant}?" if meant else ""
            raise UsageError(f"{part.strip()!r} is not NAME=NUMBER; it must be {example}.{guess}")
        if name in found:
            raise UsageError(f"{name} is given twice.")
        found[name] = value
    return found


def fitted_abstention(help: str, *, group: str) -> Any:
    """Declare the option ``--abstain`` of commands that fit a threshold."""
    return setting(
        None, help, parse=parse_wish, group=group, metavar="accuracy|coverage=SHARE[,confidence=SHARE]",
        default_text="none",
    )  # fmt: skip


def abstaining(help: str) -> Any:
    """Declare the option ``--abstain`` of commands that use a threshold."""
    return setting(
        None, help, parse=parse_abstain, group=LABELS, metavar="stored|CONFIDENCE", default_text="every item gets one"
    )


def least_confidence(help: str) -> Any:
    """Declare the option ``--min-confidence``: ``--abstain`` with a confidence, under the name that users look for."""
    return setting(None, help, low=0, high=1, group=LABELS, metavar="CONFIDENCE", default_text="every item gets one")


def question_margin(help: str, *, group: str) -> Any:
    """Declare the option ``--question-margin`` of commands that draw labels."""
    return setting(None, help, low=0, high=1, group=group, metavar="MARGIN", default_text="0.1; 0: none")


class HeldBack(NamedTuple):
    """Whether labels may be held back, and below which confidence; None: below the checkpoint's threshold."""

    asked: bool
    least: float | None


NOTHING_HELD_BACK = HeldBack(False, None)


def held_back(abstain: Parsed[float | None] | None, min_confidence: float | None) -> HeldBack:
    """Return what ``--abstain`` and ``--min-confidence``, of which at most one is given, come to."""
    if min_confidence is not None:
        return HeldBack(True, float(min_confidence))
    return HeldBack(abstain is not None, value_of(abstain))


def refuse_both(abstain: Any, min_confidence: float | None) -> list[str]:
    """Return the fault where ``--abstain`` and ``--min-confidence`` are both given; none otherwise."""
    if abstain is None or min_confidence is None:
        return []
    return [
        "--abstain and --min-confidence exclude each other: either is the least confidence of a label, and a stored "
        "threshold promises nothing of another one."
    ]


def class_prior(help: str, *, estimated: bool) -> Any:
    """Declare the option ``--prior``."""
    metavar = "TABLE|NAME=SHARE,..." + ("|estimate" if estimated else "")
    parse = parse_prior if estimated else parse_stated_prior
    return setting(None, help, parse=parse, group=LABELS, metavar=metavar, default_text="predictions as they are")


def with_valence_arousal() -> Any:
    """Declare the option ``--valence-arousal``."""
    return setting(
        False,
        "Add valence and arousal, on -1..1, derived from predicted emotions by published ratings of their words: the "
        "mean over the shares, low and high for 80% of raters, the disagreement on the emotion.",
        group=LABELS,
    )


def training_prior() -> Any:
    """Declare the option ``--training-prior``."""
    return setting(
        None,
        "Class shares of the training data that --prior replaces, CSV with class,share or NAME=SHARE,...",
        parse=parse_stated_prior,
        group=LABELS,
        metavar="TABLE|NAME=SHARE,...",
        default_text="those that the checkpoint records",
    )
