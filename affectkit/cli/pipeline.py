"""``affectkit pipeline``: what augments images in ``datasplit``, shown and written as a file to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.help_pages import command_group
from affectkit.cli.options import command
from affectkit.cli.outputs import files, nothing
from affectkit.config import Resolved, setting

HEADER = """\
# An augmentation pipeline for `affectkit datasplit --pipeline-yaml`: the one that is built in, as a start.
# p is a probability; inside OneOf it is a weight. Fill values are in units of 0 to 255 at any depth.
# `affectkit pipeline show FILE` checks a changed file and shows what it means.
"""
_BORDERS = ("constant", "replicate", "reflect", "wrap", "reflect_101")
_INTERPOLATIONS = ("nearest", "linear", "cubic", "area", "lanczos4")
_WORDS = {"border_mode": _BORDERS, "interpolation": _INTERPOLATIONS, "mask_interpolation": _INTERPOLATIONS}
_NO_PARAMETERS = {
    "__class_fullname__", "p", "transforms", "n", "replace",
    "bbox_params", "keypoint_params", "additional_targets", "is_check_shapes",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ShowSettings:
    """Settings of ``affectkit pipeline show``."""

    file: Path | None = setting(None, "YAML file of a pipeline; without one, the built-in pipeline.", argument=True)


@dataclass(frozen=True, kw_only=True)
class SaveSettings:
    """Settings of ``affectkit pipeline save``."""

    output: Path | None = setting(None, "YAML file to write.", argument=True, also="output")
    force: bool = setting(False, "Replace a file that is there.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.output is not None else ["OUTPUT is needed: the file to write."]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    about = "Show the pipeline that augments images, or save it as a file to start from."
    pipeline = command_group(app, "pipeline", about)

    @command(pipeline, "show", ShowSettings, writes=nothing)
    def show(resolved: Resolved[ShowSettings], console: Console) -> None:
        """Check a pipeline and show its transforms. Each has when it is applied, and its parameters.

        Reads what albumentations.save wrote as YAML, with the installed version or with 1.x.

        Examples:
            affectkit pipeline show
            affectkit pipeline show mine.yaml
        """
        from affectkit.prep.augmentation.pipeline import load_pipeline

        pipeline = load_pipeline(resolved.settings.file)
        console.result(
            {
                "source": pipeline.source,
                "identity": pipeline.identity,
                "notes": list(pipeline.notes),
                "pipeline": pipeline.spec,
            }
        )
        console.table(["transform", "applied", "parameters"], _rows(pipeline.spec["transform"]))
        for text in pipeline.notes:
            console.note(text)
        console.note(f"pipeline {pipeline.source}, identity {pipeline.identity[:16]}")

    @command(pipeline, "save", SaveSettings, writes=files("output"), brief=Brief(required=("output",)))
    def save(resolved: Resolved[SaveSettings], console: Console) -> None:
        """Write the built-in pipeline as YAML. Change it, and give it to datasplit --pipeline-yaml.

        Examples:
            affectkit pipeline save mine.yaml
        """
        from affectkit.config import dump_yaml
        from affectkit.core.files import write_text
        from affectkit.errors import UsageError
        from affectkit.prep.augmentation.pipeline import load_pipeline

        path = resolved.settings.output
        pipeline = load_pipeline(None)
        text = HEADER + dump_yaml(pipeline.spec)
        done = path.is_file() and path.read_bytes() == text.encode()
        if path.is_dir():
            raise UsageError(f"OUTPUT {path} is a folder; a file is needed.", f"Write {path / 'pipeline.yaml'}.")
        if path.exists() and not done and not resolved.settings.force:
            raise UsageError(f"OUTPUT {path} is there already.", "Name another file, or add --force to replace it.")
        if not done:
            write_text(path, text)
        console.result({"output": str(path), "identity": pipeline.identity, "already_done": done})
        console.note(f"{path} holds the built-in pipeline" + ("; nothing to do." if done else "."))


def _rows(root: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each node; what is inside a composition is indented below it."""
    rows: list[list[str]] = []

    def add(node: Mapping[str, Any], depth: int, when: str) -> None:
        kind = node["__class_fullname__"]
        children = node.get("transforms", [])
        values = [f"{key} {_shown(key, value)}" for key, value in node.items() if key not in _NO_PARAMETERS]
        if "n" in node:
            values.append(f"{node['n']} of {len(children)}" + (", with repetition" if node.get("replace") else ""))
        # Outside of terminals, leading blanks of a cell are kept; the root alone has none.
        rows.append(["  " * depth + kind, when, ", ".join(values)])
        whole = sum(child["p"] for child in children) or 1
        for number, child in enumerate(children):
            if kind == "OneOf":
                inner = f"{child['p'] / whole:.0%} of the time"
            elif kind == "OneOrOther":
                inner = f"{node['p'] if number == 0 else 1 - node['p']:.0%} of the time"
            else:
                inner = _when(child["p"])
            add(child, depth + 1, inner)

    add(root, 0, _when(root["p"]))
    return rows


def _when(p: float) -> str:
    return "always" if p == 1 else "never" if p == 0 else f"p {p:g}"


def _shown(key: str, value: Any) -> str:
    words = _WORDS.get(key, ())
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int) and 0 <= value < len(words):
        return words[value]
    if isinstance(value, list):
        inner = [_shown("", item) for item in value]
        if len(value) == 2 and all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
            return inner[0] if value[0] == value[1] else f"{inner[0]} to {inner[1]}"
        return f"({', '.join(inner)})"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_shown(name, item)}" for name, item in value.items()) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
