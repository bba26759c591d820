from __future__ import annotations

import enum
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Optional

import pytest
import typer

from affectkit.cli._completion_tree import MAX_HELP, Value, one_line, read_tree, wrapped
from affectkit.cli.completion_scripts import FILES, FOLDERS, SHELLS, script
from affectkit.errors import UsageError

MODELS = ["resnet18", "resnet50", "hf-hub:timm/a", "hf-hub:timm/b"]
VALUES = {"model": MODELS, "loss": ["mse", "kl"], "inputs": FILES, "into": FOLDERS}
NASTY = 'It\'s "so" [odd]: $(touch BAD) `touch BAD` %s \\ ! a|b {x} <y> & #1'

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
needs_pwsh = pytest.mark.skipif(shutil.which("pwsh") is None, reason="PowerShell is not installed")


class Fit(enum.Enum):
    crop = "crop"
    pad = "pad"


def toy_app() -> typer.Typer:
    app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["--help", "-h"]})
    prep = typer.Typer(help="Bring datasets into shape.")
    deep = typer.Typer(help=NASTY)
    app.add_typer(prep, name="prep")
    prep.add_typer(deep, name="deep")

    @app.callback()
    def main(version: bool = typer.Option(False, "--version", help="Print it.")) -> None:
        """A toy."""

    @app.command()
    def train(
        data: Annotated[Path, typer.Argument(help="The data.")],
        folder: Annotated[Optional[Path], typer.Argument(file_okay=False)] = None,  # noqa: UP045
        model: Annotated[str, typer.Option(help=NASTY)] = "resnet18",
        loss: str = "mse",
        fit: Fit = Fit.crop,
        side: Literal["left", "right"] = "left",
        lr: float = 0.1,
        output: Annotated[Optional[Path], typer.Option("--output", "-o", help="Where to.")] = None,  # noqa: UP045
        cache: Annotated[Optional[Path], typer.Option(file_okay=False)] = None,  # noqa: UP045
        pretrained: bool = True,
        pair: Annotated[tuple[int, int], typer.Option(help="Two numbers.")] = (1, 2),
        verbose: Annotated[int, typer.Option("--verbose", "-v", count=True)] = 0,
        extra: Annotated[Optional[list[Path]], typer.Option("--extra")] = None,  # noqa: UP045
        secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    ) -> None:
        """Train a model. With much to say about it.

        And a second paragraph.
        """

    @app.command()
    def infer(inputs: list[str], into: str = ".") -> None:
        """Predict."""

    @app.command(hidden=True)
    def internal() -> None: ...

    @prep.command("fer-plus")
    def fer_plus(link: bool = False) -> None:
        """FER+."""

    @deep.command("one")
    def one(number: int) -> None:
        """One."""

    return app


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    command = typer.main.get_command(toy_app())
    return {shell: script(command, shell, program="toy", values=VALUES) for shell in SHELLS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, scripts: dict[str, str]) -> Path:
    """A folder to complete in, with the scripts beside it."""
    root = tmp_path_factory.mktemp("completion")
    here = root / "here"
    (here / "sub dir").mkdir(parents=True)
    (here / "data").mkdir()
    (here / "data/x.yaml").touch()
    (here / "face.jpg").touch()
    names = {"bash": "toy.bash", "zsh": "_toy", "fish": "toy.fish", "powershell": "toy.ps1"}
    assert set(names) == set(SHELLS)
    for shell, name in names.items():
        (root / name).write_text(scripts[shell], encoding="utf-8")
    return here


# ------------------------------------------------------------------------------------------------- the text itself


