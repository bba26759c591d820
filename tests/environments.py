"""Two environments, of the lowest and of the newest versions that pyproject.toml allows, and affectkit tried in each.

By hand, since each takes about 6 GB of disk, some minutes, and a network:

    python tests/environments.py [lowest] [newest] [--keep] [--folder DIR]

The newest is made as the README says; the lowest by uv, which takes the lowest release of each direct requirement that
goes with the others (--resolution lowest-direct). In each: doctor, the quick tests, the demo, a photograph, a film with
sound, and clips through `prep cremad` and an epoch of `train --model cmvqvae`. Ends with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SHOWN = (
    "torch", "torchvision", "torchaudio", "numpy", "scipy", "opencv-python-headless", "av", "pillow", "timm",
    "open_clip_torch", "albumentations", "moviepy", "safetensors", "matplotlib", "pyarrow",
)  # fmt: skip
INPUTS = """
from pathlib import Path
from clips import make_cremad, write_clip
from films import write_film
write_film(Path("film.mp4"), 30, clicks=[1.0])
make_cremad(Path("clone"), actors=3, seconds=0.3, size=(160, 120))
write_clip(Path("clip.flv"), 1, seconds=0.6)
"""
HEARD = """
from pathlib import Path
from films import heard, loud_at
assert abs(loud_at(Path("drawn.mp4")) - 1.0) < 0.1, "the click is not where it was"
"""
TINY = (
    "--hidden",
    "16",
    "--codes",
    "16",
    "--quantizer",
    "plain",
    "--batch-size",
    "6",
    "--epochs",
    "1",
    "--workers",
    "0",
)


def make(kind: str, place: Path) -> Path:
    """The environment ``kind`` in ``place``; its Python."""
    python = place / "env" / "bin" / "python"
    run(sys.executable, "-m", "venv", place / "env")
    if kind == "newest":
        run(python, "-m", "pip", "install", "--quiet", f"{PROJECT}[test]")
        return python
    run(sys.executable, "-m", "venv", place / "uv")
    run(place / "uv/bin/python", "-m", "pip", "install", "--quiet", "uv")
    # The index alone: wheels that lie on this machine need not be those that the index has.
    pip = (place / "uv/bin/uv", "pip", "install", "--no-config", "--quiet", "--python", python)
    run(*pip, "--resolution", "lowest-direct", f"{PROJECT}[test]", UV_CACHE_DIR=str(place / "cache"))
    return python


def run(*command: object, folder: Path | None = None, **environment: str) -> None:
    """Run ``command``; a CalledProcessError where it fails."""
    subprocess.run([*map(str, command)], cwd=folder, check=True, env={**os.environ, **environment})


def steps(python: Path, work: Path) -> list[tuple[str, tuple[object, ...], Path, dict[str, str]]]:
    """What is tried: name, command, folder, environment."""
    tests = {"PYTHONPATH": str(PROJECT / "tests")}
    ours = (python, "-m", "affectkit")
    infer, plain = (*ours, "infer", "--checkpoint", "clips"), ("--checkpoint", "demo/run", "--faces", "none")
    found = [
        ("doctor", (*ours, "doctor"), work, {}),
        ("quick tests", (python, "-m", "pytest", "-m", "quick", "-p", "no:cacheprovider"), PROJECT, {}),
        ("inputs", (python, "-c", INPUTS), work, tests),
        ("demo", (*ours, "demo", "demo", "--quiet"), work, {}),
        ("a photograph", (*ours, "infer", "demo/data/photos", "--results", "photographs"), work, {}),
        ("a film with sound", (*ours, "infer", "film.mp4", *plain, "--every", "0.5s", "--results", "film"), work, {}),
        ("a film, drawn", (*ours, "infer", "film.mp4", *plain, "--results", "a", "--annotate", "drawn.mp4"), work, {}),
        ("its sound", (python, "-c", HEARD), work, tests),
        ("prep cremad", (*ours, "prep", "cremad", "clone", "--output", "prepared", "--size", "64"), work, {}),
        (
            "train cmvqvae",
            (*ours, "train", "--model", "cmvqvae", "--data", "prepared", "--output", "clips", *TINY),
            work,
            {},
        ),
        ("a clip", (*infer, "clip.flv", "--results", "clip"), work, {}),
    ]
    return [(name, command, folder, environment) for name, command, folder, environment in found]


def versions(python: Path) -> str:
    """The versions of ``SHOWN``, in a line."""
    code = f"import importlib.metadata as m; print(', '.join(f'{{n}} {{m.version(n)}}' for n in {SHOWN!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def attempt(kind: str, place: Path) -> list[str]:
    """Make the environment and try everything; what failed."""
    started = time.monotonic()
    python = make(kind, place)
    print(f"\n=== {kind}, made in {time.monotonic() - started:.0f} s: {versions(python)}", flush=True)
    work = place / "work"
    work.mkdir()
    failed = []
    for name, command, folder, environment in steps(python, work):
        started = time.monotonic()
        done = subprocess.run(
            [*map(str, command)], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
        )
        print(f"{kind}: {name}: exit code {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode:
            failed.append(f"{kind}: {name}")
            print(f"$ {' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-4000:]}", flush=True)
    return failed


def main() -> int:
    """Try what is asked for; 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=["lowest", "newest", []], help="both unless named")
    parser.add_argument("--keep", action="store_true", help="do not remove the environments")
    parser.add_argument("--folder", type=Path, help="where they are made; a temporary folder unless named")
    asked = parser.parse_args()
    root = asked.folder or Path(tempfile.mkdtemp(prefix="affectkit-environments-"))
    failed: list[str] = []
    for kind in asked.kinds or ["lowest", "newest"]:
        place = root / kind
        place.mkdir(parents=True)
        try:
            failed += attempt(kind, place)
        finally:
            if not asked.keep:
                shutil.rmtree(place, ignore_errors=True)
    print(f"\nfailed: {', '.join(failed) or 'nothing'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
