"""How the threads wait for each other in which torch computes on the CPU; torch is not loaded for it."""

from __future__ import annotations

import os

SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables that say whether OpenMP's threads spin where they wait."""


def wait_asleep() -> None:
    """Make OpenMP's threads sleep where they wait for each other; before torch is loaded, which starts them.

    They spin by default, which on a machine that does other work, too, keeps the very thread from running that they
    wait for: a forward pass of the built-in model then took 4 to 7 s, and 0.02 s asleep. What a user has set counts.
    """
    if not any(name in os.environ for name in SPINNING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def one_linear_algebra_thread() -> None:
    """Make NumPy's OpenBLAS start no threads; before NumPy is loaded. What a user has set counts.

    Inference multiplies no matrices with it, and its threads cost a tenth of the processor time of one picture.
    """
    if "OPENBLAS_NUM_THREADS" not in os.environ:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"


def waiting_threads() -> str:
    """Say how torch's threads wait, and how many a user asked for."""
    own = [f"{name}={os.environ[name]}" for name in (*SPINNING, "OMP_NUM_THREADS") if name in os.environ]
    return f"threads of torch: {', '.join(own)}" if own else "threads of torch: as OpenMP has them"
