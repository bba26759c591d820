"""The page of a quantile analysis: means of bins of equal count, a chart and a table a file."""

from __future__ import annotations

from affectkit.core.forms import Count
from affectkit.errors import DataError
from affectkit.pages.page import Page, Source
from affectkit.pages.tables import read_record, read_table, to_float

_MEASURES = {"r": float | None, "rmse": float | None}
_FILE = {
    "file": str, "n": Count, "left_out": Count, "bins": Count, **_MEASURES, "r2": float | None,
    "items": {**_MEASURES, "ccc": float | None},
}  # fmt: skip
_MEAN = {**_MEASURES, "r2": float | None}
FORM = {"files?": list[_FILE], "missed?": list[str], "pooled?": _FILE, "mean_of_analyses?": _MEAN}
"""What the page takes from the record."""


def build(source: Source) -> Page:
    """Return the page of a folder with ``summary.json`` and ``quantiles.csv``.

    Raises:
        DataError: ``summary.json`` is of something else.
    """
    folder = source.folder
    record, rows = read_record(folder / "summary.json", FORM), read_table(folder / "quantiles.csv")
    files = record.get("files")
    if not isinstance(files, list) or not rows:
        raise DataError(f"{folder} holds no quantile analysis: quantiles.csv and its summary.json are needed.")
    by_file: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_file.setdefault(row.get("file", ""), []).append(row)
    charts = [
        {
            "kind": "scatter", "into": f"file-{k}", "title": "Mean predicted over mean actual", "x": "mean actual",
            "y": "mean predicted", "identity": True, "joined": True,
            "points": [
                {"x": to_float(row["actual_mean"]), "y": to_float(row["predicted_mean"]), "name": f"bin {row['bin']}"}
                for row in bins
            ],
        }
        for k, bins in enumerate(by_file.values())
    ]  # fmt: skip
    values = {
        "actual": record.get("actual", "Actual"), "predicted": record.get("predicted", "Predicted"),
        "bins": record.get("bins"), "files": files, "pooled": record.get("pooled"),
        "mean": record.get("mean_of_analyses"), "tables": list(by_file.items()), "missed": record.get("missed", []),
        "affectkit": record.get("affectkit", ""),
    }  # fmt: skip
    title = f"Quantile analysis: {folder.absolute().name}"
    return Page("quantiles.html", title, values, {"charts": charts}, ("chart.js", "charts_of_page.js"))
