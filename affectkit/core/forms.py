"""The form of values that come out of JSON and YAML files, checked at the border: which place, what stands there, what
must.

A form is a type: ``int``, ``float`` (finite), ``str``, ``bool``, ``None``, ``Any``, ``list[...]``, ``tuple[..., ...]``,
``dict[str, ...]``, ``A | B``, ``Literal[...]``, ``Count``, ``Number``, ``Hash``; or a dict of forms by key, a key that
may be missing ending in ``?``.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from affectkit.core.limits import MAX_DEPTH, MAX_INTEGER, MAX_JSON_BYTES, over
from affectkit.errors import AffectkitError, DataError


class Count(int):
    """Stand in forms for a whole number from 0."""


class Number(float):
    """Stand in forms for a number that may be infinite or none."""


class Hash(str):
    """Stand in forms for 128 or 256 bits in hexadecimal."""


_HASH = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")
_NAMES = {
    Count: "a count", Number: "a number", Hash: "a hash of 32 or 64 digits",
    int: "a whole number", float: "a finite number", str: "text", bool: "true or false", type(None): "null",
    dict: "an object", list: "a list", tuple: "a list",
}  # fmt: skip


def form_faults(value: Any, form: Any, place: str = "") -> Iterator[str]:
    """Yield a sentence for each part of ``value`` that has another form than ``form``.

    >>> list(form_faults({"size": [1, None]}, {"size": list[int], "note?": str}))
    ['size[1] must be a whole number, got null']
    """
    kind = typing.get_origin(form) or (dict if isinstance(form, Mapping) else form)
    if form is Any:
        return
    if kind in (types.UnionType, typing.Union):
        yield from _one_of(value, form, place)
    elif kind is typing.Literal:
        allowed = typing.get_args(form)
        if not any(value == one and type(value) is type(one) for one in allowed):
            yield f"{place or 'it'} must be one of {', '.join(map(str, allowed))}, got {shown(value)}"
    elif not _is(value, kind):
        yield f"{place or 'it'} must be {_of_type(form)}, got {shown(value)}"
    elif isinstance(form, Mapping):
        yield from _fields(value, form, place)
    else:
        yield from _items(value, kind, typing.get_args(form), place)


def _one_of(value: Any, form: Any, place: str) -> Iterator[str]:
    inner = typing.get_args(form)
    if not all(any(form_faults(value, one)) for one in inner):
        return
    others = [one for one in inner if one is not type(None)]
    if len(others) == 1 and value is not None:  # meant to be that one, whose faults say more
        yield from form_faults(value, others[0], place)
    else:
        yield f"{place or 'it'} must be {_of_type(form)}, got {shown(value)}"


def _items(value: Any, kind: Any, inner: tuple[Any, ...], place: str) -> Iterator[str]:
    if kind is dict and inner:
        for key, item in value.items():
            yield from form_faults(item, inner[1], _below(place, str(key)[:60]))
    elif kind in (list, tuple) and inner:
        if kind is tuple and inner[-1] is not ... and len(inner) != len(value):
            yield f"{place or 'it'} must have {len(inner)} entries, got {len(value)}"
            return
        of_all = kind is list or inner[-1] is ...
        for number, item in enumerate(value):
            yield from form_faults(item, inner[0] if of_all else inner[number], f"{place}[{number}]")


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def check_form(
    value: Any, form: Any, title: str, *, hint: str = "", error: type[AffectkitError] = DataError, most: int = 5
) -> None:
    """Refuse a ``value`` of another form.

    Args:
        value: out of a file.
        form: what it must be; see above.
        title: what the value is, as "the header"; parts of it are named behind.
        hint: the next step.
        error: the kind of error.
        most: faults that are named.

    Raises:
        AffectkitError: of the kind ``error``.
    """
    faults = list(_first(form_faults(value, form), most))
    if faults:
        raise error(f"{title}: {'; '.join(faults)}.", hint)


def parse_json(
    text: str | bytes,
    title: str,
    *,
    form: Any = Any,
    hint: str = "",
    error: type[AffectkitError] = DataError,
    limit: int = MAX_JSON_BYTES,
) -> Any:
    """Return the value in JSON from a file: its size and nesting bounded, its form checked.

    Args:
        text: the JSON.
        title: what it is, as "the header"; messages begin with it.
        form: what the value must be; see above.
        hint: the next step.
        error: the kind of error.
        limit: most characters.

    Raises:
        AffectkitError: of the kind ``error``.
    """
    if len(text) > limit:
        raise error(over(f"{title}: it", len(text), limit, "characters"), hint)
    deep = f"{title}: nested deeper than the {MAX_DEPTH} levels that are read."
    try:
        value = json.loads(text)
    except RecursionError:
        raise error(deep, hint) from None
    except ValueError as fault:
        raise error(f"{title}: not JSON: {fault}.", hint) from fault
    if is_deep(value):
        raise error(deep, hint)
    check_form(value, form, title, hint=hint, error=error)
    return value


def is_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Return whether dicts and lists of ``value`` are nested deeper than ``limit``."""
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > limit:
            return True
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return False


