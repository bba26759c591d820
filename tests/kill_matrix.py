"""Print what signals do to every command that writes: ``python tests/kill_matrix.py [--count N] [--seed N]
[--signals NAME...] -- [NAME...]``.

Each command is stopped by SIGINT, SIGTERM and SIGKILL at moments spread over its run, gone on with as the guides or
its message says, and compared, file by file, with what an undisturbed run leaves. A NAME is
the beginning of a case's, or with a $ behind it all of it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import kill_run
import matplotlib.pyplot  # noqa: F401 - seconds in every forked process, were they not here already
import timm  # noqa: F401
import torch
import torch.utils.tensorboard
from kill_cases import download_case, make_cases
from web import serving


def main() -> None:
    """Judge the cases asked for, or all, and print a line for each command and signal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", nargs="*", default=[one.name for one in kill_run.SIGNALS])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp())  # the forked processes would remove a TemporaryDirectory at their end
    try:
        _judge(asked, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _judge(asked: argparse.Namespace, root: Path) -> None:
    bodies = {"vca.pth": random.Random(5).randbytes(3_000_000), "notes.txt": b"read me\n"}
    with serving() as web:
        web.files = bodies
        os.environ["AFFECTKIT_ZENODO"] = web.url
        cases = make_cases(root / "shared") | {"download": download_case()}
        os.environ["AFFECTKIT_CACHE"] = str(root / "cache")
        names = tuple(asked.names)
        wanted = [case for name, case in cases.items() if not names or f"{name}$".startswith(names)]
        signals = [signal.Signals[name] for name in asked.signals]
        print(f"{'command':34} {'signal':8} tried struck equal faults", flush=True)
        for case in wanted:
            try:
                verdicts = kill_run.judge_case(case, root / "case", count=asked.count, seed=asked.seed, signals=signals)
            except AssertionError as error:
                print(f"{case.name:34} cannot be judged: {error}", flush=True)
                continue
            for number, found in verdicts.items():
                name = signal.Signals(number).name
                print(
                    f"{case.name:34} {name:8} {found.tried:5} {found.struck:6} {found.equal:5} {len(found.faults):6}",
                    flush=True,
                )
                for fault in found.faults:
                    print(f"  {case.name}: {fault}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
