"""The guides, README and cards as texts: commands that parse, options that exist, links that lead somewhere."""

from __future__ import annotations

import functools
import re

import pytest
import typer
from guide_blocks import CARDS, README, Block, anchors, blocks, guide_paths, links, prose, shell_commands

from affectkit.cli import options
from affectkit.cli.app import app
from affectkit.guides import FOLDER, NAMES, all_guides, headings, read_guide

TEXTS = [*guide_paths(), README, *CARDS]
PARSED = 77
"""Exit code of a command that was stopped once its settings were resolved."""
OF_OTHERS = {
    "--index-url",
    "--array",
    "--wrap",
    "--nproc-per-node",
    "--force-reinstall",
    "--no-deps",
    "--version",
    "--cross",
}
"""Options of pip, sbatch and torchrun, of the program itself, and one that a text says is not there."""


@pytest.fixture
def parsed(monkeypatch, capsys):
    """A function that runs a command up to the point where its options are settings; returns exit code and stderr."""
    resolve, program = options.resolve, every_command()

    def only_resolve(settings, *, flags, file):
        if file is None or str(file).startswith("affectkit:"):  # another file is not there, and its settings lack
            resolve(settings, flags=flags, file=file)
        raise typer.Exit(PARSED)

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = program.main(list(arguments), prog_name="affectkit", standalone_mode=False)
        except Exception as error:  # of the parser
            return 2, getattr(error, "message", repr(error))
        return code or 0, capsys.readouterr().err

    monkeypatch.setattr(options, "resolve", only_resolve)
    return run


@functools.cache
def every_command():
    """All commands, made once: that takes longer than to parse one."""
    return typer.main.get_command(app)


def test_the_folder_holds_the_guides_that_are_listed():
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted(NAMES)
    assert len({one.title for one in all_guides()}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_can_be_read_in_a_terminal(name):
    lines = (FOLDER / f"{name}.md").read_text().splitlines()
    assert 40 <= len(lines) <= 240, f"{len(lines)} lines"
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []
    code = [line for block in blocks(FOLDER / f"{name}.md") for line in block.text.splitlines()]
    assert [line for line in code if len(line) > 76] == []  # which an indented block shows whole in 80 columns
    guide = read_guide(name)
    assert re.fullmatch(r"[^`]{20,55}[.?]", guide.summary)  # a line of the list, in 80 columns
    assert len(headings(guide.text)) >= 3


def shell_blocks() -> list[Block]:
    return [block for path in TEXTS for block in blocks(path) if block.language in ("bash", "")]


def test_every_command_in_a_block_parses(parsed):
    tried = 0
    for block in shell_blocks():
        for arguments in shell_commands(block.text):
            if any("..." in one for one in arguments):  # abridged
                assert block.where.startswith("README")
                continue
            code, message = parsed(*arguments)
            wanted = 0 if "--help" in arguments else PARSED
            assert code == wanted, f"{block.where}: affectkit {' '.join(arguments)}\n{message}"
            tried += 1
    assert tried > 60


def test_every_command_in_the_text_parses(parsed):
    tried = 0
    for path in guide_paths():
        for span in re.findall(r"`(affectkit [^`]+)`", prose(path.read_text()).replace("\n", " ")):
            if (
                "..." in span or "--faces profiles" in span or span.split()[1].isupper()
            ):  # abridged, installed there, or COMMAND
                continue
            for arguments in shell_commands(span):
                named = all(re.fullmatch(r"[a-z][a-z-]*", one) for one in arguments)  # a command, not a call of it
                code, message = parsed(*arguments, *(["--help"] if named else []))
                assert code in (PARSED, 0), f"{path.name}: {span}\n{message}"
                tried += 1
    assert tried > 10


def test_a_wrong_option_is_noticed(parsed):
    assert [parsed(*one)[0] for one in shell_commands("affectkit infer a --bogus 1; affectkit infer a")] == [
        2, PARSED,
    ]  # fmt: skip
    (inner,) = shell_commands("sbatch --array=0-3 --wrap 'affectkit infer a --shard $((I + 1))/$N'")
    assert inner == ["infer", "a", "--shard", "1/1"]
    assert shell_commands("for i in 1 2; do affectkit infer a --shard $i/2 & done; wait") == [
        ["infer", "a", "--shard", "1/2"],
    ]  # fmt: skip


def all_options() -> set[str]:
    found: set[str] = set()

    def walk(command):
        for parameter in command.params:
            found.update((*parameter.opts, *parameter.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            walk(inner)

    walk(every_command())
    return found


def test_every_option_that_a_text_names_exists():
    known, seen = all_options() | OF_OTHERS | {"--help"}, set()
    for path in [*guide_paths(), README]:
        for span in re.findall(r"`([^`]+)`", prose(path.read_text())):
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", span))
            if not span.startswith(("pytest", "pip", "PYTHONPATH", "--scenes")):
                assert named <= known, f"{path.name}: {named - known}"
                seen |= named
    assert len(seen) > 80


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in links(path.read_text()):
        if re.match(r"https?://", target):
            assert re.fullmatch(r"https://[\w.-]+\.\w+(/\S*)?", target), target
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / file) if file else path
        assert other.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in anchors(other.read_text()), f"{path.name}: {target}"


def test_a_broken_link_is_noticed():
    text = "# A b, c\n\n[x](#a-b-c) [y](other.md#d) `[z](none.md)`\n\n```text\n# no heading\n[w](none.md)\n```\n"
    assert links(text) == ["#a-b-c", "other.md#d"]
    assert anchors(text + "## A b, c\n") == {"a-b-c", "a-b-c-1"}
