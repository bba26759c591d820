"""What ``infer`` says where its rows went, and of outputs that are there before it begins."""

from __future__ import annotations

import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
from forked import in_pipes, on_terminal
from PIL import Image

UNSAVED = "table not saved; --results DIR keeps it"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.new("L", (40, 40), 90 + number).save(folder / f"{number}.png")
    return folder


def test_rows_that_scroll_by_on_a_terminal_are_told_to_be_unsaved(trained, images, tmp_path):
    command = ["infer", images, "--checkpoint", trained, "--workers", 0, "--annotate", tmp_path / "drawn"]
    code, text = on_terminal(*command)
    assert code == 0 and text.rstrip().endswith(UNSAVED), text
    kept = [["--results", tmp_path / "results"], ["--json"], ["--quiet"]]
    for more in kept:
        code, text = on_terminal(*command, *more, "--force" if "--results" not in more else "--resume")
        assert code == 0 and UNSAVED not in text, text
    code, out, err = in_pipes(tmp_path, *command, "--force")
    assert code == 0 and out.startswith("Image Name,") and UNSAVED not in out + err
