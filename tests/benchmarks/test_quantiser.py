"""A training step of the quantiser beside a straightforward version with one-hot matrix products.

pytest -m benchmark tests/benchmarks/test_quantiser.py -s
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from benchmarks.measuring import show
from torch import nn
from torch.nn import functional as F

from affectkit.models.cmvqvae.quantiser import EmaQuantiser

pytestmark = pytest.mark.benchmark
BATCH, SIZE, SIDE, CODES = 128, 64, 32, 512
AT_LEAST = 1.3
REPEATED = 7


class OneHot(nn.Module):
    """The same quantiser as its formulas read: distances of all pairs, one-hot rows, matrix products."""

    def __init__(self, codes: int, size: int, commitment: float = 0.25, decay: float = 0.99) -> None:
        super().__init__()
        self.codes, self.commitment, self.decay, self.epsilon = codes, commitment, decay, 1e-5
        self.register_buffer("_book", torch.empty(codes, size))
        self.register_buffer("_sizes", torch.empty(codes))
        self.register_buffer("_sums", torch.empty(codes, size))

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The codes (B, D, H, W), the loss and the perplexity."""
        rows = z.permute(0, 2, 3, 1).contiguous()
        flat = rows.view(-1, rows.shape[-1])
        distances = (flat**2).sum(1, keepdim=True) + (self._book**2).sum(1) - 2 * flat @ self._book.t()
        hot = torch.zeros(len(flat), self.codes, device=z.device)
        hot.scatter_(1, distances.argmin(1, keepdim=True), 1)
        quantised = (hot @ self._book).view(rows.shape)
        if self.training:
            with torch.no_grad():
                sizes = self.decay * self._sizes + (1 - self.decay) * hot.sum(0)
                total = sizes.sum()
                self._sizes.copy_((sizes + self.epsilon) / (total + self.codes * self.epsilon) * total)
                self._sums.copy_(self.decay * self._sums + (1 - self.decay) * hot.t() @ flat)
                self._book.copy_(self._sums / self._sizes[:, None])
        loss = self.commitment * F.mse_loss(quantised.detach(), rows)
        quantised = rows + (quantised - rows).detach()
        shares = hot.mean(0)
        return quantised.permute(0, 3, 1, 2), loss, torch.exp(-(shares * torch.log(shares + 1e-10)).sum())


def pair(codes: int, size: int) -> tuple[EmaQuantiser, OneHot]:
    """Both in the same state."""
    torch.manual_seed(0)
    ours, naive = EmaQuantiser(codes, size).train(), OneHot(codes, size).train()
    naive.load_state_dict(
        {"_book": ours._embedding.weight, "_sizes": ours._ema_cluster_size, "_sums": ours._ema_w}, strict=True
    )
    return ours, naive


def step(module: nn.Module, z: torch.Tensor, towards: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """One training pass, there and back: codes, loss, perplexity and the gradient of ``z``."""
    z.grad = None
    found = module(z)
    vectors, loss, perplexity = (found[0], found.losses.mean(), found.perplexity) if hasattr(found, "losses") else found
    torch.autograd.backward([vectors, loss], [towards, torch.ones(())])
    return vectors.detach(), loss.detach(), perplexity, z.grad


def test_a_training_step_of_the_quantiser(capsys):
    ours, naive = pair(CODES, SIZE)
    z = torch.randn(BATCH, SIZE, SIDE, SIDE, requires_grad=True)
    towards = torch.randn(BATCH, SIZE, SIDE, SIDE)
    one, other = step(ours, z, towards), step(naive, z, towards)
    names = ("codes", "loss", "perplexity", "gradient")
    for name, found, expected in zip(names, one, other, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    states = ((ours._embedding.weight, naive._book), (ours._ema_cluster_size, naive._sizes), (ours._ema_w, naive._sums))
    for found, expected in states:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    del one, other
    times: dict[str, list[float]] = {"naive": [], "ours": []}
    for _ in range(REPEATED):
        for name, module in (("naive", naive), ("ours", ours)):
            began = time.perf_counter()
            step(module, z, towards)
            times[name].append(time.perf_counter() - began)
    ratio = statistics.median(slow / fast for slow, fast in zip(times["naive"], times["ours"], strict=True))
    rows = [(name, 1e3 * statistics.median(values), 1e3 * min(values)) for name, values in times.items()]
    show(capsys, (f"{BATCH} maps of {SIDE}x{SIDE}x{SIZE}, {CODES} codes", "ms, median", "ms, least"), rows)
    show(capsys, ("", "times faster"), [("ours", ratio)])
    assert ratio >= AT_LEAST
