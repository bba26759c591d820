"""affectkit convert, and published files where commands take a checkpoint."""

from __future__ import annotations

import csv
import json
import os

import pytest
import torch
from published_files import learn_tiny, make_state, openai_file, straight, write
from support import affectkit, make_ratings
from typer.testing import CliRunner

from affectkit.cli.app import app


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    return learn_tiny(monkeypatch)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(item) for item in arguments])


def test_convert_says_what_it_found_and_wrote(tmp_path):
    state = make_state(half=True, prefix="module.")
    source = write(tmp_path / "p.pth", state)
    openai = openai_file(tmp_path / "o.pt", make_state(half=True))
    out = tmp_path / "out.safetensors"
    done = run("convert", source, out, "--clip-weights", openai, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["output"] == str(out) and told["outputs"] == ["arousal", "valence"] and told["published"]["epoch"] == 31
    assert "all 32 tensors are equal, to the last bit" in done.stderr
    again = run("convert", source, out)
    assert again.exit_code == 2 and "add --force" in again.stderr
    everything = run("convert", source, out, "--clip-weights", "keep", "--force")
    assert everything.exit_code == 0
    for text in (
        "VCA, tiny, 2 outputs (arousal, valence), half precision",
        "best_R2     0.65",
        "written too",
        " MB, from ",
    ):
        assert text in everything.stdout
    shown = run("models", "--checkpoint", source, "--json")
    assert json.loads(shown.stdout)["training"]["published"]["best_R"] == 0.81


def test_a_published_file_is_tested_and_used_as_it_is(tmp_path):
    state = make_state()
    source = write(tmp_path / "p.pth", state)
    data = make_ratings(tmp_path / "data", count=6, size=32)
    done = run("infer", data / "images", "--checkpoint", source, "--results", tmp_path / "r", "--workers", 0)
    assert done.exit_code == 0, done.stderr
    with (tmp_path / "r" / "inference_results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    import numpy as np
    from PIL import Image

    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((data / "images").iterdir())]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    expected = straight(state, images, heads=2).numpy()
    assert len(rows) == 6
    np.testing.assert_allclose([float(row["Predicted Arousal"]) for row in rows], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose([float(row["Predicted Valence"]) for row in rows], expected[:, 1], atol=1e-5)
    tested = run(
        "test", "--checkpoint", source, "--data", data / "images", "--labels", data / "ratings.csv", "--json",
        "--workers", 0,
    )  # fmt: skip
    assert tested.exit_code == 0, tested.stderr
    assert json.loads(tested.stdout)["images"] == 6


def test_a_file_that_would_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    done = affectkit("convert", tmp_path / "evil.pth", tmp_path / "out.safetensors")
    assert done.returncode == 1 and "posix.system" in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pth"]
