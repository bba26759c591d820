"""affectkit export: what it prints and refuses; the file itself is tested in tests/checkpoints."""

from __future__ import annotations

import json

import pytest
from onnx_models import vca_checkpoint
from support import invoke

from affectkit.checkpoints.onnx_file import read_header


def test_export_says_what_it_wrote_and_how_far_it_is_from_torch(tmp_path):
    source, out = vca_checkpoint(tmp_path), tmp_path / "head.onnx"
    done = invoke("export", source, out, "--head-only", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inputs"] == {"features": ["float32", [None, 64]]}
    assert found["outputs"] == {"ratings": ["float32", [None, 2]]}
    assert found["bytes_after"] == out.stat().st_size and found["precision"] == "fp32"
    random = found["comparison"]["random"]
    assert random["samples"] == 42 and 0 < random["largest_difference"] < 1e-5
    assert read_header(out).comparison == found["comparison"]
    again = invoke("export", source, out, "--head-only")
    assert again.returncode == 2 and "there already" in again.stderr
    words = invoke("export", source, out, "--head-only", "--force")
    assert words.returncode == 0, words.stderr
    for text in ("features float32 Nx64", "ratings float32 Nx2", "42 samples: largest difference", "vca, task ratings"):
        assert text in " ".join(words.stdout.split()), text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "CHECKPOINT, the file to read, is needed."),
        (("builtin",), "OUTPUT, the file to write, is needed."),
        (("builtin", "o.onnx", "--int8"), "--int8 needs --data"),
        (("builtin", "o.onnx", "--int8", "--half", "--data", "d"), "--fp16 and --int8 exclude each other"),
        (("builtin", "o.onnx", "--samples", "3"), "--samples needs --data"),
        (("builtin", "o.onnx", "--tolerance", "0"), "tolerance"),
        (("builtin", "o.pth"), "must end in .onnx"),
    ],
)
def test_export_refuses_what_makes_no_sense(tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    done = invoke("export", *options)
    assert done.returncode == 2 and said in " ".join(done.stderr.split()), done.stderr
    assert list(tmp_path.iterdir()) == []
