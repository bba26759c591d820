"""The folder of a download that a preparation is given."""

from __future__ import annotations

from pathlib import Path

from affectkit.core.archives import ENDINGS
from affectkit.core.missing_paths import instead_of
from affectkit.errors import DataError


def check_source_folder(source: Path) -> None:
    """Refuse what is no folder, with the next step: a file is mostly the archive as it was downloaded.

    Raises:
        DataError: there is no such folder.
    """
    if source.is_dir():
        return
    if source.exists():
        archive = source.name.lower().endswith(ENDINGS)
        step = "Unpack it and name the folder of its contents." if archive else "Name the folder that holds it."
        raise DataError(f"source {source} is a file, not a folder.", step)
    raise DataError(f"source folder {source} does not exist.", instead_of(source))
