"""Several models on several data sets: all models are loaded, all data sets scanned once, classes go by a map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from affectkit.checkpoints.find import find_checkpoint
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.missing_paths import instead_of
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, list_some
from affectkit.core.version import VERSION
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.discovery import Labels, Source, find_dataset
from affectkit.data.layouts.label_map import Aligned, LabelMap, align, read_label_map
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.split import Split
from affectkit.errors import AffectkitError, DataError, UsageError
from affectkit.evaluation.evaluate import evaluate_split
from affectkit.evaluation.groups import tested_metrics
from affectkit.evaluation.item_groups import find_groups
from affectkit.evaluation.load_model import TestedModel, load_tested
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.matrix import MatrixSettings, Named, named
from affectkit.statistics.intervals import estimates
from affectkit.tasks.base import Results


def evaluate_matrix(settings: MatrixSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Test every checkpoint on every data set; writes tables and pictures where ``results`` is given.

    A cell whose model and data do not go together (another task, no class in common, a data set that cannot be read)
    has a reason in place of metrics, and the others are computed.

    Returns:
        ``models`` and ``data`` (what they are), ``cells`` (a dict each: ``model``, ``data``, ``n`` items tested ``of``
        so many, ``left_out`` by class, ``metrics``, ``intervals``, or ``failed``, the reason), ``metrics`` (directions
        by name), ``shown`` (those that have a table), ``label_map`` and ``failed`` (how many).

    Raises:
        UsageError: a data set or checkpoint is not there.
        DataError: the label map names what there is not, or no cell can be computed.
    """
    models, roots = named(settings.checkpoint), named(settings.data)
    for one in models:
        find_checkpoint(one.path)
    if lacking := [one.path for one in roots if not one.path.is_dir()]:
        raise UsageError(f"--data {list_some(lacking)}: there is no such folder.", instead_of(lacking[0]))
    labels = LabelMap()
    if settings.label_map is not None:
        labels = read_label_map(settings.label_map, [one.name for one in (*models, *roots)])
    with init_process_group(settings.device) as group, pixels_up_to(value_of(settings.max_pixels)):
        if settings.results is not None:
            group.run_on_main(lambda: str(fresh_folder(settings.results, force=settings.force, name="--results")))
        work = _Matrix(settings, labels, roots, reporter)
        tested = {one.name: work.load(one) for one in models}
        work.check_map()
        for number, (name, one) in enumerate(tested.items(), start=1):
            reporter.note(f"model {number} of {len(models)}: {name}")
            work.test_model(name, one)
        summary = work.summary()
        if settings.results is not None:
            group.run_on_main(lambda: _write(settings.results, summary))
    return summary


