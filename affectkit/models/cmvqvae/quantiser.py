"""Vector quantisation: each vector becomes the nearest of a book of codes.

van den Oord et al., "Neural Discrete Representation Learning" (2017), section 3 and appendix A.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

CHUNK = 4096
"""Vectors whose distances to all codes are held at once: 8 MB at 512 codes, which caches can hold."""


class Quantised(NamedTuple):
    """Results of quantising (B, D, H, W): the codes in place of the vectors (gradients pass straight through), the loss
    of each sample (B,), the perplexity of the batch (0-d), and the number of each vector's code (B, H, W)."""

    vectors: torch.Tensor
    losses: torch.Tensor
    perplexity: torch.Tensor
    codes: torch.Tensor


class _Committed(torch.autograd.Function):
    """``codes`` as if they were ``vectors``, (N, D) both, and weight * MSE(sg[codes], vectors) of each, (N,).

    Both at once, for what autograd would make of the formulas passes over memory twice as often.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: torch.Tensor, codes: torch.Tensor, weight: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gap = vectors - codes
        ctx.save_for_backward(gap)
        ctx.weight = weight
        return codes.clone(), weight * gap.square().mean(1)

    @staticmethod
    def backward(ctx: Any, straight: torch.Tensor, losses: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gap,) = ctx.saved_tensors
        return torch.addcmul(straight, gap, losses[:, None], value=2 * ctx.weight / gap.shape[1]), None, None


def nearest_codes(vectors: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Return the number of the nearest code of each vector, by squared distance; the first on a tie.

    Args:
        vectors: (N, D).
        book: (K, D), of the same type.

    Returns:
        (N,) int64.
    """
    # |z - e|^2 without |z|^2, which is the same for all codes.
    squares = book.pow(2).sum(1)
    turned = book.t().contiguous()
    # A graph for every batch has no number of parts: an exporter would unroll as many as its example has.
    parts = (vectors,) if torch.compiler.is_exporting() else vectors.split(CHUNK)
    found = [torch.addmm(squares, part, turned, alpha=-2).argmin(1) for part in parts]
    return torch.cat(found)


def perplexity(counts: torch.Tensor) -> torch.Tensor:
    """Return exp(-sum p log(p + 1e-10)) of the shares p of ``counts`` (K,)."""
    shares = counts.float() / counts.sum().clamp(min=1)
    return torch.exp(-(shares * torch.log(shares + 1e-10)).sum())


class Codebook(nn.Module):
    """Codes (K, D) that no optimiser sees."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)


class Quantiser(nn.Module):
    """The nearest codes, learned by gradients: loss = MSE(e, sg[z]) + commitment * MSE(sg[e], z).

    It computes in single precision under autocast too: distances of nearly equal codes would drown in less. (On CUDA
    products are as exact as its settings say, so --precision tf32 rounds distances.)

    Args:
        codes: K.
        size: D.
        commitment: weight of the second term.
    """

    def __init__(self, codes: int, size: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.commitment = commitment
        self._embedding = self._book(codes, size)

    @staticmethod
    def _book(codes: int, size: int) -> nn.Module:
        book = nn.Embedding(codes, size)
        nn.init.uniform_(book.weight, -1 / codes, 1 / codes)
        return book

    def forward(self, inputs: torch.Tensor) -> Quantised:
        """Quantise (B, D, H, W)."""
        with torch.autocast(inputs.device.type, enabled=False):
            return self._quantise(inputs.float())

    def _quantise(self, inputs: torch.Tensor) -> Quantised:
        count, size, height, width = inputs.shape
        flat = inputs.permute(0, 2, 3, 1).reshape(-1, size)
        book = self._embedding.weight
        with torch.no_grad():
            numbers = nearest_codes(flat, book)
            counts = torch.bincount(numbers, minlength=len(book))
        found = nn.functional.embedding(numbers, book)
        if self.training:
            with torch.no_grad():
                self._learn(flat, numbers, counts)
        straight, losses = _Committed.apply(flat, found.detach(), self.commitment)
        losses = self._learned(found, flat, losses).reshape(count, -1).mean(1)
        vectors = straight.reshape(count, height, width, size).permute(0, 3, 1, 2)
        return Quantised(vectors, losses, perplexity(counts), numbers.reshape(count, height, width))

    def _learned(self, found: torch.Tensor, flat: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Return ``losses`` (N,) with the term that draws the codes towards their vectors."""
        return losses + (found - flat.detach()).square().mean(1)

    def _learn(self, flat: torch.Tensor, numbers: torch.Tensor, counts: torch.Tensor) -> None:
        """Do nothing: the optimiser moves these codes."""


class EmaQuantiser(Quantiser):
    """The nearest codes, which follow a moving average of their vectors: loss = commitment * MSE(sg[e], z).

    With each training pass n <- decay n + (1 - decay) count, smoothed to (n + eps) / (N + K eps) N, w <- decay w +
    (1 - decay) sum(z), e = w / n. A pass quantises with the codes as they were before it and its loss is towards these,
    as published. Codes start standard normal with n = 1 and w = e, so that a code that is not chosen at first stays
    where it is; published runs start from n = 0 and a w drawn apart, which throws such codes far away for good.

    Args:
        decay: of the averages.
        epsilon: of the smoothing.
    """

    def __init__(
        self, codes: int, size: int, commitment: float = 0.25, decay: float = 0.99, epsilon: float = 1e-5
    ) -> None:
        super().__init__(codes, size, commitment)
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("_ema_cluster_size", torch.ones(codes))
        self.register_buffer("_ema_w", self._embedding.weight.clone())

    @staticmethod
    def _book(codes: int, size: int) -> nn.Module:
        return Codebook(torch.randn(codes, size))

    def _learned(self, found: torch.Tensor, flat: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        return losses

    def _learn(self, flat: torch.Tensor, numbers: torch.Tensor, counts: torch.Tensor) -> None:
        sums = torch.zeros_like(self._ema_w).index_add_(0, numbers, flat.detach())
        size = self._ema_cluster_size.mul(self.decay).add(counts, alpha=1 - self.decay)
        total = size.sum()
        smoothed = (size + self.epsilon) / (total + len(size) * self.epsilon) * total
        self._ema_cluster_size.copy_(smoothed)
        self._ema_w.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self._embedding.weight.copy_(self._ema_w / smoothed[:, None])
