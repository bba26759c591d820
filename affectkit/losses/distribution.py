"""Losses between a predicted and a target distribution over classes, one value per sample.

Every function takes ``logits`` (B, C), any finite numbers, and ``target`` (B, C), rows that are at least 0 and sum
to 1, and returns (B,). With p = softmax(logits) and q = target. Half-precision inputs are computed in float32,
float64 stays float64, and the result has that type. The target is taken as given: no gradient flows into it. Values
and gradients are finite for finite logits, where the target has zeros or is one-hot, and where p underflows to 0.
Only shapes are checked, since checking the values would stall a GPU; data readers check the values.

Raises, all of them: DataError unless both are (B, C) of one shape, C at least 1, and the logits are floating point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from affectkit.errors import DataError
from affectkit.losses import LOSSES, check_weights


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over classes of (p - q)^2, in [0, 2/C]; its batch mean is ``F.mse_loss(p, q)``."""
    logits, target = _inputs(logits, target)
    return (logits.softmax(dim=1) - target).square().mean(dim=1)


def l1(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over classes of |p - q|, in [0, 2/C]; its batch mean is ``F.l1_loss(p, q)``."""
    logits, target = _inputs(logits, target)
    return (logits.softmax(dim=1) - target).abs().mean(dim=1)


def kl(logits: Tensor, target: Tensor) -> Tensor:
    """Return KL(q || p) = sum q log(q / p) in nats, at least 0 (Kullback and Leibler 1951).

    Classes with q = 0 add nothing.
    """
    logits, target = _inputs(logits, target)
    terms = target * (_safe_log(target) - _log_softmax(logits))
    return _held(terms.sum(dim=1), 0.0, math.inf)


def ce(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy -sum q log p in nats: KL(q || p) plus the entropy of q.

    Classes with q = 0 add nothing.
    """
    logits, target = _inputs(logits, target)
    return -(target * _log_softmax(logits)).sum(dim=1)


def js(logits: Tensor, target: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence, base 2: (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in [0, 1] (Lin
    1991).
    """
    logits, target = _inputs(logits, target)
    log_p = _log_softmax(logits)
    # log m in log space is finite wherever log p is; log((p + q) / 2) is -inf, with a NaN gradient, where both are 0.
    log_m = torch.logaddexp(log_p, target.log()) - math.log(2)
    from_p = log_p.exp() * (log_p - log_m)
    from_q = target * (_safe_log(target) - log_m)
    return _held((from_p + from_q).sum(dim=1) / (2 * math.log(2)), 0.0, 1.0)


def weighted_sum(weights: Mapping[str, float]) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Return the loss that ``parse_loss`` describes, as a function of (logits, target).

    Args:
        weights: loss name to weight, weights finite and above 0.

    Returns:
        A function that gives ``{"loss": (B,)}``, the weighted sum, and with more than one name also each part under
        its name, (B,), not weighted.

    Raises:
        UsageError: a name is unknown, a weight is not a finite number above 0, or there is none.
    """
    parts = {name: (weight, LOSSES.resolve(name)) for name, weight in check_weights(weights).items()}

    def loss(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        values = {name: function(logits, target) for name, (_, function) in parts.items()}
        total = torch.stack([weight * values[name] for name, (weight, _) in parts.items()]).sum(dim=0)
        return {"loss": total, **values} if len(values) > 1 else {"loss": total}

    return loss


def _inputs(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check both and return them in float32 or the logits' wider type, the target without gradient."""
    if logits.ndim != 2 or logits.shape[1] < 1 or logits.shape != target.shape or not logits.is_floating_point():
        raise DataError(
            f"logits must be (batch, classes) floating-point numbers and the target of the same shape; "
            f"got logits {tuple(logits.shape)} {logits.dtype}, target {tuple(target.shape)} {target.dtype}.",
            "Class numbers become a distribution with torch.nn.functional.one_hot(target, classes).",
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype), target.detach().to(dtype)


def _safe_log(target: Tensor) -> Tensor:
    """Return log q, and 0 where q is 0, so that q * log q is exactly 0 there."""
    return torch.where(target > 0, target, 1.0).log()


def _log_softmax(logits: Tensor) -> Tensor:
    """Return log p, never -inf: a gap between logits that overflows ends at half the lowest number, and 0 times it is
    0.
    """
    return F.log_softmax(logits, dim=1).clamp(min=torch.finfo(logits.dtype).min / 2)


def _held(value: Tensor, low: float, high: float) -> Tensor:
    """Return ``value`` with rounding beyond its range removed and its gradient kept, which a plain clamp would set to
    0.
    """
    bounded = value.clamp(low, high).detach()
    return torch.where(bounded == value, value, value - value.detach() + bounded)
