"""What was typed wrong on the command line, in affectkit's own words: what, the value, the rule, the next step.

The parser reports faults in words of its own, one at a time; here they become messages as all others are. Values that
it drops in silence, of options that are given twice, are reported too.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import choice_fault
from affectkit.core.missing_paths import at_home
from affectkit.core.number_texts import number_fault
from affectkit.core.registry import did_you_mean
from affectkit.core.text import one_of
from affectkit.errors import UsageError

STRAY = ("--checkpoint", "--data", "--output", "--results")
"""Options whose values are typed without them, in the order in which they are."""
DASHES = "\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{HYPHEN}\N{NON-BREAKING HYPHEN}"
OTHER_COMMANDS = {
    "train": "fit finetune fine-tune resume",
    "test": "evaluate eval validate score",
    "infer": "predict analyze analyse annotate classify detect run webcam video",
    "describe": "statistics stats inspect",
    "eval-corruptions": "robustness",
    "datasplit": "split",
    "prep": "prepare preprocess",
    "serve": "server gui app",
    "export": "onnx",
    "models": "list",
    "demo": "examples",
    "doctor": "check info env",
}
"""The commands, and what other programs call them."""
OTHER_OPTIONS = {
    "--checkpoint": "--model --weights --ckpt",
    "--init": "--weights",
    "--output": "--out --out-dir --output-dir --save --results",
    "--results": "--out --out-dir --output-dir --save --output",
    "--data": "--dataset --data-dir --root",
    "--labels": "--annotations --csv",
    "--annotate": "--draw",
    "--faces": "--detector --face-detector",
    "--camera": "--webcam",
    "--every": "--fps",
    "--min-confidence": "--threshold",
    "--model": "--arch --backbone",
    "--lr": "--learning-rate",
    "--schedule": "--lr-scheduler",
    "--early-stop": "--patience",
    "--augment": "--augmentation",
    "--image-size": "--img-size --imgsz",
    "--batch-size": "--bs",
    "--workers": "--num-workers",
    "--device": "--gpu --cuda --cpu",
    "--precision": "--amp --fp16",
    "--force": "--overwrite --yes",
    "--train-split": "--test-size --train-size --ratio",
}
"""Options, and what other programs call them; those that the command has are offered."""


@dataclass(frozen=True)
class Typed:
    """One word of a command line as it is read: the value of an option, or of an argument where ``option`` is None."""

    option: Any
    name: str
    value: str | None
    attached: bool = False
    """Whether the value stands in the same word, behind ``=``."""


def read_words(command: Any, words: Sequence[str]) -> Iterator[Typed]:
    """Yield what ``words`` give to the options and arguments of ``command``, as its parser reads them."""
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from (Typed(None, "", one) for one in rest)
            return
        name, equals, value = word.partition("=")
        option = options.get(name if equals else word) if word.startswith("-") else None
        if option is None:
            yield Typed(None, "", word)
        elif equals:
            yield Typed(option, name, value, attached=True)
        elif getattr(option, "is_flag", False) or not rest:
            yield Typed(option, word, None)
        else:
            yield Typed(option, word, rest.pop(0))


def check_words(command: Any, words: Sequence[str]) -> list[str]:
    """Return warnings of options that are given twice, of whose values the parser keeps the last.

    Raises:
        UsageError: a list is given twice; an option has the next option for its value.
    """
    found = [one for one in read_words(command, words) if one.option is not None and one.value is not None]
    names = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    for one in found:
        if one.value in names and not one.attached:
            raise UsageError(
                f"{one.name} needs a value; behind it stands the option {one.value}.",
                f"Where that is the value: {one.name}={one.value}",
            )
    notes = []
    for option in dict.fromkeys(one.option for one in found):
        values = list(dict.fromkeys(one.value for one in found if one.option is option))
        if len(values) == 1 or getattr(option, "multiple", False):
            continue
        name = next(one.name for one in found if one.option is option)
        if ",..." in (option.metavar or ""):
            joined = ",".join(value.strip(",") for value in values)
            raise UsageError(
                f"{name} is given more than once, and is one list: {', '.join(map(repr, values))}.",
                f"Write its items with commas between them: {name} {shlex.quote(joined)}",
            )
        notes.append(f"{name} is given more than once ({', '.join(values)}): the last counts, {values[-1]}.")
    return notes


def describe(error: Any, words: Sequence[str], program: Any) -> tuple[str, str] | None:
    """Return message and next step for an error of the parser; None for what is no such error, or the help itself.

    Args:
        error: of Typer's parser.
        words: all that was typed behind the name of the program.
        program: the group of all commands.
    """
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError" or not hasattr(error, "format_message"):
        return None
    depth, command = _reached(error, words, program)
    own, called = list(words[depth:]), " ".join(words[:depth])
    if kind == "NoSuchOption":
        if depth == 0:
            return _before_the_command(error.option_name, own, program.commands)
        return _unknown_option(error.option_name, own, command, called)
    if getattr(command, "commands", None) is not None:
        return _unknown_command(own, command, called)
    if kind == "BadOptionUsage":
        return _without_value(error, own, command, called)
    if kind == "BadParameter" and error.param is not None:
        return _bad_value(error, own, command, called)
    if kind == "UsageError" and (extra := _extra(command, own)):
        return _stray(extra, own, command, called)
    return error.format_message().rstrip(".") + ".", help_of(called)


def _reached(error: Any, words: Sequence[str], program: Any) -> tuple[int, Any]:
    """Return how many words name the command whose words an error is about, and that command."""
    context, depth, command = getattr(error, "ctx", None), 0, program
    if context is not None:
        command = context.command
        while context.parent is not None:
            depth, context = depth + 1, context.parent
        return depth, command
    while depth < len(words) and words[depth] in getattr(command, "commands", ()):
        depth, command = depth + 1, command.commands[words[depth]]
    return depth, command


def help_of(called: str, *, all_options: bool = False) -> str:
    """Return where what a command takes is listed."""
    if not called:
        return "affectkit --help lists the commands."
    return f"affectkit {called} {'--help-all lists all options' if all_options else '--help lists what it takes'}."


def _before_the_command(name: str, words: list[str], commands: Mapping[str, Any]) -> tuple[str, str]:
    command = next((word for word in words if word in commands), None)
    if command is None:
        known = ["--help", "--version"]
        hint = "Options follow a command, as affectkit infer PATH --json. affectkit --help lists the commands."
        return f"affectkit itself has no option {name}.{did_you_mean(name, known, before=' ')}", hint
    at = words.index(command)
    moved = shlex.join([*words[at:], *words[:at]])
    return f"the option {name} stands before the command {command}; options follow it.", f"affectkit {moved}"


def _unknown_option(name: str, words: list[str], command: Any, called: str) -> tuple[str, str]:
    known = [one for param in command.params if not getattr(param, "hidden", False)
             for one in (*param.opts, *param.secondary_opts) if one.startswith("--")]  # fmt: skip
    whole = next((word for word in words if word.startswith(name) and not word.startswith("--")), name)
    if not name.startswith("--") and len(whole.partition("=")[0]) > 2:  # -data: read as the letters -d -a -t -a
        name = whole.partition("=")[0]
        if f"-{name}" in known:
            return f"{called} has no option {name}; it begins with two hyphens: -{name}.", help_of(
                called, all_options=True
            )
    near = did_you_mean(name, known)
    if other := [one for one, names in OTHER_OPTIONS.items() if name in names.split() and one in known]:
        near = f"Here it is {one_of(other)}."
    return f"{called} has no option {name}. {near}".rstrip(), help_of(called, all_options=True)


def _unknown_command(words: list[str], command: Any, called: str) -> tuple[str, str] | None:
    name = next((word for word in words if not word.startswith("-")), None)
    known = [one for one, made in command.commands.items() if not made.hidden]
    if name is None:
        return f"{called or 'affectkit'} needs a command behind it: {one_of(known)}.", help_of(called)
    other = next((one for one, names in OTHER_COMMANDS.items() if name in names.split() and not called), None)
    near = did_you_mean(name, known) or f"Known are {', '.join(known)}."
    if other in known:
        near = f"Did you mean {other}?"
    elif not called and Path(name).exists():
        near = f"It is a path; a command stands before it, as affectkit infer {shlex.quote(name)}."
    what = f"unknown command {f'{called} {name}'.strip()!r}."
    return f"{what} {near}", help_of(called)


def _without_value(error: Any, words: list[str], command: Any, called: str) -> tuple[str, str]:
    name = error.option_name
    option = next((one for one in command.params if name in (*one.opts, *one.secondary_opts)), None)
    if option is None:
        return f"{error.format_message().rstrip('.')}.", help_of(called)
    if getattr(option, "is_flag", False):
        word = next((word for word in words if word.startswith(f"{name}=")), name)
        other = f", or {option.secondary_opts[0]}" if option.secondary_opts else " alone, or leave it out"
        return f"{name} takes no value; got {word}.", f"Write {name}{other}."
    return f"{name} needs a value behind it.", help_of(called)


def _bad_value(error: Any, words: list[str], command: Any, called: str) -> tuple[str, str]:
    option = error.param
    read = [one for one in read_words(command, words) if one.value is not None]
    typed = [one for one in read if one.option is option]
    if option.param_type_name == "argument":
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        typed = [one for one in read if one.option is None][arguments.index(option) :][:1]
    if not typed:
        return f"{error.format_message().rstrip('.')}.", help_of(called)
    name, value, kind = typed[-1].name or option.metavar or "", str(typed[-1].value), option.type
    if choices := getattr(kind, "choices", None):
        return choice_fault(name, value, [str(getattr(one, "value", one)) for one in choices]), help_of(called)
    if getattr(kind, "name", "") in ("integer", "int", "float"):
        return number_fault(name, value, whole=kind.name != "float"), help_of(called)
    return f"{name}: {value!r}: {error.message.rstrip('.')}.", help_of(called)


def _extra(command: Any, words: list[str]) -> list[str]:
    """Return the words that no argument of ``command`` takes."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if any(one.nargs == -1 for one in arguments):
        return []
    return [str(one.value) for one in read_words(command, words) if one.option is None][len(arguments) :]


