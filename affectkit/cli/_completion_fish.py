"""The fish script: one ``complete`` line for each command, option and argument, under the condition of its place."""

from __future__ import annotations

import re

from affectkit.cli._completion_tree import Argument, Command, Lists, Option, Value, wrapped

HEAD = r"""# Completion of @program@ for fish, made by `@program@ completions --write completions`; do not edit.
# To install: copy this file to ~/.config/fish/completions/@program@.fish

# How many values follow the option $argv[2] of the commands $argv[1].
function @f@_takes
    switch "$argv"
@takes@
        case '*'
            echo 0
    end
end

# Whether the line before the cursor stands at the commands $argv[1], and, where they are given, at an argument
# whose number (from 0) lies between $argv[2] and $argv[3].
function @f@_at
    set -l path
    set -l position 0
    set -l skip 0
    set -l ended 0
    set -l tokens (commandline -opc)
    set -e tokens[1]
    for token in $tokens
        if test $skip -gt 0
            set skip (math $skip - 1)
        else if test $ended -eq 1
            set position (math $position + 1)
        else if test "$token" = --
            set ended 1
        else if string match -qr -- '^-.' $token
            set skip (@f@_takes "$path" $token)
        else if contains -- (string trim -- "$path $token") @paths@
            set path (string trim -- "$path $token")
            set position 0
        else
            set position (math $position + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    if set -q argv[2]
        test $position -ge $argv[2] -a $position -le $argv[3]
    end
end
"""


def render(root: Command, program: str) -> str:
    """The script for ``root``, started as ``program``."""
    prefix = "__" + re.sub(r"\W", "_", program)
    lists = Lists()
    lines = [f"complete -c {program} -f"]
    for command in root.walk():
        lines += ["", f"# {' '.join((program, *command.path))}", *_command_lines(command, program, prefix, lists)]
    words = [_words_function(words, number, prefix) for words, number in lists.words.items()]
    parts = {
        "program": program,
        "f": prefix,
        "takes": "\n".join(_takes(root)),
        "paths": " ".join(_quoted(" ".join(command.path)) for command in root.walk() if command.path) or "''",
    }
    head = re.sub(r"@(\w+)@", lambda match: parts[match[1]], HEAD)
    return "\n".join([head, *words, *lines]) + "\n"


def _words_function(words: tuple[str, ...], number: int, prefix: str) -> str:
    items = wrapped(map(_quoted, words), indent=8, end=" \\")
    return f"function {prefix}_words_{number}\n    printf '%s\\n' \\\n{items}\nend\n"


def _takes(root: Command) -> list[str]:
    """Cases of the options with values, by the number of values."""
    cases: dict[int, list[str]] = {}
    for command in root.walk():
        for option in command.options:
            if option.takes:
                names = (_quoted(f"{' '.join(command.path)} {name}") for name in option.names)
                cases.setdefault(option.takes, []).extend(names)
    lines = []
    for takes, names in cases.items():
        lines += ["        case \\", wrapped(names, indent=12, end=" \\"), f"            echo {takes}"]
    return lines


def _command_lines(command: Command, program: str, prefix: str, lists: Lists) -> list[str]:
    path = " ".join(command.path)
    start = f"complete -c {program} -n "
    here = _quoted(f'{prefix}_at "{path}"')
    first = _quoted(f'{prefix}_at "{path}" 0 0')
    lines = [
        f"{start}{first} -a {_quoted(_quoted(child.path[-1]))}{_described(child.help)}" for child in command.commands
    ]
    for option in command.options:
        lines += _option_lines(option, start + here, prefix, lists)
    for number, argument in enumerate(command.arguments):
        what = _argument_action(argument, prefix, lists)
        if what:
            last = 9999 if argument.rest else number
            condition = _quoted(f'{prefix}_at "{path}" {number} {last}')
            lines.append(f"{start}{condition} {what}")
    return lines


def _option_lines(option: Option, start: str, prefix: str, lists: Lists) -> list[str]:
    value = f" {_option_action(option.value, prefix, lists)}" if option.takes else ""
    lines = [f"{start}{_spelling(option.names)}{value}{_described(option.help)}"]
    return lines + [f"{start}{_spelling((name,))}{_described(option.help)}" for name in option.off]


def _spelling(names: tuple[str, ...]) -> str:
    """fish's own flags for long (-l), one-letter (-s) and old-style (-o) options."""
    text = ""
    for name in names:
        flag = "-l" if name.startswith("--") else "-s" if len(name) == 2 else "-o"
        text += f" {flag} {_quoted(name.lstrip('-'))}"
    return text


def _option_action(value: Value, prefix: str, lists: Lists) -> str:
    if value.kind == "words":
        return f"-x -a '({prefix}_words_{lists.number(value)})'"
    return {"files": "-r -F", "folders": "-x -a '(__fish_complete_directories)'", "none": "-x"}[value.kind]


def _argument_action(argument: Argument, prefix: str, lists: Lists) -> str:
    if argument.value.kind == "words":
        return f"-a '({prefix}_words_{lists.number(argument.value)})'"
    return {"files": "-F", "folders": "-a '(__fish_complete_directories)'", "none": ""}[argument.value.kind]


def _described(text: str) -> str:
    return f" -d {_quoted(text)}" if text else ""


def _quoted(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./+-]+", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
