"""Tensors that are computed once and kept, and that must not depend on who asks for them first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

Made = TypeVar("Made")


def cached_tensors(maxsize: int) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Return ``functools.lru_cache`` for functions that make tensors, or modules that hold some.

    Whatever mode the first caller is in (``torch.device("meta")``, a default device or number format,
    ``torch.inference_mode``, autocast), what is kept is made as in a fresh process: on the CPU unless the function
    names a device, fit to be copied and to be used where gradients are computed.
    """

    def wrap(make: Callable[..., Made]) -> Callable[..., Made]:
        @functools.lru_cache(maxsize)
        @functools.wraps(make)
        def made(*arguments: object) -> Made:
            with ordinary_tensors():
                return make(*arguments)

        return made

    return wrap


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Open a block in which tensors are made as in a fresh process: float32, on the CPU, in no mode."""
    import torch

    default = torch.get_default_dtype()
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.device("cpu"))
        modes.enter_context(torch.autocast("cpu", enabled=False))
        if default != torch.float32:
            torch.set_default_dtype(torch.float32)
            modes.callback(torch.set_default_dtype, default)
        yield
