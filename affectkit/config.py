"""Settings: frozen dataclasses whose fields carry help, choices and ranges; files and flags are resolved onto them.

One definition serves the command line, the configuration file, ``--print-config`` and the completion scripts.
Precedence: flag, then file, then default. All faults are reported together. Text that stands for something else
(``10m``, ``2/4``, ``fog:3``) is read once, here, and the settings hold what it means beside it: ``Parsed``.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from affectkit.core.assets import config_file
from affectkit.core.files import open_at_once
from affectkit.core.limits import MAX_CONFIG_BYTES, MAX_CONFIG_FAULTS, MAX_INTEGER, over
from affectkit.core.missing_paths import at_home, unknown_user
from affectkit.core.number_texts import number_fault, percent_for_share
from affectkit.core.os_errors import read_fault
from affectkit.core.registry import did_you_mean, unknown_name
from affectkit.core.yaml_files import load_yaml, written_text
from affectkit.errors import UsageError

Settings = TypeVar("Settings")
Value = TypeVar("Value")
Default = TypeVar("Default")


@dataclass(frozen=True)
class Parsed(Generic[Value]):
    """A setting that is written as text and means something else; two are equal where their texts are.

    Attributes:
        text: as the user wrote it, which records and configuration files hold.
        value: what it means.
    """

    text: str
    value: Value = field(compare=False)

    def __str__(self) -> str:
        return self.text


@overload
def value_of(setting: Parsed[Value] | None) -> Value | None: ...
@overload
def value_of(setting: Parsed[Value] | None, default: Default) -> Value | Default: ...
def value_of(setting: Any, default: Any = None) -> Any:
    """Return the value of a setting, and ``default`` where it is not set."""
    return default if setting is None else setting.value


def setting(  # the keyword arguments are the vocabulary in which settings are written
    default: Any,
    help: str,
    *,
    group: str = "Options",
    choices: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    parse: Callable[[str], Any] | None = None,
    argument: bool = False,
    repeated: bool = False,
    metavar: str | None = None,
    default_text: str | None = None,
    flag: str | None = None,
    older: str | None = None,
    renamed: str | None = None,
    also: str | None = None,
) -> Any:
    """Make a dataclass field of a settings class.

    Args:
        default: value when neither flag nor file names it; ``None`` means not set.
        help: one sentence for ``--help``.
        group: heading under which ``--help`` lists it.
        choices: the allowed words.
        low: inclusive lower bound.
        high: inclusive upper bound.
        above: exclusive lower bound.
        below: exclusive upper bound.
        parse: gives what a text means, or raises a UsageError that says the rule; the field is a ``Parsed``.
        argument: a positional argument, not an option.
        repeated: an option that is given once for each item of its list, not with commas between them.
        metavar: the placeholder shown in ``--help``.
        default_text: shown instead of the default.
        flag: another option name than the field's own with dashes.
        older: another name of the field, which flags and files may use and help does not show: that of earlier
            versions, or of the published code.
        renamed: the name that flags and files have for it now. The field keeps its own, which records of earlier
            versions hold; flags and files may use that one too, and help does not show it.
        also: of an argument: the option, without its dashes, under which the same thing is given to other commands, and
            may be here.
    """
    if parse is not None and default is not None:
        default = Parsed(default, parse(default))
    metadata = {
        "help": help,
        "group": group,
        "choices": tuple(choices) if choices is not None else None,
        "bounds": (low, high, above, below),
        "parse": parse,
        "argument": argument,
        "repeated": repeated,
        "metavar": metavar,
        "default_text": default_text,
        "flag": f"--{renamed.replace('_', '-')}" if renamed else flag,
        "older": older,
        "renamed": renamed,
        "also": also,
    }
    return field(default=default, metadata=metadata)


@typing.dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
def option_group(owner: type[Settings]) -> type[Settings]:
    """Make a class of fields that settings classes inherit.

    It gets no methods, for each settings class has its own: to make them is what costs time at a start.
    """
    return dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)(owner)


@dataclass(frozen=True)
class Resolved(Generic[Settings]):
    """Settings, and where each value came from (``"default"``, ``"file NAME"``, ``"flag"``)."""

    settings: Settings
    sources: dict[str, str]


def field_type(entry: Field[Any], owner: type) -> tuple[Any, bool]:
    """Return the type in which a settings field is written (text, where it is parsed) and whether it may be None."""
    hint, optional = _hints(owner)[entry.name], False
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint, optional = next(member for member in typing.get_args(hint) if member is not type(None)), True
    return (str if entry.metadata.get("parse") else hint), optional


@functools.cache
def _hints(owner: type) -> dict[str, Any]:
    """Return the types of all fields of a class; those of a base are worked out once, whoever inherits it."""
    return functools.reduce(operator.or_, map(_own_hints, reversed(owner.__mro__[:-1])))


@functools.cache
def _own_hints(owner: type) -> dict[str, Any]:
    written = types.SimpleNamespace(__annotations__=inspect.get_annotations(owner))
    return typing.get_type_hints(written, vars(sys.modules[owner.__module__]))


def option_name(entry: Field[Any]) -> str:
    """Return how a user writes the setting: ``--batch-size``, or ``PATHS`` for an argument."""
    if entry.metadata.get("argument"):
        shown = entry.metadata.get("metavar") or ""
        return shown if shown.isalpha() and shown.isupper() else entry.name.upper()
    return entry.metadata.get("flag") or "--" + entry.name.replace("_", "-")


def other_names(entry: Field[Any]) -> list[str]:
    """Return the names beside the field's own under which flags and files may give a setting."""
    names = (entry.metadata.get(kind) for kind in ("older", "renamed", "also"))
    return [name for name in names if name and name != entry.name]


