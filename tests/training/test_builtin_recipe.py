"""The recipe of the built-in model on an excerpt of its data: two epochs of every tenth image, with what they gave."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from affectkit.checkpoints.checkpoint import read_header, weights_digest

pytestmark = pytest.mark.slow
SHARED = Path(os.environ.get("AFFECTKIT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
COMMAND = [sys.executable, "-m", "affectkit"]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
EVERY = 10
KL, TOP1 = 0.0, 0.0
"""Of the half of the validation split that chooses, after the second epoch."""
DIGEST = ("2.14.1", "AVX2", "")
"""torch, the instructions that it uses, and the digest of the weights that one thread gave with them."""


def affectkit(*arguments: object) -> str:
    """Run a command in a process with one thread."""
    line = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory):
    """FER+ as distributions: every tenth image of training, the whole validation split."""
    archive = SHARED / "ferplus" / "ferplus-train-valid.zip"
    if not archive.is_file():
        pytest.skip(f"the FER+ label file is not at {archive} (AFFECTKIT_TEST_DATA names its folder's parent)")
    folder = tmp_path_factory.mktemp("ferplus")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "raw")
    (folder / "raw" / "fer2013new.csv").write_bytes((SHARED / "ferplus" / "fer2013new.csv").read_bytes())
    affectkit("prep", "ferplus", folder / "raw", "--output", folder / "data", "--target", "distribution")
    table = folder / "data" / "train.csv"
    with table.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *rows[::EVERY]])
    return folder / "data"


def trained(excerpt: Path, output: Path) -> Path:
    """Run the recipe for two epochs, one of them without mixup, and return the checkpoint."""
    recipe = ["--config", "affectkit:ferplus-small-2", "--epochs", 2, "--finish-epochs", 1]
    affectkit("train", *recipe, "--data", excerpt, "--output", output, "--device", "cpu")
    return output / "best.safetensors"


def test_two_epochs_of_the_recipe_give_what_they_gave(excerpt, tmp_path):
    once, again = (trained(excerpt, tmp_path / name) for name in ("once", "again"))
    found = read_header(once).training["valid"]
    # Another processor rounds otherwise, and training carries that on.
    assert found["kl"] == pytest.approx(KL, abs=0.03) and found["top1"] == pytest.approx(TOP1, abs=0.02)
    assert weights_digest(once) == weights_digest(again)
    version, instructions, digest = DIGEST
    if (torch.__version__.partition("+")[0], torch.backends.cpu.get_cpu_capability()) == (version, instructions):
        assert weights_digest(once) == digest