def test_tree() -> None:
    root = read_tree(typer.main.get_command(toy_app()), values=VALUES)
    commands = {" ".join(command.path): command for command in root.walk()}
    assert set(commands) == {"", "train", "infer", "prep", "prep fer-plus", "prep deep", "prep deep one"}
    train = commands["train"]
    assert train.help == "Train a model. With much to say about it"
    options = {option.names[0]: option for option in train.options}
    assert "--secret" not in options
    assert options["--pretrained"].off == ("--no-pretrained",)
    assert options["--help"].names == ("--help", "-h")  # handed down by the parent's settings
    takes = {name: option.takes for name, option in options.items()}
    assert takes == {
        "--model": 1, "--loss": 1, "--fit": 1, "--side": 1, "--lr": 1, "--output": 1, "--cache": 1, "--pretrained": 0,
        "--pair": 2, "--verbose": 0, "--extra": 1, "--help": 0,
    }  # fmt: skip
    kinds = {name: option.value for name, option in options.items() if option.value.kind != "none"}
    assert kinds == {
        "--model": Value("words", tuple(MODELS)),
        "--loss": Value("words", ("mse", "kl")),
        "--fit": Value("words", ("crop", "pad")),
        "--side": Value("words", ("left", "right")),
        "--output": Value("files"),
        "--cache": Value("folders"),
        "--extra": Value("files"),
    }
    assert {name for name, option in options.items() if option.many} == {"--verbose", "--extra"}
    assert [(item.value.kind, item.rest) for item in train.arguments] == [("files", False), ("folders", False)]
    infer = commands["infer"]
    assert [(item.value.kind, item.rest) for item in infer.arguments] == [("files", True)]
    assert infer.options[0].value.kind == "folders"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ""),
        ("One.\n\nTwo.", "One"),
        ("Over\n  two lines", "Over two lines"),
        ("A sentence. " + "word " * 40, "A sentence"),
        ("word, " * 40, ("word, " * 40)[:72].rstrip(", ") + "..."),
    ],
)
def test_one_line(text: str | None, line: str) -> None:
    assert one_line(text) == line
    assert len(line) <= MAX_HELP


def test_wrapped_lines_keep_every_item() -> None:
    items = [f"item{number}" for number in range(50)]
    text = wrapped(items, indent=4, width=40, end=" \\")
    assert text.replace("\\\n", " ").split() == items
    assert max(map(len, text.splitlines())) <= 40


@pytest.mark.parametrize("shell", SHELLS)
def test_the_text_says_how_it_was_made_and_holds_everything(scripts: dict[str, str], shell: str) -> None:
    text = scripts[shell]
    head = text[:700]
    assert "made by `toy completions --write completions`; do not edit" in head
    assert "To install" in head
    assert text.endswith("\n")
    assert not re.search(r"@[a-z]+@", text), "a placeholder was left"
    assert "secret" not in text
    assert "internal" not in text
    names = ("train", "fer-plus", "deep", "pretrained", "no-pretrained", "version", "right", *MODELS)
    assert [name for name in names if name not in text] == []


def test_the_text_is_the_same_in_every_process(scripts: dict[str, str]) -> None:
    code = (
        f"import sys, typer; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_completion_scripts as t\n"
        "command = typer.main.get_command(t.toy_app())\n"
        "sys.stdout.write('\\0'.join(t.script(command, s, program='toy', values=t.VALUES) for s in t.SHELLS))"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, env=environment
        )
        assert done.stdout.split("\0") == list(scripts.values())


def test_unknown_shell() -> None:
    with pytest.raises(UsageError, match=r"unknown shell 'zsch'; did you mean zsh"):
        script(typer.main.get_command(toy_app()), "zsch")


def test_an_app_of_one_command() -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def only(size: int = 3) -> None:
        """Only."""

    for shell in SHELLS:
        text = script(typer.main.get_command(app), shell)
        assert "size" in text
        if shell in ("bash", "zsh", "fish") and shutil.which(shell):
            assert syntax_fault(shell, text) == ""


