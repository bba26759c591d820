"""Help as it is read: brief, whole, by model; its length, its examples, and that it names what there is."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shlex
from dataclasses import fields

import pytest
import typer
from typer.testing import CliRunner

from affectkit.cli.app import HELP_NAMES, app, asked_command
from affectkit.cli.brief import Description
from affectkit.cli.commands import COMMANDS, KEEP, PREPARE, TRAIN, USE
from affectkit.cli.help_layout import Page, Row
from affectkit.cli.help_pages import Command
from affectkit.config import option_name, plain, resolve
from affectkit.errors import UsageError
from affectkit.models.registry import CODES_SETTINGS, MODELS, V1_SETTINGS, VCA_SETTINGS
from affectkit.settings.training import TrainSettings

TWO_SCREENS = 60
"""Lines of a brief page at 100 columns, at most."""
MANY = 12
"""Settings of a command from which three examples are due."""
PROGRAM = typer.main.get_command(app)


def walk(command, path=()):
    """Every command and group that help lists, by its words."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from walk(inner, (*path, name))


EVERY = dict(walk(PROGRAM))
GROUPS = {path: one for path, one in EVERY.items() if hasattr(one, "commands")}
SINGLE = {path: one for path, one in EVERY.items() if path not in GROUPS}


@functools.cache
def page(*words: str, columns: int = 100) -> list[str]:
    """The lines that a command prints; the program is made once, for that takes longer than a page."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("NO_COLOR", "1")
        code = PROGRAM.main(list(words), prog_name="affectkit", standalone_mode=False)
    assert code == 0, words
    return printed.getvalue().rstrip("\n").split("\n")


def terms(lines: list[str]) -> dict[str, tuple[str, str]]:
    """What stands under the headings of a page: heading and text by term."""
    found: dict[str, tuple[str, str]] = {}
    heading = term = ""
    for line in lines:
        if re.match(r"\S", line):
            heading = line
        elif heading.startswith(("Usage", "Example")):
            continue
        elif match := re.match(r"  (-\S.*?|[A-Z]\S*)(?:  +(.*))?$", line):
            term = match[1]
            found[term] = (heading, match[2] or "")
        elif line.startswith("   ") and term:
            found[term] = (found[term][0], f"{found[term][1]} {line.strip()}".strip())
    return found


def names(term: str) -> list[str]:
    """The long options of a term, ``["--verify", "--no-verify"]``."""
    return [word for word in term.split() if word.startswith("--")]


def by_setting(lines: list[str]) -> dict[str, tuple[str, str]]:
    """What ``terms`` finds, by the name of the parameter."""
    found = terms(lines).items()
    return {names(term)[0].removeprefix("--").replace("-", "_"): value for term, value in found if names(term)}


def test_there_are_as_many_pages_as_this_file_checks():
    assert len(SINGLE) >= 40 and {(), ("prep",), ("pipeline",)} <= set(GROUPS)
    assert all(isinstance(command, Command) for command in SINGLE.values())


# ---------------------------------------------------------------------------------------------------------- in brief


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_brief_page_fits_two_screens_and_no_line_is_broken_by_the_terminal(path):
    assert len(page(*path, "--help")) <= TWO_SCREENS
    for columns in (80, 120):
        lines = page(*path, "--help", columns=columns)
        assert lines[0].startswith(f"Usage: {' '.join(('affectkit', *path))} ")
        examples = {f"  {line}" for line in getattr(EVERY[path], "description", Description()).examples}
        assert [line for line in lines if len(line) > columns and line not in examples] == []
        if path in SINGLE:
            assert lines[-1] == f"affectkit {' '.join(path)} --help-all shows all {len(shown(EVERY[path]))} options."


def shown(command: Command) -> list[str]:
    return [item.name for item in command.params if not getattr(item, "hidden", False)]


@pytest.mark.parametrize("path", SINGLE, ids=" ".join)
def test_what_a_brief_page_names_exists_and_is_shown(path):
    command = SINGLE[path]
    brief, known = command.brief, shown(command)
    listed = [name for names in (brief.options or {"": " ".join(known)}).values() for name in names.split()]
    assert len(set(listed)) == len(listed) and set(listed) <= set(known)
    assert set(brief.required) <= set(listed) and set(brief.unless) <= set(brief.required)
    assert set(brief.unless.values()) <= {opt for item in command.params for opt in item.opts}
    assert 1 <= brief.paragraphs <= len(command.description.paragraphs)
    marked = [text for _, text in terms(page(*path, "--help")).values() if "[required" in text]
    assert len(marked) == len(brief.required)


@pytest.mark.parametrize("path", SINGLE, ids=" ".join)
def test_required_is_what_the_rules_ask_for(path):
    command = SINGLE[path]
    try:
        resolve(command.settings, flags={})
        faults = []
    except UsageError as error:
        faults = [line for line in error.message.splitlines() if re.search(r"\b(is|are) needed", line)]
    names = {
        entry.name
        for entry in fields(command.settings)
        for fault in faults
        if " or --" not in fault and re.search(rf"(^|\W){option_name(entry)}\b[^-].*(is|are) needed", fault)
    }
    assert names == set(command.brief.required), faults


@pytest.mark.parametrize("path", SINGLE, ids=" ".join)
def test_its_examples_are_commands_that_are_taken(path, tmp_path, monkeypatch):
    command = SINGLE[path]
    examples = command.description.examples
    least = 3 if len(fields(command.settings)) >= MANY else 1
    assert least <= len(examples) <= 3 and len(set(examples)) == len(examples)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "config.yaml").write_text("data: faces\n")
    monkeypatch.chdir(tmp_path)
    for example in examples:
        assert len(example) <= 98 and example == example.strip()
        head, *_ = re.split(r" [>|] ", example)
        words = shlex.split(head)
        assert words[: len(path) + 1] == ["affectkit", *path]
        parse(command, words[len(path) + 1 :])


def parse(command: Command, words: list[str]) -> None:
    """Read a line as the command does, up to its settings."""
    given = command.make_context(command.name, list(words), **HELP_NAMES).params
    own = {entry.name for entry in fields(command.settings)}
    flags = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if name in own}
    resolve(command.settings, flags={name: value or None for name, value in flags.items()}, file=given["config"])


@pytest.mark.parametrize("line", ["--data d --outptu o", "--data d", "--data d --output o --epochs none"])
def test_an_example_that_is_not_taken_would_be_found(line):
    with pytest.raises(Exception, match=r"(?i)no such option|--output is needed|not a valid int"):
        parse(SINGLE["train",], line.split())


def test_a_docstring_is_taken_apart():
    found = Description.read("""Do it.

        At length,
        in lines.

        Examples:
            affectkit one
            affectkit two  --x
        """)
    assert found.paragraphs == ("Do it.", "At length, in lines.")
    assert found.examples == ("affectkit one", "affectkit two  --x") and found.text == "Do it.\n\nAt length, in lines."
    assert Description.read(None) == Description() and Description.read("One.").examples == ()


# ------------------------------------------------------------------------------------------------------ the commands


def listed(lines: list[str]) -> dict[str, list[str]]:
    """Headings of a list of commands, and the lines below each."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if re.fullmatch(r"\S.*", line):
            heading = line
        elif line.startswith("  ") and line[2:3].strip():
            found.setdefault(heading, []).append(line)
    return found


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_a_group_has_a_line_for_each_command(path):
    lines = page(*path, "--help", columns=80)
    sections = {heading: rows for heading, rows in listed(lines).items() if not heading.startswith("Usage")}
    names = [row.split()[0] for rows in sections.values() for row in rows]
    assert sorted(names) == sorted(name for name, one in GROUPS[path].commands.items() if not one.hidden)
    assert not [line for line in lines if line.startswith("   ")], "a summary is too long for 80 columns"
    assert all(len(row.split()) > 2 for rows in sections.values() for row in rows)


