"""Which face detector ``auto`` takes on this machine, where its file is, and what installed packages bring."""

from __future__ import annotations

import os
from typing import Any

from affectkit.data.faces import DETECTORS, LEFT_OUT
from affectkit.data.faces.weights import YUNET, find_weights, pulled_detector, pulled_path


def examine_detectors(auto: str | None) -> dict[str, Any]:
    """Describe the face detectors of this machine.

    Args:
        auto: what ``auto`` stands for; None where that is not known.

    Returns:
        ``auto``; ``weights``: path of the file of YuNet that is taken, None without one; ``pulled``: path of the one
        that was downloaded, None without one; ``damaged``: a file in its place that is not the published one;
        ``installed``: packages by the names of their detectors; ``left_out``: sentences on those that cannot be used.
    """
    pulled, path, weights = pulled_detector(), pulled_path(), find_weights()
    return {
        "auto": auto,
        "summary": DETECTORS[auto].summary if auto in DETECTORS else None,
        "weights": str(weights) if weights else None,
        "pulled": str(pulled) if pulled else None,
        "damaged": str(path) if pulled is None and os.path.exists(path) else None,
        "installed": {name: entry.package for name, entry in DETECTORS.items() if entry.package},
        "left_out": list(LEFT_OUT),
    }


def detector_faults(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what is wrong with what ``examine_detectors`` found: what, why that matters, and how to fix it."""
    faults = [(text.rstrip("."), "--faces does not know it", "Rename its entry point.") for text in found["left_out"]]
    if found["damaged"]:
        why = f"it is not the published {YUNET.name}, and is not used"
        faults.append((f"the face detector's file {found['damaged']} is damaged", why, "affectkit pull face-detector"))
    return faults


def detector_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the rows of ``affectkit doctor`` on face detectors."""
    auto = f"{found['auto']}: {found['summary']}" if found["auto"] else "not known"
    pulled = found["pulled"] or "not downloaded: affectkit pull face-detector"
    installed = ", ".join(f"{name} ({package})" for name, package in found["installed"].items())
    return [
        ["--faces auto", auto],
        ["weights of yunet", found["weights"] or "none: affectkit pull face-detector"],
        [f"{YUNET.name}", pulled],
        *([["of installed packages", installed]] if installed else []),
    ]
