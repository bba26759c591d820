"""``export``: the graph is the network, its batch is free, and the file in the package is what is made today."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_models
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from affectkit.checkpoints import onnx_export
from affectkit.checkpoints.checkpoint import load_model, make_task
from affectkit.checkpoints.onnx_export import export
from affectkit.checkpoints.onnx_file import GraphInput, read_header
from affectkit.checkpoints.onnx_graph import Pixels, make_graph
from affectkit.core.assets import check_shipped, model_file, onnx_file
from affectkit.core.files import sha256
from affectkit.core.progress import Silent
from affectkit.data.loading.transforms import normalise
from affectkit.errors import CheckpointError, DataError, LibraryError, UsageError

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


# --- other networks ------------------------------------------------------------------------------------------------

TRACED: dict[str, tuple] = {}


@pytest.fixture
def traced_once(monkeypatch):
    """Trace a network once for all tests of this file, which takes most of an export."""

    def once(module, inputs, task):
        key = f"{module} {inputs}"
        if key not in TRACED:
            TRACED[key] = make_graph(module, inputs, task)
        proto, outputs = TRACED[key]
        copied = onnx.ModelProto()
        copied.CopyFrom(proto)
        return copied, outputs

    monkeypatch.setattr(onnx_export, "make_graph", once)


@pytest.fixture(scope="module")
def tower(tmp_path_factory) -> Path:
    """A VCA on a tiny CLIP."""
    return onnx_models.vca_checkpoint(tmp_path_factory.mktemp("vca"))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small network of timm for gray pictures."""
    return onnx_models.checkpoint(tmp_path_factory.mktemp("small"), "test_resnet", onnx_models.gray(32))


def test_gray_is_pillows_to_the_bit_and_gray_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 97, 101, 3), dtype=np.uint8)
    pixels[0, :3] = [[[0]], [[255]], [[128]]]
    seen = Pixels(onnx_models.images(97, channels=1, mean=(0.0,), std=(1.0,)))
    wanted = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in pixels])
    found = seen(torch.from_numpy(pixels))
    assert torch.equal(found, torch.from_numpy(wanted)[:, None].float().div(255))
    between = torch.rand(2, 5, 5, 1) * 255
    assert torch.equal(seen(between.expand(-1, -1, -1, 3)), between.permute(0, 3, 1, 2).div(255))


def test_head_alone_takes_features_and_a_third_reader_agrees(traced_once, tower, tmp_path):
    out = tmp_path / "head.onnx"
    summary = export(tower, out, head_only=True, data=pictures(tmp_path / "pictures"), reporter=Silent())
    assert summary["comparison"]["data"]["samples"] == 5 and "changed_labels" not in summary["comparison"]["data"]
    header = read_header(out)
    assert [(one.name, one.kind, one.shape) for one in header.inputs] == [("features", "features", (None, 64))]
    assert [one.name for one in header.outputs] == ["ratings"]
    features = np.random.default_rng(0).standard_normal((3, 64), dtype=np.float32)
    (found,) = session_of(out).run(None, {"features": features})
    # The standard's own implementation of its operators, in NumPy.
    (third,) = ReferenceEvaluator(onnx.load(out)).run(None, {"features": features})
    with torch.inference_mode():
        wanted = load_model(tower)(torch.from_numpy(features)).numpy()
    assert np.abs(found - wanted).max() <= 1e-5 and np.abs(third - wanted).max() <= 1e-5


def test_half_rounds_and_int8_measures_what_it_costs(traced_once, small, tmp_path):
    data = pictures(tmp_path / "pictures")
    full, half, eighth = (
        export(small, tmp_path / f"{name}.onnx", precision=name, data=data, samples=4, reporter=Silent())
        for name in ("fp32", "fp16", "int8")
    )
    sizes = [one["bytes_after"] for one in (full, half, eighth)]
    assert sizes[1] < 0.65 * sizes[0] and sizes[2] < 0.5 * sizes[0]
    apart = [one["comparison"]["data"]["largest_difference"] for one in (full, half, eighth)]
    assert apart[0] < 1e-5 < apart[1] and apart[0] < apart[2]
    for one, name in ((full, "fp32"), (half, "fp16"), (eighth, "int8")):
        assert one["comparison"]["data"]["samples"] == 4 and one["comparison"]["data"]["changed_labels"] >= 0
        assert read_header(tmp_path / f"{name}.onnx").precision == name
    assert read_header(tmp_path / "int8.onnx").comparison["tolerance"] is None
    # Measured as it runs: ranges are taken over a batch, so that a sample among others comes out another way.
    graph, noise = (
        session_of(tmp_path / "int8.onnx"),
        np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8),
    )
    noise[1:] //= 8
    alone, among = (graph.run(None, {"image": given})[0][0] for given in (noise[:1], noise))
    assert np.abs(alone - among).max() > 0