def syntax_fault(shell: str, text: str) -> str:
    flag = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([shell, flag], input=text, capture_output=True, encoding="utf-8", check=False)
    return done.stderr or ("" if done.returncode == 0 else f"exit {done.returncode}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_syntax(scripts: dict[str, str], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert syntax_fault(shell, scripts[shell]) == ""
    assert syntax_fault(shell, scripts[shell] + "\nif (") != "", "the check finds faults"


# ------------------------------------------------------------------------------------------------------------ bash


def bash(folder: Path, words: Sequence[str], *, line: str | None = None, breaks: str | None = None) -> list[str]:
    """COMPREPLY for the words, the last of which is under the cursor."""
    setup = [f"source {shlex.quote(str(folder.parent / 'toy.bash'))}"]
    setup += [f"COMP_WORDS=({shlex.join(words)})", f"COMP_CWORD={len(words) - 1}"]
    if line is not None:
        setup += [f"COMP_LINE={shlex.quote(line)}", f"COMP_POINT={len(line)}"]
    if breaks is not None:
        setup.append(f"COMP_WORDBREAKS={shlex.quote(breaks)}")
    code = "\n".join(
        [*setup, "_toy || echo FAILED >&2", 'for reply in "${COMPREPLY[@]}"; do printf \'%s\\n\' "$reply"; done']
    )
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", code], capture_output=True, encoding="utf-8", check=False, cwd=folder
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@needs_bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["toy", ""], ["train", "infer", "prep"]),
        (["toy", "tr"], ["train"]),
        (["toy", "nothing"], []),
        (["toy", "-"], ["--version", "--help", "-h"]),
        (["toy", "--version", "in"], ["infer"]),
        (["toy", "prep", ""], ["fer-plus", "deep"]),
        (["toy", "prep", "deep", ""], ["one"]),
        (["toy", "prep", "fer-plus", "--"], ["--link", "--no-link", "--help"]),
        (["toy", "train", "--m"], ["--model"]),
        (["toy", "train", "--no"], ["--no-pretrained"]),
        (["toy", "train", "--model", ""], MODELS),
        (["toy", "train", "--model", "resnet1"], ["resnet18"]),
        (["toy", "train", "--loss", ""], ["mse", "kl"]),
        (["toy", "train", "--loss", "mse:0.5+"], []),
        (["toy", "train", "--fit", ""], ["crop", "pad"]),
        (["toy", "train", "--side", "r"], ["right"]),
        (["toy", "train", "--lr", ""], []),
        (["toy", "train", "--output", "fa"], ["face.jpg"]),
        (["toy", "train", "-o", "fa"], ["face.jpg"]),
        (["toy", "train", "--cache", ""], ["data", "sub dir"]),
        (["toy", "train", "-v", "fa"], ["face.jpg"]),  # takes no value, so this is the first argument
        (["toy", "train", "--no-pretrained", "fa"], ["face.jpg"]),
        (["toy", "train", "x", ""], ["data", "sub dir"]),  # the second argument is a folder
        (["toy", "train", "x", "y", ""], []),  # there is no third
        (["toy", "train", "--pair", "1", ""], []),  # the second of two numbers
        (["toy", "train", "--pair", "1", "2", "fa"], ["face.jpg"]),
        (["toy", "train", "--model", "prep", "--f"], ["--fit"]),  # a value that is called like a command
        (["toy", "train", "--", "--m"], []),
        (["toy", "train", "--", "fa"], ["face.jpg"]),
        (["toy", "infer", "a", "b", "fa"], ["face.jpg"]),
        (["toy", "infer", "--into", ""], ["data", "sub dir"]),
    ],
)
def test_bash(folder: Path, words: list[str], expected: list[str]) -> None:
    assert sorted(bash(folder, words)) == sorted(expected)
    assert sorted(bash(folder, words, line=" ".join(words))) == sorted(expected)


@needs_bash
@pytest.mark.parametrize(
    ("words", "line", "expected"),
    [
        (["--model", "=", "res"], "--model=res", ["resnet18", "resnet50"]),
        (["--model", "="], "--model=", MODELS),
        (["--fit", "=", "p"], "--fit=p", ["pad"]),
        (["--output", "=", "fa"], "--output=fa", ["face.jpg"]),
        (["--model", "hf-hub", ":"], "--model hf-hub:", ["timm/a", "timm/b"]),
        (["--model", "hf-hub", ":", "timm/a"], "--model hf-hub:timm/a", ["timm/a"]),
        (["--model", "=", "hf-hub", ":", "t"], "--model=hf-hub:t", ["timm/a", "timm/b"]),
        (["--model", "=", "x", "--fi"], "--model=x --fi", ["--fit"]),
        (["--lr", "=", "x"], "--lr=x", []),
    ],
)
def test_bash_where_it_cuts_words(folder: Path, words: list[str], line: str, expected: list[str]) -> None:
    """Readline replaces only what follows the last = or :, so that is what must be offered."""
    assert bash(folder, ["toy", "train", *words]) == expected
    assert bash(folder, ["toy", "train", *words], line=f"toy train {line}") == expected


@needs_bash
def test_bash_where_it_does_not_cut_words(folder: Path) -> None:
    plain = " \t\n"
    assert bash(folder, ["toy", "train", "--fit=p"], breaks=plain) == ["--fit=pad"]
    assert bash(folder, ["toy", "train", "--model=hf-hub:timm/b"], breaks=plain) == ["--model=hf-hub:timm/b"]
    # bash 3.2 hands over whole words and readline cuts them all the same.
    assert bash(folder, ["toy", "train", "--model=hf-hub:timm/b"]) == ["timm/b"]


@needs_bash
def test_bash_space_behind_an_equals_sign_begins_a_word(folder: Path) -> None:
    words = ["toy", "train", "--model", "=", "fa"]
    assert bash(folder, words, line="toy train --model= fa") == ["face.jpg"]