def hidden_options(entry: Field[Any]) -> list[str]:
    """Return the options that give a setting as well as the one that help shows."""
    data = entry.metadata
    names = (data["older"], entry.name if data["renamed"] else None, data["also"])
    return [f"--{name.replace('_', '-')}" for name in names if name]


def resolve(kind: type[Settings], *, flags: Mapping[str, Any], file: Path | None = None) -> Resolved[Settings]:
    """Merge ``flags`` over ``file`` over defaults; everything is checked and parsed, all faults are in one UsageError.

    A settings class may have a static method ``implied(values) -> [(source, defaults), ...]``: other defaults that
    follow from what was given, the first ones winning.

    Args:
        kind: a settings dataclass.
        flags: by field name; ``None`` means that the user did not give it.
        file: a YAML mapping of settings, or a run folder's ``config.yaml``.
    """
    entries = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(entries, "default")
    faults: list[str] = []
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None:
        layers.append((f"file {file}", read_settings_file(file)))
    layers.append(("flag", {name: value for name, value in flags.items() if value is not None}))
    for source, layer in layers:
        found, wrong = _read_layer(kind, entries, layer)
        faults += wrong if source == "flag" else [f"{source}: {fault}" for fault in wrong]
        values |= found
        sources |= dict.fromkeys(found, source)
    implied = getattr(kind, "implied", None)
    if implied is not None:
        for source, defaults in implied(dict(values)):
            for name, value in defaults.items():
                if name not in values:
                    values[name], sources[name] = value, source
    for name, entry in entries.items():
        values[name], fault = _checked(entry, values.get(name, default_of(entry)))
        faults += [fault] if fault else []
    settings = kind(**values)
    rules = getattr(settings, "rules", None)
    if not faults and rules is not None:
        faults += rules()
    if faults:
        raise UsageError.from_faults(faults)
    return Resolved(settings, sources)


