#!/bin/bash
# torch 2.14.1 (torch.onnx.export with dynamo=True), onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, NumPy 2.4.6.
#
# One would guess: dynamic_shapes with torch.export.Dim("batch") gives a graph with a free batch, or an error where that
# cannot be; Dim.AUTO frees what can be free, and the input's shape in the file says what was.
#
# What happens: with a named Dim, a network that takes its batch apart by len(), as `both[:len(x)] + both[len(x):]`,
# becomes a graph for the example's batch alone, without an error or a warning that names it; with Dim.DYNAMIC the same
# network gets a free batch. With Dim.AUTO a loop over samples is unrolled for the example's batch, and the file still
# states a free one: a batch of 5 then gives 3 rows, and no error. Dim.DYNAMIC refuses that network.
#
# Why it matters: the file loads, runs and agrees in every test that uses the example's batch size; with another it
# fails, or leaves rows out in silence. Run each exported file with several batch sizes, none that of the example.
#
# Seen:
#   mirror, Dim("batch"): input [3, 4]          mirror, Dim.DYNAMIC: input ['s6', 4], 5 rows of 5
#   loop, Dim.AUTO: input ['s77', 4], 3 rows of 5          loop, Dim.DYNAMIC: refused
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet torch==2.14.1 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
env/bin/python - <<'P' 2> log
import contextlib
import io

import numpy as np
import onnxruntime
import torch
from torch.export import Dim


class Mirror(torch.nn.Module):
    def forward(self, x):
        both = torch.cat([x, x.flip(1)])
        return (both[: len(x)] + both[len(x) :]) / 2


class Loop(torch.nn.Module):
    def forward(self, x):
        return torch.stack([row * 2 for row in x])


def exported(network, dim):
    """The session of what was exported with a batch of 3, or None where that is refused."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            program = torch.onnx.export(
                network, (torch.randn(3, 4),), dynamo=True, verbose=False, dynamic_shapes=({0: dim},)
            )
    except Exception:
        return None
    return onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def rows(session):
    (given,) = session.get_inputs()
    return len(session.run(None, {given.name: np.ones((5, 4), np.float32)})[0])


named, free = exported(Mirror(), Dim("batch")), exported(Mirror(), Dim.DYNAMIC)
auto, refused = exported(Loop(), Dim.AUTO), exported(Loop(), Dim.DYNAMIC)
print(f'mirror, Dim("batch"): input {named.get_inputs()[0].shape}')
print(f"mirror, Dim.DYNAMIC: input {free.get_inputs()[0].shape}, {rows(free)} rows of 5")
print(f"loop, Dim.AUTO: input {auto.get_inputs()[0].shape}, {rows(auto)} rows of 5")
print(f"loop, Dim.DYNAMIC: {'refused' if refused is None else 'made'}")
assert named.get_inputs()[0].shape == [3, 4]
assert isinstance(free.get_inputs()[0].shape[0], str) and rows(free) == 5
assert isinstance(auto.get_inputs()[0].shape[0], str) and rows(auto) == 3
assert refused is None
P
