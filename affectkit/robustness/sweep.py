"""Evaluate a model on a split as it is and under corruptions: a row for each corruption and severity."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.checkpoints.description import fit_record
from affectkit.config import value_of
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter, Silent
from affectkit.core.version import VERSION
from affectkit.corruptions.base import severity_scale
from affectkit.data.halves import half_record
from affectkit.data.loading.image_or_clip import make_dataset
from affectkit.data.loading.loaders import InMemoryImages, choose_cache, close_loader, hold_in_memory
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.media.images import DECODING
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.evaluation.evaluate import evaluate, evaluation_loader
from affectkit.evaluation.input_transform import check_takes_images
from affectkit.evaluation.load_model import TestedModel, load_tested
from affectkit.evaluation.load_split import load_split, wanted_labels
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
from affectkit.robustness.baseline import CLEAN, Baseline, read_baseline
from affectkit.robustness.corrupted_folder import (
    CorruptedImageWriter,
    conditions_in,
    corrupted_split,
    relative_paths,
)
from affectkit.robustness.corrupted_loader import CorruptedLoader, Corruptor
from affectkit.robustness.record import SweepRecord, check_rows, engine_of_rows
from affectkit.robustness.summary import (
    Row,
    bounded_values,
    draw_figures,
    metric_directions,
    summarize,
    write_tables,
)
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.robustness import RobustnessSettings
from affectkit.tasks.base import Task


class NestedReporter(Silent):
    """Report a stretch of work within a longer one that is on the screen."""

    def __init__(self, reporter: Reporter) -> None:
        self.note, self.warn, self.advance = reporter.note, reporter.warn, reporter.advance


@dataclass(frozen=True)
class Condition:
    """Name a corruption and a severity, or the clean images; ``folder`` holds the images where they are read."""

    name: str
    severity: int
    folder: Path | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Return the corruption and the severity."""
        return self.name, self.severity


