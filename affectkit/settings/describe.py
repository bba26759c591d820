"""Settings of ``affectkit describe``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.config import Parsed, setting
from affectkit.data.layouts.rating_scale import Scale
from affectkit.settings.common import (
    DATA,
    RUN,
    chosen_classes,
    fail_under,
    followed_links,
    ignored_columns,
    pixel_limit,
    rating_range,
)

COPIES = "Copies"


@dataclass(frozen=True, kw_only=True)
class DescribeSettings:
    """Settings of ``affectkit describe``."""

    data: Path | None = setting(
        None,
        "Folder with a dataset in any layout that train reads, or with images.",
        argument=True,
        metavar="DATA",
        also="data",
    )
    labels: Path | None = setting(
        None, "Table of labels or ratings of the images in DATA, if it does not lie there.", group=DATA, metavar="TABLE"
    )
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: Parsed[Scale] | None = rating_range("1,9 where the median is above 1, else -1,1")
    group_by: str | None = setting(
        None,
        "What groups items, as persons: a column of the tables, or a regular expression with one group that is "
        "searched in their names, as 'file:subject(\\d+)_'.",
        group=DATA,
        metavar="COLUMN|file:REGEX",
        default_text="a column called subject, actor or the like, where there is one",
    )
    groups: Path | None = setting(
        None, "Table of columns for --group-by, joined by the items' names.", group=DATA, metavar="TABLE"
    )
    near_copies: bool = setting(True, "Search near copies.", group=COPIES)
    correlation: float = setting(
        0.94, "Least correlation of near copies, at the best of small shifts.", group=COPIES, low=0.5, high=1
    )
    distance: int = setting(
        12, "Bits of 64 in which the perceptual hashes of near copies may differ.", group=COPIES, low=0, high=20
    )
    mirrored: bool = setting(False, "Find near copies that were mirrored, too.", group=COPIES)
    results: Path | None = setting(None, "Folder for tables, figures and describe.json.", group=RUN, metavar="FOLDER")
    force: bool = setting(False, "Write into a --results that is not empty.", group=RUN)
    workers: int | None = setting(
        None, "Threads that read and compare.", low=0, high=256, group=RUN, default_text="one a processor, 8 at most"
    )
    max_pixels: Parsed[int] | None = pixel_limit(RUN)
    fail_under: Parsed[dict[str, float]] | None = fail_under(
        "Exit 3 where a number is worse than its bound: unreadable, copies, copies_across, near_copies, "
        "near_copies_across, groups_across and ties at most; items, smallest_class, rater_agreement, fleiss_kappa and "
        "krippendorff_alpha at least.",
        group=RUN,
        metavar="NAME=VALUE,...",
        example="near_copies_across=0",
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = [] if self.data is not None else ["DATA is needed: the folder with the dataset or the images."]
        if self.force and self.results is None:
            faults.append("--force needs --results.")
        if self.mirrored and not self.near_copies:
            faults.append("--mirrored needs near copies: leave --no-near-copies out.")
        return faults
