"""Commands from settings: one definition of an option serves its flag, its file key and its help."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal, Optional

import typer

from affectkit.cli.brief import Brief, Description
from affectkit.cli.completion_values import offered
from affectkit.cli.console import Console
from affectkit.cli.help_pages import CLUSTER, OUTPUT, Command, described, page_option
from affectkit.cli.outputs import Outputs, check_places
from affectkit.config import (
    Resolved,
    default_of,
    field_type,
    hidden_options,
    option_name,
    other_names,
    resolve,
)
from affectkit.core.folder_lock import Output, locked
from affectkit.errors import UsageError
from affectkit.runtime.distributed import init_process_group, launched_processes
from affectkit.slurm.job_policy import JobPolicy

SLURM = typer.Option(
    None,
    "--slurm",
    metavar="KEY=VALUE,...",
    help="Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1; cluster=local tries it here.",
    rich_help_panel=CLUSTER,
)

SHARED: dict[str, tuple[Any, Any]] = {
    "config": (
        Optional[Path],  # noqa: UP045 - typer reads this at run time
        typer.Option(
            None,
            "--config",
            metavar="FILE.yaml",
            help="YAML file with settings; flags win over it.",
            rich_help_panel=OUTPUT,
            autocompletion=offered("config", Path),
        ),
    ),
    "json": (bool, typer.Option(False, "--json", help="Print one JSON object as the result.", rich_help_panel=OUTPUT)),
    "quiet": (
        bool,
        typer.Option(False, "--quiet", "-q", help="No progress and no notes; warnings stay.", rich_help_panel=OUTPUT),
    ),
    "debug": (bool, typer.Option(False, "--debug", help="Show the traceback of an error.", rich_help_panel=OUTPUT)),
}

HELP_ALL = (
    bool,
    page_option("--help-all", "Show all options.", lambda made, ctx, _: made.show_all(ctx), default=False),
)
HELP_MODEL = (
    Optional[str],  # noqa: UP045
    page_option(
        "--help-model",
        "Show the options that apply to a model, with its defaults.",
        lambda made, ctx, name: made.show_model(ctx, name),
        metavar="NAME",
        autocompletion=offered("model", str),
    ),
)
"""Options that show pages of help: they end the program, and a command never sees them."""

AS_OPTION = "as_option_"
"""Begins the names of parameters that are the options of arguments."""

Body = Callable[[Resolved[Any], Console], None]


def command(
    app: typer.Typer,
    name: str,
    settings: type,
    *,
    writes: Outputs,
    extra: dict[str, tuple[Any, Any]] | None = None,
    slurm: JobPolicy | None = None,
    older: str | None = None,
    brief: Brief | None = None,
    section: str | None = None,
    models: bool = False,
) -> Callable[[Body], Body]:
    """Register a function of (resolved settings, console) as the command ``name``.

    Args:
        settings: a settings dataclass; each field becomes an option or argument.
        writes: returns what the command writes with its settings; that is locked while it runs.
        extra: further options by parameter name, as (type, typer.Option); the console holds them in ``extra``.
        slurm: how the command behaves as a job; gives it the option ``--slurm``.
        older: the command's name in earlier versions, which still starts it and which help does not show.
        brief: what ``--help`` shows; None: all options of the command's own.
        section: heading under which the help of a group of commands lists it.
        models: whether it trains a model, and has the option ``--help-model``.
    """
    extra = (extra or {}) | ({"slurm": (Optional[str], SLURM)} if slurm else {})  # noqa: UP045
    pages = {"help_all": HELP_ALL} | ({"help_model": HELP_MODEL} if models else {})

    def register(body: Body) -> Body:
        def run(**given: Any) -> None:
            for key in pages:
                given.pop(key)
            shared = {key: given.pop(key) for key in SHARED}
            more = {key: given.pop(key) for key in extra}
            asked = more.pop("slurm", None)
            console = Console(json=shared["json"], quiet=shared["quiet"], debug=shared["debug"], extra=more)
            with console.guard():
                if slurm is None or not slurm.supports_distributed:
                    _refuse_several(name)
                given = _with_arguments(settings, given)
                flags = {key: value or None if isinstance(value, list) else value for key, value in given.items()}
                resolved = resolve(settings, flags=flags, file=shared["config"])
                if more.get("print_config"):
                    body(resolved, console)
                elif asked is None:
                    outputs = writes(resolved.settings)
                    check_places(outputs, resolved.settings)
                    several = slurm is not None and slurm.supports_distributed
                    with _locked(outputs, resolved.settings, console, several=several):
                        body(resolved, console)
                else:
                    _submit(asked, name, slurm, resolved, console)

        parameters = [_parameter(entry, settings) for entry in fields(settings)]
        parameters += [_hidden_option(entry, settings) for entry in fields(settings) if hidden_options(entry)]
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
            for key, (kind, option) in {**extra, **SHARED, **pages}.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in parameters}
        description = Description.read(body.__doc__)
        shown = {"settings": settings, "brief": brief or Brief(), "description": description, "extra": tuple(extra)}
        made = type("Command", (Command,), shown)
        for word in filter(None, (name, older)):
            app.command(word, cls=made, help=description.text, hidden=word == older, rich_help_panel=section)(run)
        return body

    return register


def _with_arguments(settings: type, given: dict[str, Any]) -> dict[str, Any]:
    """Return ``given`` with arguments in place of the options that were given for them; those behind move up.

    Raises:
        UsageError: there is one argument too many.
    """
    named = {key: given.pop(key) for key in list(given) if key.startswith(AS_OPTION)}
    named = {key.removeprefix(AS_OPTION): value for key, value in named.items() if value is not None}
    if not named:
        return given
    arguments = [entry.name for entry in fields(settings) if entry.metadata["argument"]]
    typed = [given[name] for name in arguments if given[name] is not None]
    free = [name for name in arguments if name not in named]
    if len(typed) > len(free):
        entry = next(entry for entry in fields(settings) if entry.name in named)
        raise UsageError(f"{option_name(entry)} is given twice, once as {hidden_options(entry)[0]}.")
    places = dict(zip(free, typed, strict=False))
    return {**given, **{name: named.get(name, places.get(name)) for name in arguments}}


@contextlib.contextmanager
def _locked(outputs: Sequence[Output], settings: Any, console: Console, *, several: bool) -> Iterator[None]:
    """Lock ``outputs`` while the block runs; of several processes the first one does."""
    with contextlib.ExitStack() as stack:
        if outputs and several:
            group = stack.enter_context(init_process_group(settings.device))
            group.run_on_main(lambda: stack.enter_context(locked(*outputs, reporter=console)))
        elif outputs:
            stack.enter_context(locked(*outputs, reporter=console))
        yield


def _refuse_several(name: str) -> None:
    if launched_processes() > 1 and "RANK" in os.environ:
        raise UsageError(
            f"{name} does not run in several processes (WORLD_SIZE is {launched_processes()}).",
            "Start it without torchrun; --shard i/N divides the work of a preparation.",
        )


def _submit(asked: str, name: str, policy: JobPolicy, resolved: Resolved[Any], console: Console) -> None:
    """Hand the command to a scheduler instead of running it, and say how to follow it."""
    from affectkit.slurm.submit import submit

    job = submit(
        asked,
        sys.argv[1:],
        name=name,
        policy=policy,
        settings=resolved.settings,
        reporter=console,
        forced_by_file=resolved.sources.get("force", "").startswith("file"),
    )
    console.result(job)
    if not console.json:
        for key in ("job", "stdout", "stderr", "follow", "status", "cancel"):
            console.line(f"{key:<8}{job[key]}")
        if "folds" in job:
            console.line(f"{'folds':<8}{', '.join(f'{fold}: {one}' for fold, one in job['folds'].items())}")
            console.line(f"{'merge':<8}{job['merge']}, once all have ended; its results: {job['merged']}")


def _parameter(entry: Field[Any], owner: type) -> inspect.Parameter:
    """Return a settings field as a parameter of Typer's; unset is None, so that a file's value can show."""
    kind, _ = field_type(entry, owner)
    data = entry.metadata
    choices = data["choices"]
    values = None if choices else offered(entry.name, kind)
    if getattr(kind, "__origin__", None) is tuple:
        kind = list[str] if data["argument"] or data["repeated"] else str
    elif choices:
        kind = Literal[choices]
    if data["argument"]:
        option = typer.Argument(
            None,
            help=described(entry, default_of(entry)),
            metavar=data["metavar"] or entry.name.upper(),
            show_default=False,
            autocompletion=values,
        )
    else:
        names = [option_name(entry)]
        if kind is bool:
            names = [names[0] + ("/--no-" + names[0].removeprefix("--") if default_of(entry) is True else "")]
        option = typer.Option(
            None,
            *names,
            help=described(entry, default_of(entry)),
            rich_help_panel=data["group"],
            show_default=False,
            metavar=data["metavar"],
            autocompletion=values,
        )
    return inspect.Parameter(entry.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=Optional[kind])  # noqa: UP045


def _hidden_option(entry: Field[Any], owner: type) -> inspect.Parameter:
    """Take a setting by the names that help does not show: those that it had before, and of an argument its option."""
    kind, _ = field_type(entry, owner)
    name = AS_OPTION + entry.name if entry.metadata["argument"] else other_names(entry)[0]
    option = typer.Option(None, *hidden_options(entry), hidden=True)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=Optional[kind])  # noqa: UP045
