"""Lines of JSON from a file: each bounded, its form checked, named by its number where it has another one.

A line of a big table costs little more than ``json.loads``: its form is looked at by a function made once for all
lines (``forms.matcher``), and in words only where it does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

from affectkit.core.forms import form_faults, is_closed, is_deep, matcher, shown
from affectkit.core.limits import MAX_DEPTH, MAX_JSON_LINE
from affectkit.errors import AffectkitError, DataError

_MOST = 3
_TOO_DEEP = f"it is nested deeper than the {MAX_DEPTH} levels that are read"
_TOO_LONG = f"it has more than the {MAX_JSON_LINE:,} bytes that are read"
_decode = json.JSONDecoder().raw_decode


class LineFault(Exception):
    """Say what is wrong with a line, as goes on from "damaged at line 3: "."""


class NotJson(LineFault):
    """Say that a line is no JSON."""


class JsonLines:
    """Read lines of one form.

    Args:
        form: what the value in a line must be; see ``core.forms``.
        hint: the next step.
        error: the kind of error.
    """

    def __init__(self, form: Any = Any, *, hint: str = "", error: type[AffectkitError] = DataError) -> None:
        self.form, self.hint, self.error = form, hint, error
        self._holds, self._closed = matcher(form), is_closed(form)

    def value(self, line: bytes) -> Any:
        """Return what stands in a line.

        Raises:
            LineFault: it is not JSON, too long or deep, or has another form.
        """
        value = parse_line(line)
        if not self._closed and line.count(b"{") + line.count(b"[") > MAX_DEPTH and is_deep(value):
            raise LineFault(_TOO_DEEP)
        if not self._holds(value):
            raise LineFault(self._faults(value))
        return value

    def fault(self, value: Any) -> str:
        """Return in words what is wrong with the form of ``value``; empty where it holds."""
        return "" if self._holds(value) else self._faults(value)

    def _faults(self, value: Any) -> str:
        """Return the first things that are wrong with the form of ``value``."""
        found: list[str] = []
        for text in form_faults(value, self.form):
            found.append(text)
            if len(found) == _MOST:
                break
        return "; ".join(found)

    def read(self, stream: BinaryIO, title: str) -> Iterator[Any]:
        """Yield what stands in the lines of ``stream``; the last one may lack its line end.

        Args:
            title: of the file; messages begin with it.

        Raises:
            AffectkitError: of the kind ``error``, with the number of the line.
        """
        value_of = self.value
        for number, line in enumerate(bounded_lines(stream), start=1):
            try:
                yield value_of(line)
            except LineFault as fault:
                raise self.damage(title, number, fault) from None

    def damage(self, title: str, number: int, why: object) -> AffectkitError:
        """Return the error for a line."""
        return self.error(f"{title} is damaged at line {number:,}: {why}.", self.hint)


class JsonRows(JsonLines):
    """Read the rows of a table in JSON lines: objects with one value, no list or object, for each of ``columns``."""

    def __init__(self, columns: Sequence[str], *, hint: str = "", error: type[AffectkitError] = DataError) -> None:
        super().__init__(dict[str, str | int | float | bool | None], hint=hint, error=error)
        self.columns = list(columns)

    def value(self, line: bytes) -> dict[str, Any]:
        """Return the row in a line; its values are in the order of ``columns``."""
        row = parse_line(line)
        # With one bracket in the whole line no value of it is a list or an object.
        if not isinstance(row, dict) or line.count(b"{") + line.count(b"[") > 1:
            self._look(row)
        if list(row) != self.columns:
            if row.keys() != set(self.columns):
                raise LineFault(_other_columns(row, self.columns))
            row = {name: row[name] for name in self.columns}
        return row

    def _look(self, row: Any) -> None:
        if not isinstance(row, dict):
            raise LineFault(f"it must be an object, got {shown(row)}")
        for name, value in row.items():
            if isinstance(value, dict | list):
                raise LineFault(f"{name[:60]} must be one value, got {shown(value)}")


def parse_line(line: bytes) -> Any:
    """Return the value in a line, whatever its form.

    Raises:
        LineFault: it is not JSON, or too long or deep for it.
    """
    try:
        text = line.decode("utf-8", "surrogatepass")
        value, end = _decode(text)
        if end + 1 == len(text) and text[end] == "\n":
            return value
        return json.loads(text)  # with spaces around, or none
    except RecursionError:
        raise LineFault(_TOO_DEEP) from None
    except ValueError:
        if line[:1].isspace():
            return parse_line(line.lstrip())
        raise NotJson("it is no line of JSON" if len(line) <= MAX_JSON_LINE else _TOO_LONG) from None


def bounded_lines(stream: BinaryIO, limit: int = MAX_JSON_LINE) -> Iterator[bytes]:
    """Yield the lines of ``stream``; of one longer than ``limit`` bytes pieces, the first of ``limit`` + 1 bytes."""
    return iter(partial(stream.readline, limit + 1), b"")


def _other_columns(row: dict[str, Any], columns: Sequence[str]) -> str:
    lacking = [name for name in columns if name not in row]
    odd = [name for name in row if name not in columns]
    return f"column {(lacking or odd)[0]!r} {'is missing' if lacking else 'does not belong there'}"
