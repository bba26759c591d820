"""Numbers as users type them where affectkit reads another form: which number was meant."""

from __future__ import annotations

import math
import re

_GROUPED = re.compile(r"[+-]?\d{1,3}([,_ ']\d{3})+")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_SQUARE = re.compile(r"(\d+) ?[x*\u00d7] ?\1")


def meant_number(text: str, *, whole: bool = False) -> str:
    """Return the number that ``text`` seems to mean, as affectkit reads it; empty where that is not clear.

    >>> [meant_number(text) for text in ("30%", "0,001", "1/4", "ten")], meant_number("1e2", whole=True)
    (['0.3', '0.001', '0.25', ''], '100')
    >>> [meant_number(text, whole=True) for text in ("50,000", "2.5", "48x48", "48x64")]
    ['50000', '', '48', '']
    """
    text = text.strip().strip("\"'").removesuffix(",").removesuffix("px").strip()
    share = text.removesuffix("%")
    try:
        if share != text:
            value = float(share.replace(",", ".")) / 100
        elif whole and _GROUPED.fullmatch(text):
            value = float(re.sub(r"[,_ ']", "", text))
        elif whole and (square := _SQUARE.fullmatch(text)):  # sides of a picture, of which one is asked for
            value = float(square[1])
        elif _COMMA.fullmatch(text):
            value = float(text.replace(",", "."))
        elif text.count("/") == 1:
            above, below = map(float, text.split("/"))
            value = above / below
        else:
            value = float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        return ""
    if not math.isfinite(value) or (whole and not value.is_integer()) or abs(value) >= 1e15:
        return ""
    return str(int(value)) if whole else f"{value:.12g}"


def number_fault(name: str, text: str, *, whole: bool) -> str:
    """Return the sentence for a setting whose ``text`` is no number, and how to write the one that was meant."""
    shown = repr(text) if len(text) <= 100 else f"{text[:100]!r}..."
    meant = meant_number(text, whole=whole)
    fault = f"{name} must be a {'whole ' if whole else ''}number, got {shown}"
    return f"{fault}; write {meant}." if meant else f"{fault}."


def percent_for_share(value: float, upper: float | None) -> str:
    """Return what to write for a share that was given in percent; empty where ``value`` is none.

    >>> percent_for_share(30, 1.0), percent_for_share(1.5, 1.0), percent_for_share(30, None)
    ('30% is 0.3', '', '')
    """
    if upper is None or not 0 < upper <= 1 or not 2 <= value <= 100 or value / 100 > upper:
        return ""
    return f"{value:g}% is {value / 100:g}"
