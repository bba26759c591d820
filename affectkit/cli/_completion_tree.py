"""What a completion script has to know of a command line, read from the command tree that Typer builds.

Typer carries its own copy of click since 0.26, so the tree is read by its attributes (``commands``, ``params``,
``opts``, ``type.choices``) and not by its classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FILES = "<files>"
FOLDERS = "<folders>"
MAX_HELP = 78

Values = Mapping[str, Sequence[str] | str]


@dataclass(frozen=True)
class Value:
    """What can stand at a place: ``kind`` is ``"words"`` (see ``words``), ``"files"``, ``"folders"`` or ``"none"``."""

    kind: str = "none"
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """An option.

    Attributes:
        names: its spellings, ``("-o", "--output")``.
        off: spellings that switch it off, ``("--no-pretrained",)``.
        takes: how many values follow it.
        value: what they can be.
        many: whether it may be given more than once.
        help: one line.
    """

    names: tuple[str, ...]
    off: tuple[str, ...] = ()
    takes: int = 0
    value: Value = field(default_factory=Value)
    many: bool = False
    help: str = ""


@dataclass(frozen=True)
class Argument:
    """A positional argument; ``rest`` where it takes all that follow."""

    name: str
    value: Value
    rest: bool = False
    help: str = ""


@dataclass(frozen=True)
class Command:
    """A command, or a group with ``commands`` of its own; ``path`` is what is typed after the program's name."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]

    def walk(self) -> Iterator[Command]:
        """This command and all below it, parents first."""
        yield self
        for command in self.commands:
            yield from command.walk()


class Lists:
    """Numbers for lists of words, so that a script holds each list once."""

    def __init__(self) -> None:
        self.words: dict[tuple[str, ...], int] = {}

    def number(self, value: Value) -> int:
        """The number of the words of ``value``, from 1 in the order of the first asking."""
        return self.words.setdefault(value.words, len(self.words) + 1)


def read_tree(
    command: Any, *, values: Values, path: tuple[str, ...] = (), help_names: Sequence[str] = ("--help",)
) -> Command:
    """The command tree below ``command``, without what is hidden.

    Args:
        command: what ``typer.main.get_command`` gives.
        values: words by the option's or argument's name, ``{"model": ["resnet18"]}``, or ``FILES``, ``FOLDERS``.
        path: how the command is reached.
        help_names: spellings of the help option that the parent hands down.
    """
    names = tuple((getattr(command, "context_settings", None) or {}).get("help_option_names") or help_names)
    options: list[Option] = []
    arguments: list[Argument] = []
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "option":
            options.append(_option(parameter, values))
        else:
            arguments.append(_argument(parameter, values))
    taken = {name for option in options for name in (*option.names, *option.off)}
    if getattr(command, "add_help_option", True) and (free := tuple(name for name in names if name not in taken)):
        options.append(Option(free, help="Show this message and exit"))
    below = [
        read_tree(child, values=values, path=(*path, name), help_names=names)
        for name, child in (getattr(command, "commands", None) or {}).items()
        if not getattr(child, "hidden", False)
    ]
    text = getattr(command, "short_help", None) or command.help
    return Command(path, one_line(text), tuple(options), tuple(arguments), tuple(below))


def one_line(text: str | None) -> str:
    """The first paragraph on one line of at most ``MAX_HELP`` characters, without its last full stop."""
    line = " ".join((text or "").strip().split("\n\n")[0].split()).removesuffix(".")
    if len(line) <= MAX_HELP:
        return line
    sentence = line.find(". ")
    if 0 < sentence <= MAX_HELP:
        return line[:sentence]
    return line[: MAX_HELP - 3].rsplit(" ", 1)[0].rstrip(",;:") + "..."


def wrapped(items: Iterable[str], *, indent: int, width: int = 110, between: str = " ", end: str = "") -> str:
    """``items`` on lines of at most ``width`` characters; ``end`` closes each line but the last."""
    lines: list[str] = []
    for item in items:
        if lines and indent + len(lines[-1]) + len(between) + len(item) + len(end) <= width:
            lines[-1] += between + item
        else:
            lines.append(item)
    return (between.rstrip() + end + "\n").join(" " * indent + line for line in lines)


def _option(parameter: Any, values: Values) -> Option:
    flag = getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)
    plain = next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0]).lstrip("-")
    return Option(
        names=tuple(parameter.opts),
        off=tuple(parameter.secondary_opts),
        takes=0 if flag else max(parameter.nargs, 1),
        value=Value() if flag else _value(parameter, values, (plain, parameter.name)),
        many=bool(getattr(parameter, "multiple", False) or getattr(parameter, "count", False)),
        help=one_line(getattr(parameter, "help", None)),
    )


def _argument(parameter: Any, values: Values) -> Argument:
    value = _value(parameter, values, (parameter.name, parameter.name.replace("_", "-")))
    return Argument(parameter.name, value, rest=parameter.nargs == -1, help=one_line(getattr(parameter, "help", None)))


def _value(parameter: Any, values: Values, names: Sequence[str]) -> Value:
    choices = getattr(parameter.type, "choices", None)
    if choices:
        # click takes an Enum's members as choices; what is typed is their name there, and plain words elsewhere.
        return Value("words", tuple(str(getattr(choice, "name", choice)) for choice in choices))
    given = next((values[name] for name in names if name in values), None)
    if given == FILES:
        return Value("files")
    if given == FOLDERS:
        return Value("folders")
    if given is not None:
        return Value("words", (given,) if isinstance(given, str) else tuple(given))
    return _path_value(parameter.type)


def _path_value(kind: Any) -> Value:
    if hasattr(kind, "file_okay") and hasattr(kind, "dir_okay"):  # click.Path
        return Value("files" if kind.file_okay else "folders")
    if getattr(kind, "name", "") == "filename":  # click.File
        return Value("files")
    parts = getattr(kind, "types", None)  # several values at once: what all of them can be
    if parts:
        kinds = {_path_value(part) for part in parts}
        return kinds.pop() if len(kinds) == 1 else Value()
    return Value()
