from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from affectkit.cli.app import app
from affectkit.cli.completions import SCRIPTS, text_for

FOLDER = Path(__file__).parent.parent.parent / "completions"


def test_the_scripts_are_those_of_the_app():
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(SCRIPTS.values())
    stale = [name for shell, name in SCRIPTS.items() if (FOLDER / name).read_text() != text_for(app, shell)]
    assert stale == [], "run: affectkit completions --write completions"


def complete(line: str) -> list[str]:
    script = f"""
source {FOLDER / "affectkit.bash"}
words=({line}); [[ {line!r} == *" " ]] && words+=("")
COMP_WORDS=("${{words[@]}}"); COMP_CWORD=$(( ${{#words[@]}} - 1 )); COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
"$(complete -p affectkit | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return [word.strip() for word in done.stdout.splitlines() if word.strip()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("affectkit tr", {"train"}),
        ("affectkit prep a", {"affectnet-fused", "av-features"}),
        ("affectkit train --task ", {"auto", "distribution", "classification", "ratings", "audiovisual"}),
        ("affectkit train --schedule c", {"constant", "cosine", "cyclic", "cyclic_plateau"}),
        ("affectkit train --model resnet1", {"resnet18", "resnet101", "resnet152"}),
        ("affectkit train --loss ", {"mse", "l1", "kl", "ce", "js", "vca", "ccc"}),
        ("affectkit train --no-pre", {"--no-pretrained"}),
        ("affectkit infer --format ", {"csv", "jsonl", "parquet"}),
    ],
)
def test_bash_completes_commands_options_and_names(line, expected):
    assert set(complete(line)) == expected
