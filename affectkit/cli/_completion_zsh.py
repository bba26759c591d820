"""The zsh script: one function for each command, on zsh's own ``_arguments``."""

from __future__ import annotations

import re

from affectkit.cli._completion_tree import Argument, Command, Lists, Option, Value, wrapped

HEAD = """#compdef @program@
# Completion of @program@ for zsh, made by `@program@ completions --write completions`; do not edit.
# To install: copy this file as _@program@ into a folder of $fpath (before compinit in ~/.zshrc:
# fpath=(~/.zfunc $fpath)), or write "source /path/to/_@program@" into ~/.zshrc after compinit.
"""

TAIL = """
if [[ ${funcstack[1]} == @function@ ]]; then
    @function@ "$@"
else
    compdef @function@ @program@
fi
"""


def render(root: Command, program: str) -> str:
    """The script for ``root``, started as ``program``."""
    # The file is called _program, and autoloading runs the function of that name.
    function = f"_{program}"
    lists = Lists()
    functions = [_function(command, function, lists) for command in root.walk()]
    words = [_words_function(words, number, function) for words, number in lists.words.items()]
    text = "\n".join([HEAD, *words, *functions]) + TAIL
    return text.replace("@program@", program).replace("@function@", function)


def _name(path: tuple[str, ...], function: str) -> str:
    return "-".join([function, *path])


def _words_function(words: tuple[str, ...], number: int, function: str) -> str:
    items = wrapped(map(_quoted, words), indent=8, end=" \\")
    return f'{function}--words-{number}() {{\n    compadd "$@" -- \\\n{items}\n}}\n'


def _function(command: Command, function: str, lists: Lists) -> str:
    specs = [spec for option in command.options for spec in _option_specs(option, function, lists)]
    lines = [f"{_name(command.path, function)}() {{"]
    if command.commands:
        lines += [
            '    local context state state_descr line curcontext="$curcontext" ret=1',
            "    typeset -A opt_args",
            *_arguments([*specs, _quoted("1: :->command"), _quoted("*:: :->rest")], "-C -s -S", end=" && ret=0"),
            "    case $state in",
            "        command)",
            "            local -a commands=(",
            *(
                "                " + _quoted(_escaped(child.path[-1], ":") + ":" + child.help)
                for child in command.commands
            ),
            "            )",
            "            _describe -t commands command commands && ret=0",
            "            ;;",
            "        rest)",
            f'            curcontext="${{curcontext%:*:*}}:{_name(command.path, function).lstrip("_")}-$line[1]:"',
            "            case $line[1] in",
            *(
                f"                {_quoted(child.path[-1])}) {_name(child.path, function)} && ret=0 ;;"
                for child in command.commands
            ),
            "            esac",
            "            ;;",
            "    esac",
            "    return ret",
        ]
    else:
        specs += [_argument_spec(argument, function, lists) for argument in command.arguments]
        lines += _arguments(specs, "-s -S")
    return "\n".join([*lines, "}", ""])


def _arguments(specs: list[str], flags: str, end: str = "") -> list[str]:
    rows = [f"    _arguments {flags} :", *(f"        {spec}" for spec in specs)]
    return [row + " \\" for row in rows[:-1]] + [rows[-1] + end]


def _option_specs(option: Option, function: str, lists: Lists) -> list[str]:
    """One specification for each spelling; a spelling excludes the others unless the option can be repeated."""
    names = (*option.names, *option.off)
    others = f"({' '.join(names)})" if not option.many else "*"
    if "--help" in names:
        others = "(- : *)"  # nothing goes with it
    action = _action(option.value, function, lists)
    label = _escaped(next((name for name in option.names if name.startswith("--")), option.names[0]).lstrip("-"), ":")
    specs = []
    for name in names:
        # "=" takes --name=value and --name value, "+" takes -nvalue and -n value.
        joint = "" if not option.takes else "=" if name.startswith("--") else "+"
        values = f":{label}:{action}" * option.takes
        specs.append(_quoted(f"{others}{name}{joint}[{_escaped(option.help, '[]')}]{values}"))
    return specs


def _argument_spec(argument: Argument, function: str, lists: Lists) -> str:
    label = _escaped(argument.name.replace("_", " "), ":")
    return _quoted(f"{'*' if argument.rest else ''}:{label}:{_action(argument.value, function, lists)}")


def _action(value: Value, function: str, lists: Lists) -> str:
    if value.kind == "words":
        return f"{function}--words-{lists.number(value)}"
    # _files -/ would offer files where no folder fits.
    return {"files": "_files", "folders": "_path_files -/", "none": " "}[value.kind]


def _escaped(text: str, special: str) -> str:
    return re.sub(rf"([\\{re.escape(special)}])", r"\\\1", text)


def _quoted(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./+-]+", text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
