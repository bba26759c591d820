"""The page of a test: metrics with intervals, confusion, reliability, every sample with its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.core.assets import called
from affectkit.core.forms import Count
from affectkit.core.text import count_text
from affectkit.pages.figures import other_figures
from affectkit.pages.group_tables import GROUPS_FORM, group_tables
from affectkit.pages.metric_words import metric_rows
from affectkit.pages.page import Page, Source
from affectkit.pages.run_record import data_root, read_config
from affectkit.pages.samples import read_samples
from affectkit.pages.tables import NUMBERS, SKIPPED_FORM, read_record

FORM = {
    "metrics?": NUMBERS, "test?": NUMBERS, "intervals?": dict[str, list[float | None]],
    "test_intervals?": dict[str, list[float | None]], "classes?": list[str], "class_counts?": dict[str, Count],
    "skipped?": SKIPPED_FORM, "remarks?": list[str], "missed?": list[str], "over_classes?": dict[str, str],
    "selective?": list[dict[str, float]], "abstention?": dict[str, Any],
    "images?": Count, "test_images?": Count, "copies?": Any, "data?": str, "groups?": GROUPS_FORM,
    "cluster?": str, "clusters?": Count,
}  # fmt: skip
"""What the page takes from the record."""
RECORD_SHOWN = {
    "checkpoint": "model", "checkpoint_sha256": "SHA-256 of the model", "task": "task", "engine": "computed by",
    "data": "data", "layout": "layout of the data", "split": "split", "data_fingerprint": "fingerprint of the data",
    "altered": "images corrupted by", "fit": "pictures brought to the input size by", "temperature": "temperature",
    "prior": "predictions re-weighted to the class prior", "prior_from": "that prior is",
    "training_prior": "from the class prior of training", "training_prior_from": "known from",
    "device": "device", "precision": "number format", "affectkit": "affectkit",
}  # fmt: skip


def build(source: Source) -> Page:
    """Return the page of a folder with ``results.json``."""
    folder = source.folder
    record = read_record(folder / "results.json", FORM)
    # In the test folder of a run the metrics stand under other names, and the run folder knows the data.
    metrics = record.get("metrics") or record.get("test") or {}
    intervals = record.get("intervals") or record.get("test_intervals") or {}
    data = record.get("data") or data_root(read_config(folder.parent), test=True)
    samples = read_samples(source, folder, record, data=data, whole=True, part="test")
    n = record.get("images") or record.get("test_images")
    split = str(record.get("split", "test"))
    if samples is not None:
        samples.values["split"] = split
    skipped = [(one.get("image", ""), one.get("reason", "")) for one in record.get("skipped") or []]
    values = {
        "metrics": metric_rows({split: metrics}, intervals, record.get("over_classes")), "parts": [split],
        "selective": [_selective(row) for row in record.get("selective") or []],
        "abstention": _abstention(record.get("abstention")),
        "has_intervals": bool(intervals), "over": _units(record), "n": n, "split": split,
        "groups": group_tables(record.get("groups")), "samples": None if samples is None else samples.values,
        "record": [
            (words, called(str(record[key]))) for key, words in RECORD_SHOWN.items() if record.get(key) is not None
        ],
        "remarks": [*record.get("remarks", []), *record.get("missed", [])], "skipped": skipped,
        "copies": describe_copies(record.get("copies")), "counts": record.get("class_counts") or {},
        "figures": other_figures(source, [folder / "plots", folder], drawn=samples is not None),
    }  # fmt: skip
    scripts = ("chart.js", "grid.js", "charts_of_page.js") if samples is not None else ()
    return Page(
        template="test.html",
        title=f"Test: {folder.absolute().name}",
        values=values,
        data={} if samples is None else {"grid": samples.grid, "charts": samples.charts},
        scripts=scripts,
        counts={} if samples is None else {"pictures": samples.pictures, "without_picture": samples.without},
    )


def _units(record: Mapping[str, Any]) -> str:
    """Return what the intervals of a record are over: its items, or the clusters that they belong to."""
    count, column = record.get("clusters"), record.get("cluster")
    return f"{count_text(count, 'cluster')} ({column})" if isinstance(count, int) and column else "the items"


def _selective(row: dict[str, float]) -> tuple[str, str, str]:
    """Return coverage, threshold and accuracy of a point of the risk-coverage curve, as texts."""
    return tuple(
        "" if row.get(name) is None else form.format(row[name])
        for name, form in (("coverage", "{:.1%}"), ("threshold", "{:.4f}"), ("accuracy", "{:.2%}"))
    )


def _abstention(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what ``--abstain`` came to, as names and texts; empty without."""
    if not found:
        return []
    rows = [("no label below a confidence of", f"{found.get('threshold')} ({found.get('from')})")]
    for name, words in (("coverage", "get a label"), ("accuracy", "of these are right")):
        span = found.get(f"{name}_interval")
        if not isinstance(found.get(name), int | float) or not isinstance(span, list) or len(span) != 2:
            continue
        text = f"{found[name]:.2%} (exact 95% interval {span[0]:.2%} to {span[1]:.2%})"
        kept, promised = found.get("kept") or {}, found.get("promised") or {}
        if name in kept and name in promised:
            text += f"; promised at least {promised[name]:.2%}: {kept[name]}"
        rows.append((words, text))
    return rows


def describe_copies(copies: Any) -> str:
    """Describe what is recorded of exact copies across splits; empty where nothing is."""
    if not isinstance(copies, dict) or not all(isinstance(copies.get(key), int) for key in ("copies", "items")):
        return ""
    found = copies.get("compared_with")
    others = ", ".join(map(str, found)) if isinstance(found, list) and found else "other splits"
    left = "left out" if copies.get("dropped") else "counted with the others"
    if not copies["copies"]:
        return f"None of {copies['items']:,} is an exact copy of one in {others}."
    return f"{copies['copies']:,} of {copies['items']:,} are exact copies of ones in {others}; they are {left}."
