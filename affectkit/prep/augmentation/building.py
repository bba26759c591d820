"""Albumentations objects of a specification: built, compared with what was meant, seeded and called.

The only module that imports Albumentations; it is itself imported where a pipeline is built, never on the way to help.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import math
import os
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.prep.augmentation import allowed_transforms as rules
from affectkit.prep.augmentation.specification import FULL, walk_nodes

_importing = threading.Lock()


def import_quietly() -> Any:
    """Import ``import_quietly`` without asking the package index for news, without torch and the hub.

    It imports torch for a transform that is not allowed here, which would cost each worker over a second and 200 MB,
    and Hugging Face's client, for pipelines on the hub, which would cost 0.15 s.
    """
    with _importing:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
        first = "albumentations" not in sys.modules
        hidden = [name for name in ("torch", "huggingface_hub") if first and name not in sys.modules]
        for name in hidden:
            sys.modules[name] = None  # type: ignore[assignment]  # an import of it raises ImportError, which is met
        try:
            import albumentations as module
        finally:
            for name in hidden:
                del sys.modules[name]
        return module


# --- building --------------------------------------------------------------------------------------------------------


def verify_specification(root: dict[str, Any], path: Path) -> dict[str, Any]:
    """Build a pipeline and give its own specification, once nothing of ``root`` was lost on the way."""
    written = to_plain(_build(root, str(path)).to_dict_private())
    for (place, _, given), (_, _, got) in zip(walk_nodes(root), walk_nodes(written), strict=True):
        where = f"{path}, {place} {got['__class_fullname__']}"
        for key in given.keys() - {"__class_fullname__", "transforms"}:
            if key not in got:
                raise UsageError(f"{where}: Albumentations does not keep the key {key}.", "Take it out of the file.")
            if _differs(given[key], got[key]):
                raise UsageError(
                    f"{where}: {key} {given[key]} would silently become {got[key]}.", "Write a valid value."
                )
    spec = _own(written)
    again = to_plain(_build(spec, str(path)).to_dict_private())
    for (place, _, first), (_, _, second) in zip(walk_nodes(written), walk_nodes(again), strict=True):
        changed = [key for key in first if key != "transforms" and first[key] != second.get(key)]
        if changed:
            raise UsageError(
                f"{path}, {place} {first['__class_fullname__']}: Albumentations {rules.VERSION} does not read back "
                f"{', '.join(changed)} as it writes it ({first[changed[0]]} becomes {second.get(changed[0])}).",
                "Use another transform" + (" (Affine does the same)." if "ShiftScale" in str(first) else "."),
            )
    return spec


def _build(node: dict[str, Any], source: str, place: str = "transform", depth: int = 0) -> Any:
    """Build the Albumentations object of a checked node.

    Not ``albumentations.from_dict``: that imports torch, and takes any class that was ever registered.
    """
    name = node["__class_fullname__"]
    values = {key: _tuples(value) for key, value in node.items() if key not in ("__class_fullname__", "transforms")}
    if "transforms" in node:
        values["transforms"] = [
            _build(child, source, f"transforms[{k}]" if depth == 0 else f"{place}.{name}[{k}]", depth + 1)
            for k, child in enumerate(node["transforms"])
        ]
    if name not in ("Compose", "Sequential"):
        values.setdefault("p", 0.5)  # as albumentations.load does
    p = values.get("p", 1.0)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        raise UsageError(
            f"{source}, {place} {name}: p must be a number from 0 to 1, got {p!r}.", "Write a probability."
        )
    if name == "OneOf" and not any(child.p for child in values["transforms"]):
        raise UsageError(f"{source}, {place} OneOf: every p inside is 0.", "They are weights: raise one.")
    maker = getattr(import_quietly(), name)
    if name not in rules.COMPOSITIONS:
        for key in values.keys() - _keys(maker, inherited=True):
            raise UsageError(
                f"{source}, {place} {name}: Albumentations {rules.VERSION} does not know the key {key}, and would drop "
                "it silently.",
                "Take the key out, or write what it meant with the keys of the installed version.",
            )
        values = {key: value for key, value in values.items() if key in _keys(maker)}
        if "InitSchema" in vars(maker):
            values["strict"] = True  # without it, values that cannot be read become the defaults
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice to programmers
        try:
            return maker(**values)
        except Exception as error:  # a transform judges its values in any way it likes
            raise UsageError(f"{source}, {place} {name}: {_reason(error)}", "Fix the value in the file.") from error


def _keys(maker: type, *, inherited: bool = False) -> set[str]:
    """List what a transform takes; with ``inherited`` also what its bases take.

    Albumentations writes both, and reads the former alone: RGBShift saves the ``noise_type`` of the AdditiveNoise that
    it is.
    """
    bases = maker.__mro__ if inherited else (maker,)
    taken = {name for base in bases for name in inspect.signature(base.__init__).parameters}
    return taken - {"self", "args", "kwargs", "strict"}


def _own(node: dict[str, Any]) -> dict[str, Any]:
    """Remove from ``node``, and all below it, what a transform writes and does not take."""
    name = node["__class_fullname__"]
    if name in rules.COMPOSITIONS:
        return {**node, "transforms": [_own(child) for child in node["transforms"]]}
    taken = _keys(getattr(import_quietly(), name)) | {"__class_fullname__"}
    return {key: value for key, value in node.items() if key in taken}


class HashRandom(random.Random):
    """Draw by SplitMix64 (Steele, Lea and Flood, 2014) behind Python's generator: seeding Mersenne Twister takes 4 us.

    Most transforms draw one number or none.
    """

    _state = 0

    def begin(self, key: int) -> None:
        """Begin the stream of ``key``."""
        self._state = key

    def random(self) -> float:
        """Draw a number in [0, 1), a multiple of 2**-53; all other draws come from here or from ``getrandbits``."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int) -> int:
        """Draw a number of ``k`` random bits."""
        found = 0
        for _ in range(0, k, 64):
            found = found << 64 | self._next()
        return found >> (-k % 64)

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        word = self._state
        word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
        return word ^ word >> 31


