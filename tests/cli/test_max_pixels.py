"""``--max-pixels`` reaches whatever decodes, in every command that decodes pictures."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image
from support import invoke

from affectkit.core.pixels import VARIABLE

FEW = "--max-pixels", "1K"
MANY = "--max-pixels", "0.1M"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Class folders of pictures of 32 x 40 pixels, as PNG and WebP: both are decoded whole."""
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for label in ("happiness", "sadness"):
        for number in range(8):
            pixels = rng.integers(0, 256, (40, 32), dtype=np.uint8)
            for split in ("train", "valid", "test"):
                path = root / split / label / f"{split}{number}.{'webp' if number % 2 else 'png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


@pytest.mark.parametrize(
    "command",
    [
        ("infer", "{faces}/test/happiness", "--faces", "none", "--on-error", "fail"),
        ("test", "--checkpoint", "builtin", "--data", "{faces}"),
        ("eval-corruptions", "--checkpoint", "builtin", "--data", "{faces}", "--corruptions", "fog"),
        ("train", "--data", "{faces}", "--model", "face-seresnet", "--output", "{out}/run", "--epochs", 1),
        ("corruptions", "{faces}/test/happiness/test0.png", "--preview", "{out}/sheet.png"),
        ("datasplit", "{faces}/test", "--output-path", "{out}/split", "--train-split", 0.6, "--workers", 1),
    ],
    ids=lambda command: command[0],
)
def test_pictures_above_the_limit_are_refused(faces, tmp_path, command):
    arguments = [str(word).format(faces=faces, out=tmp_path) for word in command]
    done = invoke(*arguments, *FEW)
    assert done.returncode == 1, done.stderr
    told = " ".join(done.stderr.split())
    assert "32 x 40 pixels are more than the limit of 1,000 (--max-pixels or AFFECTKIT_MAX_PIXELS raises it)" in told
    assert VARIABLE not in os.environ


def test_a_higher_limit_is_no_hindrance(faces, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert invoke("corruptions", faces / "test/happiness/test0.png", "--preview", sheet, *MANY).returncode == 0
    split = invoke(
        "datasplit", faces / "test", "--output-path", tmp_path / "split", "--balance", "--global-multiplier", 2,
        "--train-split", 0.6, "--workers", 1, "--preview", tmp_path / "seen.png", *MANY,
    )  # fmt: skip
    assert split.returncode == 0, split.stderr
    assert sheet.is_file() and (tmp_path / "seen.png").is_file()


def test_what_is_no_number_of_pixels(faces):
    done = invoke("infer", faces / "test/happiness", "--max-pixels", "lots")
    assert done.returncode == 2 and "--max-pixels: must be a number of pixels, as 200M" in done.stderr
