"""The run behind ``affectkit compare``: read or test the models, match their items, tell them apart, write."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectkit.comparison.checkpoints import test_checkpoint
from affectkit.comparison.clusters import INDEPENDENT, Clusters, find_clusters, likely_cluster
from affectkit.comparison.difference_groups import FILES, difference_groups, write_difference_groups
from affectkit.comparison.differences import LEVEL, Row, compare_models, pairs_of
from affectkit.comparison.margins import describe_held, missed_margins, worse_models
from affectkit.comparison.matching import Matched, match, same_outputs
from affectkit.comparison.result_folders import is_tested, read_folder
from affectkit.comparison.shared_labels import rename_classes
from affectkit.comparison.tested_models import TestedModel, TestedRun, short_names
from affectkit.comparison.words import describe_rows, describe_scope, describe_summary
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.missing_paths import instead_of
from affectkit.core.progress import Reporter
from affectkit.core.registry import did_you_mean
from affectkit.core.text import list_some
from affectkit.core.version import VERSION
from affectkit.data.layouts.label_map import read_label_map
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.groups import remove_groups
from affectkit.metrics.same import known_as
from affectkit.settings.compare import CompareSettings
from affectkit.statistics.measures import left_out

EXACT, ROUNDED = 1e-9, 1e-3
"""How far a metric may be from the recorded one, from the outputs themselves and from six decimals of a table."""
COUNTED = 1e-6
"""The same for shares of right answers, which no rounding changes."""
OF_TRAINING = ("loss", "reconstruction")
"""Metrics that are whatever a training minimised."""
SAME = 1e-5
"""Relative difference up to which two metrics are one: shares in float32 sum to 1 but for rounding."""
BASES = 6
"""Folders above the results from which a relative path of the data is looked up."""


def compare(settings: CompareSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Compare models on the same items; writes a table, a record and a figure where ``results`` is given.

    Returns:
        The record: ``models``, ``rows`` (see ``differences.Row``), ``said`` (in sentences), ``notes``, and ``missed``,
        which names every margin of ``fail_under`` that was missed.

    Raises:
        UsageError: what is named is not two different models, or there is no such metric or column.
        DataError: folders are damaged, or test sets, tasks or classes differ.
    """
    _refuse_twice(settings.models)
    names = short_names(settings.models, settings.names)
    margins = value_of(settings.fail_under, {})
    if settings.results is not None:
        fresh_folder(settings.results, force=settings.force, name="--results")
    models = _read(settings, names, reporter)
    if settings.label_map is not None:
        models = rename_classes(models, read_label_map(settings.label_map, names))
    matched = match(models, common=settings.common)
    for model in matched.models:
        for note in model.notes:
            reporter.note(note)
    for text in matched.notes:
        reporter.warn(text)
    metrics, margins, unusable = _chosen(settings.metrics, margins, settings.fail_if_worse, matched.models)
    of_metrics = [*_check_recorded(models, metrics), *unusable]
    for text in of_metrics:
        reporter.warn(text)
    notes = [*matched.notes, *of_metrics]
    clusters = _clusters(settings, matched, reporter)
    rows = compare_models(
        matched.models,
        metrics,
        clusters=None if clusters is None else clusters.values,
        all_pairs=settings.all_pairs,
        draws=settings.draws,
        seed=settings.seed,
    )
    by_group = {} if settings.by is None else _by_group(settings, matched, metrics, clusters, reporter)
    record = _record(settings, matched, rows, clusters, notes) | by_group
    same = {model.name for model in matched.models[1:] if same_outputs(matched.models[0], model)}
    record["missed"] = missed_margins(rows, margins, names[0], same=same)
    record["missed"] += worse_models(rows, [known_as(name, metrics) for name in settings.fail_if_worse], names[0])
    if (held := describe_held(margins, settings.fail_if_worse)) and not record["missed"]:
        reporter.note(held)
    if settings.results is not None:
        _write(settings.results, record)
    return record


# --- models -----------------------------------------------------------------------------------------------------------


def _refuse_twice(sources: Sequence[str]) -> None:
    known: dict[str, str] = {}
    for source in sources:
        real = os.path.realpath(source)
        if real in known:
            raise UsageError(
                f"{source} is named twice: a model compared with itself shows nothing.",
                "To try a job that changes nothing, test the model again into another folder.",
            )
        known[real] = source


