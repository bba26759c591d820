"""Test a checkpoint on a split: the run behind ``affectkit test``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.checkpoints.abstention import describe_promise, wanted_threshold
from affectkit.checkpoints.class_priors import described_shift, stated_shift
from affectkit.checkpoints.description import Described, fit_record
from affectkit.config import value_of
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.version import VERSION
from affectkit.data.halves import half_record
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.abstaining import abstention_result, refuse_ratings, selective_accuracy
from affectkit.evaluation.class_counts import metric_notes
from affectkit.evaluation.evaluate import evaluate_split
from affectkit.evaluation.groups import GAP, analyse_groups, gap_values, remove_groups, write_groups
from affectkit.evaluation.input_transform import check_takes_images, corruption_transform
from affectkit.evaluation.item_groups import ItemGroups, find_groups
from affectkit.evaluation.load_model import TestedModel, load_tested
from affectkit.evaluation.load_split import EvaluationData, load_split, wanted_labels, without_copies
from affectkit.evaluation.outputs import write_results
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.abstention import held_back
from affectkit.settings.evaluation import TestSettings
from affectkit.tasks.base import SELECTIVE, Results, Task
from affectkit.tasks.decision import Decision


def test(settings: TestSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Test a checkpoint on a split; writes tables and figures where ``results`` is given.

    Returns:
        The summary, whose ``"missed"`` names every threshold of ``fail_under`` that was missed.
    """
    return tested_outputs(settings, reporter=reporter)[2]


def tested_outputs(settings: TestSettings, *, reporter: Reporter) -> tuple[Task, Results, dict[str, Any]]:
    """Test a checkpoint as ``test``; returns its task, its outputs on the split, and the summary."""
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        tested = load_tested(settings, reporter=reporter)
        with set_up_backends(tested.context.device, tested.context.precision):
            return tested.task, *_test(tested, settings, reporter)


