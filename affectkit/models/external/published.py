"""Checkpoint files as the papers' authors share them, recognised by their keys and shapes.

A ``PublishedFormat`` says whether a file is one of its own and reads it into what ``models.registry.build`` takes;
further formats are further entries of ``FORMATS``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models import vca
from affectkit.models.clip import OPENAI, ClipChoice, tower_hash
from affectkit.models.cmvqvae import published as published_codes
from affectkit.models.external import published_distributions
from affectkit.models.external.published_format import (
    PRECISIONS,
    Choices,
    Contents,
    Published,
    PublishedFormat,
    Shapes,
    check_finite_numbers,
    differences,
)
from affectkit.models.external.restricted_pickle import is_pickled, load_pickled
from affectkit.models.external.state_dicts import unwrap
from affectkit.models.external.weights import listed_names
from affectkit.models.v1 import published as published_v1

VISUAL = "clip_model.visual."
TEXT = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection", "logit_scale")
"""How the names of CLIP's text tower begin; it takes no part in predictions."""
TEXT_FACTS = ("input_resolution", "context_length", "vocab_size")
OUTPUTS = ("arousal", "valence")
"""The two outputs in the order of the columns."""


@dataclass(frozen=True)
class Tower:
    """A CLIP image tower of OpenAI's, by the numbers that show in its tensors.

    Attributes:
        name: open_clip's.
        embed: features of an image.
        width, layers, patch: of the transformer.
        size: input height and width in pixels.
        megabytes: of OpenAI's weights, text tower included, in single precision.
        config: open_clip's configuration, where it knows no such name.
    """

    name: str
    embed: int
    width: int
    layers: int
    patch: int
    size: int = 224
    megabytes: int = 0
    config: dict[str, Any] | None = None

    def shapes(self) -> Shapes:
        """Return the shapes of its tensors, by their names under ``visual.``."""
        width, inner = self.width, 4 * self.width
        found: Shapes = {
            "class_embedding": (width,),
            "positional_embedding": ((self.size // self.patch) ** 2 + 1, width),
            "proj": (width, self.embed),
            "conv1.weight": (width, 3, self.patch, self.patch),
        }
        linear = {"attn.out_proj": (width, width), "mlp.c_fc": (inner, width), "mlp.c_proj": (width, inner)}
        for number in range(self.layers):
            block = f"transformer.resblocks.{number}."
            found |= {f"{block}attn.in_proj_weight": (3 * width, width), f"{block}attn.in_proj_bias": (3 * width,)}
            for name, shape in linear.items():
                found |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
            for name in ("ln_1", "ln_2"):
                found |= {f"{block}{name}.weight": (width,), f"{block}{name}.bias": (width,)}
        for name in ("ln_pre", "ln_post"):
            found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
        return found

    def choice(self, sha256: str = "") -> ClipChoice:
        """Return OpenAI's weights of this tower."""
        return ClipChoice(self.name, OPENAI, quick_gelu=True, config=self.config, sha256=sha256)


TOWERS: dict[int, Tower] = {
    512: Tower("ViT-B-32", embed=512, width=768, layers=12, patch=32, megabytes=605),
    768: Tower("ViT-L-14", embed=768, width=1024, layers=24, patch=14, megabytes=1710),
}
"""The towers of published VCA models, by the width of the features that their heads take."""


def is_published(path: str | Path) -> bool:
    """Return whether ``path`` is a file that ``torch.save`` made, by its bytes; checkpoints of ours are not."""
    return is_pickled(Path(path))


def read_published(
    path: str | Path, outputs: str | None = None, *, mode: str | None = None, mask: str | None = None
) -> Published:
    """Read a published checkpoint. No code from the file is run.

    Args:
        path: the file; its tensors stay mapped to it where the format allows.
        outputs: ``valence`` or ``arousal``: what a model with one output was trained on, for the file does not say.
        mode, mask: of a CM-VQVAE, for its file does not say; see ``models.cmvqvae.published``.

    Raises:
        CheckpointError: the file is missing, damaged, asks for code, is of no known family, holds NaN or infinity, or
            has one output and ``outputs`` is None.
        UsageError: ``outputs`` for a model with two.
    """
    contents = _contents(Path(path))
    tried: dict[str, list[str]] = {}
    for one in _stripped(contents):
        for family in FORMATS.values():
            faults = family.faults(one)
            if not faults:
                found = family.read(one, Choices(outputs, mode, mask))
                _check_finite(found.state, contents.path)
                return replace(found, notes=(*found.notes, *([f"weights{one.description}"] if one.description else [])))
            if len(faults) > len(tried.get(family.title, [])):  # a file is the nearer to a family the more it matches
                tried[family.title] = faults
    names = sorted(contents.state)
    raise CheckpointError(
        f"{path} is none of the published checkpoints that affectkit reads.\n"
        + "\n".join(f"  - not {title}: {_some_faults(faults)}." for title, faults in tried.items())
        + f"\n  Tensors it holds ({len(names)}){contents.description}: {', '.join(names[:4])}"
        + f"{', ...' if len(names) > 4 else ''}.",
        "Weights of a backbone go to affectkit train --init FILE.",
    )


def _check_finite(state: Mapping[str, torch.Tensor], path: Path) -> None:
    # In double precision no sum of these overflows; several times faster than asking every number.
    unfinite = [name for name, value in state.items() if not math.isfinite(value.sum(dtype=torch.float64))]
    if unfinite:
        raise CheckpointError(f"{path} holds NaN or infinity in {listed_names(unfinite)}.")


def _some_faults(faults: list[str]) -> str:
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    return "; ".join(faults[:5]) + more


def _stripped(contents: Contents) -> Iterator[Contents]:
    """Yield ``contents``, then the same without what stands in front of all names,
    as of a network that another holds.
    """
    yield contents
    prefix, state = "", contents.state
    while len(fronts := {name.partition(".")[0] for name in state}) == 1 and all("." in name for name in state):
        front = f"{fronts.pop()}."
        prefix += front
        state = {name.removeprefix(front): value for name, value in state.items()}
        before = f"{contents.description}, " if contents.description else " ("
        described = f"{before}names without {prefix}" + ("" if contents.description else ")")
        yield replace(contents, state=state, description=described)


class Loose(nn.Module):
    """Tensors that stand in for the module whose they are, where its ``state_dict`` alone is asked for."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self._state = dict(state)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Return the tensors."""
        return self._state


def tower_state(published: Published) -> dict[str, torch.Tensor]:
    """Return the image tower's tensors of a ``vca``, by the tower's own names."""
    return {name.removeprefix(ENCODER): value for name, value in published.state.items() if name.startswith(ENCODER)}


def _contents(path: Path) -> Contents:
    found = unwrap(load_pickled(path), path)
    return Contents(path, found.state, found.beside, found.description() if found.others or found.marks else "")


# --- VCA -------------------------------------------------------------------------------------------------------------

ENCODER, HEAD = "encoder.tower.", "head."


def _split_vca(contents: Contents) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Split into the image tower and the head, each by its own names."""
    state = contents.state
    tower = {name.removeprefix(VISUAL): value for name, value in state.items() if name.startswith(VISUAL)}
    return tower, {name: value for name, value in state.items() if not name.startswith("clip_model.")}


def _vca_faults(contents: Contents) -> list[str]:
    tower, head = _split_vca(contents)
    faults = []
    if not tower:
        faults.append(f"no CLIP: nothing under {VISUAL.removesuffix('.')}")
    last = head.get("LastFC.weight")
    if last is None or last.dim() != 2:
        return [*faults, "no head: no LastFC.weight" if last is None else f"LastFC.weight is {tuple(last.shape)}"]
    outputs, width = last.shape[0], last.shape[1] - 2 * vca.BRANCH
    if outputs not in (1, 2):
        faults.append(f"LastFC has {outputs} outputs, not 1 or 2")
    if width not in TOWERS:
        known = " or ".join(f"{embed} ({entry.name})" for embed, entry in TOWERS.items())
        return [*faults, f"the head takes {width} features, not {known}"]
    faults += differences(head, _head_shapes(width, outputs))
    if tower:
        faults += _tower_faults(tower, TOWERS[width])
    inner = [name.removeprefix("clip_model.") for name in contents.state if name.startswith("clip_model.")]
    known_text = (*TEXT, *TEXT_FACTS, "visual.")
    return faults + [f"clip_model.{name} is not known" for name in inner if not name.startswith(known_text)]


def _head_shapes(width: int, outputs: int) -> Shapes:
    with torch.device("meta"):
        head = vca.Head(width, outputs)
    return {name: tuple(value.shape) for name, value in head.state_dict().items()}


def _tower_faults(tower: Mapping[str, torch.Tensor], wanted: Tower) -> list[str]:
    """Return one sentence on another architecture, or the tensors that are missing, unknown or of another shape."""
    stem, places, proj = (tower.get(name) for name in ("conv1.weight", "positional_embedding", "proj"))
    if stem is None or stem.dim() != 4 or places is None or places.dim() != 2 or proj is None or proj.dim() != 2:
        return [f"the tensors under {VISUAL} are not those of a vision transformer ({', '.join(sorted(tower)[:3])})"]
    patch = stem.shape[2]
    blocks = {name.split(".")[2] for name in tower if name.startswith("transformer.resblocks.")}
    size = patch * math.isqrt(max(places.shape[0] - 1, 0))
    found = (stem.shape[0], len(blocks), patch, size, proj.shape[1])
    named = (wanted.width, wanted.layers, wanted.patch, wanted.size, wanted.embed)
    if found != named:
        form = "width {}, {} layers, patches of {}, images of {}, {} features"
        return [f"its image tower has {form.format(*found)}; {wanted.name} has {form.format(*named)}"]
    return differences(tower, wanted.shapes(), VISUAL)


def _read_vca(contents: Contents, choices: Choices) -> Published:
    tower, head = _split_vca(contents)
    count, joined = head["LastFC.weight"].shape
    entry = TOWERS[joined - 2 * vca.BRANCH]
    classes = _classes(contents.path, count, choices.outputs)
    state = {ENCODER + name: value for name, value in tower.items()} | {HEAD + k: v for k, v in head.items()}
    # OpenAI keeps biases and norms in single precision even where all the rest is half.
    precision = PRECISIONS[tower["conv1.weight"].dtype]
    numerus = "output" if count == 1 else "outputs"
    return Published(
        family="vca",
        title=f"VCA, {entry.name}, {count} {numerus} ({', '.join(classes)}), {precision} precision",
        model="vca",
        options={"clip_model": entry.choice(tower_hash(Loose(tower))).to_dict(), "carried": True},
        spec=InputSpec("ratings", entry.size, entry.size, fit="stretch", classes=classes, **vca.INPUT),
        state=state,
        summary=check_finite_numbers(contents.beside),
        precision=precision,
    )


def _classes(path: Path, count: int, outputs: str | None) -> tuple[str, ...]:
    """Return the outputs' names in order."""
    if outputs is not None and outputs not in OUTPUTS:
        raise UsageError(f"outputs must be {' or '.join(OUTPUTS)}, got {outputs!r}.")
    if count == len(OUTPUTS):
        if outputs is not None:
            raise UsageError(f"{path} has two outputs, {' and '.join(OUTPUTS)}; --outputs is for files with one.")
        return OUTPUTS
    if outputs is None:
        raise CheckpointError(
            f"{path} is a VCA with one output, and does not say whether that is valence or arousal.",
            f"Say it once: affectkit convert {path} OUT.safetensors --outputs valence (or arousal), then use OUT.",
        )
    return (outputs,)


FORMATS: dict[str, PublishedFormat] = {
    "vca": PublishedFormat("VCA", _vca_faults, _read_vca),
    "v1": published_v1.FORMAT,
    "cmvqvae": published_codes.FORMAT,
    "distribution": published_distributions.FORMAT,
}
