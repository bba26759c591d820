"""Every family that ``infer`` serves becomes a graph that computes what torch does, its batch free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import published_files
import pytest
from onnx_models import checkpoint, clips, features, gray, images, ratings, vca_checkpoint

from affectkit.checkpoints.onnx_export import export
from affectkit.checkpoints.onnx_file import read_header
from affectkit.core.progress import Silent
from affectkit.errors import CheckpointError
from affectkit.models.cmvqvae.emotion_classifier import MODES
from affectkit.models.v1.network import VARIANTS

pytestmark = pytest.mark.slow

SMALL = {"hidden": 16, "residual_hidden": 4, "codes": 16, "code_size": 8}
NEEDS = dict(zip(MODES, ("both", "image", "audio"), strict=True))
Make = Callable[[Path], Path]


def of(name: str, spec: Any, **options: Any) -> Make:
    return lambda folder: checkpoint(folder, name, spec, **options)


CASES: dict[str, tuple[Make, dict[str, Any], tuple[str, ...]]] = {
    "classification": (of("resnet18", images(64)), {}, ("image",)),
    "distribution, gray, vgg-avg": (of("resnet18", gray(64), top="vgg-avg"), {}, ("image",)),
    "flattened vgg": (of("resnet34", images(64), top="vgg"), {}, ("image",)),
    "ratings, mlp": (of("mobilenetv3_small_100", ratings(64), top="mlp", top_width=32), {}, ("image",)),
    "efficientnet": (of("efficientnet_b0", images(64)), {}, ("image",)),
    "convnext": (of("convnext_tiny", images(64)), {}, ("image",)),
    "vit": (of("vit_small_patch16_224", images(224)), {}, ("image",)),
    "face-seresnet in colour": (of("face-seresnet", images(48)), {}, ("image",)),
    "vca": (vca_checkpoint, {}, ("image",)),
    "vca head": (vca_checkpoint, {"head_only": True}, ("features",)),
    "vca ViT-B-32": (lambda folder: vca_checkpoint(folder, "ViT-B-32"), {}, ("image",)),
    "vca RN50": (lambda folder: vca_checkpoint(folder, "RN50"), {}, ("image",)),
    "cmvqvae-features": (of("cmvqvae-features", features(), codes=32), {}, ("image", "audio")),
    # One of the 42 samples has two codes that are equally near to a place (2e-6 apart), and torch takes the other.
    "cmvqvae at its size": (of("cmvqvae", clips(128), **SMALL), {"tolerance": 1e-2}, ("image", "audio")),
    "cmvqvae-baseline4": (of("cmvqvae-baseline4", clips()), {}, ("image", "audio")),
}
CASES |= {name: (of(name, images(64)), {}, ("image",)) for name in VARIANTS if name != "resnet50_v1"}
CASES |= {
    f"cmvqvae {mode} {mask} {quantizer}": (
        of("cmvqvae", clips(needs=NEEDS[mode]), mode=mode, mask=mask, quantizer=quantizer, **SMALL),
        {},
        ("image", "audio") if NEEDS[mode] == "both" else (NEEDS[mode],),
    )
    for mode, mask, quantizer in (
        ("multimodal", "binarizer", "ema"),
        ("image-only", "ternarizer", "plain"),
        ("audio-only", "attention", "ema"),
    )
}
CASES |= {
    f"cmvqvae-baseline{number}": (of(f"cmvqvae-baseline{number}", clips(), **SMALL), {}, ("image", "audio"))
    for number in (1, 2, 3)
}


@pytest.mark.parametrize("name", CASES)
def test_every_family_becomes_a_graph(name, tmp_path):
    make, options, inputs = CASES[name]
    out = tmp_path / "out.onnx"
    summary = export(make(tmp_path), out, reporter=Silent(), **options)
    found = summary["comparison"]["random"]
    assert found["samples"] == 42 and found.get("changed_labels", 0) == 0
    assert found["largest_difference"] <= options.get("tolerance", 1e-5) * max(found["largest_output"], 1)
    header = read_header(out)
    assert tuple(one.name for one in header.inputs) == inputs
    assert all(one.shape[0] is None for one in (*header.inputs, *header.outputs))
    print(f"{name}: {found['largest_difference']:.1e} of {found['largest_output']:.3g}")


REFUSED: dict[str, tuple[Make, str]] = {
    "randomizer": (of("cmvqvae", clips(), mask="randomizer", **SMALL), "operator aten::randint"),
}
"""A mask that is drawn anew for each batch."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_graph_is_refused(name, tmp_path):
    make, said = REFUSED[name]
    with pytest.raises(CheckpointError, match=said):
        export(make(tmp_path), tmp_path / "out.onnx", reporter=Silent())
    assert not (tmp_path / "out.onnx").exists()


def test_a_published_checkpoint_becomes_one_too(tmp_path, monkeypatch):
    published_files.learn_tiny(monkeypatch)
    source, out = published_files.write(tmp_path / "VCA.pth", published_files.make_state()), tmp_path / "out.onnx"
    found = export(source, out, reporter=Silent())["comparison"]["random"]
    assert found["largest_difference"] <= 1e-5 * max(found["largest_output"], 1)
    header = read_header(out)
    assert header.training["published"]["family"] == "vca" and header.spec.classes == ("arousal", "valence")
