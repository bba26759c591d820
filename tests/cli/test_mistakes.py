"""What newcomers type wrong, and what they are told: what, the value, the rule, the next step; no word of a library."""

from __future__ import annotations

import re

import pytest
from support import invoke, make_folders, make_votes

FOREIGN = re.compile(
    r"Traceback|Errno|No such (option|command|file)|Invalid value|unexpected extra|not a valid|click|╭"
)
"""Words of libraries."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as a newcomer has it: class folders, tables, a text, a path with a space."""
    root = tmp_path_factory.mktemp("newcomer")
    make_folders(root / "photos", train=6, valid=6, test=6)
    make_votes(root / "votes", train=6, valid=6, test=6)
    (root / "my photos").mkdir()
    (root / "notes.txt").write_text("hello")
    return root


OPTIONS = [
    # near names of commands and options, and what other programs call them
    ("tran --data photos", "unknown command 'tran'. Did you mean train?\naffectkit --help lists the commands."),
    ("predict photos", "unknown command 'predict'. Did you mean infer?"),
    ("eval_corruptions", "unknown command 'eval_corruptions'. Did you mean eval-corruptions?"),
    ("photos", "unknown command 'photos'. It is a path; a command stands before it, as affectkit infer photos."),
    ("prep ferplu x", "unknown command 'prep ferplu'. Did you mean ferplus?\naffectkit prep --help lists what it"),
    ("prep fre", "unknown command 'prep fre'. Known are ferplus, affectnet-fused"),
    ("train --modle resnet18", "train has no option --modle. Did you mean --mode or --model?"),
    ("train --learning-rate 1", "train has no option --learning-rate. Here it is --lr."),
    ("infer photos --model run", "infer has no option --model. Here it is --checkpoint."),
    ("infer photos --output run", "infer has no option --output. Here it is --results."),
    ("train -data photos", "train has no option -data; it begins with two hyphens: --data."),
    ("train \N{EN DASH}data photos", "'\N{EN DASH}data' begins with a dash that is not a hyphen.\nType it again: --"),
    # options before the command; words that belong to no option
    ("--data photos train", "the option --data stands before the command train; options follow it.\n"
     "affectkit train --data photos"),
    ("--jsn", "affectkit itself has no option --jsn.\nOptions follow a command"),
    ("train photos/", "train takes no argument; got 'photos/'.\nDid you mean affectkit train --data photos/?"),
    ("test run photos", "test takes no argument; got 'run' 'photos'.\n"
     "Did you mean affectkit test --checkpoint run --data photos?"),
    ("doctor x", "doctor takes no argument; got 'x'.\naffectkit doctor --help lists what it takes."),
    ("train data=photos epochs=3", "train takes no argument; got 'data=photos' 'epochs=3'.\n"
     "Options are written with two hyphens: --data photos --epochs 3"),
    ("train --data my photos", "there is a space in the path my photos.\nPut it in quotes: --data 'my photos'"),
    ("train --classes anger, sadness --data votes", "--classes anger,: there is a space in the list.\n"
     "Write it without: --classes anger,sadness"),
    # values
    ("train --epochs", "--epochs needs a value behind it.\naffectkit train --help lists what it takes."),
    ("train --output --force", "--output needs a value; behind it stands the option --force.\n"
     "Where that is the value: --output=--force"),
    ("train --pretrained=yes", "--pretrained takes no value; got --pretrained=yes.\n"
     "Write --pretrained, or --no-pretrained."),
    ("train --epochs 1e2", "--epochs must be a whole number, got '1e2'; write 100."),
    ("train --lr 0,001", "--lr must be a number, got '0,001'; write 0.001."),
    ("train --dropout 30%", "--dropout must be a number, got '30%'; write 0.3."),
    ("train --data d --output o --dropout 30", "--dropout must be at least 0 and below 1; got 30 (30% is 0.3)."),
    ("train --data d --output o --epochs -5", "--epochs must be at least 1; got -5."),
    ("train --lr fast", "--lr must be a number, got 'fast'.\n"),
    ("train --optimizer Adamm", "--optimizer must be one of sgd, adam, adamw; got 'Adamm'. Did you mean adam or"),
    ("train --augment face_strong", "--augment must be one of none, flip, face, face-strong"),
    # twice
    ("train --classes anger --classes fear", "--classes is given more than once, and is one list: 'anger', 'fear'.\n"
     "Write its items with commas between them: --classes anger,fear"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), OPTIONS, ids=[line for line, _ in OPTIONS])
def test_what_is_typed_wrong_is_answered_with_what_and_the_next_step(place, monkeypatch, line, message):
    monkeypatch.chdir(place)
    done = invoke(*line.split())
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"Error: {message}"), done.stderr
    assert not FOREIGN.search(done.stderr) and len(done.stderr.splitlines()) <= 2


def test_an_option_given_twice_counts_once_and_that_is_said(place):
    done = invoke("train", "--data", "d", "--output", "o", "--epochs", "3", "--lr", "1", "--lr=1", "--epochs=4", "-q",
                  "--print-config")  # fmt: skip
    assert done.returncode == 0 and re.search(r"--epochs +4 +flag", done.stdout)
    assert done.stderr == "Warning: --epochs is given more than once (3, 4): the last counts, 4.\n"


def test_what_may_be_repeated_is_no_mistake(place):
    """Models and data sets of matrix are given one by one; a flag twice is the same flag."""
    done = invoke(
        "matrix", "--checkpoint", "a", "--checkpoint", "b", "--data", "c", "--data", "d", "--force", "--force"
    )
    assert "more than once" not in done.stderr and "--force needs --results" in done.stderr


def test_control_characters_of_what_was_typed_do_not_reach_the_terminal():
    done = invoke("train", "--mod\x1b[31mel", "x")
    assert done.returncode == 2 and "\x1b" not in done.stderr and r"\x1b[31m" in done.stderr
