#!/usr/bin/env bash
# safetensors 0.8.0, numpy.save / save_file, of arrays that are not laid out in C order.
#
# One would guess: what is loaded equals what was saved, whatever the strides, as with 0.5.0.
# What happens: 0.8.0 writes the memory from the array's first number on, as many bytes as the array has. A transposed
# array comes back with its numbers in another order, every second number as the first half, and an array that runs
# backwards or is spread (broadcast_to) with whatever lies behind it in memory. Nothing is raised, shapes are right.
# Why it matters: predictions of several processes, cached features and probability tables are gathered as arrays, often
# as columns, transposes or slices; every metric computed from them is wrong, and none looks wrong.
# Mend: numpy.asarray(array, order="C") before saving.
#
# Seen (28 November 2026, Python 3.11):
#   safetensors 0.5.0: transposed True, steps True, columns True, backwards True, spread True
#   safetensors 0.8.0: transposed False, steps False, columns False, backwards False, spread False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 0.5.0 0.8.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet "safetensors==$version" "numpy==2.2.6"
    "$work/$version/bin/python" - "$version" <<'PY'
import sys

import numpy as np
from safetensors.numpy import load, save

version = sys.argv[1]
whole = np.arange(12, dtype=np.float32).reshape(3, 4)
given = {
    "transposed": whole.T,
    "steps": whole.ravel()[::2],
    "columns": whole[:, 1:3],
    "backwards": whole[::-1],
    "spread": np.broadcast_to(np.float32([7]), (5,)),
}
same = {}
for name, array in given.items():
    found = load(save({"x": array}))["x"]
    assert found.shape == array.shape, name
    same[name] = bool(np.array_equal(found, array))
    laid = load(save({"x": np.asarray(array, order="C")}))["x"]
    assert np.array_equal(laid, array), name
print(f"safetensors {version}: " + ", ".join(f"{name} {value}" for name, value in same.items()))
sys.exit(any(value == (version == "0.8.0") for value in same.values()))
PY
done
