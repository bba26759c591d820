"""ONNX Runtime as affectkit loads it: without the telemetry that it has on Linux and macOS since 1.29."""

from __future__ import annotations

import os
from typing import Any

from affectkit.core.libraries import load_library

OPT_OUT = "ORT_DISABLE_TELEMETRY"
"""Read when the package is imported. Without it, importing makes an identifier of the machine on the disk, and what
models are loaded and run is queued for Microsoft."""


def load_onnxruntime() -> Any:
    """Import ONNX Runtime, its telemetry off unless the user has set ``OPT_OUT``.

    Raises:
        LibraryError: it is not installed, or does not load.
    """
    os.environ.setdefault(OPT_OUT, "1")
    return load_library("onnxruntime")
