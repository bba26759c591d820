"""Checkpoints in the layout that VCA's authors share, and their predictions by plain tensor arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from support import CLIP_CONFIG
from torch.nn import functional as F

from affectkit.models import clip, vca
from affectkit.models.external.published import TOWERS, Tower

TINY_TOWER = Tower("tiny", embed=64, width=64, layers=2, patch=8, size=32, config=CLIP_CONFIG)
SCALARS = {"epoch": 31, "best_R": np.float64(0.81), "best_R2": np.float64(0.65), "best_rmse": np.float32(0.75)}


def learn_tiny(monkeypatch) -> Tower:
    """Let published VCAs stand on the tiny CLIP too."""
    monkeypatch.setitem(TOWERS, 64, TINY_TOWER)
    return TINY_TOWER


def make_state(tower: Tower = TINY_TOWER, *, outputs: int = 2, half: bool = False, text: bool = True, prefix: str = ""):
    """A published state dict with random weights; as on a GPU, matrices alone are half with ``half``."""
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, shape in tower.shapes().items():
        scale = 0.5 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
        value = torch.randn(shape, generator=generator) * scale + (name.endswith(("ln_1.weight", "ln_2.weight")))
        value += name in ("ln_pre.weight", "ln_post.weight")
        matrix = len(shape) > 1 and name != "positional_embedding"
        state[f"clip_model.visual.{name}"] = value.half() if half and matrix else value
    if text:
        state |= {
            "clip_model.positional_embedding": torch.zeros(7, 8),
            "clip_model.text_projection": torch.zeros(8, tower.embed),
            "clip_model.logit_scale": torch.tensor(4.6),
            "clip_model.transformer.resblocks.0.attn.in_proj_weight": torch.zeros(24, 8),
            "clip_model.token_embedding.weight": torch.full((9, 8), torch.nan),  # not used, so not looked at
            "clip_model.ln_final.weight": torch.ones(8),
        }
    torch.manual_seed(6)
    state |= vca.Head(tower.embed, outputs).state_dict()
    return {prefix + name: value for name, value in state.items()}


def write(path: Path, state, *, scalars=SCALARS, zipped: bool = True) -> Path:
    torch.save({**scalars, "state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    return path


def straight(state, images: torch.Tensor, *, heads: int) -> torch.Tensor:
    """Predictions (B, outputs) of a published state dict, in single precision, written out."""
    state = {name.removeprefix("module."): value.float() for name, value in state.items()}

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def attention(x, name, count):
        batch, length, width = x.shape
        mixed = x @ state[f"{name}.in_proj_weight"].T + state[f"{name}.in_proj_bias"]
        q, k, v = (part.view(batch, length, count, -1).transpose(1, 2) for part in mixed.chunk(3, -1))
        weights = (q @ k.transpose(-1, -2) / (width / count) ** 0.5).softmax(-1)
        return linear((weights @ v).transpose(1, 2).reshape(batch, length, width), f"{name}.out_proj")

    def encoder(x, name, count, depth):
        for number in range(depth):
            layer = f"{name}.layers.{number}"
            x = norm(x + attention(x, f"{layer}.self_attn", count), f"{layer}.norm1")
            x = norm(x + linear(linear(x, f"{layer}.linear1").clamp(min=0), f"{layer}.linear2"), f"{layer}.norm2")
        return x

    v = "clip_model.visual."
    stem = state[f"{v}conv1.weight"]
    x = F.conv2d(images, stem, stride=stem.shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat([state[f"{v}class_embedding"].expand(len(x), 1, -1), x], 1) + state[f"{v}positional_embedding"]
    x = norm(x, f"{v}ln_pre")
    for number in range(sum(name.endswith("ln_1.weight") and name.startswith(v) for name in state)):
        block = f"{v}transformer.resblocks.{number}"
        x = x + attention(norm(x, f"{block}.ln_1"), f"{block}.attn", heads)
        inner = linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")
        x = x + linear(inner * torch.sigmoid(1.702 * inner), f"{block}.mlp.c_proj")
    x = (norm(x[:, 0], f"{v}ln_post") @ state[f"{v}proj"])[:, None]

    la = encoder(x, "LA", 4, 2)
    ba, bl = (linear(encoder(la, f"{name}.0", 1, 1), f"{name}.1").clamp(min=0) for name in ("BA", "BL"))
    ce = linear(encoder(torch.cat([la, ba, bl], -1), "CE.0", 2, 2), "CE.1").clamp(min=0)
    return linear(ce, "LastFC")[:, 0]


def openai_file(path: Path, state, *, tower: Tower = TINY_TOWER, change=lambda value: value) -> Path:
    """A file with the CLIP of a published state dict, as the weights of OpenAI would be named for --clip-weights."""
    names = [f"clip_model.visual.{name}" for name in tower.shapes()]
    torch.save({name.removeprefix("clip_model."): change(state[name].float()) for name in names}, path)
    return path


def hash_of(path: Path, tower: Tower = TINY_TOWER) -> str:
    return clip.tower_hash(clip.load_tower(tower.choice(), path))
