"""A bound on the memory that is taken to build a model for a file: a small file cannot ask for a large one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from affectkit.core.limits import BUILD_ALLOWANCE, BUILD_FACTOR, BUILD_TENSORS
from affectkit.errors import CheckpointError

SIZED = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}
"""Functions whose positional arguments, or ``size``, are the shape."""
FIRST = {torch.full, torch.eye, torch.randperm}
"""Those whose first ones are."""


class BuildLimit(TorchFunctionMode):
    """Refuses tensors before their memory is taken, once those made within would have more bytes than allowed.

    Args:
        held: bytes of the file; its tensors may be rounded, and need more once they are read.
        beside: bytes of weights that the model takes from elsewhere.
    """

    def __init__(self, held: int, *, beside: int = 0) -> None:
        super().__init__()
        self.limit = BUILD_FACTOR * held + BUILD_ALLOWANCE + beside
        self.held, self.bytes, self.tensors = held, 0, 0

    def __torch_function__(
        self, func: Callable[..., Any], kinds: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count what ``func`` is about to make, and call it."""
        kwargs = kwargs or {}
        if func in SIZED or func in FIRST:
            self._count(math.prod(_shape(func, args, kwargs)), kwargs)
        return func(*args, **kwargs)

    def _count(self, numbers: int, kwargs: Mapping[str, Any]) -> None:
        if str(kwargs.get("device")) == "meta":
            return
        self.bytes += numbers * (kwargs.get("dtype") or torch.float32).itemsize
        self.tensors += 1
        if self.bytes > self.limit:
            raise CheckpointError(
                f"the header asks for a model of {self.bytes:,} bytes or more; the file has {self.held:,}, for which "
                f"at most {self.limit:,} are taken.",
                "The header does not belong to these weights: is the file whole, and from where you think?",
            )
        if self.tensors > BUILD_TENSORS:
            raise CheckpointError(
                f"the header asks for a model of more than {BUILD_TENSORS:,} tensors.",
                "Is the file whole, and from where you think?",
            )


def _shape(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[int]:
    given = kwargs.get("size", kwargs.get("n", args))
    given = given if isinstance(given, Sequence) else (given,)
    if func is torch.eye and len(given) == 1:
        given = (given[0],) * 2
    if func in FIRST:
        given = given[:2] if func is torch.eye else given[:1]
    for one in given:
        yield from (int(inner) for inner in one) if isinstance(one, Sequence) else (int(one),)
