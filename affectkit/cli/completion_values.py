"""Values that a Tab press can offer for settings: names from the registries, and paths, which the shell completes
itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHELLS = {"bash": "affectkit.bash", "zsh": "_affectkit", "fish": "affectkit.fish", "powershell": "affectkit.ps1"}
"""Each shell's script, by the name under which it is kept."""
VARIABLE = "_AFFECTKIT_COMPLETE"
"""What a script sets to ask for an answer; Typer makes the name from the program's."""
PRESSED = VARIABLE in os.environ
"""Whether this process answers a Tab. Only then is Typer given what it calls: it inspects that at each start."""
FILES = "<files>"
"""The answer where a path is due."""
PATHS = ("checkpoint", "clip_weights", "data", "files", "models", "paths")
"""Settings of type text that name files."""
NAMES = ("model", "pattern", "v1", "clip", "loss", "corrupt", "corruptions", "faces", "device", "topic")
LISTS = {"v1": ",", "loss": "+", "corruptions": ","}
"""Settings of several names, and what stands between them."""


def offered(name: str, kind: type) -> Callable[..., Any] | None:
    """Return what Typer calls for values of the setting ``name`` of type ``kind``; None where there are none."""
    if not PRESSED:
        return None
    if kind is Path or name in PATHS:
        return lambda incomplete: [(incomplete, FILES)]
    return (lambda incomplete: _names_of(name, incomplete)) if name in NAMES else None


def _names_of(setting: str, incomplete: str) -> list[tuple[str, str]]:
    """List names that begin as ``incomplete``, with their summaries; in a list, those that do not stand in it yet."""
    mark = LISTS.get(setting, "")
    before = incomplete[: incomplete.rfind(mark) + 1] if mark else ""
    taken = {item.partition(":")[0] for item in before.split(mark)} if mark else set()
    return [(before + name, summary) for name, summary in known_names()[setting].items() if name not in taken]


def known_names() -> dict[str, dict[str, str]]:
    """List names and summaries for each of ``NAMES``, from registries that load nothing heavy."""
    from affectkit.corruptions import CORRUPTIONS, GROUPS
    from affectkit.data.faces import DETECTORS
    from affectkit.guides import all_guides
    from affectkit.losses import LOSSES, RATING_LOSSES
    from affectkit.models.registry import MODELS
    from affectkit.models.v1.components import COMPONENTS

    corruptions = {name: entry.summary for name, entry in CORRUPTIONS.items()}
    models = {name: entry.summary for name, entry in MODELS.items()}
    detectors = {name: entry.summary for name, entry in DETECTORS.items() if entry.file_optional or not entry.file}
    return {
        "model": models,
        "pattern": models,
        "v1": dict.fromkeys(COMPONENTS, ""),
        "clip": dict.fromkeys(("ViT-L-14", "ViT-B-32"), ""),
        "loss": {name: entry.summary for name, entry in {**RATING_LOSSES, **LOSSES}.items()},
        "corrupt": corruptions,
        "corruptions": {**{name: ", ".join(members) for name, members in GROUPS.items()}, **corruptions},
        "faces": {"auto": "", **detectors, "none": ""},
        "topic": {guide.name: guide.title for guide in all_guides()},
        "device": dict.fromkeys(("auto", "cpu", "cuda", "mps"), ""),
    }
