"""Name the losses that ``--loss`` takes, alone or as weighted sums.

The functions stand in ``losses.distribution`` and ``losses.ratings``; this module loads no torch.
"""

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

RATING_LOSSES = Registry("loss")
RATING_LOSSES.add(
    "vca", "affectkit.losses.ratings:vca_published_loss", "ratings: VCA's, arousal weighted 0.7, 0.6, then 0.5"
)
RATING_LOSSES.add("mse", "affectkit.losses.ratings:mse", "mean squared error")
RATING_LOSSES.add("l1", "affectkit.losses.ratings:l1", "mean absolute error")
RATING_LOSSES.add("ccc", "affectkit.losses.ratings:concordance", "ratings: 1 - concordance correlation of a batch")

# A "+" before a digit is the sign of an exponent or of a weight ("kl:1e+2"), any other one joins two terms.
_JOIN = re.compile(r"\+(?!\d)")


def parse_loss(text: str, known: Mapping[str, object] | None = None) -> dict[str, float]:
    """Parse names and weights from text such as ``"kl"`` or ``"mse:0.5+kl:0.5"``; a name without a weight counts once.

    Spaces around names, weights and signs are ignored, and so is upper case. The order is kept.

    Args:
        known: the names that may stand; all by default. Which of them a task takes, it says itself.

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
    return _checked(terms, f"loss {text!r}", {**LOSSES, **RATING_LOSSES} if known is None else known)


def normalised(terms: Mapping[str, float]) -> dict[str, float]:
    """Return ``terms`` (loss name to weight) with weights that sum to 1.

    >>> normalised({"mse": 1.0, "kl": 3.0})
    {'mse': 0.25, 'kl': 0.75}
    """
    total = math.fsum(terms.values())
    return {name: weight / total for name, weight in terms.items()}


def describe_terms(terms: Mapping[str, float], *, normalise: bool) -> str:
    """Describe how a sum of losses is weighted; empty for one loss that counts once.

    Args:
        terms: loss name to weight, as ``parse_loss`` gives them.
        normalise: whether the weights are divided by their sum.

    >>> describe_terms({"mse": 1.0, "kl": 3.0}, normalise=False)
    'loss = 1 mse + 3 kl: weights sum to 4; --loss-normalise divides by that'
    """
    if list(terms.values()) == [1.0]:
        return ""
    used = normalised(terms) if normalise else terms
    text = " + ".join(f"{weight:.6g} {name}" for name, weight in used.items())
    total = math.fsum(terms.values())
    if normalise:
        return f"loss = {text}: weights divided by their sum, {total:.6g}"
    more = "" if math.isclose(total, 1) else "; --loss-normalise divides by that"
    return f"loss = {text}: weights sum to {total:.6g}{more}"


def check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return ``weights`` (loss name to weight) with the weights as floats; refused by the rules of ``parse_loss``."""
    return _checked(weights.items(), f"loss weights {dict(weights)!r}", LOSSES)


def _checked(terms: Iterable[tuple[str, str | float]], given: str, known: Mapping[str, object]) -> dict[str, float]:
    result: dict[str, float] = {}
    faults = []
    for name, weight in terms:
        if not name:
            faults.append(f"{given} has a term without a name.")
        elif name not in known:
            faults.append(unknown_name("loss", name, known))
        elif name in result:
            faults.append(f"{given} names {name!r} twice; each name may stand once.")
        else:
            result[name] = number = _number(weight)
            if not (math.isfinite(number) and number > 0):
                joined = " Terms are joined by +, as mse:0.5+kl:0.5." if "," in str(weight) else ""
                faults.append(f"the weight of loss {name!r} must be a finite number above 0; got {weight!r}.{joined}")
    if not result and not faults:
        faults.append(f"{given} names no loss; at least one is needed.")
    if faults:
        hint = f"Join names with '+', weights after ':', as in mse:0.5+kl:0.5; losses are {', '.join(known)}."
        raise UsageError.from_faults(faults, hint)
    return result


def _number(value: str | float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # an int above the largest double overflows
        return math.nan