@needs_bash
def test_bash_completes_up_to_the_cursor(folder: Path) -> None:
    code = (
        f"source {shlex.quote(str(folder.parent / 'toy.bash'))}; COMP_WORDS=(toy trxx); COMP_CWORD=1\n"
        'COMP_LINE="toy trxx"; COMP_POINT=6; _toy; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "train"


@needs_bash
def test_bash_values_that_need_quotes(tmp_path: Path) -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def only(name: str = "") -> None: ...

    values = {"name": ["two words", "it's", "a:0.5+b", "$(touch BAD)", "x,y"]}
    (tmp_path / "toy.bash").write_text(script(typer.main.get_command(app), "bash", program="toy", values=values))
    (tmp_path / "here").mkdir()
    found = bash(tmp_path / "here", ["toy", "--name", ""])
    assert [shlex.split(text.replace("\\$", "$")) for text in found[:3]] == [["two words"], ["it's"], ["a:0.5+b"]]
    assert found[4] == "x,y"
    evaluated = subprocess.run(
        ["bash", "-c", "; ".join(f"printf '%s\\n' {text}" for text in found)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert evaluated.stdout.splitlines() == values["name"]
    assert not list(tmp_path.rglob("BAD"))


# ------------------------------------------------------------------------------------- shells as they are typed into


class Typist:
    """Types into an interactive shell on a pseudo-terminal and reads back what stands on its line."""

    def __init__(self, argv: Sequence[str], setup: str, folder: Path, home: Path) -> None:
        import pty

        self.out = home / "line"
        self.out.touch()
        self.count = 0
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "OUT": str(self.out)}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], list(argv), environment)
        self._write(f"{setup}; printf 'ready\\0' >>$OUT\n")
        assert self._line() == "ready"

    def complete(self, keys: str) -> str:
        """What the line has become after ``keys``."""
        self._write(keys + "\x18\x18")  # Ctrl-X Ctrl-X writes the line to a file, Ctrl-U empties it
        line = self._line()
        self._write("\x15")
        return line

    def _write(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def _line(self) -> str:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.02)[0]:
                os.read(self.terminal, 65536)
            lines = self.out.read_text(encoding="utf-8").split("\0")[:-1]
            if len(lines) > self.count:
                self.count += 1
                return lines[self.count - 1]
        raise AssertionError("the shell did not answer within 15 seconds")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


TYPED = {
    "tr": "train ",
    "prep fer": "prep fer-plus ",
    "prep deep o": "prep deep one ",
    "train --model resnet1": "train --model resnet18 ",
    "train --model=resnet1": "train --model=resnet18 ",
    "train --model hf-hub:timm/b": "train --model hf-hub:timm/b ",
    "train --model=h": "train --model=hf-hub:timm/",
    "train --no-pre": "train --no-pretrained ",
    "train --fit p": "train --fit pad ",
    "train --lr ": "train --lr ",
    "train --output fa": "train --output face.jpg ",
    "train -o fa": "train -o face.jpg ",
    "train --output=data/": "train --output=data/x.yaml ",
    "train --cache su": "train --cache sub\\ dir/",
    "train --cache fa": "train --cache fa",
    "train fa": "train face.jpg ",
    "train --pair 1 2 fa": "train --pair 1 2 face.jpg ",
    "infer a b fa": "infer a b face.jpg ",
    "--vers": "--version ",
}


@pytest.fixture
def bash_typist(folder: Path, tmp_path: Path) -> Iterator[Typist]:
    setup = (
        f"source {shlex.quote(str(folder.parent / 'toy.bash'))}; "
        "dump() { printf '%s\\0' \"$READLINE_LINE\" >>$OUT; }; "
        "bind -x '\"\\C-x\\C-x\": dump'; bind 'set bell-style none'"
    )
    typist = Typist(["bash", "--norc", "--noprofile", "-i"], setup, folder, tmp_path)
    yield typist
    typist.close()


@needs_bash
def test_bash_as_it_is_typed(bash_typist: Typist) -> None:
    found = {keys: bash_typist.complete(f"toy {keys}\t") for keys in TYPED}
    assert found == {keys: f"toy {line}" for keys, line in TYPED.items()}


