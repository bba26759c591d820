"""Whatever a process does first, what it keeps is the same: every cache of tensors, filled first in every mode."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import affectkit
from affectkit.core.cached import cached_tensors
from affectkit.core.clipspec import SoundSpec
from affectkit.corruptions import frost

PACKAGE = Path(affectkit.__file__).parent
SOUND = SoundSpec(rate=16000, n_fft=512, window=400, hop=160, mels=40, top_db=80.0, width=20, height=40)
CACHES = {
    "models.v1.polar.polar_masks": (32,),
    "models.v1.polar._matrix": (32,),
    "data.loading.transforms._constant": ((0.5, 0.4, 0.3), (2, 2), torch.device("cpu")),
    "data.media.waveforms._resampler": (44100, 16000),
    "data.media.spectrograms._transform": (SOUND,),
    "data.media.spectrograms._bands": (SOUND,),
    "corruptions.filters.correlation_matrix": (7, (0.25, 0.5, 0.25), "mirror"),
    "corruptions.digital._boxes": (9, 4, torch.device("cpu")),
    "corruptions.frost._photographs": ("folder",),
    "corruptions.frost._computed": (),
}

PLAIN = {"models.external.published_distributions._shapes", "tasks.categorical.losses"}
"""Caches that name torch and keep no tensor: plain numbers, and a function."""


@contextlib.contextmanager
def numbers(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


MODES = {
    "meta": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "double": lambda: numbers(torch.float64),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def functions() -> dict[str, tuple[ast.FunctionDef, str]]:
    """Every decorated function of the package and the names of its decorators."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                found[f"{place}.{node.name}"] = (node, " ".join(map(ast.unparse, node.decorator_list)))
    return found


def test_every_cache_of_tensors_is_tried_here_and_no_other_keeps_any():
    found = functions()
    kept = {name for name, (_, decorators) in found.items() if "cached_tensors" in decorators}
    assert kept == set(CACHES)
    others = {
        name: node for name, (node, by) in found.items() if "cached_tensors" not in by and ("cache" in by.lower())
    }
    assert len(others) >= 5, sorted(others)
    assert {name for name, node in others.items() if "torch" in ast.unparse(node)} <= PLAIN


def test_no_module_makes_tensors_as_it_is_imported():
    faults, looked = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                looked += 1
                calls = [ast.unparse(n.func) for n in ast.walk(node.value) if isinstance(n, ast.Call)]
                made = [name for name in calls if name.startswith("torch.") and name.islower()]
                faults += [f"{path.name}: {name}" for name in made if name not in ("torch.device", "torch.compile")]
    assert faults == []
    assert looked > 300


def tensors(made: object) -> list[torch.Tensor]:
    if isinstance(made, torch.Tensor):
        return [made]
    if isinstance(made, torch.nn.Module):
        return [*made.buffers(), *made.parameters()]
    return [tensor for part in made for tensor in tensors(part)] if isinstance(made, tuple) else []


def function_of(name: str) -> Any:
    place, _, function = name.rpartition(".")
    return getattr(import_module(f"affectkit.{place}"), function)


@pytest.fixture(scope="module")
def expected_of() -> dict[str, list[torch.Tensor]]:
    """What each cache gives a caller in no mode."""
    return {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CACHES)
def test_the_first_caller_does_not_matter(name, mode, expected_of, tmp_path, monkeypatch):
    monkeypatch.setattr(frost, "COUNT", 1)  # textures; each takes a second
    cache, arguments = function_of(name), CACHES[name]
    if arguments == ("folder",):
        pixels = np.random.default_rng(0).integers(0, 255, (12, 14, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "ice.png")
        arguments = (tmp_path,)
    everything = [function_of(key) for key in CACHES]
    for one in everything:  # one cache is made from another
        one.cache_clear()
    if name not in expected_of:
        expected_of[name] = tensors(cache(*arguments))
    expected = expected_of[name]
    assert expected
    for one in everything:
        one.cache_clear()
    with MODES[mode]():
        cache(*arguments)
    found = tensors(cache(*arguments))
    assert cache.cache_info().hits == 1, "made again, not kept"
    for one, two in zip(found, expected, strict=True):
        assert one.device == two.device and one.dtype == two.dtype and one.stride() == two.stride()
        assert not one.is_inference() and not one.requires_grad
        assert torch.equal(one, two)
    for one in everything:
        one.cache_clear()


def test_the_modes_of_the_caller_are_put_back():
    @cached_tensors(1)
    def made() -> torch.Tensor:
        return torch.zeros(2, 2) @ torch.zeros(2, 2)

    with torch.device("meta"), torch.inference_mode(), numbers(torch.float64), MODES["autocast"]():
        assert made().device.type == "cpu" and made().dtype == torch.float32 and not made().is_inference()
        after = torch.zeros(2)
        assert after.device.type == "meta" and after.dtype == torch.float64 and after.is_inference()
    assert torch.zeros(2).dtype == torch.get_default_dtype() == torch.float32

    @cached_tensors(1)
    def broken() -> torch.Tensor:
        raise ValueError("no")

    with numbers(torch.float64), pytest.raises(ValueError, match="no"):
        broken()
    assert torch.get_default_dtype() == torch.float32


def test_what_is_kept_can_be_used_where_gradients_are_computed():
    from affectkit.models.v1.polar import CorticalMagnification, _matrix

    _matrix.cache_clear()
    with torch.inference_mode():
        _matrix(32)
    maps = torch.ones(1, 1, 32, 32, requires_grad=True)
    CorticalMagnification(32)(maps).sum().backward()
    torch.testing.assert_close(maps.grad.flatten(), _matrix(32).sum(0))
