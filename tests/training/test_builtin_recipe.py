"""The recipe of the built-in model on an excerpt of its data: two epochs of every tenth image, and what they gave."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from affectkit.checkpoints.checkpoint import weights_digest

pytestmark = pytest.mark.slow
SHARED = Path(os.environ.get("AFFECTKIT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
COMMAND = [sys.executable, "-m", "affectkit"]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
EVERY = 10
LOSSES = (0.4554, 0.3280)
"""Of training, by epoch."""
SEEN = ("2.14.1", "Intel(R) Xeon(R) Processor", "AVX512")
"""torch, the processor and the instructions with which one thread gave weights of ``DIGEST``."""
DIGEST = "06c0807c0621a028"


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
    """Run the recipe for two epochs, the second without mixup, and return the run folder; the average of weights is
    short, as the training is, and single precision is fast on every processor."""
    recipe = ["--config", "affectkit:ferplus-small", "--epochs", 2, "--finish-epochs", 1, "--ema", 0.9]
    recipe += ["--precision", "fp32"]
    affectkit("train", *recipe, "--data", excerpt, "--output", output, "--device", "cpu")
    return output


def setting() -> tuple[str, str, str]:
    """Return what decides how sums are rounded: torch, the processor, its instructions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return torch.__version__.partition("+")[0], name, torch.backends.cpu.get_cpu_capability()


def test_two_epochs_of_the_recipe_give_what_they_gave(excerpt, tmp_path):
    once, again = (trained(excerpt, tmp_path / name) for name in ("once", "again"))
    with (once / "history.csv").open(newline="") as stream:
        losses = [float(row["train_loss"]) for row in csv.DictReader(stream)]
    assert losses == pytest.approx(LOSSES, abs=0.02)  # another processor rounds otherwise, and training carries that on
    digest = weights_digest(once / "best.safetensors")
    assert digest == weights_digest(again / "best.safetensors")
    if setting() == SEEN:
        assert digest == DIGEST
