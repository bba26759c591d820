"""The bash script. It needs no bash-completion package and runs on bash 3.2, which macOS has, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from shlex import quote

from affectkit.cli._completion_tree import Command, Lists, Option, Value, wrapped

TEMPLATE = r"""# Completion of @program@ for bash, made by `@program@ completions --write completions`; do not edit.
# To install: copy this file to ~/.local/share/bash-completion/completions/@program@, or write
# "source /path/to/@program@.bash" into ~/.bashrc.

# What follows the commands $1: sets commands, options, arguments (what each is), rest (what all further ones are).
@f@_command() {
    commands=() options=() arguments=() rest=''
    case $1 in
@commands@
    esac
}

# The option $2 of the commands $1: sets takes (how many values follow) and kind (what they are).
@f@_option() {
    takes=0 kind=none
    case "$1 $2" in
@options@
    esac
}

# List number $1: sets words.
@f@_words() {
    words=()
    case $1 in
@words@
    esac
}

# Offers $1 and $2 put together. Of what stands before the cursor, bash replaces only what follows the last =, : or @,
# so what precedes that is taken away again.
@f@_offer() {
    local text=$2
    [[ $text == *[^][:alnum:]_.,:=+@%/^-]* && ${3-} != file ]] && printf -v text %q "$text"
    text=$1$text
    COMPREPLY+=("${text#"$keep"}")
}