def _test(tested: TestedModel, settings: TestSettings, reporter: Reporter) -> tuple[Results, dict[str, Any]]:
    model, network, task, context = tested.model, tested.network, tested.task, tested.context
    directions = {**task.metric_direction, **({} if task.predicts_ratings else SELECTIVE)}
    if settings.by is not None:
        directions |= {f"{GAP}{name}": "min" for name in task.metric_direction}
    thresholds = check_thresholds(value_of(settings.fail_under, {}), directions)
    threshold, wanted, shift = _decision(model, task, settings, reporter)
    if settings.corrupt:
        check_takes_images(task.spec, "--corrupt")
        context.input_transform = corruption_transform(settings.corrupt.value, task.spec)
        reporter.note(f"images corrupted: {settings.corrupt.value}")
    folder = settings.results
    if folder is not None:
        context.group.run_on_main(lambda: str(fresh_folder(folder, force=settings.force, name="--results")))
    labels = wanted_labels(settings, task)
    data = load_split(
        settings.data,
        settings.split,
        labels=labels,
        task=task,
        group=context.group,
        label_map=settings.label_map,
        mappable=True,
        half=settings.half,
        reporter=reporter,
    )
    data, copies = context.group.run_main_first(
        lambda: without_copies(data, drop=settings.drop_copies, noun=item_name(task.spec), reporter=reporter)
    )
    if settings.fit and data.split.store is not None:
        raise UsageError(f"--fit is for image files; {data.source.root} holds prepared clips.", "Leave it out.")
    groups = _find_groups(data.split, settings, context, reporter)
    results, failures = evaluate_split(
        network,
        task,
        data.split,
        batch_size=settings.batch_size,
        workers=settings.workers,
        # Corruptions are of colour images; a gray model gets the luma of what they make.
        in_colour=settings.corrupt is not None,
        context=context,
        reporter=reporter,
    )
    refuse_failures(failures, settings.on_error)
    results = replace(results, outputs=Decision(shift=shift).shifted(results.outputs))
    notes = metric_notes(task, results)
    for text in notes["remarks"]:
        reporter.warn(text)
    for text in task.remarks(results):
        reporter.note(text)
    metrics = {**task.metrics(results), **task.selective_metrics(results)}
    own = groups.select(_rows_of(results, data.split))
    by_group: dict[str, Any] = {}
    if settings.by is not None:
        by_group["groups"] = context.group.run_on_main(
            lambda: analyse_groups(task, results, own, min_group=settings.min_group, reporter=reporter)
        )
    summary = {
        "checkpoint": str(tested.path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": VERSION,
        "engine": tested.engine,
        "task": task.name,
        **_data_record(settings, data, results),
        "copies": copies,
        "skipped": [{"image": failure.name, "reason": failure.reason} for failure in failures],
        "classes": list(task.spec.classes),
        **fit_record(model),
        "class_counts": {} if task.predicts_ratings else results.split.counts(),
        **notes,
        "temperature": task.spec.temperature,
        "calibration": model.header.training.get("calibration"),
        "device": context.device.torch_name,
        "precision": context.precision.name,
        **({"altered": str(settings.corrupt)} if settings.corrupt else {}),
        "metrics": metrics,
        **task.recorded_intervals(results, clusters=own.clusters),
        **({} if own.cluster is None else {"cluster": own.cluster, "clusters": len(set(own.clusters))}),
        "selective": selective_accuracy(task, results),
        **wanted,
        **by_group,
        "missed": missed_thresholds(thresholds, metrics | gap_values(by_group), directions, reporter=reporter),
    }
    if threshold is not None:
        found = abstention_result(task, results, wanted, threshold, seen=data.overlapping())
        summary["abstention"] = found
        if found.get("fitted_on_these"):
            same = found["promise"]["data_fingerprint"] == results.split.fingerprint()
            which = "these very items" if same else "some of these items, or on all of them and more"
            reporter.warn(f"the threshold was fitted on {which}: what is seen of its promise here proves nothing.")
    if folder is not None:
        pictures = {"clusters": own.clusters, "figures": settings.pictures, "reporter": reporter}
        context.group.run_on_main(lambda: write_results(folder, task, results, **pictures))
        context.group.run_on_main(lambda: _write(folder, summary))
    return results, summary


def _decision(
    model: Described, task: Task, settings: TestSettings, reporter: Reporter
) -> tuple[float | None, dict[str, Any], np.ndarray | None]:
    """Return the threshold of ``--abstain`` or ``--min-confidence``, what records say of it and of ``--prior``, and the
    shift of the latter."""
    names = ("abstain", "min_confidence", "prior")
    refuse_ratings(task, {name: getattr(settings, name) for name in names})
    prior, held = settings.prior, held_back(settings.abstain, settings.min_confidence)
    threshold, record, shift = None, {}, None
    if held.asked:
        threshold, record = wanted_threshold(model, held.least, with_prior=prior is not None)
        if "abstain_promise" in record:
            reporter.note(describe_promise(record["abstain_promise"]))
    if prior is not None:
        shift, more = stated_shift(model, prior.value, value_of(settings.training_prior))
        record |= more
        reporter.note(described_shift(more))
    return threshold, record, shift


def _find_groups(split: Split, settings: TestSettings, context: RunContext, reporter: Reporter) -> ItemGroups:
    return find_groups(
        split,
        value_of(settings.by, ()),
        root=settings.data,
        labels=settings.labels,
        table=settings.groups,
        cluster=settings.cluster,
        skip_unreadable=settings.on_error == "skip",
        run_once=context.group.run_on_main,
        reporter=reporter,
    )


def _rows_of(results: Results, split: Split) -> list[int]:
    """Return the place in ``split`` of each item of ``results``: all but those that could not be read."""
    place = {name: row for row, name in enumerate(split.ids)}
    return [place[name] for name in results.split.ids]


def _data_record(settings: TestSettings, data: EvaluationData, results: Results) -> dict[str, Any]:
    return {
        "data": str(settings.data),
        "layout": data.source.layout,
        "split": data.split.name,
        **half_record(settings.half),
        "data_fingerprint": data.split.fingerprint(),
        "images": len(results.split),
        **({"left_out": data.left_out} if data.left_out else {}),
    }


def _write(folder: Path, summary: dict[str, Any]) -> None:
    remove_groups(folder)
    if "groups" in summary:
        write_groups(folder, summary["groups"], summary["metrics"])
    write_json(folder / "results.json", summary)
