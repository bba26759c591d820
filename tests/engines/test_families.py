"""Exported models of other families on ONNX Runtime: torch's numbers, the same bytes for any batch."""

from __future__ import annotations

import numpy as np
import onnx_models
import pytest

from affectkit.checkpoints.onnx_export import export
from affectkit.core.progress import Silent
from affectkit.engines import onnx_model
from affectkit.engines.choice import choose_engine
from affectkit.engines.load import load_engine

SMALL = {"hidden": 16, "residual_hidden": 4, "codes": 16, "code_size": 8}
MODELS = {
    "gray": lambda folder: onnx_models.checkpoint(folder, "resnet18", onnx_models.gray(64)),
    "ratings": lambda folder: onnx_models.checkpoint(folder, "mobilenetv3_small_100", onnx_models.ratings(64)),
    "vca": onnx_models.vca_checkpoint,
    "clips": lambda folder: onnx_models.checkpoint(folder, "cmvqvae", onnx_models.clips(), mode="multimodal", **SMALL),
}


def drawn(spec, count):
    """A batch as loaders make them: pixels, and sounds as they are stored."""
    rng = np.random.default_rng(1)
    rough = rng.integers(0, 256, (count, 4, 4, spec.channels)).repeat(spec.height // 4, 1).repeat(spec.width // 4, 2)
    batch = {"image": np.clip(rough + rng.integers(-20, 20, rough.shape), 0, 255).astype(np.uint8)}
    if spec.clip is not None:
        import torch

        sound = spec.clip.sound
        values = rng.integers(-80 * 256, 0, (count, 1, sound.height, sound.width)).astype(np.int16)
        batch["image"] = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2)
        batch["audio"] = torch.from_numpy(values)
    return batch


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_an_exported_model_is_torchs_and_depends_on_no_batch(kind, tmp_path, monkeypatch):
    source = MODELS[kind](tmp_path)
    export(source, tmp_path / "out.onnx", reporter=Silent())
    monkeypatch.setattr(onnx_model, "TRIED_AFTER", 0)
    onnx, torch = (load_engine(choose_engine(path, device="cpu")) for path in (tmp_path / "out.onnx", source))
    assert (onnx.name, torch.name) == ("onnx", "torch") and onnx.spec == torch.spec
    batch = drawn(onnx.spec, 19)
    found, wanted = onnx.outputs(batch), torch.outputs(batch)
    assert found.shape == wanted.shape and np.ptp(wanted, axis=0).max() > 1e-3
    assert np.abs(found - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())
    for size in (1, 8, 10):
        parts = [{name: values[at : at + size] for name, values in batch.items()} for at in range(0, 19, size)]
        assert np.concatenate([onnx.outputs(part) for part in parts]).tobytes() == found.tobytes(), size
    print(kind, "blocks agree:", onnx._blocks_agree)
