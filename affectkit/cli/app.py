"""The application: what every command shares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from affectkit.cli.commands import COMMANDS
from affectkit.cli.completion_values import PRESSED
from affectkit.cli.console import Console
from affectkit.cli.help_layout import Page
from affectkit.cli.help_pages import HELP_NAMES, MORE, Group
from affectkit.cli.usage_errors import check_words, describe
from affectkit.core.version import VERSION
from affectkit.errors import UsageError

if PRESSED:
    from affectkit.cli import completion_shells  # noqa: F401 - makes the shells known to Typer

HELP = "Train, test and run emotion models."
STREAMS = "Results go to stdout, everything else to stderr."
EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 threshold missed, 4 done in part, 75 stopped and resumable, 130 Ctrl-C, "
    "143 SIGTERM before anything could be saved."
)


def _version(context: typer.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:  # nothing is printed while a line is completed
        typer.echo(f"affectkit {VERSION}")
        raise typer.Exit


def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Handle the options of the program itself."""


class Commands(Group):
    """The group of all commands, whose usage errors are messages as all others are."""

    _typed: Sequence[str] = ()

    def listed(self) -> Iterator[tuple[str, str, str]]:
        """Return task, name and summary of each command; they are known without the command."""
        for name, entry in COMMANDS.items():
            if entry.task:
                yield entry.task, name.replace("_", "-"), entry.summary
        for _, name, summary in super().listed():
            if not getattr(COMMANDS.get(name.replace("-", "_")), "task", ""):
                yield MORE, name, summary

    def end(self, ctx: Any, page: Page) -> None:
        """Add what holds of all commands."""
        super().end(ctx, page)
        page.line(f"{ctx.command_path} --version prints the version. {STREAMS}")
        page.line(EXIT_CODES)

    def make_context(self, info_name: Any, args: list[str], *others: Any, **given: Any) -> Any:
        """Read the arguments of the program itself."""
        self._typed = tuple(args)
        with self._answered():
            return super().make_context(info_name, args, *others, **given)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is named; what its options are given is looked at before it is read."""
        name, made, rest = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and made is not None:  # else a line is being completed
            _check_words(made, rest)
        return name, made, rest

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command and run it."""
        with self._answered():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        """Report an error of the parser, with control characters of what was typed escaped, and exit."""
        try:
            yield
        except UsageError as error:
            Console().fail(error)
        except Exception as error:
            if (said := describe(error, self._typed, self)) is None:
                raise
            Console().fail(UsageError(*said))


def _check_words(made: Any, words: Sequence[str]) -> None:
    while words and words[0] in getattr(made, "commands", ()):
        made, words = made.commands[words[0]], words[1:]
    for note in check_words(made, words):
        Console().warn(note)


def asked_command(arguments: Sequence[str]) -> list[str]:
    """Return the name of the one command that ``arguments`` begin with; all names where they begin otherwise.

    Making a command takes longer than typing its help: a run needs no other, and the list of commands needs none whose
    task is known.
    """
    asked = arguments[0].replace("-", "_") if arguments else ""
    if PRESSED:
        return list(COMMANDS)
    if not arguments or arguments[0] in HELP_NAMES["help_option_names"]:
        return [name for name, entry in COMMANDS.items() if not entry.task]
    return [asked] if asked in COMMANDS else list(COMMANDS)


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Make the application of ``COMMANDS``, or of those alone that ``names`` names."""
    made = typer.Typer(
        name="affectkit",
        cls=Commands,
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={**HELP_NAMES, "max_content_width": 120},
    )
    made.callback()(_main)
    for name in names:
        COMMANDS.resolve(name)(made)
    return made


def __getattr__(name: str) -> Any:
    """Make ``app``, the application of all commands, at first use."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = make_app()
    return made