def pictures(folder: Path, count: int = 5) -> Path:
    """Pictures of several sizes, some gray, in a folder and one below it."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("below" if number % 2 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (40 + number, 50) if number == 2 else (40 + number, 50, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder


# --- what is refused -----------------------------------------------------------------------------------------------


class Svd(nn.Module):
    def forward(self, image):
        return torch.linalg.svdvals(image[:, None] * torch.ones(1, 4, 1))[:, :2]


class Apart(nn.Module):
    def forward(self, image):
        return torch.stack([row[:2] for row in image])


class Branch(nn.Module):
    def forward(self, image):
        return image[:, :2] if image.sum() > 0 else -image[:, :2]


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Svd, r"nothing for its operator aten\._linalg_svd"),
        (Apart, "with a free batch: it takes its batch apart"),
        (Branch, "depends on values, and not on shapes alone"),
    ],
)
def test_what_cannot_be_a_graph_is_refused_with_the_reason(network, said):
    task = make_task(onnx_models.images(4))
    given = (GraphInput("image", "float32", (None, 4), "numbers", "features", "NC"),)
    with pytest.raises(CheckpointError, match=said):
        make_graph(network().eval(), given, task)


def test_a_difference_above_the_bound_leaves_no_file(traced_once, tower, tmp_path):
    out = tmp_path / "head.onnx"
    with pytest.raises(CheckpointError, match=r"differs from torch by .*more than 1e-12.*nothing is written"):
        export(tower, out, head_only=True, tolerance=1e-12, reporter=Silent())
    assert list(tmp_path.iterdir()) == []
    out.write_text("before")
    with pytest.raises(CheckpointError, match="differs from torch"):
        export(tower, out, head_only=True, tolerance=1e-12, force=True, reporter=Silent())
    assert out.read_text() == "before" and list(tmp_path.iterdir()) == [out]


def test_a_wrong_graph_is_noticed(traced_once, tower, tmp_path, monkeypatch):
    once = onnx_export.make_graph

    def slightly_wrong(module, inputs, task):
        proto, outputs = once(module, inputs, task)
        (bias,) = (one for one in proto.graph.initializer if one.name == "head.LastFC.bias")
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1e-3), bias.name))
        return proto, outputs

    monkeypatch.setattr(onnx_export, "make_graph", slightly_wrong)
    with pytest.raises(CheckpointError, match=r"differs from torch by 0\.001"):
        export(tower, tmp_path / "head.onnx", head_only=True, reporter=Silent())
    assert list(tmp_path.iterdir()) == []


def test_refusals_before_any_work(traced_once, tower, tmp_path, monkeypatch):
    def refused(error, said, source=tower, name="o.onnx", **options):
        with pytest.raises(error, match=said):
            export(source, tmp_path / name, reporter=Silent(), **options)

    (tmp_path / "there.onnx").write_text("")
    refused(UsageError, r"o\.pt must end in \.onnx", name="o.pt")
    refused(UsageError, r"there\.onnx is there already", name="there.onnx")
    refused(UsageError, r"there\.onnx is an ONNX file already", tmp_path / "there.onnx")
    refused(
        UsageError, "--head-only is for models on a frozen encoder; face-seresnet has none", "builtin", head_only=True
    )
    refused(DataError, "does not exist", data=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused(DataError, "holds no images", data=tmp_path / "empty")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no picture")
    refused(DataError, r"cannot be read:\n.*x\.png", data=tmp_path / "bad", head_only=True)
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "MAX_ONNX_BYTES", 1000)
        refused(CheckpointError, "an ONNX file holds at most 1,000")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(LibraryError, match="export needs onnxscript, which cannot be imported") as caught:
        export(tower, tmp_path / "o.onnx", reporter=Silent())
    assert "affectkit[export]" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "empty", "there.onnx"]
