"""ONNX Runtime reports what it runs unless it is told not to: affectkit tells it, in each process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from affectkit.core.onnx_runtime import OPT_OUT


@pytest.mark.parametrize("chosen", [None, "0"])
def test_nothing_is_kept_to_be_reported(tmp_path, chosen):
    """Telemetry of ONNX Runtime keeps an identifier of the machine and its events below the user's cache."""
    kept = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "PYTEST_CURRENT_TEST", "XDG_CACHE_HOME", OPT_OUT)
    environment = {name: value for name, value in os.environ.items() if name not in kept}
    environment |= {"HOME": str(tmp_path), **({OPT_OUT: chosen} if chosen else {})}
    program = (
        "import os, affectkit, numpy as np\n"
        "affectkit.load('builtin')(np.zeros((1, 48, 48, 1), np.uint8))\n"
        f"print(os.environ.get({OPT_OUT!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{chosen or 1}\n"  # what a user has set counts
    found = [path for path in Path(tmp_path).rglob("*") if "onnxruntime" in path.name or "Microsoft" in path.name]
    assert chosen == "0" or found == []