def _list_in_pieces(option: str, words: list[str], command: Any) -> str:
    """Return the list of which ``words`` begin with pieces, as ``anger , fear``; empty where they are none."""
    pieces = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    takes_list = any(option in one.opts and ",..." in (one.metavar or "") for one in command.params)
    if not takes_list:  # of a single value a comma alone says that there is more
        joints = [left.endswith(",") or right.startswith(",") for left, right in itertools.pairwise(pieces)]
        pieces = pieces[: joints.index(False) + 1] if False in joints else pieces
    items = [item.strip() for piece in pieces for item in piece.split(",") if item.strip()]
    return ",".join(items) if len(pieces) > 1 else ""


def _stray(extra: list[str], words: list[str], command: Any, called: str) -> tuple[str, str]:
    """Describe words that no option and no argument takes."""
    first, number = extra[0], sum(one.param_type_name == "argument" for one in command.params)
    what = f"{called} takes {['no argument', 'one argument', 'two arguments'][min(number, 2)]}"
    got = f"{what}; got {' '.join(map(repr, extra))}{' besides' if number else ''}."
    if first[0:1] in DASHES and first.strip(DASHES + "-"):
        name = "--" + first.lstrip(DASHES + "-").partition("=")[0]
        return f"{first!r} begins with a dash that is not a hyphen.", f"Type it again: {name}"
    at = words.index(first)
    before = words[at - 1] if at else ""
    option = words[at - 2] if at > 1 and words[at - 2].startswith("--") else ""
    if option and (joined := _list_in_pieces(option, words[at - 1 :], command)):
        return f"{option} {before}: there is a space in the list.", f"Write it without: {option} {shlex.quote(joined)}"
    if option and at_home(f"{before} {first}").exists():
        return f"there is a space in the path {before} {first}.", f"Put it in quotes: {option} '{before} {first}'"
    if any(option in one.opts and getattr(one, "multiple", False) for one in command.params):
        return got, f"{option} is given once for each: {option} {shlex.quote(before)} {option} {shlex.quote(first)}"
    given = {one.option for one in read_words(command, words) if one.option is not None}
    free = [name for name in STRAY if any(name in one.opts and one not in given and not one.hidden
            for one in command.params if one.param_type_name == "option")]  # fmt: skip
    known = {name for one in command.params for name in one.opts}
    pairs = [("--" + key.replace("_", "-"), value) for key, equals, value in (one.partition("=") for one in extra)
             if equals and "--" + key.replace("_", "-") in known]  # fmt: skip
    if pairs:
        written = " ".join(f"{name} {shlex.quote(value)}" for name, value in pairs)
        return got, f"Options are written with two hyphens: {written}"
    if not free or len(extra) > len(free):
        return got, help_of(called)
    kept = [word for word in words if word not in extra]
    meant = [*kept, *(word for pair in zip(free, extra, strict=False) for word in pair)]
    return got, f"Did you mean affectkit {called} {shlex.join(meant)}?"
