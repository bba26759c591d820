"""The four shells: the scripts that hand a line to ``affectkit`` on Tab, and how it answers each.

Typer finds the command, option or argument at the cursor and what it can be. Its own scripts complete no value after
``--option=`` and nothing behind a colon under bash, offer files where a number is due, and load rich in zsh and fish;
so the scripts are ours, and Typer fills them in. Importing this makes them known to Typer.
"""

from __future__ import annotations

import os
import re
import textwrap
from typing import Any

from typer.completion import shell_completion

from affectkit.cli.completion_values import FILES, VARIABLE

PROGRAM = "affectkit"
MAX_HELP = 78

BASH = r"""# Completion of %(program)s for bash, made by `%(program)s completions bash`; do not edit.
# To install: copy this file to ~/.local/share/bash-completion/completions/%(program)s, or write
# "source /path/to/%(program)s.bash" into ~/.bashrc.

%(function)s() {
    local row program=${1/#\~/$HOME}
    COMPREPLY=()
    while IFS= read -r row; do
        if [[ $row != '%(files)s' ]]; then
            [[ -n $row ]] && COMPREPLY+=("$row")
        elif ! compopt -o default 2>/dev/null; then # bash 3.2 has no compopt
            while IFS= read -r row; do COMPREPLY+=("$row"); done < <(compgen -f -- "$2")
        fi
    done < <(%(variable)s=complete_bash _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" \
        _TYPER_COMPLETE_BREAKS="$COMP_WORDBREAKS" "$program" 2>/dev/null)
}

complete -F %(function)s %(program)s
"""

ZSH = r"""#compdef %(program)s
# Completion of %(program)s for zsh, made by `%(program)s completions zsh`; do not edit.
# To install: copy this file as _%(program)s into a folder of $fpath (before compinit in ~/.zshrc:
# fpath=(~/.zfunc $fpath)), or write "source /path/to/_%(program)s" into ~/.zshrc after compinit.

%(function)s() {
    local program=${~words[1]}
    local -a rows
    rows=("${(@f)$(%(variable)s=complete_zsh _TYPER_COMPLETE_ARGS="${(j: :)words[1,CURRENT-1]} $PREFIX" \
        "$program" 2>/dev/null)}")
    if [[ $rows[1] == '%(files)s' ]]; then
        compset -P 1 '--*='
        _files
    elif [[ -n $rows[1] ]]; then
        _describe -V value rows
    fi
}

if [[ ${funcstack[1]} == %(function)s ]]; then
    %(function)s "$@"
else
    compdef %(function)s %(program)s
fi
"""

FISH = r"""# Completion of %(program)s for fish, made by `%(program)s completions fish`; do not edit.
# To install: copy this file to ~/.config/fish/completions/%(program)s.fish

function _%(function)s
    set -l program (string replace -r '^~/' ~/ -- (commandline -opc)[1])
    set -lx %(variable)s complete_fish
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp | string collect)
    set -l rows ($program 2>/dev/null)
    set -e %(variable)s
    if test "$rows" != '%(files)s'
        string join \n -- $rows
        return
    end
    set -l token (commandline -ct)
    set -l option (string match -r -- '^--[^=]+=' $token)
    set -l paths (complete -C"'' "(string replace -- "$option" '' $token))
    string join \n -- "$option"$paths
end

complete -c %(program)s -f -a '(_%(function)s)'
"""

