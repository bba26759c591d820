"""Names from others on a terminal and in pipes: shown with their control characters escaped, never obeyed."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import rich.progress  # noqa: F401 - tenths of seconds in every forked process, were it not here already
import timm  # noqa: F401 - seconds, likewise
from forked import in_pipes, on_terminal
from PIL import Image
from support import TINY, make_folders, settings
from web import serving

from affectkit.cli.console import Console
from affectkit.core.progress import Silent
from affectkit.core.streams import EscapedStream, unescaped
from affectkit.core.text import printable, printable_json
from affectkit.errors import RunError
from affectkit.training import run as runs
from affectkit.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("no_figures")

EVIL = "n\x1b[6;9;8mo\x1b]0;t\x07p\rq\br\x9b31ms\u202et\u2028u\x7fv[bold]w"
SHOWN = r"n\x1b[6;9;8mo\x1b]0;t\x07p\x0dq\x08r\x9b31ms\u202et\u2028u\x7fv[bold]w"
FORBIDDEN = {chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029,
                                    *range(0x202A, 0x202F), *range(0x2066, 0x206A))} - {"\n", "\t"}  # fmt: skip
DRAWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)|\r(?=\n|\x1b\[)")
"""What rich draws help, tables and bars with, and a terminal's own line ends."""


def obeyed(text: str) -> set[str]:
    """Characters that a terminal obeys or is misled by."""
    return set(text) & FORBIDDEN


def check_terminal(text: str, *, shows: str = "") -> None:
    assert "6;9;8m" not in "".join(DRAWN.findall(text)) and obeyed(DRAWN.sub("", text)) == set(), ascii(text)
    bare = re.sub(r"[\s│]+", "", DRAWN.sub("", text))  # panels and tables wrap
    assert re.sub(r"\s+", "", shows) in bare, ascii(bare)


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> Path:
    """Faces whose class is called so, and a checkpoint of them; beside it images called so, one of them damaged."""
    root = tmp_path_factory.mktemp("evil")
    make_folders(root / "data", train=12, valid=6, test=6)
    for split in ("train", "valid", "test"):
        (root / "data" / split / "anger").rename(root / "data" / split / EVIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "draw", lambda *args: None)
        runs.train(settings(root / "data", root / "run", epochs=1), reporter=Silent())
    (root / "more").mkdir()
    Image.new("RGB", (24, 24), "red").save(root / "more" / f"{EVIL}.png")
    (root / "more" / f"broken {EVIL}.png").write_bytes(b"\x89PNG\r\n")
    shutil.copytree(root / "data" / "train", root / "classes")
    return root


def test_printable_against_the_list_of_what_is_forbidden():
    for code in range(0x3000):
        text = printable(chr(code))
        assert (text == chr(code)) == (chr(code) not in FORBIDDEN), hex(code)
        assert not obeyed(text)
    assert printable(EVIL) == SHOWN == printable(SHOWN)
    assert printable("a\udcff") == r"a\xff" and printable("ünï 顔 \U0001f1e6") == "ünï 顔 \U0001f1e6"


def test_json_holds_the_same_values_without_them():
    value = {EVIL: [EVIL, "\u200f\x7f"]}
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert not obeyed(text) and json.loads(text) == value


def commands(root: Path, web: str) -> list[tuple[str, list[object], int]]:
    model = root / "run"
    return [
        ("test", ["test", "--checkpoint", model, "--data", root / "data", "--workers", "0"], 0),
        ("models", ["models", EVIL], 2),
        ("checkpoint", ["models", "--checkpoint", model], 0),
        ("missing", ["infer", EVIL, "--debug"], 1),
        ("option", ["infer", f"--{EVIL}"], 2),
        ("command", [EVIL], 2),
        ("value", ["infer", "--batch-size", EVIL], 2),
        ("model", ["train", "--model", EVIL, "--data", root / "data", "--output", root / "none"], 2),
        ("config", ["train", "--config", root / f"{EVIL}.yaml"], 2),
        ("settings", ["train", "--data", root / "data", "--output", root / EVIL, "--print-config"], 0),
        ("datasplit", ["datasplit", root / "classes", "--dry-run", "--balance"], 0),
        ("list", ["download", "zenodo:7", "--list"], 0),
        ("download", ["download", "zenodo:7", "--output", root / "down"], 1),
        ("corruptions", ["corruptions", "--preview", EVIL, EVIL], 2),
    ]  # fmt: skip


NAMES = [name for name, *_ in commands(Path(), "")]


