"""Read what a run folder of ``train`` says of itself: settings, versions, data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.limits import MAX_RECORD_NODES
from affectkit.core.yaml_files import load_yaml
from affectkit.errors import DataError

CONFIG = "config.yaml"


def read_config(folder: Path) -> dict[str, Any]:
    """Return the record in ``config.yaml``; an empty one without.

    Raises:
        DataError: it cannot be read, or has no settings.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        record = load_yaml(path.read_text(encoding="utf-8"), str(path), nodes=MAX_RECORD_NODES)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
        raise DataError(f"{path} has no settings: {folder} is no run folder of train.")
    return record


def data_root(config: dict[str, Any], *, test: bool = False) -> str | None:
    """Return the folder of the data that a run was trained on, or with ``test`` tested on; None where it is unknown."""
    settings = config.get("settings", {})
    found = (settings.get("test_data") if test else None) or settings.get("data")
    return None if found is None else str(found)
