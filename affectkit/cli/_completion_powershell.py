"""The PowerShell script, for Windows PowerShell 5.1 and for PowerShell 7."""

from __future__ import annotations

import re
from collections.abc import Iterable

from affectkit.cli._completion_tree import Command, Lists, Option, Value

# PowerShell's own hash tables take -v and -V for one key; the dictionaries tell them apart.
TEMPLATE = r"""# Completion of @program@ for PowerShell,
# made by `@program@ completions --write completions`; do not edit.
# To install: write ". C:\path\to\@program@.ps1" into the file whose name $PROFILE holds.

Register-ArgumentCompleter -Native -CommandName '@program@', '@program@.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # What can be typed after each command: its commands and its options, each with a description after a blank.
    $commands = New-Object 'System.Collections.Generic.Dictionary[string,object]'
@commands@
    $options = New-Object 'System.Collections.Generic.Dictionary[string,object]'
@options@
    # Options with values: how many follow, and what they are.
    $valued = New-Object 'System.Collections.Generic.Dictionary[string,object]'
@valued@
    # What the arguments of each command are; one with a * takes all that follow.
    $arguments = New-Object 'System.Collections.Generic.Dictionary[string,object]'
@arguments@
    $words = New-Object 'System.Collections.Generic.Dictionary[string,object]'
@words@

    $path = ''
    $position = 0
    $skip = 0
    $kind = 'none'
    $ended = $false
    foreach ($element in @($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $token = $element.Extent.Text
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $token = $element.Value
        }
        if ($skip -gt 0) {
            $skip--
        } elseif ($ended) {
            $position++
        } elseif ($token -ceq '--') {
            $ended = $true
        } elseif ($token -like '-?*') {
            if ($valued.ContainsKey("$path $token")) {
                $skip = $valued["$path $token"][0]
                $kind = $valued["$path $token"][1]
            }
        } elseif ($commands.ContainsKey($path) -and
            @($commands[$path] | ForEach-Object { $_.Split(' ')[0] }) -ccontains $token) {
            $path = "$path $token".Trim()
            $position = 0
        } else {
            $position++
        }
    }

    $typed = "$wordToComplete"
    $prefix = ''
    $offers = @()
    if ($skip -eq 0) {
        $kind = 'none'
        if (-not $ended -and $typed -match '^(--[^=]+)=(.*)$') {
            $prefix = $Matches[1] + '='
            $typed = $Matches[2]
            $key = "$path " + $prefix.TrimEnd('=')
            if ($valued.ContainsKey($key)) { $kind = $valued[$key][1] }
        } elseif (-not $ended -and $typed.StartsWith('-')) {
            $offers = $options[$path]
        } elseif ($commands.ContainsKey($path)) {
            $offers = $commands[$path]
        } elseif ($arguments.ContainsKey($path)) {
            $kinds = @($arguments[$path])
            if ($position -lt $kinds.Count) {
                $kind = $kinds[$position].TrimEnd('*')
            } elseif ($kinds[-1].EndsWith('*')) {
                $kind = $kinds[-1].TrimEnd('*')
            }
        }
    }
    if ($kind -eq 'files' -or $kind -eq 'folders') {
        if ($prefix -eq '') { return } # where a script offers nothing, PowerShell offers paths
        [System.Management.Automation.CompletionCompleters]::CompleteFilename($typed) | ForEach-Object {
            New-Object System.Management.Automation.CompletionResult `
                ($prefix + $_.CompletionText), $_.ListItemText, $_.ResultType, $_.ToolTip
        }
        return
    }
    $found = 0
    if ($kind.StartsWith('words ')) {
        foreach ($word in $words[$kind.Substring(6)]) {
            if ($word.StartsWith($typed, [System.StringComparison]::Ordinal)) {
                New-Object System.Management.Automation.CompletionResult `
                    ($prefix + $word), $word, 'ParameterValue', $word
                $found++
            }
        }
    }
    foreach ($offer in $offers) {
        $name, $tip = $offer -split ' ', 2
        if ($name.StartsWith($typed, [System.StringComparison]::Ordinal)) {
            if (-not $tip) { $tip = $name }
            $type = if ($name.StartsWith('-')) { 'ParameterName' } else { 'ParameterValue' }
            New-Object System.Management.Automation.CompletionResult $name, $name, $type, $tip
            $found++
        }
    }
    if ($found -eq 0) { '' } # an empty text keeps PowerShell from offering paths
}
"""


def render(root: Command, program: str) -> str:
    """The script for ``root``, started as ``program``."""
    lists = Lists()
    blocks: dict[str, list[str]] = {name: [] for name in ("commands", "options", "valued", "arguments", "words")}
    for command in root.walk():
        path = " ".join(command.path)
        if command.commands:
            rows = (f"{child.path[-1]} {child.help}" for child in command.commands)
            blocks["commands"] += _entry("commands", path, rows)
        rows = (f"{name} {option.help}" for option in command.options for name in (*option.names, *option.off))
        blocks["options"] += _entry("options", path, rows)
        blocks["valued"] += [_valued(path, name, option, lists) for option in command.options for name in option.names]
        kinds = [_kind(item.value, lists) + "*" * item.rest for item in command.arguments]
        if kinds:
            blocks["arguments"] += _entry("arguments", path, kinds)
    for words, number in lists.words.items():
        blocks["words"] += _entry("words", str(number), words)
    parts = {"program": program, **{name: "\n".join(filter(None, lines)) for name, lines in blocks.items()}}
    return re.sub(r"@(program|commands|options|valued|arguments|words)@", lambda match: parts[match[1]], TEMPLATE)


def _entry(table: str, key: str, rows: Iterable[str]) -> list[str]:
    items = [_quoted(row.strip()) for row in rows]
    head = f"    ${table}[{_quoted(key)}] = @("
    if len(head) + sum(len(item) + 2 for item in items) < 100:
        return [head + ", ".join(items) + ")"]
    return [head, *(f"        {item}," for item in items[:-1]), f"        {items[-1]})"]


def _valued(path: str, name: str, option: Option, lists: Lists) -> str:
    if not option.takes:
        return ""
    return f"    $valued[{_quoted(f'{path} {name}')}] = @({option.takes}, {_quoted(_kind(option.value, lists))})"


def _kind(value: Value, lists: Lists) -> str:
    return f"words {lists.number(value)}" if value.kind == "words" else value.kind


def _quoted(text: str) -> str:
    # PowerShell takes the curly single quotes for quotes as well.
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"
