"""Names of files, counts and lists as text, for tables, messages and terminals.

A file's name is bytes. Python shows the bytes that are not UTF-8 as surrogates (PEP 383), which no table, JSON file or
Parquet column can hold. Here such a byte is written ``\\xff``, and a backslash that begins what could be read as one
``\\x5c``, so that two names never become one and each can be read back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def list_some(items: Sequence[object], limit: int = 10) -> str:
    """Return ``items`` as text: the first ``limit`` of them, and how many more there are.

    >>> list_some(["a", "b"]), list_some(range(1_000), 2)
    ('a, b', '0, 1 and 998 more')
    """
    shown = ", ".join(str(item) for item in items[:limit])
    return f"{shown} and {len(items) - limit:,} more" if len(items) > limit else shown


def one_of(items: Sequence[object]) -> str:
    """Return ``items`` as a choice between them.

    >>> one_of(["a"]), one_of(["a", "b"]), one_of(["a", "b", "c"])
    ('a', 'a or b', 'a, b or c')
    """
    return " or ".join(filter(None, (", ".join(map(str, items[:-1])), str(items[-1])))) if items else ""


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return ``count`` and ``noun``, in the plural but for one.

    >>> count_text(1, "face"), count_text(2_000, "image"), count_text(0, "foot", "feet")
    ('1 face', '2,000 images', '0 feet')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def ordinal(number: int) -> str:
    """Return ``number`` as the one of a row that it is; no words, for "every second frame" sounds like a time.

    >>> ordinal(1), ordinal(2), ordinal(3), ordinal(10), ordinal(21), ordinal(1_012)
    ('1st', '2nd', '3rd', '10th', '21st', '1,012th')
    """
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def duration_text(seconds: float) -> str:
    """Return how long something takes as text, as exactly as one would say it: seconds, minutes, hours or days.

    >>> [duration_text(seconds) for seconds in (0.2, 59.6, 60, 150, 3_599, 3_600, 7_500, 90_000)]
    ['1 s', '1 min', '1 min', '3 min', '1 h', '1 h', '2 h 5 min', '1 d 1 h']
    """
    seconds = max(round(seconds), 1)
    if seconds < 60:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    if minutes < 60:
        return f"{minutes} min"
    whole, part, units = (*divmod(minutes, 60), ("h", "min"))
    if whole >= 24:
        whole, part, units = (*divmod((minutes + 30) // 60, 24), ("d", "h"))
    return f"{whole} {units[0]}" + (f" {part} {units[1]}" if part else "")


def shortened(text: str, most: int) -> str:
    """Return ``text`` in at most ``most`` characters: of one that is longer the middle is left out.

    >>> shortened("interview-of-monday-morning.mp4", 16), shortened("talk.mp4", 16)
    ('intervi…ning.mp4', 'talk.mp4')
    """
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def percent(share: float) -> str:
    """Return a share as text in percent, with a digit behind the point below 10 and above 99.

    100% and 0% stand only where the share is 1 or 0.

    >>> [percent(share) for share in (0.0, 0.0001, 0.042, 0.5, 0.996, 0.9999, 1.0)]
    ['0%', '<0.1%', '4.2%', '50%', '99.6%', '>99.9%', '100%']
    """
    if share in (0, 1):
        return f"{100 * share:.0f}%"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{100 * share:.0f}%" if 0.0995 <= share < 0.9895 else f"{100 * share:.1f}%"


_LIKE = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")
_WRITTEN = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
SEPARATOR = re.compile(r"\\(?!x(?:5c|[89a-f][0-9a-f]))")
"""A backslash in a written name that is no part of an escape."""


def written_name(name: str) -> str:
    r"""Return ``name`` as tables hold it; most names as they are.

    >>> written_name("a\udcff.png"), written_name("a.png"), written_name(r"a\xff.png")
    ('a\\xff.png', 'a.png', 'a\\x5cxff.png')
    """
    if name.isascii() and "\\" not in name:
        return name
    return readable(_LIKE.sub(r"\\x5c", name))


def read_name(text: str) -> str:
    r"""Return the name that ``written_name`` wrote as ``text``.

    >>> [read_name(written_name(name)) == name for name in ("a\udcff.png", r"a\xff.png", r"b\x5c", "ü")]
    [True, True, True, True]
    """

    def byte(match: re.Match[str]) -> str:
        value = int(match[1], 16)
        return "\\" if value == 0x5C else chr(0xDC00 + value)

    return _WRITTEN.sub(byte, text)


def readable(text: str) -> str:
    r"""Return ``text`` with a ``\xff`` for each byte that is not UTF-8, for messages; other text as it is.

    >>> readable("image a\udcff.png: is empty")
    'image a\\xff.png: is empty'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate that stands for no byte is no file's name on Linux; it has Python's own way of writing.
        text = "".join(rf"\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
        return text.encode(errors="backslashreplace").decode()
    return text


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # which turn the direction of text: Unicode's Bidi_Control
    "\u2028\u2029]"  # which end a line or a paragraph
)
"""What a terminal obeys instead of showing it, or what makes text look like other text."""


def printable(text: str) -> str:
    r"""Return ``text`` as a terminal may get it: control characters and bytes that are not UTF-8 as escapes.

    Tabs and line feeds stay. Escaping what is escaped changes nothing.

    >>> printable("red \x1b[31m, back\b, \u202egnp.exe")
    'red \\x1b[31m, back\\x08, \\u202egnp.exe'
    """
    return _CONTROLS.sub(_escape, readable(text))


def printable_json(text: str) -> str:
    r"""Return JSON that holds the same values without control characters: what JSON leaves as it is, as ``\u....``.

    >>> printable_json('{"name": "\u202eexe", "\x7f": 1}')
    '{"name": "\\u202eexe", "\\u007f": 1}'
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
