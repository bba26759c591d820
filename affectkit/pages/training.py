"""The page of a training run: what it was, how it went, and what came out."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.forms import Count
from affectkit.pages.figures import other_figures
from affectkit.pages.metric_words import describe, metric_rows
from affectkit.pages.page import Page, Source
from affectkit.pages.run_record import data_root, read_config
from affectkit.pages.samples import Samples, read_samples
from affectkit.pages.tables import NUMBERS, SKIPPED_FORM, read_record, read_table, to_float, to_int
from affectkit.pages.test import describe_copies

CALIBRATION = ("ece", "ece_top1", "brier")
FORM = {
    "best_epoch?": Count, "epochs?": Count, "monitor?": str, "classes?": list[str], "valid?": NUMBERS, "test?": NUMBERS,
    "class_counts?": dict[str, dict[str, Count]], "test_intervals?": dict[str, list[float | None]],
    "skipped?": SKIPPED_FORM, "valid_remarks?": list[str], "test_remarks?": list[str], "temperature?": float | None,
    "valid_over_classes?": dict[str, str], "copies?": dict[str, dict[str, Any] | None], "test_images?": Count,
    "calibration?": dict[str, Any] | None, "out_of_fold?": NUMBERS, "caveat?": str, "items?": Count,
    "out_of_fold_intervals?": dict[str, list[float | None]], "out_of_fold_interval_over?": str,
    "out_of_fold_over_classes?": dict[str, str], "out_of_fold_remarks?": list[str],
}  # fmt: skip
"""What the page takes from ``metrics.json``."""
STATES = {
    "running": "The run goes on, or was killed: the epochs so far are shown. affectkit train --resume continues it.",
    "stopped": "The run was stopped: the epochs so far are shown. affectkit train --resume continues it.",
    "failed": "The run failed",
}
MOST_CHARTS = 12
OUT_OF_FOLD = "out_of_fold"
REPEAT_ROWS = ("mean", "sd", "ci_low", "ci_high")


def build(source: Source) -> Page:
    """Return the page of a run folder, or of one with repeats or folds."""
    folder = source.folder
    config, status = read_config(folder), read_record(folder / "status.json", {"state?": str})
    metrics = read_record(folder / "metrics.json", FORM)
    repeats = read_table(folder / "repeats.csv")
    folds, fold_counts = (read_table(folder / name) for name in ("fold_metrics.csv", "folds.csv"))
    history = read_table(folder / "history.csv")
    timing = read_table(folder / "timing.csv")
    best = metrics.get("best_epoch")
    monitor = str(metrics.get("monitor") or config.get("settings", {}).get("monitor") or "loss")
    notes = _notes(status, history, bool(metrics), folds=bool(fold_counts))
    for note in notes:
        source.reporter.note(note)
    samples = _samples(source, config, metrics)
    values = {
        "notes": notes, "facts": _facts(config, metrics, history, timing),
        "command": _command(folder, config), "settings": _settings(config),
        "versions": _versions(config), "data": _data(config, metrics), "counts": metrics.get("class_counts") or {},
        "classes": metrics.get("classes") or [], "remarks": [*metrics.get("valid_remarks", []),
                                                             *metrics.get("test_remarks", []),
                                                             *metrics.get("out_of_fold_remarks", [])],
        "best": _best(history, best, monitor, config), "history": history, "timing": timing,
        "columns": list(history[0]) if history else [], "metrics": _metrics(metrics), "parts": _parts(metrics),
        "has_intervals": bool(_intervals(metrics)), "folds": folds, "fold_counts": fold_counts,
        "fold_columns": list(folds[0]) if folds else [], "count_columns": list(fold_counts[0]) if fold_counts else [],
        "caveat": metrics.get("caveat", ""), "over": metrics.get("out_of_fold_interval_over", ""),
        "baselines": _baselines(metrics),
        "calibration": _calibration(metrics), "samples": [one.values for one in samples],
        "repeats": repeats, "summaries": [row for row in repeats if row.get("repeat") in REPEAT_ROWS],
        "repeat_columns": list(repeats[0]) if repeats else [],
        "quantiles": read_table(folder / "repeats_quantiles.csv"),
        "skipped": [(one.get("image", ""), one.get("reason", "")) for one in metrics.get("skipped") or []],
        "figures": other_figures(source, [folder / "plots", folder / OUT_OF_FOLD / "plots"], drawn=bool(samples)),
    }  # fmt: skip
    charts = [*_curves(history, monitor, best), *(chart for one in samples for chart in one.charts)]
    return Page(
        template="training.html",
        title=f"Training: {folder.absolute().name}",
        values=values,
        data={"charts": charts},
        scripts=("chart.js", "charts_of_page.js"),
        counts={
            "pictures": sum(one.pictures for one in samples) + len(values["figures"]),
            "without_picture": sum(one.without for one in samples),
        },
    )


def _samples(source: Source, config: dict[str, Any], metrics: dict[str, Any]) -> list[Samples]:
    found = []
    for part, test in (("valid", False), ("test", True), (OUT_OF_FOLD, False)):
        folder, data = source.folder / part, data_root(config, test=test)
        one = read_samples(source, folder, metrics, data=data, whole=False, part=part)
        if one is not None:
            found.append(one)
    return found


def _notes(status: Mapping[str, Any], history: Sequence[Any], done: bool, *, folds: bool) -> list[str]:
    state = str(status.get("state", ""))
    notes = []
    if state in STATES and not done:
        reason = f": {status['reason']}" if state == "failed" and status.get("reason") else ""
        notes.append(STATES[state] + reason)
    if folds and not done:
        return [*notes, "The folds are not put together yet: affectkit merge says which are missing."]
    if not history and not done and not status.get("done"):
        notes.append("No epoch is complete yet.")
    return notes


def _facts(
    config: Mapping[str, Any], metrics: Mapping[str, Any], history: Sequence[Any], timing: Sequence[Mapping[str, str]]
) -> list[tuple[str, str]]:
    settings = config.get("settings", {})
    asked_task = settings.get("task") if settings.get("task") != "auto" else None
    found = [("model", settings.get("model")), ("task", config.get("data", {}).get("task") or asked_task)]
    folds, items = metrics.get("folds"), metrics.get("items")
    if isinstance(folds, list) and isinstance(items, int):
        found += [("folds", len(folds)), ("items", f"{items:,}")]
    parameters = config.get("model", {}).get("parameters")
    found.append(("parameters", f"{parameters:,}" if isinstance(parameters, int) else None))
    epochs = metrics.get("epochs") or len(history) or None
    asked = settings.get("epochs")
    found.append(("epochs", f"{epochs} of {asked}" if epochs and asked else epochs))
    found.append(("best epoch", metrics.get("best_epoch")))
    rates = [to_float(row.get("train_images_per_second")) for row in timing]
    rates = [rate for rate in rates if rate > 0]
    if rates:
        found.append(("images per second", f"{len(rates) / sum(1 / rate for rate in rates):,.0f}"))
        images = config.get("data", {}).get("train", {}).get("images")
        if isinstance(images, int):
            found.append(("training time", _duration(sum(images / rate for rate in rates))))
    return [(name, str(value)) for name, value in found if value is not None]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _command(folder: Path, config: Mapping[str, Any]) -> str:
    if not config:
        return ""
    return f"affectkit train --config {shlex.quote(str(folder / 'config.yaml'))} --output NEW-FOLDER"


def _settings(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return name, value and source of each setting; those that are not the default first.

    Where the run recorded no sources (earlier versions), what differs from today's default was set.
    """
    settings = config.get("settings", {})
    sources = config.get("sources")
    if not isinstance(sources, dict):
        sources = dict.fromkeys(_set_settings(settings), "set by flag, file or recipe")
    rows = [
        {"name": f"--{str(name).replace('_', '-')}", "value": _text(value), "source": str(sources.get(name, "default"))}
        for name, value in settings.items()
    ]
    return sorted(rows, key=lambda row: row["source"] == "default")


