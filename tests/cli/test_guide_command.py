"""``affectkit guide`` in a terminal, through a pipe and as JSON."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from support import invoke

from affectkit.cli.markdown import WIDEST, draw_markdown
from affectkit.guides import FOLDER, NAMES, read_guide


def drawn(text: str, width: int) -> str:
    """What a terminal of ``width`` columns without colours shows."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    draw_markdown(text, console)
    return console.file.getvalue()


def test_guides_are_listed_with_a_line_each():
    done = invoke("guide")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == len(NAMES) + 1
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)
    assert all(line.endswith(read_guide(name).summary) for name, line in zip(NAMES, lines[1:], strict=True))
    listed = json.loads(invoke("guide", "--json").stdout)["guides"]
    assert [(one["name"], one["title"]) for one in listed] == [(name, read_guide(name).title) for name in NAMES]


def test_a_pipe_gets_the_markdown_without_comments():
    text = (FOLDER / "own-classes.md").read_text()
    done = invoke("guide", "own-classes")
    assert done.returncode == 0 and "<!--" in text and "<!--" not in done.stdout
    assert done.stdout == re.sub(r"^<!--.*-->\n", "", text, flags=re.M).rstrip() + "\n"
    found = json.loads(invoke("guide", "own-classes", "--json").stdout)
    assert found == {
        "name": "own-classes", "title": "Your own classes", "summary": read_guide("own-classes").summary,
        "text": read_guide("own-classes").text,
    }  # fmt: skip


@pytest.mark.parametrize("asked", ["Own Classes", "own_classes", "own-classes.md", " own-classes "])
def test_a_name_may_be_written_otherwise(asked):
    assert read_guide(asked).name == "own-classes"


@pytest.mark.parametrize(("asked", "message"), [
    ("dataset", "unknown guide 'dataset'; did you mean datasets"),
    ("own-clases", "did you mean own-classes"),
    ("cross-validation", "unknown guide 'cross-validation'; see own-classes."),
    ("slurm", "unknown guide 'slurm'; see clusters."),
    ("xyz", "unknown guide 'xyz'; known are faces-and-films, films, own-classes, "),
])  # fmt: skip
def test_an_unknown_guide_names_the_nearest(asked, message):
    done = invoke("guide", asked)
    assert done.returncode == 2 and message in " ".join(done.stderr.split()), done.stderr


def test_a_terminal_shows_code_as_it_can_be_copied_and_links_as_commands():
    text = "# Title\n\nSee [data](datasets.md#links), [up](#title), [own\nclasses](own-classes.md), [web](https://x.org/a).\n\n"
    text += "```bash\naffectkit x\n```\n"
    shown = drawn(text, 80)
    assert re.match(r"\S*Title\S* *\n", shown)
    assert "See data (affectkit guide datasets), up, affectkit guide own-classes" in shown
    assert "(https://x.org/a)." in shown
    assert "\n    affectkit x\n" in shown and "affectkit x\x1b" not in shown


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_every_guide_fits_a_terminal(name, width):
    guide = read_guide(name)
    shown = re.sub(r"\x1b\[[\d;]*m", "", drawn(guide.text, width))
    lines = shown.splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= min(width, WIDEST)
    for block in re.findall(r"^```\w*\n(.*?)^```$", guide.text, re.M | re.S):
        for line in filter(None, block.splitlines()):  # no line of code is broken
            assert any(one.strip() == line.strip() for one in lines), line
    for row in re.findall(r"^\|.+\|$", guide.text, re.M):  # nor a name in a table, nor a word that names a row
        for span in [*re.findall(r"`([^`]+)`", row), row.split("|")[1].replace("`", "")]:
            assert [word for word in span.split() if word not in shown and word != "---"] == []