_WORD = 2**64 - 1


class NodeStreams:
    """Hold the two generators of one node, brought to any address at a twentieth of the cost of making them again."""

    def __init__(self, node: Any) -> None:
        self._bits = np.random.Philox(key=0)
        self._start = self._bits.state
        self._python = HashRandom(0)
        node.set_random_state(np.random.Generator(self._bits), self._python)

    def seek(self, key: int) -> None:
        """Bring both to the beginning of the streams of ``key``."""
        self._start["state"]["key"][0] = key
        self._bits.state = self._start
        self._python.gauss_next = None
        self._python.begin(key)


@dataclass(frozen=True)
class BuiltPipeline:
    """Hold a built pipeline: the object to call, its transforms by id, and a stream for every node, root first."""

    root: Any
    transforms: dict[int, str]
    streams: list[NodeStreams]

    def seek(self, key: int) -> None:
        """Bring each node to a stream of its own, all following from ``key``."""
        keys = HashRandom(0)
        keys.begin(key)
        for stream in self.streams:
            stream.seek(keys.getrandbits(63))


def build_pipeline(root: dict[str, Any], *, unit: bool) -> BuiltPipeline:
    """Build the objects of a verified specification.

    Args:
        unit: for float images in [0, 1]: fill values, which are in units of 0 to 255, are scaled.
    """
    import cv2

    cv2.setNumThreads(0)  # the processes are the parallelism
    built = BuiltPipeline(_build(root, "pipeline"), {}, [])

    def visit(node: Any) -> None:
        # A composition first: it hands its own generators down to all that is below it.
        built.streams.append(NodeStreams(node))
        if type(node).__name__ in rules.COMPOSITIONS:
            for child in node.transforms:
                visit(child)
            return
        built.transforms[id(node)] = type(node).__name__
        if hasattr(node, "mask_interpolation") and hasattr(node, "interpolation"):
            node.mask_interpolation = node.interpolation  # alpha is no label map: its edges follow the colours'
        for key in ("fill", "fill_mask", "drop_value", "mask_drop_value") if unit else ():
            if (value := getattr(node, key, None)) is not None and not isinstance(value, str):
                setattr(node, key, tuple(item / 255 for item in value) if isinstance(value, tuple) else value / 255)

    visit(built.root)
    return built


