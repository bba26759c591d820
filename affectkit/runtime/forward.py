"""Run forward passes without gradients: in parts that fit, and with outputs that do not depend on the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.errors import DeviceError
from affectkit.runtime.context import RunContext

BLOCK, SMALL_BLOCK, SMALL = 16, 32, 112 * 112
"""Samples of a forward pass when a model is evaluated on the CPU; more where images have at most so many pixels."""

Inputs = tuple[torch.Tensor | None, ...]
Outputs = torch.Tensor | dict[str, torch.Tensor]
"""Outputs of a forward pass, sample by sample: one tensor (B, ...), or several by name."""


@torch.inference_mode()
def forward(
    call: Callable[..., Outputs], inputs: Inputs, context: RunContext, reporter: Reporter | None = None
) -> Outputs:
    """Return ``call(*inputs)`` (on the device already), in parts where its memory does not hold them at once.

    The size that fits is remembered in ``context`` and reported.
    """
    count = len(_first(inputs))
    if context.max_batch is not None and count > context.max_batch:
        return _concatenate([forward(call, part, context, reporter) for part in _in_parts(inputs, context.max_batch)])
    try:
        with context.precision.autocast():
            return _as_float(call(*inputs))
    except torch.OutOfMemoryError as error:
        if count == 1:
            raise DeviceError(
                f"{context.device.torch_name} is out of memory with one sample of {tuple(_first(inputs).shape[1:])}.",
                "Use another --device, or free the memory of this one.",
            ) from error
    # Outside the except block, so that the failed attempt's tensors are free.
    torch.cuda.empty_cache()
    context.max_batch = -(-count // 2)
    if reporter is not None:
        reporter.warn(
            f"out of memory on {context.device.torch_name} with {count_text(count, 'image')}: "
            f"continuing with {context.max_batch}."
        )
    return forward(call, inputs, context, reporter)


def forward_in_blocks(
    call: Callable[..., Outputs], inputs: Inputs, context: RunContext, reporter: Reporter | None = None
) -> Outputs:
    """Run ``forward`` so that a sample's outputs do not depend, to the last bit, on the batch that it came in.

    Kernels are chosen by the size of a batch, and differ in the last digits. On the CPU every pass therefore has
    as many samples (``BLOCK``), the last one filled up; there a sample's position within the block makes no difference.
    On other devices the batch is passed as it is, and results agree to about six digits.
    """
    if context.device.kind != "cpu":
        return forward(call, inputs, context, reporter)
    first = _first(inputs)
    count = len(first)
    # Features in blocks of the size in which the images would have come, for the same last digit.
    small = first.dim() == 4 and first.shape[-2:].numel() <= SMALL
    size = SMALL_BLOCK if small else BLOCK
    spare = -count % size
    # Filled up by indexing, which keeps the order in memory (channels-last): other orders have other kernels.
    rows = [*range(count), *[-1] * spare]
    filled = tuple(value[rows] if spare and value is not None else value for value in inputs)
    found = _concatenate([forward(call, block, context) for block in _in_parts(filled, size)])
    return {name: value[:count] for name, value in found.items()} if isinstance(found, dict) else found[:count]


def _first(inputs: Inputs) -> torch.Tensor:
    """Return the first input that is there: a model of two kinds of input may take one alone."""
    return next(value for value in inputs if value is not None)


def _in_parts(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """Yield ``inputs``, ``size`` samples at a time."""
    for begin in range(0, len(_first(inputs)), size):
        yield tuple(None if value is None else value[begin : begin + size] for value in inputs)


def _as_float(outputs: Outputs) -> Outputs:
    """Convert floating-point outputs to single precision; whole numbers stay as they are."""
    if isinstance(outputs, dict):
        return {name: value.float() if value.is_floating_point() else value for name, value in outputs.items()}
    return outputs.float()


def _concatenate(parts: Sequence[Outputs]) -> Outputs:
    """Concatenate the outputs of ``parts``."""
    if isinstance(parts[0], dict):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(list(parts))
