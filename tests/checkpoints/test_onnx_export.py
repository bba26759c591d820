"""``export``: the graph is the network, its batch is free, and the file in the package is what is made today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

from affectkit.checkpoints.checkpoint import load_model
from affectkit.checkpoints.onnx_export import export
from affectkit.checkpoints.onnx_file import read_header
from affectkit.core.assets import check_shipped, model_file, onnx_file
from affectkit.core.files import sha256
from affectkit.core.progress import Silent
from affectkit.data.loading.transforms import normalise

BATCHES = (1, 2, 7, 32)


def session_of(path: Path | bytes) -> onnxruntime.InferenceSession:
    given = path if isinstance(path, bytes) else str(path)
    return onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])


def weights_of(path: Path) -> dict[str, np.ndarray]:
    """The tensors in a graph, by the names that they have in the network."""
    found = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    return {name.removeprefix("model.").removesuffix(".half"): value for name, value in found.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    """The built-in model, exported today."""
    path = tmp_path_factory.mktemp("export") / "made.onnx"
    return path, export("builtin", path, reporter=Silent())


# --- the file in the package ---------------------------------------------------------------------------------------


def test_shipped_file_is_small_and_known():
    path = onnx_file("builtin")
    assert path == onnx_file("affectkit:ferplus-small") and path.stat().st_size <= 9_000_000
    check_shipped(path, sha256(path))
    header, source = read_header(path), load_model("builtin")
    assert header.source_sha256 == source.checkpoint_hash == sha256(model_file("builtin"))
    assert header.spec == source.spec and header.model == source.header.model and header.takes_faces
    assert header.training == source.header.training and header.options == source.header.options
    assert onnx_file("some/path.safetensors") is None


def test_shipped_file_has_the_tensors_of_the_checkpoint():
    wanted = load_file(model_file("builtin"))
    found = weights_of(onnx_file("builtin"))
    compared, halves = 0, 0
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):
            continue
        assert np.array_equal(found[name].astype(np.float32), value.float().numpy()), name
        compared += 1
        halves += found[name].dtype == np.float16
    assert compared > 100 and halves > 80


@pytest.mark.parametrize("batch", BATCHES)
def test_shipped_file_computes_what_torch_does(batch):
    model = load_model("builtin")
    pixels = np.random.default_rng(batch).integers(0, 256, (batch, 48, 48, 1), dtype=np.uint8)
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        wanted = model(normalise(images, model.spec)).numpy()
    (found,) = session_of(onnx_file("builtin")).run(None, {"image": np.repeat(pixels, 3, 3)})
    assert found.shape == (batch, 8)
    assert np.abs(found - wanted).max() <= 1e-5


def test_shipped_file_is_what_export_writes(made):
    path, summary = made
    shipped, today = weights_of(onnx_file("builtin")), weights_of(path)
    named = {name for name in shipped if name in load_file(model_file("builtin"))}
    assert len(named) > 100 and named <= set(today)
    for name in named:
        assert shipped[name].dtype == today[name].dtype and np.array_equal(shipped[name], today[name]), name
    was, is_now = read_header(onnx_file("builtin")), read_header(path)
    for name in (
        "spec",
        "inputs",
        "outputs",
        "training",
        "options",
        "source_sha256",
        "precision",
        "reading",
        "licence",
    ):
        assert getattr(was, name) == getattr(is_now, name), name
    pixels = np.random.default_rng(0).integers(0, 256, (7, 48, 48, 3), dtype=np.uint8)
    one, other = (session_of(file).run(None, {"image": pixels})[0] for file in (onnx_file("builtin"), path))
    assert np.abs(one - other).max() <= 1e-5
    assert summary["comparison"]["random"]["largest_difference"] <= 1e-5
