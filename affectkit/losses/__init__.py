"""Losses by name. This module loads no torch; the functions stand in ``losses.distribution``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from affectkit.core.registry import Registry, unknown_name
from affectkit.errors import UsageError

LOSSES = Registry("loss")
LOSSES.add("mse", "affectkit.losses.distribution:mse", "mean squared difference of the probabilities")
LOSSES.add("l1", "affectkit.losses.distribution:l1", "mean absolute difference of the probabilities")
LOSSES.add("kl", "affectkit.losses.distribution:kl", "Kullback-Leibler divergence KL(target || prediction), in nats")
LOSSES.add("ce", "affectkit.losses.distribution:ce", "cross-entropy with the target distribution, in nats")
LOSSES.add("js", "affectkit.losses.distribution:js", "Jensen-Shannon divergence, base 2, in [0, 1]")

# A "+" before a digit is the sign of an exponent or of a weight ("kl:1e+2"), any other one joins two terms.
_JOIN = re.compile(r"\+(?!\d)")


def parse_loss(text: str) -> dict[str, float]:
    """Names and weights from text such as ``"kl"`` or ``"mse:0.5+kl:0.5"``; a name without a weight counts once.

    Spaces around names, weights and signs are ignored, and so is upper case. The order is kept.

    Raises:
        UsageError: all that is wrong, together: an unknown name, a name that stands twice, an empty term, a weight
            that is not a finite number above 0.

    >>> parse_loss("mse:0.5 + kl")
    {'mse': 0.5, 'kl': 1.0}
    """
    terms = []
    for term in _JOIN.split(text):
        name, colon, weight = term.partition(":")
        terms.append((name.strip().lower(), weight.strip() if colon else 1.0))
    return _checked(terms, f"loss {text!r}")


def check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """``weights`` (loss name to weight) with the weights as floats; refused by the rules of ``parse_loss``."""
    return _checked(weights.items(), f"loss weights {dict(weights)!r}")


def _checked(terms: Iterable[tuple[str, str | float]], given: str) -> dict[str, float]:
    result: dict[str, float] = {}
    faults = []
    for name, weight in terms:
        if not name:
            faults.append(f"{given} has a term without a name.")
        elif name not in LOSSES:
            faults.append(unknown_name("loss", name, LOSSES))
        elif name in result:
            faults.append(f"{given} names {name!r} twice; each name may stand once.")
        else:
            result[name] = number = _number(weight)
            if not (math.isfinite(number) and number > 0):
                faults.append(f"the weight of loss {name!r} must be a finite number above 0; got {weight!r}.")
    if not result and not faults:
        faults.append(f"{given} names no loss; at least one is needed.")
    if faults:
        hint = f"Join names with '+', weights after ':', as in mse:0.5+kl:0.5; losses are {', '.join(LOSSES)}."
        raise UsageError.from_faults(faults, hint)
    return result


def _number(value: str | float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # an int above the largest double overflows
        return math.nan
