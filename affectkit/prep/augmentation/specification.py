"""Pipelines as plain data: a tree of nodes, as Albumentations saves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BUILT_IN = "built-in"
FULL = {"uint8": 255, "uint16": 65535}
"""White, by the type of the pixels."""


def walk_nodes(
    node: dict[str, Any], place: str = "transform", depth: int = 0
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (place, depth, node) of ``node`` and all below it, such as ``("transforms[2].OneOf[0]", 2, {...})``."""
    yield place, depth, node
    for number, child in enumerate(node.get("transforms", ())):
        inner = f"transforms[{number}]" if depth == 0 else f"{place}.{node_class(node)}[{number}]"
        yield from walk_nodes(child, inner, depth + 1)


def node_class(node: dict[str, Any]) -> str:
    """Return the class name of ``node``: ``"OneOf"``."""
    return node["__class_fullname__"]


def canonical(value: Any) -> Any:
    """Write whole floats as integers: 1 and 1.0 are the same probability."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
