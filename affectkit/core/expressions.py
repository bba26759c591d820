r"""Regular expressions that users write over file names: ``file:subject(\d+)_``, or bare where no column is meant."""

from __future__ import annotations

import re

from affectkit.errors import UsageError

PATTERN = "file:"
"""Begins an expression where a column may be meant, too."""
EXAMPLE = r"For subject12_smile.png: {} 'file:subject(\d+)_'. A (?:...) does not count as a group."
_FAULTS = {
    "unterminated subpattern": "a ( is not closed",
    "unbalanced parenthesis": "a ) closes nothing",
    "unterminated character set": "a [ is not closed",
    "nothing to repeat": "in front of *, + or ? stands nothing that could be repeated",
    "multiple repeat": "two of *, + and ? follow each other",
    "bad escape (end of pattern)": "it ends in a backslash",
}
"""Python's words, and plain ones."""
_SIGNS = re.compile(r"[\\^$*+?\[\]{}|()]")


def compile_expression(given: str, option: str, *, most: int | None = 1) -> re.Pattern[str]:
    """Compile the expression that ``option`` was given, with ``file:`` or without.

    Args:
        given: the value of the option.
        option: its name, for messages.
        most: groups that it may have; None: any number. One it must have: what items share.

    Raises:
        UsageError: it is no expression, or has no group or too many.
    """
    try:
        pattern = re.compile(given.removeprefix(PATTERN))
    except re.error as error:
        why = next((words for fault, words in _FAULTS.items() if fault in str(error)), str(error))
        hint = EXAMPLE.format(option)
        raise UsageError(f"{option} {given}: this is no regular expression: {why}.", hint) from error
    if not pattern.groups:
        raise missing_group(given, option)
    if most is not None and pattern.groups > most:
        raise UsageError(
            f"{option} {given}: the expression has {pattern.groups} groups; it needs exactly one, what items share.",
            EXAMPLE.format(option),
        )
    return pattern


def missing_group(given: str, option: str) -> UsageError:
    """Return the error that an expression has no group."""
    return UsageError(
        f"{option} {given}: parentheses are missing in the expression, around what items share.", EXAMPLE.format(option)
    )


def is_expression(text: str) -> bool:
    r"""Return whether ``text`` is rather an expression than the name of a column.

    >>> is_expression(r"subject\d+"), is_expression("[A-Z]+_"), is_expression("Subject ID (old)")
    (True, True, False)
    """
    signs = set(_SIGNS.findall(text))
    return bool(signs - {"(", ")"}) or ("(" in signs and " " not in text)
