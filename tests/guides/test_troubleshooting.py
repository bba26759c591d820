"""The messages that the guide on troubles quotes are those that the commands give, or at least stand in the code."""

from __future__ import annotations

import ast
import functools
import re
import shutil
from pathlib import Path

import pytest
from support import invoke

import affectkit
from affectkit.guides import FOLDER

TEXT = (FOLDER / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^\| `([^`]+)` \|", TEXT, re.M)
"""The beginnings of messages, in their order, with ``...`` for values."""

MISTAKES = {
    "unknown command '...'.": "predict images",
    "... has no option ...": "infer images --model builtin",
    "... takes no argument; got ...": "train faces",
    "... is needed:": "train --data faces",
    "--every needs a value behind it.": "infer talk.mp4 --every",
    "--report needs --results:": "infer images --report page.html",
    "--fail-under: '...' is not METRIC=VALUE": "test --checkpoint builtin --data faces --fail-under accuracy=90%",
    "--every: must be seconds": "infer talk.mp4 --every 2fps",
    "unknown guide '...'": "guide nothing-like-it",
    "... does not exist.": "infer photoz",
    "nothing matches ...": "infer images/*.gif",
    "cannot read the configuration file ...": "train --config none.yaml",
    "--output ... is not empty.": "train --data faces --output runs/first",
    "... exists.": "infer images --results table",
    "--annotate ... is called like a file": "infer images --annotate out.png",
    "... is a file; a folder is needed.": "infer images --results talk.mp4",
    "no dataset found in ...: it holds ... pictures": "test --checkpoint builtin --data faces/train/sadness",
    "no dataset found in ...": "test --checkpoint builtin --data odd",
    "the classes of the ... split in ... do not match.": "test --checkpoint builtin --data animals",
    "table ...: files are missing:": "test --checkpoint builtin --data images --labels people/train.csv",
    "table ... has neither 'label' nor emotion columns": "test --checkpoint builtin --data rated/images --labels "
    "rated/ratings.csv",
    "... has no ... split;": "test --checkpoint builtin --data people --split valid",
    "no image of ... of ... classes": "test --checkpoint builtin --data faces",
    "image ...: is not an image of a known format": "infer odd/broken.jpg",
    "image ...: ... pixels are more than the limit": "infer images/drawn.png --max-pixels 100",
    "the checkpoint ... does not exist.": "infer images --checkpoint runs/none",
    "... holds no best.safetensors.": "infer images --checkpoint faces",
    "... is not a checkpoint of affectkit": "infer images --checkpoint talk.mp4",
    "--prior names no share of ...": "infer images --prior happiness=0.5",
    "--abstain stored: the checkpoint holds no threshold.": "infer images --abstain stored",
    "--faces: must be auto, none, haar or yunet": "infer images --faces mtcnn",
    "device cuda was asked for, but ...": "infer images --device cuda --engine torch",
}
"""The line that makes each, in the scene of the guides; the others need a training, a network or a full disk."""


FILLED_IN = {"unknown model '...'": "unknown {} {}; {}", "zenodo.org cannot be reached:": "{} cannot be reached: {}."}
"""Where the code has a value in place of a word: how the message stands there."""


def pattern(quoted: str) -> re.Pattern[str]:
    """What a quotation stands for: its words, and anything for ``...``."""
    return re.compile(r".+?".join(re.escape(part) for part in quoted.split("...")), re.DOTALL)


@functools.cache
def messages() -> list[str]:
    """Every text in the package, with ``{}`` for what is filled in."""
    found: list[str] = []
    for path in Path(affectkit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_there_are_quotations_enough():
    assert len(QUOTED) >= 40 and len(set(QUOTED)) == len(QUOTED)
    assert MISTAKES.keys() <= set(QUOTED)


@pytest.mark.parametrize("quoted", [one for one in QUOTED if one not in MISTAKES])
def test_a_message_that_is_not_provoked_stands_in_the_code(quoted):
    if quoted in FILLED_IN:
        assert FILLED_IN[quoted] in messages()
    else:
        assert any(pattern(quoted).match(text) for text in messages())


def test_a_message_that_is_gone_is_noticed():
    for text in ("the checkpoint ... has vanished.", "... holds no worst.safetensors."):
        assert not any(pattern(text).match(one) for one in messages())


@pytest.fixture(scope="module")
def scene(guide_scene, tmp_path_factory) -> Path:
    """The scene of the guides with what is wrong in it."""
    root = shutil.copytree(guide_scene, tmp_path_factory.mktemp("wrong") / "scene")
    for split in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (root / "animals" / split / name).mkdir(parents=True)
            shutil.copy(sorted((root / "images").iterdir())[number], root / "animals" / split / name)
    (root / "odd").mkdir()
    (root / "odd" / "broken.jpg").write_bytes(b"<p>404")
    (root / "odd" / "notes.txt").write_text("nothing")
    for name in ("runs/first/best.safetensors", "table/inference_results.csv"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("quoted", MISTAKES)
def test_a_mistake_is_answered_with_the_message_that_is_quoted(quoted, scene, monkeypatch, no_figures):
    monkeypatch.chdir(scene)
    done = invoke(*MISTAKES[quoted].split())
    said = [re.sub(r"^(Error|Warning): (skipped: )?", "", line) for line in done.stderr.splitlines()]
    assert any(pattern(quoted).match(line) for line in said), done.stderr