# Offers what has the kind $1 and begins with $2; $3 (an option and =) stands before it.
@f@_value() {
    local name flag=-f
    local -a words
    case $1 in
        words*)
            @f@_words "${1#words }"
            for name in ${words[@]+"${words[@]}"}; do
                [[ $name == "$2"* ]] && @f@_offer "$3" "$name"
            done
            ;;
        files | folders)
            [[ $1 == folders ]] && flag=-d
            if [[ $2 == *[\'\"\\]* ]]; then # readline completes what is quoted better than this can
                [[ $flag == -d ]] && compopt -o dirnames 2>/dev/null || compopt -o default 2>/dev/null
                return
            fi
            compopt -o filenames 2>/dev/null # slashes behind folders, backslashes before blanks
            while IFS= read -r name; do
                @f@_offer "$3" "$name" file
            done < <(compgen "$flag" -- "$2")
            ;;
    esac
}

@f@() {
    COMPREPLY=()
    local i part touches line=${COMP_LINE-} current= keep= tail
    local -a typed=()
    [[ -n $line && -n ${COMP_POINT-} ]] && line=${line:0:COMP_POINT}
    # bash cuts words at =, : and @ as well; pieces that touch are put together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]-}
        touches=
        if [[ -n ${COMP_LINE-} ]]; then
            if ((i == 0)); then
                line=${line#*"$part"}
            else
                [[ -n $line && $line != [[:space:]]* ]] && touches=1
                line=${line#"${line%%[![:space:]]*}"}
                ((i == COMP_CWORD)) && part=$line
                line=${line#"$part"}
            fi
        elif ((i > 1)) && [[ $part == [=:@] || ${COMP_WORDS[i - 1]} == [=:@] ]]; then
            touches=1
        fi
        if [[ -n $touches ]] && ((${#typed[@]} > 1)); then
            typed[${#typed[@]} - 1]+=$part
        else
            typed+=("$part")
        fi
    done
    current=${typed[${#typed[@]} - 1]}
    tail=$current
    [[ ${COMP_WORDBREAKS-} == *=* ]] && tail=${tail##*=}
    [[ ${COMP_WORDBREAKS-} == *:* ]] && tail=${tail##*:}
    [[ ${COMP_WORDBREAKS-} == *@* ]] && tail=${tail##*@}
    keep=${current%"$tail"}

    local path= position=0 skip=0 ended= takes=0 kind=none rest= word name
    local -a commands options arguments
    @f@_command ''
    for ((i = 1; i < ${#typed[@]} - 1; i++)); do
        word=${typed[i]}
        if ((skip > 0)); then
            skip=$((skip - 1))
        elif [[ -n $ended ]]; then
            position=$((position + 1))
        elif [[ $word == -- ]]; then
            ended=1
        elif [[ $word == -?* ]]; then
            @f@_option "$path" "$word"
            skip=$takes
        else
            for name in ${commands[@]+"${commands[@]}"} ''; do
                [[ $name == "$word" ]] && break
            done
            if [[ -n $name ]]; then
                path="${path:+$path }$name" position=0
                @f@_command "$path"
            else
                position=$((position + 1))
            fi
        fi
    done

    if ((skip > 0)); then
        @f@_value "$kind" "$current" ''
    elif [[ -z $ended && $current == --*=* ]]; then
        @f@_option "$path" "${current%%=*}"
        @f@_value "$kind" "${current#*=}" "${current%%=*}="
    elif [[ -z $ended && $current == -* ]]; then
        for name in ${options[@]+"${options[@]}"}; do
            [[ $name == "$current"* ]] && @f@_offer '' "$name"
        done
    elif ((${#commands[@]} > 0)); then
        for name in "${commands[@]}"; do
            [[ $name == "$current"* ]] && @f@_offer '' "$name"
        done
    else
        @f@_value "${arguments[position]-$rest}" "$current" ''
    fi
    return 0
}

complete -F @f@ @program@
"""


def render(root: Command, program: str) -> str:
    """The script for ``root``, started as ``program``."""
    lists = Lists()
    commands = [text for command in root.walk() for text in _command_case(command, lists)]
    options = _option_cases(root, lists)
    words = [
        f"        {number})\n            {_array('words', words)}\n            ;;"
        for words, number in lists.words.items()
    ]
    parts = {
        "program": program,
        "f": "_" + re.sub(r"\W", "_", program),
        "commands": "\n".join(commands),
        "options": "\n".join(options),
        "words": "\n".join(words),
    }
    return re.sub(r"@(\w+)@", lambda match: parts[match[1]], TEMPLATE)


def _command_case(command: Command, lists: Lists) -> list[str]:
    lines = [f"        {quote(' '.join(command.path))})"]
    if command.commands:
        lines.append("            " + _array("commands", (child.path[-1] for child in command.commands)))
    lines.append("            " + _array("options", (name for option in command.options for name in _names(option))))
    places = [_kind(argument.value, lists) for argument in command.arguments if not argument.rest]
    if any(place != "none" for place in places):
        lines.append("            " + _array("arguments", places))
    lines += [
        f"            rest={quote(_kind(argument.value, lists))}"
        for argument in command.arguments
        if argument.rest and argument.value.kind != "none"
    ]
    return [*lines, "            ;;"]


def _option_cases(root: Command, lists: Lists) -> list[str]:
    """One case for each (number of values, kind), with all options that share it."""
    cases: dict[tuple[int, str], list[str]] = {}
    for command in root.walk():
        for option in command.options:
            if option.takes:
                key = (option.takes, _kind(option.value, lists))
                cases.setdefault(key, []).extend(quote(f"{' '.join(command.path)} {name}") for name in option.names)
    lines = []
    for (takes, kind), patterns in cases.items():
        lines.append(wrapped(patterns, indent=8, between=" | ", end=" \\") + ")")
        lines.append(f"            takes={takes} kind={quote(kind)}")
        lines.append("            ;;")
    return lines


def _names(option: Option) -> tuple[str, ...]:
    return (*option.names, *option.off)


def _kind(value: Value, lists: Lists) -> str:
    return f"words {lists.number(value)}" if value.kind == "words" else value.kind


def _array(name: str, words: Iterable[str]) -> str:
    items = [quote(word) for word in words]
    line = f"{name}=({' '.join(items)})"
    return line if len(line) <= 96 else f"{name}=(\n{wrapped(items, indent=16)}\n            )"