@dataclass(eq=False)
class _Matrix:
    """The work that is done, model by model."""

    settings: MatrixSettings
    labels: LabelMap
    roots: Sequence[Named]
    reporter: Reporter
    found: dict[tuple[str, bool], Source | AffectkitError] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def load(self, model: Named) -> TestedModel:
        """Load one model, and find the data sets for its kind of targets."""
        tested = load_tested(_settings_of(self.settings, model.path), reporter=self.reporter)
        task = tested.task
        tested.context.warned = bool(self.models)  # of a slow precision, which all models have
        self.models.append({
            "name": model.name, "checkpoint": str(tested.path), "sha256": tested.model.checkpoint_hash,
            "engine": tested.engine, "task": task.name, "classes": list(task.spec.classes),
        })  # fmt: skip
        self.metrics |= {name: way for name, way in task.metric_direction.items() if name not in self.metrics}
        self.shown += [name for name in tested_metrics(task) if name not in self.shown]
        for root in self.roots:
            self._source(root, tested)
        return tested

    def check_map(self) -> None:
        """Refuse lines of the label map that name nothing."""
        if self.labels.path is None:
            return
        classes: dict[str, tuple[str, ...]] = {one["name"]: tuple(one["classes"]) for one in self.models}
        for root in self.roots:
            found = [one.classes for (name, _), one in self.found.items() if name == root.name and _is_source(one)]
            classes[root.name] = tuple(dict.fromkeys(name for names in found for name in names))
        self.labels.check(classes)

    def test_model(self, name: str, tested: TestedModel) -> None:
        """Test one model on all data sets."""
        with set_up_backends(tested.context.device, tested.context.precision):
            for root in self.roots:
                cell = {"model": name, "data": root.name, "failed": ""}
                try:
                    cell |= self._cell(tested, name, root)
                except (DataError, UsageError) as error:
                    cell["failed"] = error.message
                    self.reporter.warn(f"{name} on {root.name}: {error.message}")
                self.cells.append(cell)

    def _source(self, root: Named, tested: TestedModel) -> Source | AffectkitError:
        """Return a data set, found once for each kind of targets; or why it cannot be read."""
        ratings = tested.task.predicts_ratings
        key = root.name, ratings
        if key not in self.found:
            known = tuple(dict.fromkeys([*tested.task.spec.classes, *(name for _, name in self.labels.names)]))
            choice = Choice((), self.settings.ignore_columns, known=known, strict=False)
            wanted = Labels(ratings=ratings, choice=choice, follow_links=self.settings.follow_links)
            group = tested.context.group
            try:
                self.found[key] = group.run_main_first(
                    lambda: find_dataset(root.path, labels=wanted, reporter=self.reporter)
                )
            except (DataError, UsageError) as error:
                self.found[key] = error
            else:
                for text in self.found[key].notes:
                    self.reporter.note(f"{root.name}: {text}")
        return self.found[key]

    def _cell(self, tested: TestedModel, model: str, root: Named) -> dict[str, Any]:
        source = self._source(root, tested)
        if not isinstance(source, Source):
            raise source
        task, settings = tested.task, self.settings
        split = _first_split(source, settings.split)
        if settings.fit and split.store is not None:
            raise UsageError(f"--fit is for image files; {root.path} holds prepared clips.")
        aligned = Aligned(split, len(split), {}, 0, [])
        if not task.predicts_ratings and task.spec.named:
            aligned = align(split, task.spec.classes, self.labels, data=root.name, model=model)
        chosen, note = task.select_items(aligned.split)
        self._tell(model, root, aligned, note)
        results, failures = evaluate_split(
            tested.network,
            task,
            chosen,
            batch_size=settings.batch_size,
            workers=settings.workers,
            context=tested.context,
            reporter=self.reporter,
        )
        refuse_failures(failures, settings.on_error)
        self.data.setdefault(root.name, {
            "name": root.name, "data": str(root.path), "layout": source.layout, "split": split.name,
            "items": len(split), "classes": list(source.classes), "data_fingerprint": split.fingerprint(),
        })  # fmt: skip
        counts = {} if task.predicts_ratings else results.split.counts()
        return {
            "n": len(results.split), "of": aligned.of, "left_out": aligned.left_out, "rescaled": aligned.rescaled,
            "note": note, "absent": [name for name, number in counts.items() if not number],
            "skipped": [{"image": one.name, "reason": one.reason} for one in failures],
            "metrics": {name: _plain(value) for name, value in task.metrics(results).items()},
            "intervals": self._intervals(tested, results, root),
        }  # fmt: skip

    def _intervals(self, tested: TestedModel, results: Results, root: Named) -> dict[str, list[float]]:
        """Return 95% intervals of the metrics that are shown, of prepared clips over who is seen."""
        found = find_groups(results.split, (), root=root.path, reporter=self.reporter)
        wanted = tested_metrics(tested.task)
        measures = [one for one in tested.task.measures(results) if one.name in wanted]
        return {
            one.name: [one.low, one.high]
            for one in estimates(measures, clusters=found.clusters)
            if not math.isnan(one.low)
        }

    def _tell(self, model: str, root: Named, aligned: Aligned, note: str) -> None:
        """Report what is left out of a cell."""
        title = f"{model} on {root.name}"
        if aligned.left_out:
            listed = [f"{name} ({number:,})" for name, number in aligned.left_out.items()]
            self.reporter.note(
                f"{title}: {len(aligned.split):,} of {count_text(aligned.of, 'item')}; left out, since the "
                f"model has no such "
                f"class: {list_some(listed)}"
            )
        if aligned.hints:
            self.reporter.note(f"{title}: perhaps for --label-map: {list_some(aligned.hints, 5)}")
        if aligned.rescaled:
            self.reporter.note(f"{title}: {count_text(aligned.rescaled, 'item')} with shares of such classes, rescaled")
        if note:
            self.reporter.note(f"{title}: {note}")

    def summary(self) -> dict[str, Any]:
        """Return what ``evaluate_matrix`` returns.

        Raises:
            DataError: no cell has metrics.
        """
        failed = [cell for cell in self.cells if cell["failed"]]
        if len(failed) == len(self.cells):
            texts = "\n".join(f"  - {cell['model']} on {cell['data']}: {cell['failed']}" for cell in failed[:10])
            raise DataError(f"no model could be tested on any data set:\n{texts}")
        there = {name for cell in self.cells for name in cell.get("metrics", ())}
        names = {("" if not owner else f"{owner}:") + name: common for (owner, name), common in
                 self.labels.names.items()}  # fmt: skip
        return {
            "affectkit": VERSION,
            "models": self.models,
            "data": [self.data.get(one.name, {"name": one.name, "data": str(one.path)}) for one in self.roots],
            "label_map": names,
            "metrics": {name: way for name, way in self.metrics.items() if name in there},
            "shown": [name for name in self.shown if name in there],
            "cells": self.cells,
            "failed": len(failed),
        }