def test_commands_are_listed_by_task():
    sections = listed(page("--help", columns=80))
    assert [heading for heading in sections if not heading.startswith("Usage")] == [USE, TRAIN, PREPARE, KEEP]
    assert {entry.task for entry in COMMANDS.values()} == {USE, TRAIN, PREPARE, KEEP}
    assert sections[USE][0].split()[0] == "infer"
    text = " ".join(page("--help"))
    assert "Exit codes: 0 done" in text and "143 SIGTERM" in text and "--version" in text


@pytest.mark.parametrize("words", [[], *([name] for name in HELP_NAMES["help_option_names"])])
def test_the_list_of_commands_makes_none(words):
    assert asked_command(words) == [] and asked_command(["train", *words]) == ["train"]
    assert len(asked_command(["trian"])) == len(COMMANDS)  # for "did you mean"


def test_old_ways_of_asking_stay():
    assert page("-h") == page("--help") == page("--help-all")
    assert page("train", "-h") == page("train", "--help") != page("train", "--help-all")
    assert page("prep", "-h") == page("prep", "--help") == page("prep", "--help-all")
    alone = CliRunner().invoke(app, [], env={"COLUMNS": "100", "NO_COLOR": "1"}, prog_name="affectkit")
    assert alone.exit_code == 2 and alone.stdout.rstrip("\n").split("\n") == page("--help")
    # With other options on the line, wrong ones too.
    assert page("train", "--epochs", "many", "--help-all") == page("train", "--help-all")


# -------------------------------------------------------------------------------------------------------- all options


@pytest.mark.parametrize("path", SINGLE, ids=" ".join)
def test_help_all_lists_every_option_once(path):
    lines = page(*path, "--help-all")
    params = [item for item in SINGLE[path].params if not getattr(item, "hidden", False)]
    opts = {name for item in params for name in (*item.opts, *item.secondary_opts) if name.startswith("--")}
    assert {name for term in terms(lines) for name in names(term)} == opts | {"--help"}
    rows = [term for term in terms(lines) if not term.startswith("-")]
    assert len(rows) == sum(item.param_type_name == "argument" for item in params)
    assert all(text for _, text in terms(lines).values())
    text = " ".join(" ".join(lines).split())
    for entry in fields(SINGLE[path].settings):
        assert " ".join(entry.metadata["help"].split()) in text, entry.name
    assert all(f"  {example}" in lines for example in SINGLE[path].description.examples)
    assert all(" ".join(one.split()) in text for one in SINGLE[path].description.paragraphs)


