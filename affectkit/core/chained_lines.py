"""Lines of JSON, each with a hash of all lines so far, so that an edited, lost, added or moved line shows.

A line is a JSON list whose last item, or a JSON object whose last value (``"chain"``), is the first 64 bits of the
BLAKE2b hash of the chain before and of the line without it. It finds mistakes and careless edits. It is no signature:
who knows the rule can write a chain that holds, so that what a line says is checked all the same.
"""

from __future__ import annotations

import hashlib

_DIGITS = 16


def link_line(body: str, before: str) -> tuple[str, str]:
    """Return the line for ``body``, with its line break, and the chain up to it.

    Args:
        body: JSON list or object that is not empty, on one line.
        before: the chain up to the line before; empty for the first.

    >>> link_line('["done"]', "")
    ('["done","4a32eaedc772d1f3"]\\n', '4a32eaedc772d1f3')
    """
    chain = _chain(body.encode(), before)
    key = '"chain":' if body.startswith("{") else ""
    return f'{body[:-1]},{key}"{chain}"{body[-1]}\n', chain


def unlink_line(line: bytes, before: str) -> tuple[bytes, str] | None:
    """Return the body of a line and the chain up to it; None where it does not follow ``before``."""
    close = line[-2:-1]
    front = b',"chain":"' if close == b"}" else b',"'
    length = len(front) + _DIGITS + 2  # with the quote and the bracket
    text = line[:-1]
    chain = text[-_DIGITS - 2 : -2]
    if len(text) <= length or text[-length:] != front + chain + b'"' + close:
        return None
    body = text[:-length] + close
    return (body, chain.decode("ascii")) if _chain(body, before).encode() == chain else None


def _chain(body: bytes, before: str) -> str:
    return hashlib.blake2b(before.encode() + b"\n" + body, digest_size=_DIGITS // 2).hexdigest()
