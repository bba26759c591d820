"""One name for one thing, over all commands; and one thing for a name.

The rule: what stands in ``THINGS`` is called so wherever it is taken. A command that is about a single one of these
takes it as an argument instead, which is called like the option (``describe DATA``) and may be given as that, too
(``describe --data DATA``). What an option of the same name was before is a hidden one.

- ``--data`` is a dataset with labels; ``PATH...`` what is predicted or looked at file by file; ``SOURCE`` a dataset as
  its authors share it, which is to be prepared.
- ``--output`` is made to be used by other commands: a run, a dataset, a checkpoint, a page. ``--results`` is for people
  to read: tables, pictures and records of what was found, a folder.
- ``--checkpoint`` is a model; ``--init`` a model whose weights a training starts from.
- ``--labels`` is a table of labels; ``--target`` what a prepared dataset shall have as labels.
- ``--split`` is a split of a dataset; ``--split-by`` how one is made; ``--half`` a half of a split.
- ``--fp16`` and ``--int8`` are how weights are written; ``--precision`` how numbers are computed with.
"""

from __future__ import annotations

import functools
import re

import pytest
import typer
from support import invoke

from affectkit.cli.app import app

PREPARED_CLIPS = ("prep cremad", "prep rml", "prep ravdess", "prep meld", "prep emovoxceleb", "prep av-features")
PREPARED_IMAGES = ("prep fer2013", "prep affectnet", "prep afew-va", "prep emotic", "prep ferplus",
                   "prep affectnet-fused")  # fmt: skip
TRAINED = ("train", "verify-resume")
TESTED = ("test", "eval-corruptions", "reconstruct")
THINGS = {
    "--data": (*TRAINED, *TESTED, "compare", "matrix", "calibrate", "export"),
    "DATA": ("describe", "datasplit", "relabel"),
    "PATH...": ("infer", "media-info"),
    "SOURCE": (*PREPARED_CLIPS, *PREPARED_IMAGES, "download"),
    "--checkpoint": (*TESTED, "matrix", "infer", "serve", "models"),
    "CHECKPOINT": ("calibrate", "export"),
    "--output": (*TRAINED, *PREPARED_CLIPS, *PREPARED_IMAGES, "calibrate", "download", "datasplit", "relabel", "report",
                 "completions"),
    "OUTPUT": ("export", "convert", "prep schematic", "pipeline save"),
    "--results": (*TESTED, "describe", "compare", "matrix", "infer", "quantiles", "serve"),
    "--labels": (*TRAINED, *TESTED, "describe", "compare", "calibrate", "infer", "relabel"),
    "--target": ("prep affectnet", "prep emotic", "prep ferplus", "prep cremad", "prep rml", "prep meld"),
    "--split": (*TESTED, "compare", "matrix", "calibrate"),
    "--split-by": (*PREPARED_CLIPS, "prep afew-va"),
    "--half": (*TESTED, "compare", "calibrate"),
    "--fp16": ("convert", "export"),
    "--scale": ("eval-corruptions", "corruptions"),
    "--group-by": (*TRAINED, "datasplit", "describe"),
    "--by": ("test", "compare"),
    "--cluster": ("test", "compare"),
    "--keep": TRAINED,
    "--images": ("report",),
    "--sound": ("reconstruct",),
}  # fmt: skip
"""Options and arguments, and all commands that have them."""
ARGUMENTS = {
    "calibrate": ["--checkpoint"], "export": ["--checkpoint", "--output"], "convert": ["--checkpoint", "--output"],
    "describe": ["--data"], "datasplit": ["--data"], "relabel": ["--data"], "prep schematic": ["--output"],
    "pipeline save": ["--output"], "demo": ["--output"], "report": ["--results"], "merge": ["--results"],
}  # fmt: skip
"""Commands whose arguments may be given as options, in their order."""


@functools.cache
def parameters():
    """Every parameter that help shows, by command: what it is called, and the parameter."""
    found = {}

    def walk(command, path):
        for name, inner in getattr(command, "commands", {}).items():
            if not inner.hidden:
                walk(inner, f"{path} {name}".strip())
        if path and not hasattr(command, "commands"):
            found[path] = command.params

    walk(typer.main.get_command(app), "")
    return found


def named(name):
    """The commands that show an option or argument of that name."""

    def is_it(param):
        if param.param_type_name == "argument":
            return param.metavar == name
        return name in param.opts and not param.hidden

    return {path for path, params in parameters().items() if any(map(is_it, params))}


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_has_one_name_over_all_commands(name):
    assert named(name) == set(THINGS[name])


def test_what_a_command_makes_and_what_it_finds_have_these_names_alone():
    """Folders and files beside the result: pictures, kept temporary files, a page of results."""
    written = re.compile(r"\b(folder|file|page|into this folder|PNG file)\b", re.IGNORECASE)
    begin = re.compile(r"(Also )?(Write|Draw|Keep|Save|Folder (to make|for)|File to write)\b", re.IGNORECASE)
    found = {
        param.opts[0]
        for params in parameters().values()
        for param in params
        if param.param_type_name == "option" and not param.hidden and param.metavar and not param.is_flag
        and begin.match(param.help or "") and written.search(param.help)
    }  # fmt: skip
    assert found - {"--output", "--results"} == {"--annotate", "--keep-files", "--preview", "--report"}


@pytest.mark.parametrize("path", ARGUMENTS)
def test_an_argument_may_be_given_as_the_option_that_it_is_elsewhere(path):
    hidden = [param for param in parameters()[path] if getattr(param, "hidden", False)]
    assert [param.opts[0] for param in hidden if param.name.startswith("as_option_")] == ARGUMENTS[path]


@pytest.mark.parametrize(("line", "code", "message"), [
    ("describe --data nowhere", 1, "dataset folder nowhere does not exist."),
    ("export --checkpoint builtin --output m.txt", 2, "m.txt must end in .onnx."),
    ("export --checkpoint builtin m.txt", 2, "m.txt must end in .onnx."),  # the argument behind moves up
    ("export --output m.txt builtin", 2, "m.txt must end in .onnx."),
    ("export a b --output c", 2, "OUTPUT is given twice, once as --output."),
    ("describe a --data b", 2, "DATA is given twice, once as --data."),
    ("datasplit --data nowhere", 2, "DATA nowhere does not exist."),
    ("datasplit", 2, "DATA is needed: the folder with the classes."),
    ("relabel a", 2, "--labels is needed: the table of corrections."),
    ("report --results nowhere", 2, "nowhere does not exist; a report is made"),
    ("merge --results nowhere", 2, "nowhere does not exist."),
    ("calibrate --checkpoint c --data d --output o", 2, "--abstain or --temperature is needed"),
])  # fmt: skip
def test_arguments_as_options(line, code, message):
    done = invoke(*line.split())
    assert done.returncode == code and done.stderr.startswith(f"Error: {message}"), done.stderr
