"""The modules of CM-VQVAE against numbers computed with the published code, and against plain definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from filling import fill, images
from torch import nn

from affectkit.metrics.codes import code_counts, private_shared
from affectkit.metrics.codes import perplexity as perplexity_of
from affectkit.models.cmvqvae import quantiser
from affectkit.models.cmvqvae.autoencoder import Decoder, Encoder
from affectkit.models.cmvqvae.emotion_classifier import Solver
from affectkit.models.cmvqvae.mask import Masked
from affectkit.models.cmvqvae.quantiser import EmaQuantiser, Quantiser, nearest_codes
from affectkit.models.cmvqvae.reconstruction import mask_codes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "cmvqvae_modules.json").read_text())


def filled(module: nn.Module, wanted: dict) -> nn.Module:
    """``module`` with the golden parameters; it must have these and no others."""
    state = module.state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == wanted
    module.load_state_dict({name: fill(name, value.shape) for name, value in state.items()})
    return module.eval()


def assert_agree(found: torch.Tensor, golden: dict) -> None:
    flat = found.detach().double().flatten()
    assert list(found.shape) == golden["shape"]
    scale = golden["std"]
    assert float(flat.mean()) == pytest.approx(golden["mean"], rel=1e-5, abs=2e-7 + 1e-6 * scale)
    assert float(flat.std()) == pytest.approx(golden["std"], rel=1e-5)
    few = min(16, len(flat))
    np.testing.assert_allclose(flat[:few].numpy(), golden["first16"][:few], rtol=1e-5, atol=1.5e-6)
    np.testing.assert_allclose(flat[-4:].numpy(), golden["last4"], rtol=1e-5, atol=1.5e-6)


def vectors() -> torch.Tensor:
    return images(2, 64, 16, 16, seed=3) * 4 - 2


@pytest.mark.parametrize(("key", "kind"), [("vector_quantizer_ema", EmaQuantiser), ("vector_quantizer", Quantiser)])
def test_quantisers_as_published(key, kind):
    golden = GOLDEN[key]
    with torch.no_grad():
        found = filled(kind(32, 64), golden["params"])(vectors())
    assert float(found.losses.mean()) == pytest.approx(golden["eval"]["loss"], rel=1e-5)
    assert float(found.perplexity) == pytest.approx(golden["eval"]["perplexity"], rel=1e-5)
    assert_agree(found.vectors, golden["eval"]["quantized"])


def test_one_step_of_moving_averages_as_published():
    golden = GOLDEN["vector_quantizer_ema"]["one_training_step"]
    module = filled(EmaQuantiser(32, 64), GOLDEN["vector_quantizer_ema"]["params"]).train()
    found = module(vectors())
    assert float(found.losses.mean()) == pytest.approx(golden["loss"], rel=1e-5)
    assert float(found.perplexity) == pytest.approx(golden["perplexity"], rel=1e-5)
    assert_agree(module._ema_cluster_size, golden["ema_cluster_size"])
    assert_agree(module._ema_w, golden["ema_w"])
    assert_agree(module._embedding.weight, golden["embedding"])


@pytest.mark.parametrize(
    ("key", "module", "inputs"),
    [
        ("encoder_image", lambda: Encoder(3, 128, 2, 32), lambda: images(2, 3, 64, 64, seed=4)),
        ("encoder_audio", lambda: Encoder(1, 128, 2, 32, steps=3), lambda: images(2, 1, 64, 64, seed=5)),
        ("decoder_image", lambda: Decoder(64, 3, 128, 2, 32), lambda: vectors()[:, :, :8, :8]),
        ("decoder_audio", lambda: Decoder(64, 1, 128, 2, 32, steps=3), lambda: vectors()[:, :, :8, :8]),
    ],
)
def test_coders_as_published(key, module, inputs):
    with torch.no_grad():
        assert_agree(filled(module(), GOLDEN[key]["params"])(inputs()), GOLDEN[key]["output"])


@pytest.mark.parametrize("kind", ["binarizer", "ternarizer", "attention"])
def test_solvers_as_published(kind):
    golden = GOLDEN[f"task_solver_{kind}"]
    module = filled(Solver(64, 32, 6, kind=kind), golden["params"])
    codes = images(2, 128, 32, 32, seed=6) * 2 - 1
    with torch.no_grad():
        assert_agree(module(codes[:, :64], codes[:, 64:]), golden["logits"])
    assert float(module.private_shared_mask.detach().sum()) == pytest.approx(golden["shared_loss"], rel=1e-5)
    ratios = private_shared(module.effective_mask().numpy())
    key = next(name for name in golden if name.startswith("private_image"))
    assert list(ratios.values()) == pytest.approx(golden[key], rel=1e-6)


def test_probed_codes_as_published():
    golden = GOLDEN["masker"]
    module = Masked(128, kind="binarizer", init="1s", scale=0.01, threshold=0.005)
    module.load_state_dict({"private_shared_mask": fill("private_shared_mask", (128, 1, 1))})
    codes, mask = images(2, 128, 32, 32, seed=6) * 2 - 1, module.turned().detach()
    seen = 0
    for name, half in (("image", slice(0, 64)), ("audio", slice(64, 128))):
        for kind in ("shared", "private", "mixed"):
            key = f"{'mix' if kind == 'mixed' else kind}_{name}"
            assert_agree(mask_codes(codes[:, half], mask[half], kind), golden[key])
            seen += 1
    assert seen == 6


# --- definitions -----------------------------------------------------------------------------------------------------


def naive(vectors, book, commitment, *, ema):
    """One-hot matrix products, float64; the loss with its gradients by autograd."""
    flat = vectors.permute(0, 2, 3, 1).reshape(-1, book.shape[1])
    distances = (flat[:, None] - book[None]).square().sum(2)
    hot = torch.nn.functional.one_hot(distances.argmin(1), len(book)).to(flat)
    found = (hot @ book).view(vectors.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    loss = commitment * (found.detach() - vectors).square().mean()
    if not ema:
        loss = loss + (found - vectors.detach()).square().mean()
    return vectors + (found - vectors).detach(), loss, hot


@pytest.mark.parametrize("ema", [True, False])
def test_gradients_are_those_of_the_definition(ema):
    torch.manual_seed(0)
    module = (EmaQuantiser if ema else Quantiser)(16, 8).train()
    inputs, away = torch.randn(3, 8, 4, 4), torch.randn(3, 8, 4, 4)
    book = module._embedding.weight.detach().double().requires_grad_(not ema)
    one, two = inputs.clone().requires_grad_(), inputs.double().requires_grad_()
    found = module(one)
    ((found.vectors * away).sum() + found.losses.mean()).backward()
    vectors, loss, hot = naive(two, book, 0.25, ema=ema)
    ((vectors * away.double()).sum() + loss).backward()
    assert float(found.losses.detach().mean()) == pytest.approx(float(loss.detach()), rel=1e-6)
    torch.testing.assert_close(found.vectors.double(), vectors.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(one.grad.double(), two.grad, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.codes.flatten(), hot.argmax(1))
    if not ema:
        torch.testing.assert_close(module._embedding.weight.grad.double(), book.grad, rtol=1e-5, atol=1e-7)


def test_the_optimiser_cannot_touch_averaged_codes():
    module = EmaQuantiser(16, 8).train()
    assert list(module.parameters()) == []
    assert {"_embedding.weight", "_ema_w", "_ema_cluster_size"} == set(module.state_dict())
    before = module._embedding.weight.clone()
    module.eval()(torch.randn(2, 8, 4, 4))
    assert torch.equal(module._embedding.weight, before)
    module.train()(torch.randn(2, 8, 4, 4))
    assert not torch.equal(module._embedding.weight, before)


def test_a_code_that_nothing_chooses_stays_where_it_is():
    torch.manual_seed(1)
    module = EmaQuantiser(4, 2).train()
    module._embedding.weight[3] = module._ema_w[3] = torch.tensor([50.0, 50.0])
    for _ in range(20):
        module(torch.randn(8, 2, 4, 4))
    torch.testing.assert_close(module._embedding.weight[3], torch.tensor([50.0, 50.0]), rtol=1e-3, atol=0)


def test_nearest_in_chunks_and_on_ties(monkeypatch):
    torch.manual_seed(2)
    vectors, book = torch.randn(1000, 8), torch.randn(32, 8)
    whole = torch.cdist(vectors.double(), book.double()).argmin(1)
    assert torch.equal(nearest_codes(vectors, book), whole)
    monkeypatch.setattr(quantiser, "CHUNK", 7)
    assert torch.equal(nearest_codes(vectors, book), whole)
    assert torch.equal(nearest_codes(torch.zeros(2, 1), torch.tensor([[1.0], [-1.0], [1.0]])), torch.zeros(2).long())


def test_quantising_is_in_single_precision_under_autocast():
    torch.manual_seed(3)
    module, inputs = EmaQuantiser(64, 8).eval(), torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(inputs)
    assert found.vectors.dtype == torch.float32
    assert torch.equal(found.codes, module(inputs).codes)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("binarizer", [0, 0, 0, 1, 0]),
        ("ternarizer", [-1, 0, 0, 1, -1]),
        ("attention", [-0.01, 0.0, 0.004, 0.006, -0.001]),
    ],
)
def test_masks_and_their_gradients(kind, wanted):
    module = Masked(5, kind=kind, init="1s", scale=0.01, threshold=0.005)
    with torch.no_grad():
        module.private_shared_mask.copy_(torch.tensor([-0.01, 0.0, 0.004, 0.006, -0.001]).view(5, 1, 1))
    turned = module.turned()
    assert turned.flatten().tolist() == pytest.approx(wanted)
    weights = torch.arange(5.0).view(5, 1, 1)
    (turned * weights).sum().backward()
    assert torch.equal(module.private_shared_mask.grad, weights)


def test_the_random_mask_is_fixed_in_evaluation_alone():
    module = Masked(1000, kind="randomizer", init="uniform", scale=0.01, threshold=0.005)
    assert float(module.private_shared_mask.detach().abs().max()) <= 0.01
    module.eval()
    assert torch.equal(module.turned(), module.turned())
    assert float(module.turned().detach().mean()) == pytest.approx(0.5, abs=0.08)
    module.train()
    torch.manual_seed(0)
    one, two = module.turned(), module.turned()
    assert not torch.equal(one, two)
    torch.manual_seed(0)
    assert torch.equal(module.turned(), one)


def test_ratios_and_code_use():
    assert private_shared(np.zeros(8))["complementarity"] != private_shared(np.zeros(8))["complementarity"]  # NaN
    found = private_shared(np.array([1, 0, 0, 0, -1, 1, 0, 0]))
    assert found == {
        "private_image": 37.5, "private_audio": 25.0, "shared_image": 12.5, "shared_audio": 25.0, "complementarity": 0.5
    }  # fmt: skip
    counts = code_counts(np.array([[0, 0], [3, 3]]), 5)
    assert counts.tolist() == [2, 0, 0, 2, 0]
    assert perplexity_of(counts) == pytest.approx(2, rel=1e-6)
    with pytest.raises(Exception, match=r"\[0, 4\]"):
        code_counts(np.array([5]), 5)
