"""Tab as it is pressed: real shells with the scripts that the command writes, around the real program."""

from __future__ import annotations

import ast
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from support import invoke
from test_architecture import HEAVY

from affectkit.cli.app import app
from affectkit.cli.completion_shells import script
from affectkit.cli.completion_values import NAMES, PATHS, SHELLS, known_names
from affectkit.corruptions import parse_corruption, parse_corruptions
from affectkit.guides import read_guide
from affectkit.losses import parse_loss
from affectkit.models.registry import check_model
from affectkit.models.v1.components import parse_parts
from affectkit.settings.values import parse_faces

KEPT = Path(__file__).parent.parent.parent / "completions"


def test_the_scripts_in_the_repository_are_those_that_the_command_writes(tmp_path):
    done = invoke("completions", "--write", tmp_path)
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(written) == ["_affectkit", "affectkit.bash", "affectkit.fish", "affectkit.ps1"]
    assert {path.name: path.read_text() for path in KEPT.iterdir()} == written, "run: affectkit completions --write"
    assert sorted(invoke("completions", shell).stdout for shell in SHELLS) == sorted(written.values())


# --------------------------------------------------------------------------------------------------------- the answer


FILES = ["<files>"]
ANSWERS = {
    ("bash", "tr"): ["train"],
    ("bash", "nothing"): [""],
    ("bash", "--version in"): ["infer"],
    ("bash", "--v"): ["--version"],
    ("bash", "prep a"): ["affectnet-fused", "affectnet", "afew-va", "av-features"],
    ("bash", "prep av-features --drop"): ["--drop-copies"],
    ("bash", "train --no-pre"): ["--no-pretrained"],
    ("bash", "train --help"): ["--help-all", "--help-model", "--help"],
    ("bash", "train --help-model vc"): ["vca"],
    ("bash", "infer --help-"): ["--help-all"],
    ("bash", "prep ferplus --help-"): ["--help-all"],
    ("bash", "train --pretrained --no-pre"): [""],  # it stands there already
    ("bash", "train --model resnet1"): ["resnet18", "resnet101", "resnet152"],
    ("bash", "train --model=resnet1"): ["resnet18", "resnet101", "resnet152"],
    ("bash", "train --model prep --fit"): ["--fit"],  # a value that is called like a command
    ("bash", "train --task "): ["auto", "distribution", "classification", "audiovisual", "ratings"],
    ("bash", "train --loss "): ["vca", "mse", "l1", "ccc", "kl", "ce", "js"],
    ("bash", "train --loss mse:0.5+k"): ["0.5+kl"],  # bash replaces what follows the colon
    ("bash", "train --loss mse+m"): [""],  # a loss counts once
    ("bash", "train --schedule cy"): ["cyclic", "cyclic_plateau"],
    ("bash", "train --lr "): [""],
    ("bash", "train --lr="): [""],
    ("bash", "train --output "): FILES,
    ("bash", "train --output=da"): FILES,
    ("bash", "train --config "): FILES,
    ("bash", "train --config data/x.yaml --fit p"): ["pad"],  # a file that is no YAML
    ("bash", "train --config none.yaml --epochs many --fit p"): ["pad"],
    ("bash", "train --bogus 1 --model vc"): ["vca"],
    ("bash", "train x"): [""],
    ("bash", "infer a b "): FILES,
    ("bash", "infer --clip-weights "): FILES,
    ("bash", "infer --format "): ["csv", "jsonl", "parquet"],
    ("bash", "test --corrupt fr"): ["frost", "framing"],
    ("bash", "train --v1 local-rf,t"): ["local-rf,tuned-norm"],
    ("bash", "infer --faces "): ["auto", "haar", "yunet", "none"],
    ("bash", "models vc"): ["vca"],
    ("bash", "guide own"): ["own-classes"],
    ("bash", "eval-corruptions --corruptions al"): ["all", "alterations"],
    ("bash", "eval-corruptions --corruptions fog,snow,sn"): [""],
    ("bash", "eval-corruptions --corruptions fog,sn"): ["fog,snow"],
    ("bash", "infer 'sub di"): FILES,
    ("fish", "train --model=vc"): ["--model=vca\tvalence and arousal on frozen CLIP features (VCA)"],
    ("fish", "train --fit p"): ["pad"],
    ("fish", "train --val-"): [
        "--val-fraction\tShare of the training images held out where the data has no validation..."
    ],
    ("powershell", "train --fit=p"): ["--fit=pad"],
    ("zsh", "train --loss mse:1+k"): ["mse\\:1+kl:Kullback-Leibler divergence KL(target || prediction), in nats"],
}


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str], list[str]]:
    """What a process that answers Tab gives for every (shell, line) below; and that it loads nothing heavy."""
    code = f"""
import os, sys
from typer.testing import CliRunner
from affectkit.cli.app import app
for shell, line in {list(ANSWERS)!r}:
    given = {{"_AFFECTKIT_COMPLETE": "complete_" + shell, "_TYPER_COMPLETE_ARGS": "affectkit " + line}}
    done = CliRunner().invoke(app, [], env=given)
    print(repr(((shell, line), (done.exit_code, done.stderr, done.stdout.splitlines()))))
print(sorted({{*{HEAVY!r}, "rich", "yaml"}} & sys.modules.keys()), file=sys.stderr)
"""
    environment = os.environ | {"_AFFECTKIT_COMPLETE": "complete_bash", "_TYPER_COMPLETE_BREAKS": " \t\n\"'@><=;|&(:"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr == "[]\n"
    found = dict(map(ast.literal_eval, done.stdout.splitlines()))
    assert {(code, noise) for code, noise, _ in found.values()} == {(0, "")}
    return {asked: rows for asked, (_, _, rows) in found.items()}


@pytest.mark.parametrize("asked", ANSWERS, ids=" ".join)
def test_what_is_offered(answers, asked):
    assert answers[asked] == ANSWERS[asked]


def test_no_name_is_offered_that_is_refused():
    check = {"model": check_model, "loss": parse_loss, "corrupt": parse_corruption, "corruptions": parse_corruptions}
    check |= {"v1": parse_parts, "faces": parse_faces, "topic": read_guide}
    known = known_names()
    assert set(known) == set(NAMES) > set(check)
    assert len([rule(name) for setting, rule in check.items() for name in known[setting]]) > 70


def test_every_name_that_is_offered_for_belongs_to_a_setting():
    def parameters(command):
        return {item.name for item in command.params}.union(*map(parameters, getattr(command, "commands", {}).values()))

    assert {*NAMES, *PATHS} <= parameters(typer.main.get_command(app))


# --------------------------------------------------------------------------------------------------------- the shells


def needs(executable: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(executable) is None, reason=f"{executable} is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to complete in; beside it the scripts and, in ``bin``, the program."""
    root = tmp_path_factory.mktemp("completion")
    for folder in ("here/sub dir", "here/data", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "here/data/x.yaml").write_text("epochs: [")
    (root / "here/face.jpg").touch()
    (root / "bin/affectkit").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m affectkit "$@"\n')
    (root / "bin/affectkit").chmod(0o755)
    for shell, name in SHELLS.items():
        (root / name).write_text(script(shell))
    return root / "here"


TYPED = {
    "tr": "train ",
    "prep ferp": "prep ferplus ",
    "train --model resnet15": "train --model resnet152 ",
    "train --model=resnet15": "train --model=resnet152 ",
    "train --loss mse:0.5+k": "train --loss mse:0.5+kl ",
    "train --loss=mse:0.5+k": "train --loss=mse:0.5+kl ",
    "train --no-pre": "train --no-pretrained ",
    "eval-corruptions --corruptions fog,fra": "eval-corruptions --corruptions fog,framing ",
    "train --lr ": "train --lr ",
    "train --lr fa": "train --lr fa",
    "train --output fa": "train --output face.jpg ",
    "train --output=data/": "train --output=data/x.yaml ",
    "infer sub": "infer sub\\ dir/",
    "infer a sub\\ dir/ fa": "infer a sub\\ dir/ face.jpg ",
    "train --config data/x.yaml --fit p": "train --config data/x.yaml --fit pad ",
}


class Typist:
    """Types into an interactive shell on a pseudo-terminal and reads back what stands on its line."""

    def __init__(self, argv: list[str], setup: str, place: Path, home: Path) -> None:
        import pty

        self.out, self.count = home / "line", 0
        self.out.touch()
        environment = {"PATH": f"{place.parent / 'bin'}:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb"}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            os.execvpe(argv[0], argv, {**environment, "OUT": str(self.out)})
        os.write(self.terminal, f"{setup}; printf 'ready\\0' >>$OUT\n".encode())
        assert self._line() == "ready"

    def complete(self, keys: str) -> str:
        """What the line has become after ``keys``; Ctrl-X Ctrl-X writes it to a file, Ctrl-U empties it."""
        os.write(self.terminal, f"{keys}\x18\x18".encode())
        line = self._line()
        os.write(self.terminal, b"\x15")
        return line

    def _line(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.02)[0]:
                os.read(self.terminal, 65536)
            lines = self.out.read_text().split("\0")[:-1]
            if len(lines) > self.count:
                self.count += 1
                return lines[-1]
        raise AssertionError("the shell did not answer within a minute")


DUMP = {
    "bash": "dump() { printf '%s\\0' \"$READLINE_LINE\" >>$OUT; }; bind -x '\"\\C-x\\C-x\": dump'",
    "zsh": "dump() { printf '%s\\0' \"$BUFFER\" >>$OUT }; zle -N dump; bindkey '^X^X' dump; setopt nobeep",
}


@pytest.mark.parametrize(
    ("argv", "setup", "lines"),
    [
        pytest.param("bash --norc -i", "source {}/affectkit.bash", TYPED, marks=needs("bash")),
        pytest.param(
            "zsh -f -i", "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D", TYPED, marks=needs("zsh")
        ),
        pytest.param(
            "zsh -f -i",
            "autoload -Uz compinit; compinit -u -D; source {}/_affectkit",
            {"tr": "train "},
            marks=needs("zsh"),
        ),
    ],
    ids=["bash", "zsh", "zsh sourced"],
)
def test_a_line_as_it_is_typed(argv, setup, lines, place, tmp_path):
    argv = argv.split()
    typist = Typist(argv, f"{DUMP[argv[0]]}; {setup.format(shlex.quote(str(place.parent)))}", place, tmp_path)
    try:
        found = {keys: typist.complete(f"affectkit {keys}\t") for keys in lines}
    finally:
        os.kill(typist.pid, signal.SIGKILL)
        os.waitpid(typist.pid, 0)
        os.close(typist.terminal)
    assert found == {keys: f"affectkit {line}" for keys, line in lines.items()}


FOUND = {
    "affectkit tr": {"train"},
    "affectkit train --model=resnet15": {"--model=resnet152"},
    "affectkit train --loss mse:0.5+k": {"mse:0.5+kl"},
    "affectkit train --lr ": set(),
    "affectkit infer fa": {"face.jpg"},
    "affectkit train --output=data/": {"--output=data/x.yaml"},
}


POWERSHELL = (
    "(TabExpansion2 -inputScript '{0}' -cursorColumn {1}).CompletionMatches | % {{ $_.CompletionText }}; '---'\n"
)


@pytest.mark.parametrize(
    ("argv", "each"),
    [
        pytest.param("fish --no-config -c", "complete -C '{0}'; echo ---\n", marks=needs("fish")),
        pytest.param("pwsh -NoProfile -Command", POWERSHELL, marks=needs("pwsh")),
    ],
    ids=["fish", "powershell"],
)
def test_what_is_found(argv, each, place):
    shell = argv.split()[0]
    code = f". '{place.parent / SHELLS[{'pwsh': 'powershell'}.get(shell, shell)]}'\n"
    code += "".join(each.format(line, len(line)) for line in FOUND)
    environment = {**os.environ, "PATH": f"{place.parent / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([*argv.split(), code], capture_output=True, text=True, cwd=place, env=environment)
    assert done.stderr == ""
    blocks = [block.splitlines() for block in done.stdout.split("---\n")[:-1]]
    found = [{re.sub(r"^\.[/\\]|\t.*", "", row) for row in rows if row} for rows in blocks]
    assert dict(zip(FOUND, found, strict=True)) == FOUND
    assert shell == "pwsh" or "\tTrain a model" in blocks[0][0]
