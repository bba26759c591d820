#!/bin/bash
# torch 2.14.1 (oneDNN 3), CPUs of x86-64 with AVX2 and no AVX512_BF16 or AMX, as AMD's of Zen 2 and 3 and most of Intel's
# for desktops. On a CPU with these instructions ONEDNN_MAX_CPU_ISA and ATEN_CPU_CAPABILITY ask for AVX2 alone here.
#
# One would guess: torch.autocast("cpu", torch.bfloat16) halves the memory that is moved, and on a CPU without bf16
# arithmetic is at worst about as fast as float32: numbers are widened, multiplied in float32 and rounded again.
#
# What happens: the bf16 convolutions that are taken with AVX2 alone are several times slower than those of float32,
# forward and backward (up to 30 times was seen); nothing warns. torch.cpu.get_capabilities() tells beforehand.
#
# Why it matters: bf16 makes a training nearly twice as fast on servers with AVX512_BF16, so that a recipe or a Slurm script
# asks for it, and the same line on the next node takes many times as long, which looks like a slow loader or a busy node.
#
# Seen (ratios vary by CPU; the bound is 3):
#   3x3 convolution of 96 to 192 channels, batch 32: bf16 takes 6 times as long as fp32
set -eu
[ "$(uname -m)" = x86_64 ] || { echo "only for x86-64"; exit 1; }
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet torch==2.14.1
export ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2
env/bin/python - <<'P'
import statistics
import time

import torch

torch.set_num_threads(1)
network = torch.nn.Conv2d(96, 192, 3, padding=1).to(memory_format=torch.channels_last)
images = torch.rand(32, 96, 12, 12).contiguous(memory_format=torch.channels_last)


def seconds(low):
    """Of a forward and backward pass: the median of five, in turn with nothing else."""
    found = []
    for _ in range(6):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            network(images).float().sum().backward()
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


ratio = seconds(True) / seconds(False)
print(f"3x3 convolution of 96 to 192 channels, batch 32: bf16 takes {ratio:.0f} times as long as fp32")
assert ratio > 3
P