def _settings_of(settings: MatrixSettings, checkpoint: Path) -> TestSettings:
    """Return settings by which ``load_tested`` loads one checkpoint."""
    shared = {entry.name for entry in fields(TestSettings)} & {entry.name for entry in fields(MatrixSettings)}
    taken = {name: getattr(settings, name) for name in shared - {"checkpoint", "data", "split", "results", "force"}}
    return TestSettings(checkpoint=checkpoint, **taken)


def _is_source(found: Source | AffectkitError) -> bool:
    return isinstance(found, Source)


def _first_split(source: Source, names: Sequence[str]) -> Split:
    for name in names:
        if name in source.splits:
            return source.splits[name]
    there = ", ".join(f"{name} ({len(split):,})" for name, split in source.splits.items())
    raise DataError(f"{source.root} has no {' or '.join(names)} split; it has {there}: name one with --split.")


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


# --- output -----------------------------------------------------------------------------------------------------------


def grid(summary: Mapping[str, Any], metric: str) -> list[list[float]]:
    """Return a metric by model and data set, NaN where a cell has none."""
    values = {
        (cell["model"], cell["data"]): value
        for cell in summary["cells"]
        if (value := cell.get("metrics", {}).get(metric)) is not None
    }
    return [
        [values.get((model["name"], data["name"]), math.nan) for data in summary["data"]] for model in summary["models"]
    ]


def _write(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``matrix.csv``, a picture a metric, and ``matrix.json`` last."""
    from affectkit.reports.matrix import draw_matrix

    columns: dict[str, list[Any]] = {name: [] for name in ("model", "data", "n", "of", "left_out", "failed")}
    columns |= {name: [] for name in summary["metrics"]}
    for cell in summary["cells"]:
        left = "; ".join(f"{name} {number}" for name, number in cell.get("left_out", {}).items())
        row = (cell["model"], cell["data"], cell.get("n", 0), cell.get("of", ""), left, cell["failed"])
        metrics = [cell.get("metrics", {}).get(name) for name in summary["metrics"]]
        for name, value in zip(columns, (*row, *metrics), strict=True):
            columns[name].append("" if value is None else value)
    write_table(folder / "matrix.csv", columns)
    for metric in summary["shown"]:
        draw_matrix(
            folder / f"matrix_{metric}.png",
            values=grid(summary, metric),
            models=[one["name"] for one in summary["models"]],
            data=[one["name"] for one in summary["data"]],
            metric=metric,
            better=summary["metrics"][metric],
        )
    write_json(folder / "matrix.json", summary)
