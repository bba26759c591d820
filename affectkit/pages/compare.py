"""The page of a comparison: what it says in words, every difference with its interval and test, and the figure."""

from __future__ import annotations

from typing import Any

from affectkit.core.forms import Count
from affectkit.errors import DataError
from affectkit.pages.figures import other_figures
from affectkit.pages.group_tables import GROUPS_FORM, group_tables
from affectkit.pages.metric_words import describe
from affectkit.pages.page import Page, Source
from affectkit.pages.tables import read_record

_NUMBER = float | None
_ROW = {
    "metric": str, "better": str, "first": str, "second": str, "first_value": _NUMBER, "second_value": _NUMBER,
    "difference": _NUMBER, "low": _NUMBER, "high": _NUMBER, "interval": str, "p": _NUMBER, "p_holm": _NUMBER,
    "test": str, "effect_size": _NUMBER, "effect": str, "detectable": _NUMBER, "n": Count, "clusters": Count | None,
    "item_error": _NUMBER, "repeat_error": _NUMBER,
}  # fmt: skip
_MODEL = {"name": str, "source": str, "repeats": Count, "notes?": list[str]}
FORM = {
    "rows": list[_ROW], "models": list[_MODEL], "baseline": str, "items": Count, "said": list[str],
    "scope": list[str], "notes?": list[str], "missed?": list[str], "cluster?": str, "clusters?": Count | None,
    "left_out?": dict[str, Count], "task?": str, "affectkit?": str, "seed?": int, "draws?": Count,
    "groups?": GROUPS_FORM,
}  # fmt: skip
"""What the page takes from the record."""


def build(source: Source) -> Page:
    """Return the page of a folder with ``comparison.json``.

    Raises:
        DataError: the record is damaged, or holds no difference.
    """
    folder = source.folder
    record = read_record(folder / "comparison.json", FORM)
    rows = record["rows"]
    if not rows or len(record["said"]) != len(rows):
        raise DataError(f"{folder / 'comparison.json'} holds no comparison: a sentence for each row is needed.")
    made = [("task", record.get("task", "")), ("swaps of permutation tests", f"{record.get('draws', 0):,}")]
    made += [("seed", str(record.get("seed", ""))), ("affectkit", record.get("affectkit", ""))]
    values = {
        "models": record["models"], "baseline": record["baseline"], "items": record["items"],
        "rows": [_shown(row, said) for row, said in zip(rows, record["said"], strict=True)], "scope": record["scope"],
        "notes": record.get("notes", []), "missed": record.get("missed", []), "cluster": record.get("cluster", ""),
        "clusters": record.get("clusters"), "left_out": record.get("left_out", {}), "made": made,
        "repeated": any(row["repeat_error"] is not None for row in rows),
        "words": {row["metric"]: describe(row["metric"])[1] for row in rows},
        "groups": group_tables(record.get("groups")), "figures": other_figures(source, [folder], drawn=False),
    }  # fmt: skip
    return Page("compare.html", f"Comparison: {folder.absolute().name}", values)


def _shown(row: dict[str, Any], said: str) -> dict[str, Any]:
    """Return a row with what the page says of it."""
    shown = row["p_holm"] is not None and row["p_holm"] <= 0.05
    gain = (row["difference"] or 0.0) * (1 if row["better"] == "max" else -1)
    verdict = f"{row['second'] if gain > 0 else row['first']} is better" if shown else "not shown to differ"
    return {**row, "said": said, "shown": shown, "verdict": verdict if row["p_holm"] is not None else "no test"}