@pytest.fixture(params=["autoloaded", "sourced"])
def zsh_typist(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Typist]:
    root = shlex.quote(str(folder.parent))
    setup = "setopt nobeep; dump() { printf '%s\\0' \"$BUFFER\" >>$OUT }; zle -N dump; bindkey '^X^X' dump; "
    if request.param == "autoloaded":
        setup += f"fpath=({root} $fpath); autoload -Uz compinit; compinit -u -D"
    else:
        setup += f"autoload -Uz compinit; compinit -u -D; source {root}/_toy"
    typist = Typist(["zsh", "-f", "-i"], setup, folder, tmp_path)
    yield typist
    typist.close()


@needs_zsh
def test_zsh_as_it_is_typed(zsh_typist: Typist) -> None:
    found = {keys: zsh_typist.complete(f"toy {keys}\t") for keys in TYPED}
    assert found == {keys: f"toy {line}" for keys, line in TYPED.items()}
    assert zsh_typist.complete("toy train --mod\t") == "toy train --model="
    assert zsh_typist.complete("toy train --pretrained --no-p\t") == "toy train --pretrained --no-p"  # excluded by it


# ------------------------------------------------------------------------------------------------------------ fish


def fish(folder: Path, line: str) -> dict[str, str]:
    """What fish offers, with its descriptions."""
    code = f"source {shlex.quote(str(folder.parent / 'toy.fish'))}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=folder
    )
    assert done.stderr == ""
    rows = (row.split("\t") for row in done.stdout.splitlines())
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows}


@needs_fish
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"train", "infer", "prep"}),
        ("prep ", {"fer-plus", "deep"}),
        ("prep deep ", {"one"}),
        ("prep deep one ", set()),
        ("--v", {"--version"}),
        ("train --mo", {"--model"}),
        ("train --no-", {"--no-pretrained"}),
        ("train --model ", set(MODELS)),
        ("train --model=hf", {"--model=hf-hub:timm/a", "--model=hf-hub:timm/b"}),
        ("train --fit ", {"crop", "pad"}),
        ("train --lr ", set()),
        ("train --output fa", {"face.jpg"}),
        ("train -o fa", {"face.jpg"}),
        ("train --cache ", {"data/", "sub dir/"}),
        ("train fa", {"face.jpg"}),
        ("train x ", {"data/", "sub dir/"}),
        ("train x y ", set()),
        ("train --pair 1 2 fa", {"face.jpg"}),
        ("train --model prep --f", {"--fit"}),
        ("infer a b fa", {"face.jpg"}),
        ("infer --into ", {"data/", "sub dir/"}),
    ],
)
def test_fish(folder: Path, line: str, expected: set[str]) -> None:
    assert set(fish(folder, f"toy {line}")) == expected


@needs_fish
def test_fish_descriptions(folder: Path) -> None:
    assert fish(folder, "toy tr")["train"] == "Train a model. With much to say about it"
    assert fish(folder, "toy train --mod")["--model"].startswith('It\'s "so" [odd]: $(touch BAD)')
    assert not (folder / "BAD").exists()


# ------------------------------------------------------------------------------------------------------ PowerShell


@needs_pwsh
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"train", "infer", "prep"}),
        ("prep ", {"fer-plus", "deep"}),
        ("train --mo", {"--model"}),
        ("train --model ", set(MODELS)),
        ("train --model=hf", {"--model=hf-hub:timm/a", "--model=hf-hub:timm/b"}),
        ("train --fit p", {"pad"}),
        ("train --lr ", {""}),
        ("train --model prep --f", {"--fit"}),
    ],
)
def test_powershell(folder: Path, line: str, expected: set[str]) -> None:
    typed = f"toy {line}"
    code = (
        f". '{folder.parent / 'toy.ps1'}'; (TabExpansion2 -inputScript '{typed}' -cursorColumn {len(typed)})"
        ".CompletionMatches | ForEach-Object { $_.CompletionText }"
    )
    done = subprocess.run(
        ["pwsh", "-NoProfile", "-Command", code], capture_output=True, encoding="utf-8", check=True, cwd=folder
    )
    assert set(done.stdout.splitlines()) - {""} == expected - {""}


def test_powershell_quotes_and_tells_v_from_capital_v() -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def only(
        version: Annotated[str, typer.Option("-V", help="It's one\u2019s own.")] = "",
        verbose: Annotated[str, typer.Option("-v")] = "",
    ) -> None: ...

    text = script(typer.main.get_command(app), "powershell", program="toy")
    assert "'-V It''s one\u2019\u2019s own'" in text
    # A hash table would take the second for a repetition of the first.
    assert "$valued[' -V'] = " in text
    assert "$valued[' -v'] = " in text
    assert "@{" not in text
