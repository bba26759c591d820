"""A model on ONNX Runtime: the numbers of torch to 1e-5, and the same bytes for any batch and number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import affectkit
from affectkit.core.assets import onnx_file
from affectkit.engines import onnx_device, onnx_model
from affectkit.engines.choice import choose_engine
from affectkit.engines.engine import Engine
from affectkit.engines.load import load_engine
from affectkit.errors import AffectkitError, CheckpointError, DeviceError, RunError, UsageError

BUILT_IN = onnx_file("builtin")


def crops(count, seed=0):
    """Smooth images of the input size, as faces are."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (count, 6, 6, 1)).repeat(8, 1).repeat(8, 2)
    return (rough * 0.8 + rng.integers(0, 50, (count, 48, 48, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    return affectkit.load("builtin")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(BUILT_IN.read_bytes())
    return path


@pytest.fixture
def checkpoint(tmp_path):
    """A file that is found, and not read."""
    path = tmp_path / "best.safetensors"
    path.touch()
    return path


def test_outputs_are_torchs_to_five_digits(model):
    images = crops(40)
    torchs = affectkit.load("builtin", engine="torch")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        wanted = torchs(pixels.float() / 255).numpy()
    found = model(images)
    assert 0 < np.abs(found - wanted).max() < 1e-5
    assert np.abs(wanted).max() > 1
    one = model(pixels)
    assert isinstance(one, torch.Tensor) and np.array_equal(one.numpy(), found)


def test_a_sample_has_the_same_bytes_in_any_batch_and_with_any_threads(model, monkeypatch):
    images = crops(37)
    wanted = np.concatenate([model(images[at : at + 1]) for at in range(37)])
    monkeypatch.setattr(onnx_model, "TRIED_AFTER", 0)
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setattr(onnx_device, "count_processors", lambda: 8)
        fresh = affectkit.load("builtin")
        for size in (2, 8, 9, 37):
            found = np.concatenate([fresh(images[at : at + size]) for at in range(0, 37, size)])
            assert found.tobytes() == wanted.tobytes(), (threads, size)
        assert fresh._blocks_agree and (fresh._threads is not None) == (threads == "3")


def test_blocks_are_not_taken_where_their_numbers_differ(model, monkeypatch):
    monkeypatch.setattr(onnx_model, "TRIED_AFTER", 0)
    fresh, sizes = affectkit.load("builtin"), []
    real = fresh._run

    def by_size(feeds):
        count = len(feeds["image"])
        sizes.append(count)
        return real(feeds) + np.float32(1e-6) * (count > 1)

    monkeypatch.setattr(fresh, "_run", by_size)
    found = fresh(crops(20))
    assert sizes.count(8) == 1 and sizes.count(1) == 28
    assert np.array_equal(found, model(crops(20)))


def test_few_samples_are_run_alone_without_a_trial(monkeypatch):
    fresh, sizes = affectkit.load("builtin"), []
    real = fresh._run
    monkeypatch.setattr(fresh, "_run", lambda feeds: sizes.append(len(feeds["image"])) or real(feeds))
    fresh(crops(9))
    assert sizes == [1] * 9
    sizes.clear()
    fresh.outputs({"image": crops(9)}, exact=False)
    assert sizes == [9]


def test_what_is_no_image_is_refused(model):
    for images in (crops(2) / 255, crops(2)[:, :40], np.zeros((1, 48, 48, 3), np.uint8), torch.zeros(1, 48, 48, 1)):
        with pytest.raises(UsageError, match="this model takes uint8"):
            model(images)
    with pytest.raises(UsageError, match="of type list"):
        model([1, 2])
    with pytest.raises(AttributeError, match="engine='torch'"):
        model.state_dict  # noqa: B018


def test_it_is_an_engine_that_predict_takes(model, file):
    assert isinstance(model, Engine) and model.spec.height == 48 and model.takes_faces
    other = affectkit.load(file)
    assert other.checkpoint_hash == model.checkpoint_hash and repr(other).startswith(f"OnnxModel({file}")
    image = np.full((48, 48), 90, np.uint8)
    rows = [list(affectkit.predict(one, [image, image])) for one in (model, other)]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def test_a_fault_of_the_library_is_one_message(model, monkeypatch):
    class Broken:
        def run(self, *given):
            raise RuntimeError("bad allocation\n  at node 3")

    fresh = affectkit.load("builtin")
    monkeypatch.setattr(fresh, "_session", Broken())
    with pytest.raises(RunError, match="bad allocation at node 3"):
        fresh(crops(1))


def test_a_file_that_onnxruntime_cannot_run_is_refused(file):
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"ReduceMean", b"ReduceNone"))
    with pytest.raises(CheckpointError, match="changed on the disk"):
        affectkit.load(file)
    with pytest.raises(CheckpointError, match="cannot run"):
        affectkit.load(file, verify=False)


# --- the choice ------------------------------------------------------------------------------------------------------


def test_auto_is_onnx_for_the_built_in_model_and_onnx_files(file, checkpoint):
    chosen = [choose_engine(path, device="cpu").engine for path in ("builtin", file, checkpoint)]
    assert chosen == ["onnx", "onnx", "torch"]
    built_in = choose_engine("builtin", device="cpu")
    assert built_in.path == BUILT_IN and "built-in" in built_in.reason and built_in.context.precision.name == "fp32"
    assert choose_engine("builtin", "torch", device="cpu").path.suffix == ".safetensors"


@pytest.mark.parametrize(
    ("asked", "why"),
    [({"compiled": True}, "--compile"), ({"precision": "bf16"}, "--precision bf16")],
)
def test_auto_takes_torch_for_what_torch_alone_does(asked, why):
    found = choose_engine("builtin", device="cpu", **asked)
    assert found.engine == "torch" and why in found.reason and found.path.suffix == ".safetensors"


def test_auto_takes_torch_where_onnxruntime_does_not_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = choose_engine("builtin")
    assert found.engine == "torch" and "onnxruntime" in found.reason
    with pytest.raises(AffectkitError, match="onnxruntime"):
        load_engine(choose_engine("builtin", "onnx", device="cpu"))


@pytest.mark.parametrize(
    ("engine", "options", "error", "text"),
    [
        ("torch", {}, UsageError, "is an ONNX file, which ONNX Runtime alone runs"),
        ("auto", {"precision": "bf16"}, UsageError, "computes an .onnx file as it was written"),
        ("onnx", {"compiled": True}, UsageError, "--compile is torch's compiler"),
        ("auto", {"device": "cuda:1"}, DeviceError, "computes on the CPU alone"),
        ("auto", {"device": "mps"}, DeviceError, "on the CPU and on CUDA alone"),
        ("auto", {"device": "gpu"}, UsageError, "unknown device 'gpu'"),
        ("tensorrt", {}, UsageError, "unknown engine 'tensorrt'"),
    ],
)
def test_what_does_not_go_together_is_refused(file, engine, options, error, text):
    with pytest.raises(error, match=text):
        choose_engine(file, engine, **options)


def test_options_of_other_checkpoints_are_refused(file, checkpoint):
    with pytest.raises(UsageError, match=r"--mode has no effect.*own\.onnx"):
        affectkit.load(file, mode="multimodal")
    with pytest.raises(UsageError, match="affectkit export"):
        choose_engine(checkpoint, "onnx")


def test_a_foreign_onnx_file_is_refused(tmp_path):
    from onnx_files import write_yunet

    write_yunet(tmp_path / "yunet.onnx")
    with pytest.raises(CheckpointError, match="none of affectkit"):
        affectkit.load(tmp_path / "yunet.onnx")


# --- what is loaded --------------------------------------------------------------------------------------------------

HEAVY = ("torch", "torchvision", "torchaudio", "timm", "scipy.stats", "matplotlib", "pandas", "pyarrow", "onnx")
SCRIPT = """
import io, sys
from affectkit.__main__ import main
sys.argv[1:] = {arguments!r}
sys.stdout = io.StringIO()
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
rows = sys.stdout.getvalue().splitlines()
sys.stdout = sys.__stdout__
import os
assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
print(len(rows), *sorted(set({heavy!r}) & sys.modules.keys()))
"""


@pytest.mark.parametrize("kind", ["image", "video"])
def test_infer_with_the_built_in_model_loads_nothing_heavy(kind, tmp_path):
    from films import write_film
    from PIL import Image

    if kind == "image":
        path = tmp_path / "a.png"
        Image.fromarray(crops(1)[0, :, :, 0]).save(path)
    else:
        path = write_film(tmp_path / "a.mp4", 12)
    text = SCRIPT.format(arguments=["infer", str(path)], heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=120,
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
    )
    assert done.returncode == 0, done.stderr
    count, *heavy = done.stdout.split()
    assert int(count) >= 2 and heavy == [], done.stdout
    assert "engine onnx: ONNX Runtime" in done.stderr


def test_samples_of_weights_of_8_bits_are_run_alone_whatever_is_asked(monkeypatch):
    """Their activations' range is taken over a batch: a neighbour would change the outputs by percents."""
    monkeypatch.setattr(onnx_model, "TRIED_AFTER", 0)
    fresh, sizes = affectkit.load("builtin"), []
    fresh.header = replace(fresh.header, precision="int8")
    real = fresh._run
    monkeypatch.setattr(fresh, "_run", lambda feeds: sizes.append(len(feeds["image"])) or real(feeds))
    for exact in (True, False):
        fresh.outputs({"image": crops(9)}, exact=exact)
    assert sizes == [1] * 18 and fresh.described.endswith(", int8 weights")
