#!/bin/bash
# typer 0.28.0 beside click 8.3.1.
#
# One would guess: typer is built on click, so a program may catch click's exceptions, ask isinstance(command,
# click.Command), read click.get_current_context() and test with click.testing.CliRunner, as it could for years.
#
# What happens: since 0.26 typer brings a copy of click under typer._click and does not depend on click any more. Its
# exceptions, commands and contexts are other classes: "except click.ClickException" around app(standalone_mode=False)
# catches nothing, isinstance says no, and click.get_current_context() finds no context in the middle of a command. Nothing
# fails at import, as click is there wherever another package (uvicorn, dask, nltk, wandb) brings it.
#
# Why it matters: command-line tools of this field that wrap typer apps (one program with trainers of others as
# subcommands, sphinx-click and click plug-ins, tests that assert a usage error) go on to run, and their error handling is
# dead code: a usage error ends with a traceback and exit code 1 in place of a message and 2.
#
# Seen:
#   command is a click.Command: False
#   usage error is a click.ClickException: False, a typer._click one: True
#   click.get_current_context in a command: RuntimeError; typer's own: show
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet typer==0.28.0 click==8.3.1
env/bin/python - <<'P'
import click
import typer

app = typer.Typer()
seen = {}


@app.command()
def show(count: int = 1):
    try:
        seen["click"] = click.get_current_context().info_name
    except RuntimeError:
        seen["click"] = "RuntimeError"
    seen["typer"] = typer._click.globals.get_current_context().info_name


command = typer.main.get_command(app)
is_command = isinstance(command, click.Command)
print("command is a click.Command:", is_command)
try:
    command(["--count", "many"], standalone_mode=False)
    raise SystemExit("no error: something else is wrong")
except Exception as error:
    foreign = isinstance(error, click.ClickException)
    own = isinstance(error, typer._click.exceptions.UsageError)
print(f"usage error is a click.ClickException: {foreign}, a typer._click one: {own}")
command([], standalone_mode=False, prog_name="show")
print(f"click.get_current_context in a command: {seen['click']}; typer's own: {seen['typer']}")
assert not is_command and not foreign and own and seen == {"click": "RuntimeError", "typer": "show"}
P