@pytest.fixture
def web(monkeypatch):
    with serving() as served:
        served.files = {f"{EVIL}.pth": b"weights"}
        served.record = served.described() | {"metadata": {"title": f"Title {EVIL}"}}
        monkeypatch.setenv("AFFECTKIT_ZENODO", served.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield served


@pytest.mark.parametrize("name", NAMES)
def test_names_are_escaped_on_a_terminal_and_in_pipes(evil, web, tmp_path, name):
    (evil / f"{EVIL}.yaml").write_text("- no mapping\n")
    arguments, wanted = next((rest[0], rest[1]) for known, *rest in commands(evil, web.url) if known == name)
    code, text = on_terminal(*arguments)
    assert code == wanted, text
    check_terminal(text, shows=r"n\x1b[6;9;8mo\x1b]0;t\x07p")
    code, out, err = in_pipes(tmp_path, *arguments)
    assert code == wanted and obeyed(out + err) == set(), ascii(out + err)
    assert r"n\x1b[6;9;8mo\x1b]0;t\x07p" in out + err


def test_rows_are_escaped_on_a_terminal_and_left_in_a_pipe(evil, tmp_path):
    arguments = ["infer", evil / "more", "--checkpoint", evil / "run", "--workers", "0", "--on-error", "skip"]
    code, text = on_terminal(*arguments)
    assert code == 4
    check_terminal(text, shows=f'"{SHOWN}.png","')
    code, out, err = in_pipes(tmp_path, *arguments)
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert code == 4 and rows[1][0] == f"{EVIL}.png" and EVIL in rows[0] + rows[1]
    assert obeyed(err) == set() and f"broken {SHOWN}.png" in err
    code, out, err = in_pipes(tmp_path, *arguments, "--results", tmp_path / "results", "--json")
    assert obeyed(out + err) == set() and EVIL in json.loads(out)["skipped_first"][0]["reason"]
    assert EVIL in (tmp_path / "results" / "inference_results.csv").read_bytes().decode()


def test_bars_notes_and_warnings_of_a_training(evil, tmp_path):
    command = ["train", "--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--epochs", "1",
               "--workers", "0", "--data", evil / "data"]  # fmt: skip
    code, text = on_terminal(*command, "--output", tmp_path / EVIL)
    assert code == 0, text
    check_terminal(text, shows=SHOWN)
    assert (tmp_path / EVIL / "best.safetensors").is_file()


def speak() -> None:
    """Make the command print as packages do, while a bar is shown too."""
    from affectkit.engines import torch_engine

    real = torch_engine.forward_in_blocks
    # In place of pytest's, which keep them.
    logging.getLogger().handlers.clear()
    warnings.showwarning = lambda *given: sys.stderr.write(warnings.formatwarning(*given[:4]))
    warnings.simplefilter("always")

    def speaking(*args, **given):
        warnings.warn(f"warning {EVIL}", stacklevel=1)
        logging.getLogger("somebody").error("log %s", EVIL)
        print("print", EVIL, file=sys.stderr)
        sys.stderr.write(f"unended {EVIL}")
        sys.stderr.flush()
        return real(*args, **given)

    torch_engine.forward_in_blocks = speaking


def fail() -> None:
    """Make the command end with an error that nobody foresaw, outside what catches them."""
    from affectkit.cli import console

    def fails(self) -> None:
        raise ValueError(f"error {EVIL}")

    console.Console.finish = fails


@pytest.mark.parametrize("prepare", [speak, fail])
def test_what_packages_print_and_tracebacks_are_escaped_too(evil, tmp_path, prepare):
    arguments = ["infer", evil / "data" / "test", "--recursive", "--checkpoint", evil / "run", "--workers", "0",
                 "--results"]  # fmt: skip
    if prepare is fail:
        arguments = ["infer", EVIL]
    _, text = on_terminal(*arguments, *([tmp_path / "one"] if prepare is speak else []), prepare=prepare)
    _, out, err = in_pipes(tmp_path, *arguments, *([tmp_path / "two"] if prepare is speak else []), prepare=prepare)
    for word in ("warning", "log", "print", "unended") if prepare is speak else ("ValueError: error",):
        check_terminal(text, shows=f"{word} {SHOWN}")
        assert f"{word} {SHOWN}" in err
    assert obeyed(out + err) == set()


def test_a_bar_of_a_package_still_redraws_its_line_and_rich_still_draws():
    below = io.StringIO()
    stream = EscapedStream(EscapedStream(below))
    assert stream.write("\r 10% \r") == 7 and stream.write("\n\x1b[A\r 20%") == 9
    stream.writelines(["a\x1b[5m", "\n"])
    assert below.getvalue() == "\r 10% \\x0d\n\x1b[A\r 20%a\\x1b[5m\n"
    assert unescaped(stream) is below and unescaped(below) is below
    from rich.console import Console

    assert Console(file=stream).file is below
    with pytest.raises(AttributeError):
        EscapedStream.__new__(EscapedStream).encoding  # noqa: B018


def test_help_is_drawn_in_colours_as_before():
    code, text = on_terminal("--help")
    assert code == 0 and "\x1b[1m" in text and r"\x1b" not in text
    check_terminal(text)


def test_what_torchrun_and_submitit_print_is_escaped_for_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    code, _, err = in_pipes(tmp_path, "infer", EVIL)
    report = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert code == 1 and SHOWN in report and report.splitlines()[0] in err
    from affectkit.slurm.job import Job, Work

    job = Job(Work(("infer", EVIL), ("infer", EVIL), str(tmp_path)))
    for ended in (1, 75, -9):
        job._code = ended
        with pytest.raises(RunError) as error:
            job._judge(("infer", EVIL))
        assert SHOWN in str(error.value) and obeyed(str(error.value)) == set()


def test_a_name_of_several_lines_makes_no_row(capsys):
    Console().table(["class", "n"], [["anger\nhappiness  0.99", "1"], ["b", "22"]], title="T")
    assert capsys.readouterr().out.splitlines() == [
        "T",
        "class                    n",
        r"anger\nhappiness  0.99   1",
        r"b                       22",
    ]