def eval_corruptions(settings: RobustnessSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Test a checkpoint on a split as it is and corrupted; rows that ``results`` holds already are not computed again.

    Returns:
        The summary: ``rows``, the clean one first; ``means`` by corruption and ``mean`` over all; ``mean_error``,
        ``mce`` and ``relative_mce`` where the task has labels; ``missed`` names every threshold that was missed.

    Raises:
        UsageError, DataError, CheckpointError, DeviceError: an input is not as it must be.
        Stopped: a signal came; the rows so far are in ``results``.
    """
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        conditions = [Condition(CLEAN, 0), *wanted_conditions(settings)]
        before = None if settings.force else engine_of_rows(settings.results)
        tested = load_tested(settings, reporter=reporter, of_rows=before)
        with set_up_backends(tested.context.device, tested.context.precision):
            return Sweep(settings, tested, conditions, reporter).run()


class Sweep:
    """Run ``eval_corruptions`` once: set-up here, then ``run``."""

    def __init__(
        self, settings: RobustnessSettings, tested: TestedModel, conditions: list[Condition], reporter: Reporter
    ) -> None:
        self.settings, self.reporter, self.conditions = settings, reporter, conditions
        self.context = context = tested.context
        self.model, self.network, self.task = tested.model, tested.network, tested.task
        self.directions = metric_directions(self.task, with_baseline=settings.baseline is not None)
        self.thresholds = check_thresholds(value_of(settings.fail_under, {}), self.directions)
        self.baseline = find_baseline(settings.baseline, self.conditions[1:], self.task)
        labels = wanted_labels(settings, self.task)
        data = load_split(
            settings.data,
            settings.split,
            labels=labels,
            task=self.task,
            group=context.group,
            half=settings.half,
            reporter=reporter,
        )
        self.source, self.split = data.source, data.split
        self._check_clips()
        self.scale = settings.scale
        if self.scale == "auto":
            self.scale = severity_scale((self.task.spec.height, self.task.spec.width))
        self.identity = self._identity(tested)
        self.record = SweepRecord(settings.results, self.identity) if settings.results is not None else None
        self.rows: list[Row] = []
        self.skipped: list[dict[str, str]] = []
        if self.record is not None:
            self.rows, self.skipped = context.group.run_main_first(lambda: self.record.read(force=settings.force))
        self.corruptor = Corruptor(self.scale, settings.seed, settings.frost_textures)
        self.writer = CorruptedImageWriter(settings.save_images, self.split) if settings.save_images else None
        if settings.corrupted_root is not None:
            relative_paths(self.split)

    def run(self) -> dict[str, Any]:
        """Compute all rows that are missing, and summarise all that are wanted."""
        done = {(row["corruption"], row["severity"]) for row in self.rows}
        missing = [condition for condition in self.conditions if condition.key not in done]
        if len(missing) < len(self.conditions):
            count = len(self.conditions)
            self.reporter.note(f"{count - len(missing)} of {count} rows are in {self.settings.results}")
        began = time.monotonic()
        if missing:
            self._compute(missing)
        by_key = {(row["corruption"], row["severity"]): row for row in self.rows}
        rows = [by_key[condition.key] for condition in self.conditions]
        if self.record is not None:  # those of the record, beside those that were computed now
            check_rows(rows, self.record.path, metrics=self.task.robustness_metrics)
        summary = self._summary(rows, computed=len(missing), seconds=time.monotonic() - began)
        if self.record is not None:
            self.context.group.run_on_main(lambda: self._write(rows, summary))
        return summary

    def _check_clips(self) -> None:
        """Refuse what there is for image files alone: frames of clips are corrupted as they are read."""
        if self.split.store is None:
            return
        check_takes_images(self.task.spec, "eval-corruptions")
        for name in ("corrupted_root", "save_images", "fit"):
            if getattr(self.settings, name) is not None:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} is for image files; {self.source.root} holds prepared clips.", "Leave it out."
                )

    def _identity(self, tested: TestedModel) -> dict[str, Any]:
        """Return what a row depends on, except for its corruption and severity."""
        root = self.settings.corrupted_root
        return {
            "checkpoint": str(tested.path),
            "checkpoint_sha256": self.model.checkpoint_hash,
            "affectkit": VERSION,
            "engine": tested.engine,
            "decoding": DECODING,
            "task": self.task.name,
            **fit_record(self.model),
            "data": str(self.settings.data),
            "split": self.split.name,
            **half_record(self.settings.half),
            "data_fingerprint": self.split.fingerprint(),
            "scale": self.scale,
            "seed": self.settings.seed,
            "corrupted_root": str(root) if root is not None else None,
            "frost_textures": str(self.settings.frost_textures) if self.settings.frost_textures is not None else None,
            "device": self.context.device.kind,
            "precision": self.context.precision.name,
            "on_error": self.settings.on_error,
        }

    def _compute(self, missing: Sequence[Condition]) -> None:
        workers, why = self.context.choose_workers(self.settings.workers)
        held = self._held_images(missing)
        if held is not None and self.settings.workers is None:
            workers, why = 0, "images are held in memory"
        self.reporter.note(self.context.describe(self.settings.batch_size, f"{workers} ({why})"))
        self.context.warn_if_slow(self.reporter)
        how = "read" if self.settings.corrupted_root is not None else f"made with parameters for {self.scale}"
        self.reporter.note(f"rows to compute: {len(missing)}; corrupted images are {how}")
        self.reporter.start("corruptions", len(missing) * len(self.split), "images")
        try:
            with StopFlag(self.reporter) as stopping:
                for condition in missing:
                    if stopping.requested_anywhere(self.context.group):
                        raise self._stopped(stopping)
                    self._compute_row(condition, held, workers, stopping)
        finally:
            self.reporter.finish()

    def _held_images(self, missing: Sequence[Condition]) -> InMemoryImages | None:
        """Decode the images into memory, where several rows are made of them and they fit."""
        made = sum(condition.folder is None for condition in missing)
        spec = self.task.spec.in_colour()
        if self.split.store is not None or made < 2 or not choose_cache(self.settings.cache, len(self.split), spec):
            return None
        held = hold_in_memory(self.split, spec, reporter=self.reporter)
        refuse_failures(list(held.failures.values()), self.settings.on_error)
        return held

    def _compute_row(self, condition: Condition, held: InMemoryImages | None, workers: int, stopping: StopFlag) -> None:
        split = self.split
        if condition.folder is not None:
            names = None if self.task.spec.named else self.source.classes
            found = corrupted_split(condition.folder, split, classes=names, reporter=NestedReporter(self.reporter))
            split, _ = self.task.select_items(found)
        made = condition.folder is None and condition.severity > 0
        # A clean row of a gray model reads gray images, as test does.
        spec = self.task.spec.in_colour() if made else self.task.spec
        usable = condition.folder is None and spec.channels == self.task.spec.in_colour().channels
        held = held if usable else None
        loader = evaluation_loader(
            make_dataset(split, spec, held=held),
            context=self.context,
            batch_size=self.settings.batch_size,
            workers=0 if held is not None else workers,
        )
        batches: Any = self._corrupted(loader, condition) if made else loader
        try:
            results, failures = evaluate(
                self.network, self.task, split, batches, context=self.context, reporter=NestedReporter(self.reporter),
                stopping=stopping,
            )  # fmt: skip
        except Stopped as stopped:
            raise self._stopped(stopping) from stopped
        finally:
            close_loader(loader)
        refuse_failures(failures, self.settings.on_error)
        if condition.name == CLEAN:
            self.skipped = [{"image": failure.name, "reason": failure.reason} for failure in failures]
            for text in self.task.warnings(results):
                self.reporter.warn(f"clean: {text}")
        metrics = {name: float(value) for name, value in self.task.metrics(results).items()}
        self.rows.append(
            {
                "corruption": condition.name,
                "severity": condition.severity,
                "images": len(results.split),
                "metrics": metrics,
            }
        )
        if self.record is not None:
            self.context.group.run_on_main(lambda: self.record.write(self.rows, self.skipped))

    def _corrupted(self, loader: Any, condition: Condition) -> CorruptedLoader:
        return CorruptedLoader(
            loader,
            self.corruptor,
            name=condition.name,
            severity=condition.severity,
            context=self.context,
            spec=self.task.spec,
            save=self.writer.saver(condition.name, condition.severity) if self.writer is not None else None,
        )

    def _stopped(self, stopping: StopFlag) -> Exception:
        if self.record is None:
            return stopping.error("nothing was written.", "With --results rows are kept.", resumable=False)
        return stopping.error(
            f"{len(self.rows)} rows are in {self.settings.results}.", "Run the same command again: it resumes."
        )

    def _summary(self, rows: Sequence[Row], *, computed: int, seconds: float) -> dict[str, Any]:
        summary = {
            **self.identity,
            "device": self.context.device.torch_name,
            "layout": self.source.layout,
            "classes": list(self.task.spec.classes),
            "over_classes": self.task.class_coverage(self.split),
            "shown": list(self.task.robustness_metrics),
            "computed": computed,
            "seconds": seconds,
            "skipped": self.skipped,
            **summarize(rows, accuracy_metric=self.task.accuracy_metric, baseline=self.baseline),
        }
        values = bounded_values(summary)
        missed = missed_thresholds(self.thresholds, values, self.directions, reporter=self.reporter)
        return {**summary, "missed": missed}

    def _write(self, rows: Sequence[Row], summary: dict[str, Any]) -> None:
        folder = self.settings.results
        self.record.finish(self.rows, summary)
        published = self.task.accuracy_metric if self.settings.corrupted_root is not None else ""
        write_tables(folder, rows, published_accuracy=published)
        draw_figures(folder, rows, self.task, reporter=self.reporter)


def wanted_conditions(settings: RobustnessSettings) -> list[Condition]:
    """Return the corruptions and severities that are asked for, with their folders where images are read.

    Raises:
        DataError: the folder lacks some of them.
    """
    names, severities = settings.corruptions.value, settings.severities.value
    root = settings.corrupted_root
    if root is None:
        return [Condition(name, severity) for name in names for severity in severities]
    there = conditions_in(root)
    missing = [name for name in names if name not in there]
    missing += [
        f"{name}/{severity}"
        for name in names
        for severity in severities
        if name in there and severity not in there[name]
    ]
    if missing:
        held = ", ".join(f"{name}/{there[name][0]}-{there[name][-1]}" for name in there)
        raise DataError(
            f"--corrupted-root {root} lacks {', '.join(missing)}; it holds {held}.",
            "Name those there with --corruptions and --severities.",
        )
    return [Condition(name, severity, root / name / str(severity)) for name in names for severity in severities]


def find_baseline(path: Path | None, conditions: Sequence[Condition], task: Task) -> Baseline | None:
    """Read the errors of another model under ``conditions``; None where no table is named.

    Raises:
        UsageError: the task has no classification error, or ``path`` is no file.
        DataError: the table lacks rows, or is damaged.
    """
    if path is None:
        return None
    if not task.accuracy_metric:
        raise UsageError(
            f"--baseline: mCE compares classification errors, and the task {task.name} has none.",
            "Leave --baseline out; the means over corruptions are reported without it.",
        )
    return read_baseline(path, [condition.key for condition in conditions], accuracy=task.accuracy_metric)