def is_closed(form: Any) -> bool:
    """Return whether what has ``form`` is nested no deeper than the form is."""
    if isinstance(form, Mapping):
        return all(map(is_closed, form.values()))
    return form not in (Any, dict, list, tuple) and all(map(is_closed, typing.get_args(form)))


def shown(value: Any) -> str:
    """Return ``value`` in a few words, for a message: long texts cut, of objects and lists the count.

    >>> shown(None), shown(True), shown([1, 2]), shown("x" * 99)
    ('null', 'true', 'a list of 2', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'...")
    """
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:40]!r}..."
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return f"a number of about {value.bit_length() * 0.30103:,.0f} digits"
    return json.dumps(value, default=str)


def _first(faults: Iterator[str], most: int) -> Iterator[str]:
    for number, fault in enumerate(faults):
        if number == most:
            yield "and more"
            return
        yield fault


def _fields(value: dict[str, Any], form: Mapping[str, Any], place: str) -> Iterator[str]:
    for key, inner in form.items():
        name = key.removesuffix("?")
        if name in value:
            yield from form_faults(value[name], inner, _below(place, name))
        elif name == key:
            yield f"{_below(place, name)} is missing"


def matcher(form: Any) -> Callable[[Any], bool]:
    """Return a function that tells whether a value has ``form``: as strict as ``form_faults``, made for many values.

    >>> matcher({"size": list[int], "note?": str})({"size": [1, None]})
    False
    """
    kind = typing.get_origin(form) or (dict if isinstance(form, Mapping) else form)
    inner = typing.get_args(form)
    if form is Any:
        return lambda value: True
    if kind in (types.UnionType, typing.Union):
        return _any_of([matcher(one) for one in inner])
    if isinstance(form, Mapping):
        return _fields_matcher(form)
    if inner and inner[-1] is Any and kind is not tuple:
        return matcher(kind)
    if kind is str:
        return lambda value: isinstance(value, str)
    if kind is Count:
        return lambda value: type(value) is int and 0 <= value <= MAX_INTEGER
    if kind is Hash:
        return lambda value: isinstance(value, str) and _HASH.fullmatch(value) is not None
    if kind is dict and inner:
        of_values = matcher(inner[1])
        return lambda value: isinstance(value, dict) and all(map(of_values, value.values()))
    if kind is list and inner:
        of_items = matcher(inner[0])
        return lambda value: isinstance(value, list | tuple) and all(map(of_items, value))
    if kind is tuple and inner and inner[-1] is not ...:
        return _tuple_matcher(inner)
    if kind in (typing.Literal, tuple):
        return lambda value: not any(form_faults(value, form))
    return lambda value: _is(value, kind)


def _any_of(inner: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        for one in inner:  # noqa: SIM110 - a generator takes twice as long
            if one(value):
                return True
        return False

    return holds


def _tuple_matcher(form: tuple[Any, ...]) -> Callable[[Any], bool]:
    """Make the matcher of a list of so many values; where all are plain, their types are compared at once."""
    inner = [matcher(one) for one in form]
    types_of = {str: str, int: int, Count: int, Hash: str}
    plain = tuple(types_of[one] for one in form) if all(one in types_of for one in form) else None
    further = [(place, matcher(one)) for place, one in enumerate(form) if one is not str]

    def holds(value: Any) -> bool:
        if not isinstance(value, list | tuple) or len(value) != len(inner):
            return False
        if plain is None:
            return all(one(item) for one, item in zip(inner, value, strict=True))
        if tuple(map(type, value)) != plain:
            return False
        for place, one in further:  # noqa: SIM110 - a generator takes twice as long
            if not one(value[place]):
                return False
        return True

    return holds


def _fields_matcher(form: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Make the matcher of an object: texts and counts, most of what rows hold, are looked at without a call each."""
    fields = [(key.removesuffix("?"), key.endswith("?"), inner) for key, inner in form.items()]
    missing = object()
    texts = [(name, "" if optional else None) for name, optional, inner in fields if inner is str]
    counts = [(name, 0 if optional else None) for name, optional, inner in fields if inner is Count]
    others = [(name, optional, matcher(inner)) for name, optional, inner in fields if inner not in (str, Count)]

    def holds(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        get = value.get
        for name, default in texts:
            if not isinstance(get(name, default), str):
                return False
        for name, default in counts:
            item = get(name, default)
            if type(item) is not int or not 0 <= item <= MAX_INTEGER:
                return False
        for name, optional, one in others:
            item = get(name, missing)
            if item is missing:
                if not optional:
                    return False
            elif not one(item):
                return False
        return True

    return holds


def _is(value: Any, kind: Any) -> bool:
    if kind is Count:
        return type(value) is int and 0 <= value <= MAX_INTEGER
    if kind is Hash:
        return isinstance(value, str) and _HASH.fullmatch(value) is not None
    if kind is Number:
        return type(value) in (int, float)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)
    if kind in (list, tuple):
        return isinstance(value, list | tuple)
    return value is None if kind in (None, type(None)) else isinstance(value, kind)


def _of_type(form: Any) -> str:
    kind = typing.get_origin(form) or form
    if isinstance(form, Mapping):
        return "an object"
    if kind in (types.UnionType, typing.Union):
        return " or ".join(dict.fromkeys(_of_type(one) for one in typing.get_args(form)))
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))