POWERSHELL = r"""# Completion of %(program)s for PowerShell, made by `%(program)s completions powershell`; do not edit.
# To install: write ". C:\path\to\%(program)s.ps1" into the file whose name $PROFILE holds.

Register-ArgumentCompleter -Native -CommandName '%(program)s', '%(program)s.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $length = $cursorPosition - $commandAst.Extent.StartOffset
    $line = $commandAst.Extent.Text.PadRight($length).Substring(0, $length)
    $env:%(variable)s = 'complete_powershell'
    $env:_TYPER_COMPLETE_ARGS = $line.Replace('\', '\\') # Typer reads the line as a POSIX shell does
    try {
        $rows = @(& $commandAst.GetCommandName() 2>$null)
    } finally {
        Remove-Item Env:%(variable)s, Env:_TYPER_COMPLETE_ARGS
    }
    $option = if ("$wordToComplete" -match '^--[^=]+=') { $Matches[0] } else { '' }
    if ($rows[0] -eq '%(files)s') {
        if ($option -eq '') { return } # where a script offers nothing, PowerShell offers paths
        [System.Management.Automation.CompletionCompleters]::CompleteFilename(
            "$wordToComplete".Substring($option.Length)) | ForEach-Object {
            New-Object System.Management.Automation.CompletionResult `
                ($option + $_.CompletionText), $_.ListItemText, $_.ResultType, $_.ToolTip
        }
    } elseif ("$rows" -eq '') {
        '' # keeps PowerShell from offering paths
    } else {
        foreach ($row in $rows) {
            $text, $tip = $row -split "`t", 2
            if (-not $tip) { $tip = $text }
            New-Object System.Management.Automation.CompletionResult $text, $text, 'ParameterValue', $tip
        }
    }
}
"""


class Shell(shell_completion.ShellComplete):
    """A shell that gives its line up to the cursor in ``_TYPER_COMPLETE_ARGS`` and takes a line for each candidate."""

    def source_vars(self) -> dict[str, Any]:
        """Return what the script is filled in with."""
        return {"program": PROGRAM, "function": f"_{PROGRAM}", "variable": self.complete_var, "files": FILES}

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor without the program, and the one under it."""
        # The mark keeps a last word that is empty, or ends in a quoted blank.
        line = os.environ.get("_TYPER_COMPLETE_ARGS", "") + "\0"
        *words, last = shell_completion.split_arg_string(line)
        return words[1:], last.rstrip("\0")

    def complete(self) -> str:
        """Return the answer to a Tab."""
        words, current = self.get_completion_args()
        items = self.get_completions(words, current)
        if items and items[0].help == FILES:
            return FILES
        option, equals, _ = current.partition("=")
        for item in items:
            if equals and option.startswith("-"):  # Typer gives the value alone; the shell replaces the whole word
                item.value = option + equals + item.value
            item.help = textwrap.shorten(item.help or "", MAX_HELP, placeholder="...")
        return "\n".join(map(self.format_completion, items))

    def format_completion(self, item: shell_completion.CompletionItem) -> str:
        """Write the line of a candidate."""
        return f"{item.value}\t{item.help}" if item.help else item.value


class Bash(Shell):
    """Takes words without help."""

    name, source_template = "bash", BASH

    def format_completion(self, item: shell_completion.CompletionItem) -> str:
        """Return what follows the last break (=, :, @) of the word under the cursor: readline replaces no more."""
        _, current = self.get_completion_args()
        breaks = os.environ.get("_TYPER_COMPLETE_BREAKS", "")
        return item.value[1 + max((current.rfind(mark) for mark in breaks), default=-1) :]


class Zsh(Shell):
    """Takes ``value:help``."""

    name, source_template = "zsh", ZSH

    def format_completion(self, item: shell_completion.CompletionItem) -> str:
        """Write a candidate; a colon of the value's own has a backslash."""
        value = re.sub(r"([\\:])", r"\\\1", item.value)
        return f"{value}:{item.help}" if item.help else value


class Fish(Shell):
    """Takes the value, a tab, and the help."""

    name, source_template = "fish", FISH


class PowerShell(Shell):
    """Takes the value, a tab, and the help."""

    name, source_template = "powershell", POWERSHELL


for _kind in (Bash, Zsh, Fish, PowerShell):
    shell_completion.add_completion_class(_kind, _kind.name)


def script(shell: str) -> str:
    """Return the completion script of a shell, ending in a newline."""
    kind = shell_completion.get_completion_class(shell)
    return kind(None, {}, PROGRAM, VARIABLE).source()
