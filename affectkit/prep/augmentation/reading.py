"""Pipeline files: what they may name and hold is checked before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.files import open_at_once
from affectkit.core.os_errors import read_fault
from affectkit.core.registry import unknown_name
from affectkit.core.yaml_files import load_yaml
from affectkit.errors import UsageError
from affectkit.prep.augmentation import allowed_transforms as rules
from affectkit.prep.augmentation.albumentations_v1 import convert_specification
from affectkit.prep.augmentation.building import verify_specification

NEXT = "`affectkit pipeline save FILE` writes the built-in pipeline as a starting point."


def read_pipeline(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read (specification, notes on what was converted) of a pipeline file.

    Raises:
        UsageError: as ``pipeline.load_pipeline``.
    """
    value = _read(path)
    version = value.get("__version__")
    if not isinstance(version, str) or not isinstance(value.get("transform"), dict) or len(value) != 2:
        raise UsageError(
            f"{path} is not a saved pipeline: it must hold the two keys __version__ (text) and transform (a mapping), "
            f"and holds {', '.join(map(str, value)) or 'nothing'}.",
            f"Save one with albumentations.save(pipeline, FILE, data_format='yaml'); {NEXT}",
        )
    root = value["transform"]
    _check(root, path)
    notes: tuple[str, ...] = ()
    if version.split(".")[0] == "1":
        root, notes = convert_specification(root, str(path))
        notes = (f"{path} was saved by Albumentations {version} and has been converted.", *notes)
    elif version.split(".")[:2] != ["2", "0"]:
        raise UsageError(
            f"{path} was saved by Albumentations {version}; files of 1.x and 2.0.x can be read.",
            f"Save it anew with the installed version, {rules.VERSION}.",
        )
    return {"__version__": rules.VERSION, "transform": verify_specification(root, path)}, notes


def _read(path: Path) -> dict[Any, Any]:
    try:
        with open(path, "rb", opener=open_at_once) as stream:
            data = stream.read(rules.MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(*read_fault(f"the pipeline {path}", path, error, NEXT)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the pipeline {path} is not UTF-8 text (byte {error.start}).", NEXT) from error
    if len(data) > rules.MAX_BYTES:
        raise UsageError(f"the pipeline {path} is larger than {rules.MAX_BYTES:,} bytes.", "Is it the right file?")
    value = load_yaml(text, f"the pipeline {path}")
    if not isinstance(value, dict):
        raise UsageError(f"the pipeline {path} must be a mapping, not {_called(value)}.", NEXT)
    return value


def _check(root: dict[str, Any], path: Path) -> None:
    """Check names, keys and limits, before anything is built."""
    count = 0

    def check(node: Any, place: str, depth: int) -> None:
        nonlocal count
        count += 1
        if count > rules.MAX_TRANSFORMS:
            raise UsageError(f"{path} holds more than {rules.MAX_TRANSFORMS} transforms.", "Make it smaller.")
        if depth > rules.MAX_DEPTH:
            raise UsageError(f"{path}, {place}: nested deeper than {rules.MAX_DEPTH} compositions.", "Make it flatter.")
        if not isinstance(node, dict) or not isinstance(node.get("__class_fullname__"), str):
            raise UsageError(f"{path}, {place}: must be a mapping with __class_fullname__, not {_called(node)}.", NEXT)
        node["__class_fullname__"] = name = _allowed(node["__class_fullname__"], f"{path}, {place}")
        for key in node:
            if not isinstance(key, str):
                raise UsageError(f"{path}, {place} {name}: the key {key!r} must be text.", NEXT)
        if name not in rules.COMPOSITIONS:
            return
        _check_composition(node, f"{path}, {place} {name}")
        for number, child in enumerate(node["transforms"]):
            inner = f"transforms[{number}]" if depth == 0 else f"{place}.{name}[{number}]"
            check(child, inner, depth + 1)

    check(root, "transform", 0)


def _allowed(full: str, where: str) -> str:
    """Return the short name of a transform from the allow-list."""
    parts = full.split(".")
    name = parts[-1]
    if len(parts) > 1 and parts[0] != "albumentations":
        raise UsageError(f"{where}: {full} is not one of Albumentations' own transforms.", "Only those can be named.")
    if name in rules.REFUSED:
        raise UsageError(f"{where}: {name} cannot be used: {rules.REFUSED[name]}.", "Take it out of the pipeline.")
    if name not in rules.ALLOWED | rules.COMPOSITIONS:
        known = sorted(rules.ALLOWED | rules.COMPOSITIONS)
        raise UsageError(f"{where}: {unknown_name('transform', name, known)}", "Only Albumentations' own can be named.")
    return name


def _check_composition(node: dict[str, Any], where: str) -> None:
    for key in node.keys() - rules.COMPOSITION_KEYS - {"__class_fullname__"}:
        raise UsageError(f"{where}: the key {key} has no meaning here.", "Take it out of the file.")
    for key in ("bbox_params", "keypoint_params", "additional_targets"):
        if node.get(key):
            raise UsageError(f"{where}: {key} is set, and images alone are augmented.", f"Set {key} to null.")
    children = node.get("transforms")
    if not isinstance(children, list) or not children:
        raise UsageError(
            f"{where}: transforms must be a list of at least one.", "Take the composition out, or fill it."
        )


def _called(value: Any) -> str:
    return {dict: "a mapping without it", list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), f"{value!r}"
    )
