"""``affectkit compare``."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.rendering import render_groups
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved
from affectkit.errors import ThresholdError
from affectkit.settings.compare import CompareSettings

WIDTH = 120
"""Characters of a line of sentences where the output is no terminal."""
EFFECTS = {"difference / jackknife SE": "SE", "difference / SE": "SE"}
"""Long names of what an effect is counted in, as the table has them."""
MOST_SAID = 6
"""Rows of which each has a sentence here; of more, they stand in the record and on the page."""

BRIEF = Brief(
    options={
        "Models": "models names",
        "Data": "data labels split",
        "Comparison": "metrics common cluster by",
        "Output": "results fail_under fail_if_worse report json force",
    },
    required=("models",),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "compare", CompareSettings, writes=folders("results"), extra=REPORT, brief=BRIEF)
    def compare(resolved: Resolved[CompareSettings], console: Console) -> None:
        """Compare models on the same items: is one better, by how much, and how sure is that.

        Paired differences of each metric with 95% intervals, a test (exact McNemar for accuracy, permutations for
        others) and Holm's correction, effect sizes, and the smallest difference that would have been found. Items are
        matched by name, target and content; test sets that differ are refused. Repeats of a training (train --repeat)
        are a second source of variation, told apart from the items.

        Examples:
            affectkit compare results/first results/second
            affectkit compare results/first results/second --results results/comparison
            affectkit compare runs/first builtin --data faces --metrics all
        """
        from affectkit.comparison.compare import compare as run

        s = resolved.settings
        check_report(console, s.results)
        record = run(s, reporter=console)
        _render(record, console)
        if s.results is not None:
            console.note(f"results: {s.results}")
        report_asked(console, s.results)
        if record["missed"]:
            raise ThresholdError("; ".join(record["missed"]) + ".")


def _render(record: dict[str, Any], console: Console) -> None:
    """Show a row a metric and pair of models, in several tables on a narrow terminal, then what they say."""
    console.result(record)
    if console.json:
        return
    rows, clusters = record["rows"], record["clusters"]
    first, second = record["baseline"], record["models"][1]["name"]
    if record["pairs"] > 1:
        first, second = "first", "second"
    units = f", {clusters:,} of {record['cluster']}" if clusters else ""
    _tables(_columns(record), f"{second} minus {first}, n = {record['items']:,}{units}", console)
    if "groups" in record:
        render_groups(record["groups"], console, of=f", {second} minus {first}" if record["pairs"] == 1 else "")
    console.line()
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    said = record["said"] if len(rows) <= MOST_SAID else record["summary"]
    for text in (*said, *record["scope"]):
        for line in textwrap.wrap(text, max(room - 1, 40), subsequent_indent="  ", break_on_hyphens=False):
            console.line(line)


def _columns(record: dict[str, Any]) -> list[list[list[str]]]:
    """Return blocks of columns, each a list of cells with its title first: those that name a row, and what is said of
    it.
    """
    from affectkit.comparison.words import number, p_number

    rows, several = record["rows"], record["pairs"] > 1
    names = ["first value", "second value"] if several else [record["baseline"], record["models"][1]["name"]]

    def column(title: str, shown: Callable[[dict[str, Any]], str]) -> list[str]:
        return [title, *map(shown, rows)]

    def numbers(title: str, key: str) -> list[str]:
        return column(title, lambda row: number(row[key]))

    def ends(row: dict[str, Any]) -> str:
        return "-" if math.isnan(row["low"]) else f"{number(row['low'])} to {number(row['high'])}"

    keys = [column("metric", lambda row: row["metric"])]
    if several:
        keys += [column(key, lambda row, key=key: row[key]) for key in ("first", "second")]
    values = [numbers(names[0], "first_value"), numbers(names[1], "second_value"), numbers("difference", "difference")]
    tests = [
        column("better", lambda row: {"max": "higher", "min": "lower"}[row["better"]]),
        *(column(title, lambda row, key=key: p_number(row[key])) for title, key in (("p", "p"), ("Holm p", "p_holm"))),
    ]
    sizes = [
        numbers("effect", "effect_size"),
        column("in", lambda row: EFFECTS.get(row["effect"], row["effect"])),
        numbers("detectable", "detectable"),
    ]
    counts = [column("n", lambda row: f"{row['n']:,}")]
    if record["clusters"]:
        counts.append(column("clusters", lambda row: f"{row['clusters']:,}"))
    if any(model["repeats"] > 1 for model in record["models"]):
        counts += [numbers("SE of items", "item_error"), numbers("SE of repeats", "repeat_error")]
    ways = [column("interval", lambda row: row["interval"]), column("test", lambda row: row["test"])]
    return [keys, [*values, column("95% interval", ends)], tests, sizes, counts, ways]


def _tables(blocks: list[list[list[str]]], title: str, console: Console) -> None:
    """Show ``blocks`` beside each other as far as there is room, the rest below, where the first names the rows
    again.
    """
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    keys, *others = blocks
    tables: list[list[list[str]]] = []
    for block in others:
        if tables and _width(tables[-1] + block) <= room:
            tables[-1] += block
        else:
            tables.append([*keys, *block])
    for columns in tables:
        rows = [list(row) for row in zip(*columns, strict=True)]
        console.table(rows[0], rows[1:], title=title)
        title = ""


def _width(columns: list[list[str]]) -> int:
    """Count the characters across a drawn table."""
    return sum(max(map(len, column)) + 3 for column in columns) + 1
