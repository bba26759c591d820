"""The numbers that ``--fail-under`` of ``describe`` bounds. Importing this loads nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

BETTER = {
    "items": "max",
    "smallest_class": "max",
    "unreadable": "min",
    "copies": "min",
    "copies_across": "min",
    "near_copies": "min",
    "near_copies_across": "min",
    "groups_across": "min",
    "ties": "min",
    "rater_agreement": "max",
    "fleiss_kappa": "max",
    "krippendorff_alpha": "max",
}
"""By name, whether it must be at least ("max") or at most ("min") what is asked for.

``copies`` and ``near_copies`` count items that have one, in their own split or another one, those ``_across`` items
with one in an earlier split; ``smallest_class`` is the least count of a class in the first split.
"""


def measures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of ``BETTER`` of a description; NaN for what is not known, as groups without a column."""
    copies, near = summary.get("copies"), summary.get("near_copies")
    raters = next(iter(summary["raters"].values()), {}).get("all", {}) if summary.get("raters") else {}
    first = next(iter(summary["splits"].values()))["classes"]
    groups = summary.get("groups")
    distributions = summary.get("distributions") or {}
    return {
        "items": summary["items"],
        "smallest_class": min(first.values(), default=math.nan),
        "unreadable": len(summary["unreadable"]),
        "copies": copies["items_in_clusters"] if copies else math.nan,
        "copies_across": _across(copies),
        "near_copies": near["items_in_clusters"] if near else math.nan,
        "near_copies_across": _across(near),
        "groups_across": groups["across_count"] if groups else math.nan,
        "ties": sum(found["ties"] for found in distributions.values()) if distributions else math.nan,
        "rater_agreement": raters.get("agreement", math.nan),
        "fleiss_kappa": raters.get("fleiss_kappa", math.nan),
        "krippendorff_alpha": raters.get("krippendorff_alpha", math.nan),
    }


def _across(copies: Mapping[str, Any] | None) -> float:
    return sum(found["in_earlier"] for found in copies["splits"].values()) if copies else math.nan