def _set_settings(settings: Mapping[str, Any]) -> list[str]:
    from affectkit.config import plain
    from affectkit.settings.training import TrainSettings

    defaults = plain(TrainSettings())
    return [name for name, value in settings.items() if name not in defaults or defaults[name] != value]


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _versions(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    place = config.get("place", {})
    found = {"affectkit": config.get("affectkit"), **config.get("versions", {}), **place}
    return [(str(name), str(value)) for name, value in found.items() if value is not None]


def _data(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, found = config.get("data", {}), []
    root = data_root(dict(config))
    if root:
        found.append(("data", root))
    if data.get("layout"):
        found.append(("layout", str(data["layout"])))
    for part, name in (("train", "training"), ("valid", "validation")):
        if isinstance(data.get(part), dict):
            images = data[part].get("images", 0)
            found += [
                (f"{name} images", f"{images:,}"),
                (f"fingerprint, {name}", str(data[part].get("fingerprint", ""))),
            ]
    if metrics.get("test_images") is not None:
        found.append(("test images", f"{metrics['test_images']:,}"))
    for part, copies in (metrics.get("copies") or {}).items():
        if text := describe_copies(copies):
            found.append((f"exact copies, {part}", text))
    return found


def _best(
    history: Sequence[Mapping[str, str]], best: int | None, monitor: str, config: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the best epoch, why it was chosen, and why training ended there."""
    column = f"valid_{monitor}"
    if best is None or not history or column not in history[0]:
        return None
    values = [to_float(row[column]) for row in history]
    chosen = next((to_float(row[column]) for row in history if row.get("epoch") == str(best)), math.nan)
    better = describe(monitor)[0] or ("min" if chosen <= min(values) else "max")
    settings, early = config.get("settings", {}), ""
    if isinstance(settings.get("epochs"), int) and len(history) < settings["epochs"]:
        early = (
            f"Training ended after epoch {len(history)} of {settings['epochs']}: none of the last "
            f"{len(history) - best} was better (--early-stop {settings.get('early_stop')})."
        )
    return {
        "epoch": best, "value": chosen, "monitor": monitor, "which": "lowest" if better == "min" else "highest",
        "of": len(history), "early": early,
    }  # fmt: skip


def _parts(metrics: Mapping[str, Any]) -> list[str]:
    return [part for part in ("valid", "test", OUT_OF_FOLD) if isinstance(metrics.get(part), dict)]


def _intervals(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return metrics.get("test_intervals") or metrics.get("out_of_fold_intervals") or {}


def _metrics(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    return metric_rows(
        {part: metrics[part] for part in _parts(metrics)},
        _intervals(metrics),
        metrics.get("valid_over_classes") or metrics.get("out_of_fold_over_classes"),
    )


def _baselines(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what guessing gives on each split: a class at random, and always training's most frequent one."""
    counts = metrics.get("class_counts") or {}
    train = counts.get("train") or {}
    found = []
    for part, name in (("valid", "validation"), ("test", "test")):
        own = counts.get(part) or {}
        n = sum(own.values())
        if not n:
            continue
        most = max(train or own, key=lambda one: (train or own)[one])
        reached = next((metrics[part][key] for key in ("accuracy", "top1") if key in metrics.get(part, {})), None)
        found.append({
            "part": name, "n": n, "chance": 1 / len(own), "majority": own.get(most, 0) / n, "most": most,
            "reached": reached,
        })  # fmt: skip
    return found


def _calibration(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    record = metrics.get("calibration")
    rows = []
    for part in _parts(metrics):
        for name in CALIBRATION:
            before, after = metrics[part].get(f"{name}_uncalibrated"), metrics[part].get(name)
            if before is not None or f"{name}_uncalibrated" in metrics[part]:
                rows.append({"part": part, "name": name, "before": before, "after": after, "words": describe(name)[1]})
    if not rows and not isinstance(record, dict):
        return None
    record = record if isinstance(record, dict) else {}
    return {
        "temperature": metrics.get("temperature"), "rows": rows, "fitted": record.get("fitted"),
        "reason": record.get("reason", ""), "n": record.get("n"), "to": record.get("to", ""),
        "nll": record.get("cross_validated_nll"), "nll_before": record.get("cross_validated_nll_uncalibrated"),
    }  # fmt: skip


def _curves(history: Sequence[Mapping[str, str]], monitor: str, best: int | None) -> list[dict[str, Any]]:
    """Return the charts of the history: loss first, then the monitored metric; training and validation together."""
    if not history:
        return []
    epochs = [to_int(row.get("epoch"), place) for place, row in enumerate(history, start=1)]
    own = [name for name in history[0] if name not in ("epoch", "lr")]
    names = list(dict.fromkeys(name.partition("_")[2] for name in own if name.startswith(("train_", "valid_"))))
    names = [name for name in names if not name.endswith("_uncalibrated")]
    first = [name for name in ("loss", monitor) if name in names]
    charts = []
    for name in [*dict.fromkeys([*first, *names])][:MOST_CHARTS]:
        series = [
            {"name": words, "values": [_or_none(row[column]) for row in history], "colour": colour, "dashed": dashed}
            for column, words, colour, dashed in (
                (f"train_{name}", "training", 7, True),
                (f"valid_{name}", "validation", 0, False),
            )
            if column in history[0]
        ]
        title = f"{name} (monitored)" if name == monitor else name
        charts.append({"kind": "lines", "into": "curves", "title": title, "x": epochs, "xName": "epoch",
                       "series": series, "marked": best})  # fmt: skip
    if "lr" in history[0]:
        series = [{"name": "learning rate", "values": [_or_none(row["lr"]) for row in history]}]
        charts.append({"kind": "lines", "into": "curves", "title": "learning rate", "x": epochs, "xName": "epoch",
                       "series": series})  # fmt: skip
    return charts


def _or_none(text: str) -> float | None:
    value = to_float(text)
    return value if math.isfinite(value) else None
