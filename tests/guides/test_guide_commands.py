"""The blocks of guides that are marked runnable are run, on small data; what guides show of outputs is compared."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from guide_blocks import README, Block, blocks, guide_paths, shell_commands
from support import invoke

from affectkit.guides import FOLDER

SMALLER = {
    "--init builtin": "--epochs 1 --workers 0",
    "--model resnet": "--model test_resnet --no-pretrained --image-size 32 --epochs 1 --workers 0",
    "--model vca": "--clip tiny-clip.json --clip-weights random --views 1 --epochs 2 --batch-size 8 --workers 0",
}
"""What is added to a call of train that has the first: the same training, smaller."""


def runnable(path: Path, *, slow: bool) -> list[Block]:
    """The blocks of a guide that run: all of them, or without those that take long."""
    found = [block for block in blocks(path) if block.mark.startswith("runnable")]
    return [block for block in found if slow or block.mark == "runnable"]


@pytest.fixture
def place(guide_scene, tmp_path, monkeypatch) -> Path:
    """A folder of this test alone, with all that the guides speak of."""
    shutil.copytree(guide_scene, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = [path for path in guide_paths() if runnable(path, slow=False)]


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_quick_blocks_run(path, place):
    for block in runnable(path, slow=False):
        tried = shell_commands(block.text)
        assert tried, block.where
        for arguments in tried:
            done = invoke(*arguments)
            assert done.returncode == 0, f"{block.where}: affectkit {' '.join(arguments)}\n{done.stderr}"


@pytest.fixture
def program(place, monkeypatch) -> Path:
    """``affectkit`` as the shell finds it, which trains less."""
    path = place / "bin" / "affectkit"
    path.parent.mkdir()
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom affectkit.__main__ import main\n"
        f"line = ' '.join(sys.argv[1:])\n"
        f"for part, more in {SMALLER!r}.items():\n"
        f"    if sys.argv[1] == 'train' and part in line:\n"
        f"        sys.argv += more.split()\n"
        f"main()\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return path


@pytest.fixture(scope="module")
def models(guide_scene, tmp_path_factory) -> Path:
    """runs/first and runs/second, which guides on what comes after a training take as given."""
    root = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("first", "second")):
        made = ("--output", root / "runs" / name, "--epochs", 1, "--seed", seed, "--workers", 0)
        done = invoke("train", "--init", "builtin", "--data", guide_scene / "faces", *made)
        assert done.returncode == 0, done.stderr
    return root / "runs"


@pytest.mark.slow
@pytest.mark.parametrize("path", [*guide_paths(), README], ids=lambda path: path.stem)
def test_all_runnable_blocks_run_in_a_shell(path, place, models, program):
    asked = [block for block in runnable(path, slow=True)]
    if not any("--output runs/first" in block.text for block in asked):
        shutil.copytree(models, place / "runs")
    for block in asked:
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", block.text], capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{block.where}\n{block.text}\n{done.stdout}\n{done.stderr}"
    for block in blocks(path):
        if block.mark.startswith("output of: "):
            done = invoke(*block.mark.removeprefix("output of: ").split())
            assert done.returncode == 0, f"{block.where}\n{done.stderr}"
            assert first_words(block.text) <= first_words(done.stdout), block.where


def first_words(text: str) -> set[str]:
    """What the lines of an output begin with: names of rows and columns, not numbers."""
    return {found[0] for line in text.splitlines() if (found := re.match(r"[A-Za-z_]\S*", line))}


def test_an_output_of_other_rows_is_noticed():
    assert first_words("clean   1.0\nfog  2\n  100%  3\n") == {"clean", "fog"}
    shown = [block for path in guide_paths() for block in blocks(path) if block.mark.startswith("output of: ")]
    assert len(shown) >= 4 and all(first_words(block.text) for block in shown)


EXAMPLES = {
    "photographs_to_statistics": ["statistics/faces.csv", "statistics/summary.csv", "statistics/emotions.png"],
    "own_folders_to_model": ["runs/mine/best.safetensors", "results/mine/results.json", "new_images.csv"],
}
"""The programs in examples/, and files that each writes."""


def test_every_example_is_run():
    assert {path.stem for path in (FOLDER / "examples").iterdir() if path.suffix} == EXAMPLES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_from_its_first_cell_to_its_last(name, place):
    text = (FOLDER / "examples" / f"{name}.py").read_text()
    assert len(re.findall(r"^# %%", text, re.M)) > 8
    path = place / "example.py"
    path.write_text(re.sub(r"^EPOCHS = \d+$", "EPOCHS = 2", text, flags=re.M))
    done = subprocess.run(
        [sys.executable, "-W", "error", path], capture_output=True, text=True, timeout=600,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(FOLDER.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [file for file in EXAMPLES[name] if not (place / file).stat().st_size] == []
    assert done.stdout.count("\n") > 10


def test_the_row_of_the_first_guide_is_that_of_infer(place):
    text = (FOLDER / "faces-and-films.md").read_text()
    command, table = re.search(r"<!-- row of: (.+?) -->\n\n(.+?)\n\n", text, re.S).groups()
    done = invoke(*command.split(), "--quiet")
    assert done.returncode == 0, done.stderr
    rows, told = list(csv.DictReader(io.StringIO(done.stdout))), {}
    for line in table.splitlines()[2:]:
        names, values, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:4])
        pairs = zip(re.split(r", | \.\.\. ", names.replace("`", "")), re.split(r", | \.\.\. ", values), strict=False)
        told |= {name: value for name, value in pairs if name != "..."}
    row = next(row for row in rows if row["Image Name"] == told["Image Name"])
    assert len(told) > 15 and told.keys() <= row.keys()
    for name, value in told.items():
        if re.fullmatch(r"-?[\d.]+", value):
            assert float(row[name]) == pytest.approx(float(value), rel=0.02, abs=0.02), name
        else:
            assert row[name] == value, name
    shares = re.search(r"`(neutral)`.*\| ([\d.]+), ", table)
    assert list(row)[list(row).index("Confidence") + 1] == shares[1]
