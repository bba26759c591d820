"""V1 components: the golden numbers, and gradients against naive versions in float64."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from filling import fill, images

from affectkit.errors import UsageError
from affectkit.models.v1.center_surround import CenterSurround
from affectkit.models.v1.local_rf import LocalReceptiveField
from affectkit.models.v1.normalisation import DivisiveNormalisation, TunedNormalisation
from affectkit.models.v1.polar import CorticalMagnification, polar_bins, polar_masks

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "v1_modules.json").read_text())
MODULES = {
    "center_surround": lambda: CenterSurround(4, 2),
    "local_rf": lambda: LocalReceptiveField(16, 8, 16, 16),
    "tuned_norm": lambda: TunedNormalisation(16),
    "div_norm": lambda: DivisiveNormalisation(16),
    "cortical_magnification": lambda: CorticalMagnification(32),
}


def filled(name: str) -> torch.nn.Module:
    module = MODULES[name]()
    with torch.no_grad():
        for key, value in module.named_parameters():
            value.copy_(fill(key, value.shape))
    return module


def example(name: str) -> torch.Tensor:
    return images(2, 4, 32, 32, seed=2) if name == "cortical_magnification" else images(2, 16, 16, 16, seed=1)


@pytest.mark.parametrize("name", list(MODULES))
def test_golden_numbers(name):
    expected = GOLDEN[name]["output"]
    module = filled(name)
    # The bias of the centre-surround filters is stored by the published code and read nowhere.
    held = {key: list(value.shape) for key, value in module.named_parameters()}
    assert held == {key: shape for key, shape in GOLDEN[name].get("params", {}).items() if key != "dog_conv.bias"}
    with torch.no_grad():
        found = module(example(name))
    assert list(found.shape) == expected["shape"]
    scale = float(found.abs().max())
    values = found.flatten()
    np.testing.assert_allclose(values[:16].numpy(), expected["first16"], rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(values[-4:].numpy(), expected["last4"], rtol=1e-5, atol=1e-6 * scale)
    assert float(found.mean()) == pytest.approx(expected["mean"], rel=1e-5, abs=1e-6)
    assert float(found.std()) == pytest.approx(expected["std"], rel=1e-5)


def test_golden_tables():
    table = TunedNormalisation(16).channel_distances
    assert table[0].tolist() == GOLDEN["tuned_norm"]["channel_distances_row0"]
    assert table[1].tolist() == GOLDEN["tuned_norm"]["channel_distances_row1"]
    sums = polar_masks(32)[0].sum(2)
    for ring, key in ((0, "mask_sums_first_ring"), (5, "mask_sums_ring5"), (-1, "mask_sums_last_ring")):
        np.testing.assert_allclose(sums[ring].numpy(), GOLDEN["cortical_magnification"][key], atol=1e-3)


# --- naive versions, a loop where a loop says it best ----------------------------------------------------------------


def naive_center_surround(x, p):
    d, k = 4, 2
    y, z = torch.meshgrid(torch.arange(-k, k + 1), torch.arange(-k, k + 1), indexing="ij")
    d2 = (y**2 + z**2).double()
    s1 = p["dog_conv.sigma1"].clamp(min=0.1)
    s2 = s1 * p["dog_conv.sigma2_scale"].clamp(min=1.0001)
    kernel = (s1 / math.pi * torch.exp(-d2 / s1) - s2 / math.pi * torch.exp(-d2 / s2)) * p["dog_conv.total_scale"]
    kernel = kernel / (kernel**2).sum(0, keepdim=True).sqrt()
    out = []
    for o in range(d):
        total = 0
        for i in range(d):
            padded = F.pad(x[:, i], (k, k, k, k))
            for a in range(2 * k + 1):
                for b in range(2 * k + 1):
                    total = total + kernel[o * d + i, a, b] * padded[:, a : a + x.shape[2], b : b + x.shape[3]]
        out.append(total)
    return torch.cat([torch.stack(out, 1), x[:, d:]], 1)


def naive_local_rf(x, p):
    padded = F.pad(x, (1, 1, 1, 1))
    weight = p["weight"][0]
    rows = []
    for h in range(x.shape[2]):
        cells = []
        for w in range(x.shape[3]):
            field = padded[:, :, h : h + 3, w : w + 3].reshape(len(x), -1)
            cells.append(field @ weight[:, :, h, w].reshape(weight.shape[0], -1).T)
        rows.append(torch.stack(cells, 2))
    return torch.stack(rows, 2)


def naive_tuned_norm(x, p):
    n = x.shape[1]
    row = [abs(j - n // 2) for j in range(n)]
    columns = []
    for j in range(n):
        s = p["sigmas"][j].clamp(min=0.5)
        g = torch.stack([torch.exp(-(row[(j - i) % n] ** 2) / (2 * s**2)) / (2.5066 * s) for i in range(n)])
        columns.append(g / g.sum())
    return x / (1 + torch.einsum("ij,bjhw->bihw", torch.stack(columns, 1), x))


def naive_div_norm(x, p):
    kernel = []
    for row in (1.0, 2.0, 3.0):
        for column in (1.0, 2.0, 3.0):
            turned = (
                column * p["theta"].cos() + row * p["theta"].sin(),
                -column * p["theta"].sin() + row * p["theta"].cos(),
            )
            power = (turned[0] - p["v"]) ** 2 / (p["rho"] ** 2).clamp(min=0.1)
            power = power + (turned[1] - p["w"]) ** 2 / (p["sigma"] ** 2).clamp(min=0.1)
            kernel.append((p["A"] / (2 * math.pi * p["rho"] * p["sigma"]).clamp(min=0.1)).abs() * torch.exp(-power / 2))
    kernel = torch.cat(kernel, 2).reshape(*p["A"].shape[:2], 3, 3)
    return x / (F.conv2d(x, kernel, padding=1) + p["bias"].abs())


def naive_magnification(x, p):
    weights, total = polar_masks(32)
    field = (x[:, :, None, None] * weights.view(18, 30, 32, 32)).sum((4, 5)) / total
    field = F.pad(field, (1, 1, 0, 0), mode="reflect")
    return F.interpolate(field, (16, 16), mode="bilinear", antialias=True, align_corners=False)


NAIVE = {
    "center_surround": naive_center_surround, "local_rf": naive_local_rf, "tuned_norm": naive_tuned_norm,
    "div_norm": naive_div_norm, "cortical_magnification": naive_magnification,
}  # fmt: skip


@pytest.mark.parametrize("name", list(MODULES))
def test_gradients_are_those_of_a_naive_version(name):
    module = filled(name).double()
    ours, theirs = (example(name).double().requires_grad_() for _ in range(2))
    naive = {key: value.detach().clone().requires_grad_() for key, value in module.named_parameters()}
    found, expected = module(ours), NAIVE[name](theirs, naive)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    push = torch.from_numpy(np.random.default_rng(0).normal(size=tuple(found.shape)))
    (found * push).sum().backward()
    (expected * push).sum().backward()
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(ours.grad, theirs.grad, **tolerance)
    checked = 0
    for key, value in module.named_parameters():
        torch.testing.assert_close(value.grad, naive[key].grad, **tolerance, msg=lambda text, key=key: f"{key}: {text}")
        assert float(value.grad.abs().max()) > 1e-6
        checked += 1
    assert checked == {"center_surround": 3, "local_rf": 1, "tuned_norm": 1, "div_norm": 7}.get(name, 0)


# --- behaviour -------------------------------------------------------------------------------------------------------


def test_rows_are_rings_from_the_centre_out():
    """Of a picture of radii; beyond a radius of 16 there are bins without a pixel, and their rows fall."""
    row, column = np.mgrid[:32, :32]
    radius = torch.from_numpy(np.hypot(column - 16, 16 - row)).float()[None, None]
    rows = CorticalMagnification()(radius)[0, 0].mean(1)
    np.testing.assert_allclose(rows[:12].numpy(), 1.15 * np.arange(12) + 0.3, atol=0.6)
    assert bool((rows[:12].diff() > 0.9).all()) and rows[15] < rows[12]
    ring, angle = polar_bins(32)
    assert ring[16, 16] == 0 and angle[16, 31] == 0 and angle[0, 16] == 7 and ring[0, 0] == 17


@pytest.mark.parametrize("side", [32, 48, 64, 112])
def test_magnification_of_other_sizes_keeps_the_mean_of_a_flat_field(side):
    found = CorticalMagnification(side)(torch.ones(1, 2, side, side))
    assert found.shape == (1, 2, side // 2, side // 2)
    # Bins beyond the corners hold no pixel; in half precision a mean of ones is one to a thousandth.
    middle = found[:, :, : side // 4]
    torch.testing.assert_close(middle, torch.ones_like(middle), atol=2e-3, rtol=0)


def test_sizes_that_a_component_does_not_take():
    for side in (31, 33, 16):
        with pytest.raises(UsageError, match=f"even side of 32 or more; got {side}"):
            CorticalMagnification(side)
    with pytest.raises(UsageError, match="made for 32x32; got 16x16"):
        CorticalMagnification()(torch.zeros(1, 3, 16, 16))
    with pytest.raises(UsageError, match="made for maps of 4x8x8; got 4x8x9"):
        LocalReceptiveField(4, 4, 8, 8)(torch.zeros(1, 4, 8, 9))


def test_initial_values_are_the_published_ones():
    torch.manual_seed(0)
    filters, fields, tuned = CenterSurround(16, 2).dog_conv, LocalReceptiveField(64, 64, 8, 8), TunedNormalisation(256)
    for value in (filters.sigma1, filters.sigma2_scale):
        assert 1 <= value.min().item() < 1.05 and 1.95 < value.max().item() <= 2
    assert filters.total_scale.std().item() == pytest.approx(2, rel=0.1)
    assert fields.weight.std().item() == pytest.approx(1, rel=0.01) and abs(fields.weight.mean().item()) < 0.01
    assert tuned.sigmas.min().item() >= 32 and tuned.sigmas.max().item() <= 33


@pytest.mark.parametrize("name", list(MODULES))
def test_low_precision_and_channels_last(name):
    module, x = filled(name), example(name)
    with torch.no_grad():
        plain = module(x)
        torch.testing.assert_close(module(x.contiguous(memory_format=torch.channels_last)), plain, rtol=1e-5, atol=1e-5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = module(x)
    scale = float(plain.abs().max())
    assert float((rough.float() - plain).abs().max()) < 0.05 * scale
