"""Published datasets that are known by their files: which one a folder holds, and where it is when a folder near it was
named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from affectkit.core.folders import is_folder, visible_names
from affectkit.data.layouts import affectnet, affectnet_fused, rafdb
from affectkit.data.layouts.afew_va import is_afew_va
from affectkit.data.layouts.clip_downloads import COMMANDS, clips_in
from affectkit.data.layouts.emotic import is_emotic
from affectkit.data.layouts.stimuli import IAPS, OASIS, stimuli_in
from affectkit.errors import DataError

PUBLISHED: dict[str, Callable[[Path], bool]] = {
    "RAF-DB": lambda root: rafdb.is_rafdb(root) or rafdb.is_repacked(root),
    "AffectNet": lambda root: affectnet.is_affectnet(root) or affectnet.first_release(root) is not None,
    "OASIS": lambda root: stimuli_in(root) is OASIS,
    "IAPS": lambda root: stimuli_in(root) is IAPS,
    "AFEW-VA": is_afew_va,
    "EMOTIC": is_emotic,
    **{name: (lambda root, name=name: clips_in(root) == name) for name in COMMANDS},
    "AffectNetFused": affectnet_fused.is_affectnet_fused,
}
"""By the name of a dataset, whether a folder holds it."""
_UP, _LOOKED_INTO = 3, 20


def name_of(root: Path) -> str:
    """Return the name of the published dataset in ``root``; empty where there is none."""
    try:
        return next((name for name, is_there in PUBLISHED.items() if is_there(root)), "")
    except DataError:  # a folder that may not be listed holds none that could be read
        return ""


def nearby(root: Path) -> str:
    """Return a hint where a folder below ``root``, or one that it lies in, holds a published dataset; else empty."""
    below = [root / name for name in visible_names(root, is_folder)[:_LOOKED_INTO]]
    found = [(name, path) for path in below if (name := name_of(path))]
    if len(found) > 1:
        return f"Name one of {', '.join(f'{path} ({name})' for name, path in found)}."
    found = found or [(name, path) for path in root.resolve().parents[:_UP] if (name := name_of(path))]
    return f"{found[0][0]} is in {found[0][1]}: name that folder." if found else ""