def _read_layer(
    kind: type, entries: Mapping[str, Field[Any]], layer: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a file or of the flags in their fields' types, and what is wrong with the others."""
    current = {other: name for name, entry in entries.items() for other in other_names(entry)}
    values: dict[str, Any] = {}
    faults = []
    for raw_name, value in layer.items():
        if len(faults) == MAX_CONFIG_FAULTS:
            faults.append(f"and more: the first {MAX_CONFIG_FAULTS} are named.")
            break
        written = str(raw_name).replace("-", "_")
        name = current.get(written, written)
        if name not in entries:
            faults.append(unknown_name("setting", str(raw_name), list(entries)))
            continue
        if name in values:
            faults.append(f"{option_name(entries[name])} is given twice, once by its older name.")
            continue
        converted, fault = _convert(entries[name], kind, value)
        if fault:
            faults.append(fault)
        else:
            values[name] = converted
    return values, faults


def read_settings_file(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; the ``settings`` part of a run folder's ``config.yaml``.

    Plain values only: no tags, anchors or aliases, no key twice. ``affectkit:NAME`` is a recipe of the package.

    Raises:
        UsageError: the file is missing, too large (``core.limits``), not YAML or not a mapping.
    """
    path = config_file(path)
    try:
        with open(path, "rb", opener=open_at_once) as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            size = max(path.stat().st_size, len(data))  # a device has none
            raise UsageError(
                over(f"the configuration file {path}", size, MAX_CONFIG_BYTES, "bytes"), "Is it the right file?"
            )
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(*read_fault(f"the configuration file {path}", path, error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the configuration file {path} is not UTF-8 text (byte {error.start}).", "Is it the right file?"
        ) from error
    values = load_yaml(text, str(path), written=True)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            f"{path} holds {_kind(values)}; a configuration file is lines of 'setting: value', such as 'epochs: 20'."
        )
    if isinstance(values.get("settings"), dict):
        return values["settings"]
    return values


def _kind(value: Any) -> str:
    return {str: "text", list: "a list"}.get(type(value), "a single value")


def dump_yaml(value: Any) -> str:
    """Write ``value`` as YAML, keys in their order."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def plain(settings: Any) -> dict[str, Any]:
    """Return settings as plain values that ``resolve`` reads back."""
    return {entry.name: _plain_value(getattr(settings, entry.name)) for entry in fields(settings)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Path | Parsed):
        return str(value)
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    return value


def _convert(entry: Field[Any], owner: type, value: Any) -> tuple[Any, str]:
    """Return ``value`` in the field's type, or a sentence on why that cannot be."""
    wanted, optional = field_type(entry, owner)
    name = option_name(entry)
    if value is None:
        return (None, "") if optional else (None, f"{name} must have a value.")
    if typing.get_origin(wanted) is tuple:
        return _convert_list(name, typing.get_args(wanted)[0], value)
    if wanted is bool:
        return (value, "") if isinstance(value, bool) else (None, f"{name} must be true or false, got {_short(value)}.")
    if isinstance(value, bool):
        return None, f"{name} must be {_article(wanted)}, got {str(value).lower()}."
    if wanted is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if whole and abs(value) > MAX_INTEGER:
            return None, f"{name} must be at most {MAX_INTEGER:,} in size, got {_short(int(value))}."
        if isinstance(value, str):
            return None, number_fault(name, value, whole=True)
        return (int(value), "") if whole else (None, f"{name} must be a whole number, got {_short(value)}.")
    if wanted is float:
        try:  # YAML 1.1 reads 1e-3 as text
            return float(value), ""
        except (TypeError, ValueError, OverflowError):
            fault = f"{name} must be a number, got {_short(value)}."
            return None, number_fault(name, value, whole=False) if isinstance(value, str) else fault
    text = written_text(value)
    if wanted is Path:
        if not text:
            return None, f"{name} must be a path, got {_short(value)}."
        stranger = unknown_user(text)
        return (None, f"{name} {text}: {stranger}.") if stranger else (at_home(text), "")
    return (None, f"{name} must be text, got {_short(value)}.") if text is None else (text, "")


def _convert_list(name: str, inner: type, value: Any) -> tuple[Any, str]:
    """Return a list, or text with commas between its items, as a tuple of ``inner``."""
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    fault = f"{name} must be a list of {'whole numbers' if inner is int else 'texts'}, got {_short(value)}."
    if not isinstance(value, list | tuple):
        return None, fault
    if inner is str and any(written_text(item) is None for item in value):
        return None, f"{fault} What YAML reads as true, false or null is text in quotes."
    try:
        items = tuple(written_text(item) if inner is str else inner(item) for item in value)
        exact = inner is not int or all(item == float(given) for item, given in zip(items, value, strict=True))
    except (TypeError, ValueError, OverflowError):
        return None, fault
    if inner is int and any(abs(item) > MAX_INTEGER for item in items):
        return None, f"{name} must be at most {MAX_INTEGER:,} in size, got {_short(value)}."
    return (items, "") if exact else (None, fault)


def _short(value: Any) -> str:
    """Return ``value`` as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _article(wanted: type) -> str:
    return {int: "a whole number", float: "a number", Path: "a path"}.get(wanted, "text")


def _checked(entry: Field[Any], value: Any) -> tuple[Any, str]:
    """Return ``value``, parsed where its field is, and the sentence for one that its rule refuses."""
    parse = entry.metadata.get("parse")
    if value is None or parse is None or isinstance(value, Parsed):
        return value, "" if value is None else _broken_rule(entry, value)
    try:
        return Parsed(value, parse(value)), ""
    except UsageError as error:
        name = option_name(entry)
        said = error.message if error.message.startswith(name) else f"{name}: {error.message}"
        return None, f"{said} {error.hint}".rstrip()


def _broken_rule(entry: Field[Any], value: Any) -> str:
    """Return the sentence for a value outside its choices or bounds; empty when all is well."""
    name = option_name(entry)
    choices = entry.metadata.get("choices")
    if choices and value not in choices:
        return choice_fault(name, str(value), choices)
    low, high, above, below = entry.metadata.get("bounds", (None,) * 4)
    items = value if isinstance(value, tuple) else (value,)
    for item in items:
        if not isinstance(item, int | float) or isinstance(item, bool):
            continue
        inside = (
            (low is None or item >= low)
            and (high is None or item <= high)
            and (above is None or item > above)
            and (below is None or item < below)
        )
        if not inside or not math.isfinite(item):
            meant = percent_for_share(item, high if high is not None else below)
            got = f"{_plain_number(item)}{meant and f' ({meant})'}"
            return f"{name} must be {_range_text(low, high, above, below)}; got {got}."
    return ""


def choice_fault(name: str, value: str, choices: Sequence[str]) -> str:
    """Return the sentence for a value that is none of the words that a setting takes."""
    guess = did_you_mean(value, choices, before=" ")
    return f"{name} must be one of {', '.join(choices)}; got {value!r}.{guess}"


def _range_text(low: float | None, high: float | None, above: float | None, below: float | None) -> str:
    ends = {"at least": low, "above": above, "at most": high, "below": below}
    lower, upper = (
        next((f"{word} {_plain_number(ends[word])}" for word in pair if ends[word] is not None), "")
        for pair in (("at least", "above"), ("at most", "below"))
    )
    return " and ".join(part for part in (lower, upper) if part) or "a finite number"


def _plain_number(value: float) -> str:
    """Write a number without an exponent where it is whole."""
    return f"{value:,.0f}" if 1e5 <= abs(value) <= MAX_INTEGER and float(value).is_integer() else f"{value:g}"


def default_of(entry: Field[Any]) -> Any:
    """Return the default of a settings field."""
    return None if entry.default is MISSING else entry.default
