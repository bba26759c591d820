"""Commands and options under the names that they had before: they do the same, help shows the new ones alone."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from guide_blocks import guide_paths
from support import invoke

from affectkit.cli.app import app
from affectkit.cli.datasplit import DatasplitSettings
from affectkit.config import option_name, other_names, resolve
from affectkit.errors import UsageError
from affectkit.guides import FOLDER
from affectkit.settings.evaluation import TestSettings

GUIDE = FOLDER / "files-and-formats.md"
"""Which has the table of all older names."""
COMMANDS = {"probe": "reconstruct", "pull": "download"}
OPTIONS = {
    ("--alter", "test"): "--corrupt", ("--remove-parts", "merge"): "--remove-shards",
    ("--output-path", "datasplit"): "--output", ("--output-path", "relabel"): "--output",
    ("--labels-csv", "relabel"): "--labels", ("--write", "completions"): "--output", ("--keep", "serve"): "--results",
    ("--images", "verify-resume"): "--max-images", ("--half", "convert"): "--fp16", ("--half", "export"): "--fp16",
    ("--labels", "prep cremad"): "--target", ("--label", "prep rml"): "--target", ("--label", "prep meld"): "--target",
    ("--sound", "prep rml"): "--spectrogram", ("--scale", "prep afew-va"): "--rating-scale",
    **{("--split", f"prep {name}"): "--split-by" for name in ("cremad", "rml", "ravdess", "meld", "emovoxceleb",
                                                              "av-features")},
}  # fmt: skip
"""The newer name of an option of a command."""


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
    for words, command in every_command(typer.main.get_command(app)):
        shown = {name for param in command.params if not getattr(param, "hidden", False) for name in param.opts}
        for param in command.params:
            if getattr(param, "hidden", False) and not param.name.startswith("as_option_"):
                assert not set(param.opts) & shown, "an older name of one thing is the name of another"
                found.update(dict.fromkeys((name, " ".join(words)) for name in param.opts))
    of_older_commands = {(name, words) for name, words in found if words in COMMANDS}
    assert set(found) - of_older_commands == set(OPTIONS)


@pytest.mark.parametrize(("old", "command"), OPTIONS, ids=" ".join)
def test_each_gives_the_setting_of_its_new_name(old, command):
    made = dict(every_command(typer.main.get_command(app)))[*command.split(),]
    both = {name: param for param in made.params for name in param.opts}
    newer, older = both[OPTIONS[old, command]], both[old]
    entry = next(entry for entry in fields(made.settings) if entry.name == newer.name)
    assert option_name(entry) == OPTIONS[old, command] and older.name in other_names(entry)
    assert newer.is_flag == older.is_flag and newer.nargs == older.nargs


@pytest.mark.parametrize(("words", "code", "message"), [
    (("probe",), 2, "--results is needed"),
    (("pull",), 2, "SOURCE is needed"),
    (("test", "--checkpoint", "c", "--data", "d", "--alter", "fgo"), 2, "--corrupt: unknown corruption 'fgo'"),
    (("test", "--alter", "fog", "--corrupt", "snow"), 2, "--corrupt is given twice"),
    (("merge", "{tmp}", "--remove-parts"), 1, "holds no shard"),
    (("datasplit", "{tmp}", "--output-path", "{tmp}"), 2, "--output is DATA itself"),
    (("datasplit", "{tmp}", "--output", "a", "--output-path", "b"), 2, "--output is given twice"),
    (("relabel", "{tmp}", "--labels-csv", "c.csv", "--output", "{tmp}", "--output-path", "b"), 2, "is given twice"),
    (("export", "builtin", "o.onnx", "--half", "--int8"), 2, "--fp16 and --int8 exclude each other"),
    (("prep", "cremad", "s", "--output", "o", "--labels", "vote"), 2, "--target must be one of intended, votes"),
    (("prep", "meld", "s", "--output", "o", "--label", "e"), 2, "--target must be one of emotion, sentiment"),
    (("prep", "afew-va", "s", "--output", "o", "--scale", "5"), 2, "--rating-scale must be one of 10, 1; got '5'"),
    (("serve", "--keep", "{tmp}/file"), 2, "--results {tmp}/file is a file"),
])  # fmt: skip
def test_messages_name_the_new_one(tmp_path, words, code, message):
    (tmp_path / "file").touch()
    done = invoke(*(word.format(tmp=tmp_path) for word in words))
    assert done.returncode == code and message.format(tmp=tmp_path) in " ".join(done.stderr.split()), done.stderr


def test_a_file_may_use_both_names_of_a_setting_that_was_renamed(tmp_path):
    for name in ("output", "output_path", "output-path"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"path: d\n{name}: o\n")
        found = resolve(DatasplitSettings, flags={}, file=path)
        assert found.settings.output_path == Path("o") and found.sources["output_path"] == f"file {path}"
    path.write_text("data: d\n")
    assert resolve(DatasplitSettings, flags={}, file=path).settings.path == Path("d")
    path.write_text("path: d\noutput: o\noutput_path: o\n")
    with pytest.raises(UsageError, match="--output is given twice"):
        resolve(DatasplitSettings, flags={}, file=path)


def test_a_file_may_use_the_older_name(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("checkpoint: c\ndata: d\nalter: fog:2\n")
    found = resolve(TestSettings, flags={}, file=path)
    assert str(found.settings.corrupt) == "fog:2" and found.sources["corrupt"] == f"file {path}"
    assert [option_name(entry) for entry in fields(TestSettings) if entry.metadata["older"]] == ["--corrupt"]


def test_the_guide_names_each_and_no_other_text_uses_one():
    table = GUIDE.read_text().split("## Older names\n")[1]
    for old, new in [*COMMANDS.items(), *((old, new) for (old, _), new in OPTIONS.items())]:
        assert re.search(rf"\| .*`[-a-z ,]*{new}`.* \| .*`[-a-z ,]*{old}`", table), (old, new)
    for old in (*COMMANDS, "--alter", "--remove-parts", "--output-path", "--labels-csv"):  # those of no other command
        # ``pull face-detector`` is a use of that name by itself.
        before = "" if old.startswith("--") else "(`|affectkit )"
        elsewhere = rf"{before}{old}(?![-\w])(?! face-detector)"
        for path in guide_paths():
            assert not re.search(elsewhere, path.read_text().replace(table, "")), f"{path.name} uses {old}"