def _read(settings: CompareSettings, names: Sequence[str], reporter: Reporter) -> list[TestedModel]:
    """Return the models: folders read first, so that what is wrong with them shows before anything is tested."""
    folders = {source: _is_folder(source, settings) for source in settings.models}
    untested = [source for source, folder in folders.items() if not folder]
    if untested and settings.data is None:
        there = [source for source in untested if os.path.exists(source)]
        if len(there) < len(untested) and not any("builtin" in source for source in untested):
            gone = next(source for source in untested if source not in there)
            raise UsageError(
                f"{gone} does not exist.",
                instead_of(gone, advice="Name a folder of results, or a checkpoint with --data DIR."),
            )
        tables = [source for source in untested if source.endswith((".csv", ".json")) and os.path.isfile(source)]
        if tables:
            folder = os.path.dirname(tables[0]) or "."
            raise UsageError(f"{tables[0]} is a file of results.", f"Name its folder: {folder}")
        raise UsageError(
            f"{untested[0]} is a checkpoint: --data DIR is needed to test it.",
            "Or name the folder that affectkit test --results wrote.",
        )
    if not untested and settings.data is not None and settings.cluster is None and settings.by is None:
        reporter.note("--data has no effect: all models are folders of results")
    found: dict[str, tuple[tuple[TestedRun, ...], list[str]]] = {
        source: read_folder(Path(source)) for source, folder in folders.items() if folder
    }
    for source in untested:
        found[source] = test_checkpoint(source, settings, reporter=reporter), []
    return [
        TestedModel(name, source, found[source][0], tuple(found[source][1]))
        for name, source in zip(names, settings.models, strict=True)
    ]


def _is_folder(source: str, settings: CompareSettings) -> bool:
    """Return whether ``source`` is read, and not tested: a run folder is tested where there is data to test it on."""
    path = Path(source)
    return path.is_dir() and (is_tested(path) or settings.data is None or not _is_run(path))


def _is_run(path: Path) -> bool:
    return (path / "best.safetensors").is_file() or any(path.glob("repeat-*/best.safetensors"))


# --- metrics ----------------------------------------------------------------------------------------------------------


def _chosen(
    wanted: Sequence[str], margins: dict[str, float], watched: Sequence[str], models: Sequence[TestedModel]
) -> tuple[list[str], dict[str, float], list[str]]:
    """Return the metrics that are compared, the margins by them (``metrics.same``), and notes on those that are not.

    Raises:
        UsageError: there is no such metric, or it is no sum over items.
        DataError: none is left.
    """
    runs = [run for model in models for run in model.runs]
    first = runs[0]
    shared = [name for name in first.measures if all(name in run.measures for run in runs)]
    unequal = _unequal_losses(runs)
    known = [name for name in first.task.metric_direction if name in first.recorded or not first.recorded]
    others = left_out(known, first.measures.values())
    if len(named := {known_as(name, shared): margin for name, margin in margins.items()}) < len(margins):
        raise UsageError("--fail-under: accuracy and top1 are one metric here; name it once.")
    margins = named
    notes = []
    if wanted and wanted != ("all",):
        names = list(dict.fromkeys(known_as(name, shared) for name in wanted))
    else:
        offered = shared if wanted else first.task.headline_metrics
        names = [name for name in offered if name in shared and name not in unequal]
        names, alike = _without_copies(names, runs)
        if wanted and alike:
            notes.append(
                f"not compared a second time: {list_some([f'{one} is {two}' for one, two in alike.items()], 20)}"
            )
    if wanted == ("all",):
        if unequal:
            notes.append(f"{', '.join(sorted(unequal))}: not compared, for the models have losses of their own")
        if others:
            notes.append(f"not compared, for they are no sums over items: {list_some(others, 20)}")
    names += [name for name in (*margins, *(known_as(one, shared) for one in watched)) if name not in names]
    for name in names:
        if name in unequal:
            raise UsageError(f"--metrics {name}: the models have losses of their own, whose values cannot be compared.")
        if name not in shared:
            known = name in others
            guess = "" if known else did_you_mean(name, shared, before=" ")
            why = (
                "is no sum over items, and cannot be compared item by item" if known else "is no metric of both models"
            )
            raise UsageError(f"--metrics: {name!r} {why}.{guess}", f"There are {', '.join(shared)}.")
    if not names:
        raise DataError("the models have no metric in common that can be compared.")
    return names, margins, notes


def _without_copies(names: Sequence[str], runs: Sequence[TestedRun]) -> tuple[list[str], dict[str, str]]:
    """Return ``names`` without metrics that are another one here, for each test more costs all; and which those are.

    So is a loss that is a metric by another name, and what a temperature of 1 does not change.
    """
    kept: list[str] = []
    alike: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name in OF_TRAINING):
        same = (
            other
            for other in kept
            if all(math.isclose(run.measures[name].of(), run.measures[other].of(), rel_tol=SAME) for run in runs)
        )
        if (other := next(same, None)) is None:
            kept.append(name)
        else:
            alike[name] = other
    return [name for name in names if name in kept], alike


def _unequal_losses(runs: Sequence[TestedRun]) -> set[str]:
    """Return the metrics whose values depend on how a model was trained, where the models differ in that."""
    options = [run.task.recorded_options() for run in runs]
    found = set()
    if any(not run.exact for run in runs) or len({str(one.get("loss")) for one in options}) > 1:
        found.add(OF_TRAINING[0])
    if len({str((one.get("recon_scale"), one.get("variance"))) for one in options}) > 1:
        found.add(OF_TRAINING[1])
    return found


