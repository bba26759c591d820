"""Every published family and variant is loaded in a fresh process, each with empty caches.

Run as a program (``python test_published_fresh.py FOLDER V1``) this file does so, with the last ``V1`` of the thirteen
V1 networks, and prints a JSON object for each.
"""

from __future__ import annotations

import functools
import gc
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

FEATURES = ("multimodal", "image-only", "audio-only")
NAMES = {
    "vca": 6,  # one or two outputs, in half or single precision, with and without the text tower
    "cmvqvae": 15,  # with and without quantisers and mask, the masks and modes, two ResNets, features
}


@pytest.mark.parametrize("v1", [2, pytest.param(13, marks=pytest.mark.slow)])  # of 100 MB each
def test_every_published_file_is_loaded_with_empty_caches(tmp_path, v1):
    command = [sys.executable, __file__, tmp_path, str(v1)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr[-3000:]
    for family, count in {**NAMES, "resnet50_": v1}.items():
        assert sum(one["name"].startswith(family) for one in found) == count, family
    assert [one["name"] for one in found if one["off"] > 1e-3 or not one["differs"]] == []


# --- in the fresh process --------------------------------------------------------------------------------------------


def empty_caches() -> int:
    """Clear every cache of affectkit's functions; how many held something."""
    kinds = type(functools.lru_cache(lambda: None))
    caches = [one for one in gc.get_objects() if type(one) is kinds and one.__module__.startswith("affectkit")]
    held = sum(one.cache_info().currsize > 0 for one in caches)
    for one in caches:
        one.cache_clear()
    return held


def loaded(name: str, path: Path, expected, *inputs, **choices) -> None:
    """Load ``path`` with empty caches and print how far its outputs are from ``expected``; the file goes."""
    import torch

    import affectkit

    empty_caches()
    model = affectkit.load(path, **choices)
    with torch.inference_mode():
        found = getattr(model, "classify", model)(*inputs)
    off = float((found - expected).abs().max() / expected.abs().max())
    print(json.dumps({"name": name, "off": off, "differs": bool(expected.std() > 0)}), flush=True)
    path.unlink()


def v1_networks(root: Path, count: int) -> None:
    import torch
    import torchvision.models.resnet  # noqa: F401 - which asks for torch.nn.init's functions by name
    from test_v1_networks import SPEC, published

    from affectkit.models.registry import build
    from affectkit.models.v1.network import VARIANTS

    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for name in islice(reversed(VARIANTS), count):
        torch.manual_seed(0)
        model = build(name, SPEC).eval()
        with torch.inference_mode():
            expected = model(x)
        loaded(name, published(model, name, root / "v1.pth"), expected, x)


def vca_networks(root: Path) -> None:
    import torch
    from published_files import TINY_TOWER, make_state, straight, write

    from affectkit.checkpoints.convert import convert
    from affectkit.core.progress import Silent
    from affectkit.models.external.published import TOWERS

    TOWERS[64] = TINY_TOWER
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    for outputs in (1, 2):
        for options in ({}, {"half": True, "prefix": "module."}, {"text": False}):
            state = make_state(outputs=outputs, **options)
            path = write(root / "vca.pth", state)
            if outputs == 1:  # such a file does not say of what it is
                empty_caches()
                converted = root / "vca.safetensors"
                convert(path, converted, outputs="valence", clip_weights="keep", force=True, reporter=Silent())
                path = converted
            loaded("vca", path, straight(state, x, heads=2), x)


def chosen(mode: str, image, audio) -> tuple:
    """What a model of that ``mode`` gets."""
    return (None if mode == "audio-only" else image, None if mode == "image-only" else audio)


def clip_networks(root: Path) -> None:
    import torch
    from test_cmvqvae_published import MODELS, Straight, clips, filled, layout, resnets, saved

    from affectkit.core.clipspec import CREMAD
    from affectkit.core.clipspec import FEATURES as SPEC
    from affectkit.core.spec import InputSpec
    from affectkit.models.cmvqvae import family

    plain_clips = clips()
    cases = [(name, layout(**options), {}) for name, options in MODELS.items()]
    cases += [("cmvqvae", layout(quantised="plain"), {"mask": mask}) for mask in ("ternarizer", "attention")]
    cases += [
        ("cmvqvae", layout(single=True), {"mode": mode, "mask": mask})
        for mode in ("image-only", "audio-only")
        for mask in ("binarizer", "attention")
    ]
    for name, shapes, choices in cases:
        state = filled(shapes)
        plain, mode = Straight(state), choices.get("mode", "multimodal")
        codes = [
            plain.quantised(plain.maps(x, key), key) for key, x in zip(("image", "audio"), plain_clips, strict=True)
        ]
        used = {"multimodal": slice(None), "image-only": slice(0, 64), "audio-only": slice(64, 128)}[mode]
        values = state.get("_classifier.private_shared_mask")
        masks = {"attention": lambda v: v, "ternarizer": lambda v: torch.where(v < 0, -1.0, (v > 0.005).float())}
        mask = None if values is None else masks.get(choices.get("mask"), lambda v: (v > 0.005).float())(values)
        given = chosen(mode, *plain_clips)
        with torch.no_grad():
            expected = plain.logits(torch.cat(codes, 1), mask, used)
        loaded(name, saved(root / "cm.pt", state), expected, *given, **choices)
    spec = InputSpec("audiovisual", 128, 128, classes=tuple("abcdef"), clip=SPEC)
    for mode in FEATURES:
        source = family.CMVQVAEFamily().build("cmvqvae-features", spec, codes=24, mode=mode).eval()
        given = chosen(mode, torch.randn(2, 16, 4096), torch.randn(2, 64, 1024))
        with torch.no_grad():
            expected = source.classify(*given)
        loaded("cmvqvae-features", saved(root / "cm.pt", source.state_dict()), expected, *given, mode=mode)
    for number in range(2):
        state = filled(resnets(6 + number))
        source = family.CMVQVAEFamily().build(
            "cmvqvae-baseline4",
            InputSpec("audiovisual", 128, 128, classes=tuple("abcdefgh")[: 6 + number], clip=CREMAD),
        )
        source.load_state_dict(state)
        with torch.no_grad():
            expected = source.eval()(*plain_clips).logits
        loaded("cmvqvae-baseline4", saved(root / "cm.pt", state), expected, *plain_clips)


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parent), str(here.parents[1])]
    v1_networks(Path(sys.argv[1]), int(sys.argv[2]))
    for networks in (vca_networks, clip_networks):
        networks(Path(sys.argv[1]))
