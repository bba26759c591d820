#!/usr/bin/env bash
# torchaudio 2.11.1 (PyPI, Linux x86-64) beside torch 2.11.0 and 2.12.1.
#
# One would guess: its metadata says torch>=2.11, and its own description "2.11 or newer, including all future releases";
# so pip's choice for torch<2.13 (torch 2.12.1 with torchaudio 2.11.1) works, as 2.11.0 did.
# What happens: its library takes the symbol torch_exception_get_what_without_backtrace, which libtorch_cpu.so has from
# 2.13 on. "import torchaudio" beside 2.11.0 or 2.12.1 ends with "OSError: Could not load this library: .../
# libtorchaudio.so", whose cause alone names the symbol. 2.11.0, with no requirement of a torch in its metadata, takes no
# such symbol, and is imported beside 2.11 to 2.14.
# Why it matters: a project that caps torch below 2.13 breaks on fresh machines from the day of 2.11.1 on, with locked
# machines unharmed, and the error is an OSError, which programs take for a fault of a file.
# The wheels are looked at, not installed: 5 GB an environment. torch's wheels are 0.5 GB each to fetch.
#
# Seen (28 November 2026):
#   torchaudio 2.11.0 requires [], takes the symbol: False
#   torchaudio 2.11.1 requires ['torch>=2.11'], takes the symbol: True
#   torch 2.12.1 has it: False
#   torch 2.13.0 has it: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
for pinned in torchaudio==2.11.0 torchaudio==2.11.1 torch==2.12.1 torch==2.13.0; do
    "$work/env/bin/pip" download --quiet --no-deps --python-version 3.11 --platform manylinux_2_28_x86_64 \
        --only-binary :all: --dest "$work/$pinned" "$pinned"
done
"$work/env/bin/python" - "$work" <<'PY'
import re
import sys
import zipfile
from pathlib import Path

SYMBOL = b"torch_exception_get_what_without_backtrace\0"
work, found = Path(sys.argv[1]), {}


def holds(wheel: zipfile.ZipFile, name: str) -> bool:
    """Whether the library's table of names has the symbol."""
    with wheel.open(name) as stream:
        before = b""
        while piece := stream.read(1 << 22):
            if SYMBOL in before + piece:
                return True
            before = piece[-len(SYMBOL):]
    return False


for pinned, library in (
    ("torchaudio==2.11.0", "libtorchaudio"), ("torchaudio==2.11.1", "libtorchaudio"),
    ("torch==2.12.1", "libtorch_cpu"), ("torch==2.13.0", "libtorch_cpu"),
):
    (path,) = (work / pinned).glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (name,) = [one for one in wheel.namelist() if re.search(rf"/lib/{library}[.\w]*\.so$", one)]
        (about,) = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
        requires = re.findall(r"^Requires-Dist: (torch\S*)", wheel.read(about).decode(), re.M)
        found[pinned] = holds(wheel, name)
    package, version = pinned.split("==")
    if package == "torchaudio":
        print(f"torchaudio {version} requires {requires}, takes the symbol: {found[pinned]}")
    else:
        print(f"torch {version} has it: {found[pinned]}")
    if pinned == "torchaudio==2.11.1":
        assert requires == ["torch>=2.11"], requires
sys.exit(list(found.values()) != [False, True, False, True])
PY