def test_options_of_families_stand_under_headings_of_their_own():
    found = {name: heading for name, (heading, _) in by_setting(page("train", "--help-all")).items()}
    several = {"dropout", "channels", "image_size", "start_size", "grow_until"}
    for heading, names in {
        "CLIP and VCA": VCA_SETTINGS, "V1 networks": V1_SETTINGS, "Audio-visual codes (CM-VQVAE)": CODES_SETTINGS,
    }.items():  # fmt: skip
        assert {name for name, one in found.items() if one == heading} == set(names) - several
    order = list(dict.fromkeys(found.values()))
    assert order[:3] == ["Data", "Model", "Learning"] and order[-1] == "Help"
    assert order.index("Run") < order.index("CLIP and VCA") < order.index("Output")
    infer = {name: heading for name, (heading, _) in by_setting(page("infer", "--help-all")).items()}
    assert infer["every"] == infer["camera"] == "Videos and cameras" != infer["faces"]
    assert infer["clip_weights"] == "CLIP and VCA" and infer["mode"] == "Audio-visual codes (CM-VQVAE)"


# ----------------------------------------------------------------------------------------------------------- by model


@pytest.mark.parametrize("name", ["vca", "resnet50_v1", "cmvqvae", "face-seresnet", "resnet18", "convnext_base"])
def test_help_model_shows_what_applies_with_the_defaults_of_the_model(name):
    lines = page("train", "--help-model", name)
    found = by_setting(lines)
    every = {item.name for item in SINGLE["train",].params if not getattr(item, "hidden", False)}
    own = set(MODELS[name if name in MODELS else "resnet18"].settings)
    others = {setting for entry in MODELS.values() for setting in entry.settings} - own
    if name == "cmvqvae":
        others |= {"outputs", "rating_range"}  # of ratings, which are another task
    assert set(found) == (every - others) | {"help"}
    assert {key for key, (heading, _) in found.items() if heading == f"Options of {name}"} == own
    used = plain(resolve(TrainSettings, flags={"model": name, "data": "d", "output": "o"}).settings)
    general = plain(resolve(TrainSettings, flags={"data": "d", "output": "o"}).settings)
    changed = {key for key in used if used[key] != general[key]} - {"model"}
    for key in changed:
        value = used[key]
        written = ",".join(map(str, value)) if isinstance(value, list) else "no" if value is False else value
        told = found[key][1].rpartition("Default: ")[2].removesuffix(".")
        assert told == str(written) or float(told) == float(written), key
        assert found[key][0] in (f"Options of {name}", f"Defaults that {name} brings")
    assert bool(changed) == (name not in ("resnet18", "convnext_base"))


def test_help_model_says_what_a_name_is_taken_for():
    text = " ".join(page("train", "--help-model", "resnet81"))
    assert "taken for a backbone of timm" in text and "Did you mean resnet18" in " ".join(text.split())
    assert "--recipe published" in " ".join(page("train", "--help-model", "vca")[:12])
    assert "On Tiny-ImageNet" in " ".join(page("train", "--help-model", "resnet50_plain")[:12])
    assert "--help-model" not in " ".join(page("test", "--help-all"))


# --------------------------------------------------------------------------------------------------------- the layout


def test_texts_are_wrapped_aligned_and_escaped():
    page = Page(width=60, colours=False)
    page.sections([("Heading\x07", [Row("--short N", "word " * 20, "[required\xa0unless\xa0--other]"),
                                Row("--an-option-that-is-long VALUE", "told\x1b[2J")])])  # fmt: skip
    lines = page.text().split("\n")
    column = lines[1].index("word")
    assert lines[0] == r"Heading\x07" and all(len(line) <= 60 for line in lines)
    assert all(line[:column].strip() in ("", "--short N") for line in lines[1:-2])
    assert lines[-2] == "  --an-option-that-is-long VALUE" and lines[-1] == " " * column + r"told\x1b[2J"
    assert any(line.endswith("[required unless --other]") for line in lines)


def test_colours_change_no_character():
    rows = [("Heading", [Row("--short N", "a text", "[required]")])]
    plain_page, coloured = Page(width=80, colours=False), Page(width=80, colours=True)
    for one in (plain_page, coloured):
        one.usage("affectkit train", ["[OPTIONS]"])
        one.examples(["affectkit train --data faces"])
        one.sections(rows)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured.text()) == plain_page.text() != coloured.text()


@pytest.mark.parametrize(("columns", "most"), [("200", 120), ("100", 100), ("20", 40), ("x", 120)])
def test_lines_are_as_long_as_the_terminal_within_reason(columns, most, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    page = Page(colours=False)
    page.paragraph("word " * 100)
    assert most - 8 < max(map(len, page.lines)) <= most or (columns == "x" and page.width <= most)
