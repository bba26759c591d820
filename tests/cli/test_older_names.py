"""Commands and options under the names that they had before: they do the same, help shows the new ones alone."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
import typer
from guide_blocks import guide_paths
from support import invoke

from affectkit.cli.app import app
from affectkit.config import option_name, resolve
from affectkit.guides import FOLDER
from affectkit.settings.evaluation import TestSettings

GUIDE = FOLDER / "files-and-formats.md"
"""Which has the table of all older names."""
COMMANDS = {"probe": "reconstruct", "pull": "download"}
OPTIONS = {"--alter": "--corrupt", "--remove-parts": "--remove-shards", "--output": "--output-path"}


def every_command(command, path=()):
    """Each command of the program by the words that start it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield (*path, name), inner
        yield from every_command(inner, (*path, name))


def test_a_command_has_the_options_and_the_help_of_its_new_name():
    commands = dict(every_command(typer.main.get_command(app)))
    hidden = {words[-1]: command for words, command in commands.items() if command.hidden}
    assert set(hidden) == set(COMMANDS)
    for old, command in hidden.items():
        new = commands[COMMANDS[old],]
        assert not new.hidden and command.help == new.help
        assert [param.opts for param in command.params] == [param.opts for param in new.params]


def test_help_shows_new_names_alone():
    listed = invoke("--help").stdout
    for old, new in COMMANDS.items():
        assert re.search(rf"^\W*{new} ", listed, re.MULTILINE) and not re.search(rf"^\W*{old} ", listed, re.MULTILINE)
    assert "--corrupt" in (text := invoke("test", "--help-all").stdout) and "--alter" not in text
    assert "--remove-shards" in (text := invoke("merge", "--help-all").stdout) and "--remove-parts" not in text


def test_every_older_option_is_hidden_and_stands_beside_the_field_of_its_new_name():
    found = {}
    for _, command in every_command(typer.main.get_command(app)):
        for param in command.params:
            if getattr(param, "hidden", False):
                found[param.opts[0]] = param.name
    assert set(found) == set(OPTIONS)


@pytest.mark.parametrize(("words", "code", "message"), [
    (("probe",), 2, "--results is needed"),
    (("pull",), 2, "SOURCE is needed"),
    (("test", "--checkpoint", "c", "--data", "d", "--alter", "fgo"), 2, "--corrupt: unknown corruption 'fgo'"),
    (("test", "--alter", "fog", "--corrupt", "snow"), 2, "--corrupt is given twice"),
    (("merge", "{tmp}", "--remove-parts"), 1, "holds no shard"),
    (("datasplit", "{tmp}", "--output", "{tmp}"), 2, "--output-path is PATH itself"),
    (("datasplit", "{tmp}", "--output", "a", "--output-path", "b"), 2, "--output-path is given twice"),
    (("relabel", "{tmp}", "--labels-csv", "c.csv", "--output", "{tmp}", "--output-path", "b"), 2, "is given twice"),
])  # fmt: skip
def test_messages_name_the_new_one(tmp_path, words, code, message):
    done = invoke(*(word.format(tmp=tmp_path) for word in words))
    assert done.returncode == code and message in " ".join(done.stderr.split()), done.stderr


def test_a_file_may_use_the_older_name(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("checkpoint: c\ndata: d\nalter: fog:2\n")
    found = resolve(TestSettings, flags={}, file=path)
    assert str(found.settings.corrupt) == "fog:2" and found.sources["corrupt"] == f"file {path}"
    assert [option_name(entry) for entry in fields(TestSettings) if entry.metadata["older"]] == ["--corrupt"]


def test_the_guide_names_each_and_no_other_text_uses_one():
    table = GUIDE.read_text().split("## Older names\n")[1]
    for old, new in {**COMMANDS, **OPTIONS}.items():
        assert re.search(rf"\| .*`[a-z ,]*{new}`.* \| .*`[a-z ,]*{old}`", table), (old, new)
        # ``pull face-detector`` is a use of that name by itself.
        elsewhere = rf"(`|affectkit ){old}(?![-\w])(?! face-detector)"
        for path in guide_paths():
            if old != "--output":  # which other commands have, too
                assert not re.search(elsewhere, path.read_text().replace(table, "")), f"{path.name} uses {old}"