def _check_recorded(models: Sequence[TestedModel], metrics: Sequence[str]) -> list[str]:
    """Return notes on metrics that come out a little otherwise than recorded, of tables with six decimals.

    Raises:
        DataError: one comes out otherwise by more than rounding: a file was changed.
    """
    notes = []
    for model in models:
        for run in model.runs:
            off = []
            for name in (known_as(metric, run.measures) for metric in metrics):
                recorded = run.recorded.get(name)
                if recorded is None or name not in run.measures:
                    continue
                value = run.measures[name].of()
                room = EXACT if run.exact else COUNTED if name in run.task.class_metrics else ROUNDED
                if math.isnan(value) or abs(value - recorded) > room * max(1.0, abs(recorded)):
                    raise DataError(
                        f"{run.source}: {name} is recorded as {recorded:.6g}, and its items give {value:.6g}: one of "
                        "the files was changed, or belongs to another test.",
                        "Test the model again: affectkit test --results DIR.",
                    )
                if abs(value - recorded) > EXACT * max(1.0, abs(recorded)):
                    off.append(f"{name} {value:.6g} (recorded {recorded:.6g})")
            if off:
                notes.append(f"{run.source}: six decimals give {', '.join(off)}")
            if not run.recorded:
                notes.append(f"{run.source}: no record of its metrics: whether its files go together was not checked")
    return notes


# --- clusters ---------------------------------------------------------------------------------------------------------


def _clusters(settings: CompareSettings, matched: Matched, reporter: Reporter) -> Clusters | None:
    root = _data_root(settings, matched.models[0].runs[0])
    column = likely_cluster(matched.ids, root) if settings.cluster is None else settings.cluster.strip()
    if column in ("", INDEPENDENT):
        return None
    if settings.cluster is None:
        reporter.note(f"clips of one {column} are alike: units are {column}s; clips with --cluster {INDEPENDENT}")
    classes = matched.models[0].runs[0].task.spec.classes
    tables = {"root": root, "labels": settings.labels, "groups": settings.groups}
    found = find_clusters(matched.ids, column, classes=classes, **tables)
    for text in found.notes:
        reporter.note(text)
    return found


def _data_root(settings: CompareSettings, run: TestedRun) -> Path | None:
    """Return the folder of the data set where it is still to be found, from here or from the results."""
    if settings.data is not None:
        return settings.data
    recorded = run.results.split.root
    if str(recorded) in ("", "."):
        return None
    bases = [Path.cwd(), *list(Path(run.source).absolute().parents)[:BASES]]
    return next((place for base in bases if (place := base / recorded).is_dir()), None)


def _by_group(
    settings: CompareSettings, matched: Matched, metrics: Sequence[str], clusters: Clusters | None, reporter: Reporter
) -> dict[str, Any]:
    """Return the differences by group, under ``groups``."""
    root = _data_root(settings, matched.models[0].runs[0])
    tables = {"root": root, "labels": settings.labels, "table": settings.groups}
    found = difference_groups(
        matched.models,
        settings.by.value,
        metrics,
        clusters=clusters,
        all_pairs=settings.all_pairs,
        min_group=settings.min_group,
        seed=settings.seed,
        reporter=reporter,
        **tables,
    )
    return {"groups": found}


# --- record -----------------------------------------------------------------------------------------------------------


def _record(
    settings: CompareSettings, matched: Matched, rows: Sequence[Row], clusters: Clusters | None, notes: list[str]
) -> dict[str, Any]:
    models, first = matched.models, matched.models[0].runs[0]
    column = "" if clusters is None else clusters.column
    return {
        "affectkit": VERSION,
        "task": first.task.name,
        "classes": list(first.task.spec.classes),
        "models": [
            {"name": model.name, "source": model.source, "repeats": len(model.runs), "notes": list(model.notes)}
            for model in models
        ],
        "baseline": models[0].name,
        "pairs": len(pairs_of(models, all_pairs=settings.all_pairs)),
        "items": len(matched.ids),
        "left_out": matched.left_out,
        "cluster": column,
        "clusters": None if clusters is None else clusters.count,
        "level": LEVEL,
        "draws": settings.draws,
        "seed": settings.seed,
        "rows": [asdict(row) for row in rows],
        "said": describe_rows(rows),
        "summary": describe_summary(rows),
        "scope": describe_scope(rows, column, first.results.split.name),
        "notes": [*notes, *([] if clusters is None else clusters.notes)],
    }


def _write(folder: Path, record: dict[str, Any]) -> None:
    from affectkit.reports.comparison import draw_differences

    folder.mkdir(parents=True, exist_ok=True)
    rows = record["rows"]
    write_table(folder / "comparison.csv", {name: [_cell(row[name]) for row in rows] for name in rows[0]})
    draw_differences(folder / "comparison.png", rows=rows, cluster=record["cluster"])
    remove_groups(folder, names=FILES)
    if "groups" in record:
        write_difference_groups(folder, record["groups"])
    write_json(folder / "comparison.json", record)


def _cell(value: Any) -> Any:
    """Return a value for the table: nine digits that count, where six decimals would leave nothing of a small p."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value