# --- applying --------------------------------------------------------------------------------------------------------


def call_pipeline(root: Any, pixels: np.ndarray, *, name: str, source: str) -> np.ndarray:
    """Put ``pixels`` through a seeded object; shapes and errors as ``Pipeline.apply``."""
    alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
    full = FULL[pixels.dtype.name]
    values = pixels if full == 255 else pixels.astype(np.float32) / np.float32(full)
    colours = values[:, :, :-1] if alpha else values
    if colours.ndim == 3 and colours.shape[2] == 1:
        colours = colours[:, :, 0]
    # A copy: some transforms work in place.
    data = {"image": np.array(colours, order="C")}
    if alpha:
        data["mask"] = np.array(values[:, :, -1], order="C")
    done = root(**data)
    image = done["image"]
    if image.shape != colours.shape or image.dtype != values.dtype:
        old, new = (" x ".join(map(str, (shape[1], shape[0]))) for shape in (pixels.shape, image.shape))
        raise DataError(
            f"{name}: the pipeline {source} makes {new} of {old} pixels; a copy must keep its original's size.",
            "Take out transforms that crop, pad, resize or turn by 90 degrees, or end with a Resize to the one size.",
        )
    if alpha:
        image = np.dstack([image, done["mask"].reshape(image.shape[:2])])
    if full != 255:
        if not np.isfinite(image).all():
            raise DataError(f"{name}: the pipeline {source} made values that are not finite.", "Fix the pipeline.")
        image = np.rint(np.clip(image, 0, 1) * full).astype(pixels.dtype)
    return np.ascontiguousarray(image)


@contextlib.contextmanager
def naming_errors(source: str, name: str, built: BuiltPipeline) -> Iterator[None]:
    """Raise what a transform raises inside as a DataError that names the transform and the image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:  # NumPy, OpenCV and SciPy stand behind transforms
        frames = [id(frame.f_locals.get("self")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        culprit = next((built.transforms[item] for item in frames if item in built.transforms), "the pipeline")
        raise DataError(
            f"{name}: {culprit} (pipeline {source}) cannot be applied: {_reason(error)}",
            "Take the transform out of the pipeline, or this image out of the dataset.",
        ) from error


# --- values ----------------------------------------------------------------------------------------------------------


def to_plain(value: Any) -> Any:
    """Convert ``value`` to what JSON holds: tuples as lists, enums and NumPy scalars as what they stand for."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _differs(given: Any, got: Any) -> bool:
    """Return whether a value was changed, where both are of one kind (a number may become a range)."""
    if isinstance(given, list) and isinstance(got, list) and len(given) == len(got):
        return any(_differs(a, b) for a, b in zip(given, got, strict=True))
    if isinstance(given, int | float) and isinstance(got, int | float):
        return not math.isclose(given, got, rel_tol=1e-9, abs_tol=1e-12)
    return isinstance(given, str | bool) and isinstance(got, str | bool) and given != got


def _reason(error: Exception) -> str:
    """Return an exception as one line; Pydantic's as field: rule."""
    for source in (error, error.__cause__, error.__context__):
        listed = getattr(source, "errors", None)
        if callable(listed):
            faults = {f"{'.'.join(map(str, item['loc'][:1]))}: {item['msg']}": None for item in listed()}
            return "; ".join(faults) + "."
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return (text if len(text) < 300 else text[:297] + "...") + "."
