"""librosa without numba, whose compiler takes 20 s in a new environment for functions that the tests do not call."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

import numpy as np


def _as_it_is(*given: Any, **_: Any) -> Any:
    """Stand in for ``numba.jit`` and ``guvectorize``, with arguments or without: the function stays Python."""
    return given[0] if len(given) == 1 and callable(given[0]) else lambda function: function


@functools.cache
def librosa() -> ModuleType:
    """Import librosa, when a test first needs it."""
    numba = ModuleType("numba")
    numba.jit = numba.guvectorize = numba.stencil = _as_it_is
    numba.vectorize = lambda *_, **__: np.vectorize
    real = sys.modules.pop("numba", None)
    sys.modules["numba"] = numba
    try:
        import librosa as found

        # Its parts are loaded when they are named first.
        assert callable(found.feature.melspectrogram) and callable(found.power_to_db)
    finally:
        del sys.modules["numba"]
        if real is not None:
            sys.modules["numba"] = real
    return found
