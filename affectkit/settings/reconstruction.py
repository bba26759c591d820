"""Settings of ``affectkit reconstruct``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.config import setting
from affectkit.settings.common import DATA, needed
from affectkit.settings.evaluation import Tested


@dataclass(frozen=True, kw_only=True)
class ReconstructSettings(Tested):
    """Settings of ``affectkit reconstruct``."""

    results: Path | None = setting(
        None, "Folder for the pictures, the table and the sounds.", group=DATA, metavar="FOLDER"
    )
    force: bool = setting(False, "Write into a --results that is not empty.", group=DATA)
    clips: int = setting(8, "Clips that are drawn, evenly over the split.", low=1, high=64, group=DATA)
    sound: bool = setting(
        False, "Also write what the spectrograms of those clips sound like (Griffin-Lim; seconds a clip).", group=DATA
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return super().rules() + needed(self, "results")
