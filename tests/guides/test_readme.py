"""The README: two screens, a picture that is there, a row that ``infer`` prints, every guide and command named."""

from __future__ import annotations

import csv
import io
import re

import pytest
import typer
from guide_blocks import README, blocks
from guide_scene import PHOTOGRAPH
from PIL import Image
from support import invoke

from affectkit.cli.app import app
from affectkit.guides import FOLDER, NAMES

TEXT = README.read_text(encoding="utf-8")
PICTURE = FOLDER / "first-look.png"


def test_it_is_short():
    lines = TEXT.splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 125 and not line.startswith("|")] == []


def test_the_picture_is_small_and_shown():
    assert f"](affectkit/guides/{PICTURE.name})" in TEXT
    assert PICTURE.stat().st_size < 300_000
    with Image.open(PICTURE) as picture:
        assert picture.width > 800


def test_the_row_is_that_of_infer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / PHOTOGRAPH.name).write_bytes(PHOTOGRAPH.read_bytes())
    table = re.search(r"<!-- row of: (.+?) -->\n\n\| (.+) \|\n\| --- .+\n\| (.+) \|\n", TEXT)
    done = invoke(*table[1].split(), "--quiet")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    told = dict(zip(table[2].replace("`", "").split(" | "), table[3].split(" | "), strict=True))
    assert len(told) >= 10
    for name, value in told.items():
        if re.fullmatch(r"-?\d+(\.\d+)?", value):
            assert float(row[name]) == pytest.approx(float(value), rel=0.02, abs=0.02), name
        else:
            assert row[name] == value, name


def test_what_the_row_does_not_show_is_said_before_it():
    before, _, after = TEXT.partition("<!-- row of: infer images -->")
    said = " ".join(before.split("```")[-1].split())
    assert "`Margin`" in after and "`Margin`: the label's share minus the next" in said
    assert "an empty one of a picture without" in said and "last digits vary with versions" in said


def test_cpu_builds_that_could_not_be_had_stop_the_installation():
    """pip would take the CUDA builds in their place."""
    (lines,) = re.findall(r"```bash\n(pip install .+/whl/cpu.*?)```", TEXT, re.DOTALL)
    first, second = lines.splitlines()
    assert first.endswith(" &&") and second.strip().startswith("pip install . ") and "pip list | grep nvidia" in second
    assert "All three must be there first" in TEXT[: TEXT.index(lines)]


def test_what_it_lets_run_is_run():
    assert sum(block.mark.startswith("runnable") for block in blocks(README)) >= 2


def test_every_guide_and_command_is_named():
    tables = TEXT[TEXT.index("## Commands") :]
    assert re.findall(r"\(affectkit/guides/([\w-]+)\.md\) \|", TEXT[TEXT.index("## Guides") :]) == list(NAMES)
    program = typer.main.get_command(app)
    shown = [name for name, command in program.commands.items() if not command.hidden]
    assert len(shown) > 25
    assert [name for name in shown if not re.search(rf"`{name}[` ]", tables)] == []
    prepared = program.commands["prep"].commands
    assert [name for name in prepared if f"`{name}`" not in tables and f"`prep {name}`" not in tables] == []
