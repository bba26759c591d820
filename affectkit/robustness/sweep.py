"""A model over a split as it is and under corruptions: a row for each corruption and severity, kept as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.checkpoints.checkpoint import checkpoint_notes, find_checkpoint, fit_record, load_model, make_task
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, read_json, write_json
from affectkit.core.identity import check_same
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter, Silent
from affectkit.core.version import VERSION
from affectkit.corruptions.base import scale_of
from affectkit.data.loading.loaders import (
    InMemoryImages,
    choose_cache,
    close_loader,
    hold_in_memory,
    refuse_failures,
)
from affectkit.data.loading.modality import items_of
from affectkit.data.media.images import DECODING
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.evaluation.evaluate import evaluate, evaluation_loader, tested
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
from affectkit.metrics import robustness as measures
from affectkit.robustness.baseline import CLEAN, Baseline, read_baseline
from affectkit.robustness.corrupted_images import Corrupting, Recipe, Saver, places_of, rows_there, split_below
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.robustness import RobustnessSettings

RECORD = "robustness.json"
TABLE = "corruptions.csv"
PUBLISHED_TABLE = "tinyimagenetc_results.csv"
MCE = ("mce", "relative_mce")

Row = dict[str, Any]
"""``corruption``, ``severity`` (0: as it is), ``images``, and ``metrics`` by name."""


class Within(Silent):
    """A Reporter of one stretch within a longer one that is on the screen."""

    def __init__(self, reporter: Reporter) -> None:
        self.note, self.warn, self.advance = reporter.note, reporter.warn, reporter.advance


def eval_corruptions(settings: RobustnessSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Test a checkpoint on a split as it is and corrupted; rows that ``results`` holds already are not computed again.

    Returns:
        The summary: ``rows``, the clean one first; ``means`` by corruption and ``mean`` over all; ``mean_error``,
        ``mce`` and ``relative_mce`` where the task has labels; ``missed`` names every threshold that was missed.

    Raises:
        UsageError, DataError, CheckpointError, DeviceError: an input is not as it must be. Stopped: a signal came; the
            rows so far are in ``results``.
    """
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        context = RunContext.resolve(settings.device, settings.precision)
        with set_up_backends(context.device, context.precision):
            return Sweep(settings, context, reporter).run()


@dataclass(frozen=True)
class Step:
    """A row that is wanted; ``folder`` holds its images where they are read."""

    name: str
    severity: int
    folder: Path | None = None


class Sweep:
    """One run of ``eval_corruptions``."""

    def __init__(self, settings: RobustnessSettings, context: RunContext, reporter: Reporter) -> None:
        self.settings, self.context, self.reporter = settings, context, reporter
        self.steps = self._steps()
        path = find_checkpoint(settings.checkpoint)
        self.model = load_model(path, device=settings.device, fit=settings.fit, **settings.of_file())
        for text in checkpoint_notes(self.model):
            reporter.note(text)
        self.network: nn.Module = context.maybe_compile(self.model, enabled=settings.compile, reporter=reporter)
        self.task = make_task(self.model.spec, self.model.header.training.get("task_options"))
        self.thresholds = check_thresholds(value_of(settings.fail_under, {}), self._bounds())
        self.baseline = self._baseline()
        self.source, self.split = tested(context, self.task, settings, reporter=reporter)
        self._check_clips()
        self.scale = settings.scale
        if self.scale == "auto":
            self.scale = scale_of((self.task.spec.height, self.task.spec.width))
        self.identity = self._identity(path)
        self.skipped: list[dict[str, str]] = []
        self.rows: list[Row] = context.group.run_main_first(self._taken_up)
        self.recipe = Recipe(self.scale, settings.seed, settings.frost_textures)
        self.saver = Saver(settings.save_images, self.split) if settings.save_images is not None else None
        if settings.corrupted_root is not None:
            places_of(self.split)

    def run(self) -> dict[str, Any]:
        """All rows that are wanted, then what follows from them."""
        wanted = [Step(CLEAN, 0), *self.steps]
        there = {(row["corruption"], row["severity"]) for row in self.rows}
        left = [step for step in wanted if (step.name, step.severity) not in there]
        if len(left) < len(wanted):
            self.reporter.note(f"{len(wanted) - len(left)} of {len(wanted)} rows are in {self.settings.results}")
        began = time.monotonic()
        if left:
            self._compute(left)
        order = {(step.name, step.severity): number for number, step in enumerate(wanted)}
        chosen = sorted(
            (row for row in self.rows if (row["corruption"], row["severity"]) in order),
            key=lambda row: order[row["corruption"], row["severity"]],
        )
        summary = self._summary(chosen, computed=len(left), seconds=time.monotonic() - began)
        if self.settings.results is not None:
            self.context.group.run_on_main(lambda: self._write(chosen, summary))
        return summary

    # --- before --------------------------------------------------------------------------------------------------

    def _check_clips(self) -> None:
        """Refuse what there is for image files alone: frames of clips are corrupted as they are read."""
        if self.split.store is None:
            return
        clip = self.task.spec.clip
        if clip is not None and (clip.needs == "audio" or clip.features is not None):
            raise UsageError(
                "corruptions are of images, and this model looks at none.", "Name a checkpoint that looks at images."
            )
        for name in ("corrupted_root", "save_images", "fit"):
            if getattr(self.settings, name) is not None:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} is for image files; {self.source.root} holds prepared clips.", "Leave it out."
                )

    def _steps(self) -> list[Step]:
        names, levels = self.settings.corruptions.value, self.settings.severities.value
        root = self.settings.corrupted_root
        if root is None:
            return [Step(name, level) for name in names for level in levels]
        there = rows_there(root)
        missing = [name for name in names if name not in there]
        missing += [
            f"{name}/{level}" for name in names for level in levels if name in there and level not in there[name]
        ]
        if missing:
            held = ", ".join(f"{name}/{there[name][0]}-{there[name][-1]}" for name in there)
            raise DataError(
                f"--corrupted-root {root} lacks {', '.join(missing)}; it holds {held}.",
                "Name those there with --corruptions and --severities.",
            )
        return [Step(name, level, root / name / str(level)) for name in names for level in levels]

    def _bounds(self) -> dict[str, str]:
        errors = {"mean_error": "min"} if self.task.accuracy_metric else {}
        return {**self.task.metric_direction, **errors, **(dict.fromkeys(MCE, "min") if self.settings.baseline else {})}

    def _baseline(self) -> Baseline | None:
        if self.settings.baseline is None:
            return None
        if not self.task.accuracy_metric:
            raise UsageError(
                f"--baseline: mCE compares classification errors, and the task {self.task.name} has none.",
                "Leave --baseline out; the means over corruptions are told without it.",
            )
        return read_baseline(
            self.settings.baseline,
            [(step.name, step.severity) for step in self.steps],
            accuracy=self.task.accuracy_metric,
        )

    def _identity(self, path: Path) -> dict[str, Any]:
        """What a row follows from, but for its corruption and severity."""
        root = self.settings.corrupted_root
        return {
            "checkpoint": str(path),
            "checkpoint_sha256": self.model.checkpoint_hash,
            "affectkit": VERSION,
            "decoding": DECODING,
            "task": self.task.name,
            **fit_record(self.model),
            "data": str(self.settings.data),
            "split": self.split.name,
            "data_fingerprint": self.split.fingerprint(),
            "scale": self.scale,
            "seed": self.settings.seed,
            "corrupted_root": str(root) if root is not None else None,
            "frost_textures": str(self.settings.frost_textures) if self.settings.frost_textures is not None else None,
            "device": self.context.device.kind,
            "precision": self.context.precision.name,
            "on_error": self.settings.on_error,
        }

    def _taken_up(self) -> list[Row]:
        """The rows that an earlier run of the same identity left."""
        folder = self.settings.results
        if folder is None:
            return []
        record = folder / RECORD
        if self.settings.force or not record.is_file():
            fresh_folder(folder, force=self.settings.force, name="--results")
            return []
        kept = read_json(record)
        if not isinstance(kept, dict) or not isinstance(kept.get("rows"), list):
            raise DataError(f"{record} is no record of eval-corruptions.", "Name another --results, or add --force.")
        paths = ("checkpoint", "data")  # what lies there is compared, not where it lies
        check_same(
            kept,
            self.identity,
            keys=[key for key in self.identity if key not in paths],
            what=f"--results {folder} holds rows of another evaluation",
            hint="Name another --results, or add --force to replace them.",
        )
        self.skipped = kept.get("skipped", [])
        for row in kept["rows"]:  # JSON has no NaN
            row["metrics"] = {name: math.nan if value is None else value for name, value in row["metrics"].items()}
        return kept["rows"]

    # --- the rows ------------------------------------------------------------------------------------------------

    def _compute(self, left: Sequence[Step]) -> None:
        workers, why = self.context.choose_workers(self.settings.workers)
        held = self._held(left)
        if held is not None and self.settings.workers is None:
            workers, why = 0, "images are held in memory"
        self.reporter.note(self.context.describe(self.settings.batch_size, f"{workers} ({why})"))
        told = "read" if self.settings.corrupted_root is not None else f"made with parameters for {self.scale}"
        self.reporter.note(f"rows to compute: {len(left)}; corrupted images are {told}")
        self.reporter.start("corruptions", len(left) * len(self.split), "images")
        try:
            with StopFlag(self.reporter) as stopping:
                for step in left:
                    if stopping.requested_anywhere(self.context.group):
                        raise self._stopped(stopping)
                    self._compute_row(step, held, workers, stopping)
        finally:
            self.reporter.finish()

    def _held(self, left: Sequence[Step]) -> InMemoryImages | None:
        """The images in memory, where several rows are made of them and they fit."""
        made = sum(step.folder is None for step in left)
        if (
            self.split.store is not None
            or made < 2
            or not choose_cache(self.settings.cache, len(self.split), self.task.spec.in_colour())
        ):
            return None
        held = hold_in_memory(self.split, self.task.spec.in_colour(), reporter=self.reporter)
        refuse_failures(list(held.failures.values()), self.settings.on_error)
        return held

    def _compute_row(self, step: Step, held: InMemoryImages | None, workers: int, stopping: StopFlag) -> None:
        split = self.split
        if step.folder is not None:
            names = None if self.task.spec.named else self.source.classes
            below = split_below(step.folder, split, classes=names, reporter=Within(self.reporter))
            split, _ = self.task.select_items(below)
        made = step.folder is None and step.severity > 0
        # A clean row of a gray model reads gray images, as test does.
        spec = self.task.spec.in_colour() if made else self.task.spec
        kept = held if step.folder is None and spec.channels == self.task.spec.in_colour().channels else None
        loader = evaluation_loader(
            items_of(split, spec, held=kept),
            context=self.context,
            batch_size=self.settings.batch_size,
            workers=0 if kept is not None else workers,
        )
        batches: Any = loader
        if made:
            batches = Corrupting(
                loader,
                self.recipe,
                name=step.name,
                severity=step.severity,
                context=self.context,
                spec=self.task.spec,
                save=self.saver.row(step.name, step.severity) if self.saver is not None else None,
            )
        try:
            results, failures = evaluate(
                self.network, self.task, split, batches, context=self.context, reporter=Within(self.reporter),
                stopping=stopping,
            )  # fmt: skip
        except Stopped as stopped:
            raise self._stopped(stopping) from stopped
        finally:
            close_loader(loader)
        refuse_failures(failures, self.settings.on_error)
        if step.name == CLEAN:
            self.skipped = [{"image": failure.name, "reason": failure.reason} for failure in failures]
            for text in self.task.warnings(results):
                self.reporter.warn(f"clean: {text}")
        row = {
            "corruption": step.name,
            "severity": step.severity,
            "images": len(results.split),
            "metrics": {name: float(value) for name, value in self.task.metrics(results).items()},
        }
        self.rows.append(row)
        if self.settings.results is not None:
            record = {**self.identity, "skipped": self.skipped, "rows": self.rows}
            self.context.group.run_on_main(lambda: write_json(self.settings.results / RECORD, record))

    def _stopped(self, stopping: StopFlag) -> Exception:
        if self.settings.results is None:
            return stopping.error("nothing was written.", "With --results rows are kept.", resumable=False)
        return stopping.error(
            f"{len(self.rows)} rows are in {self.settings.results}.", "Run the same command again: it goes on."
        )

    # --- what follows --------------------------------------------------------------------------------------------

    def _summary(self, rows: Sequence[Row], *, computed: int, seconds: float) -> dict[str, Any]:
        clean, rest = rows[0], rows[1:]
        means = {name: _means([row for row in rest if row["corruption"] == name]) for name in _names(rest)}
        mean = _means([{"metrics": values} for values in means.values()])
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
            "rows": list(rows),
            "clean": clean["metrics"],
            "means": means,
            "mean": mean,
            **self._errors(clean, rest),
        }
        held = {**mean, **{name: summary[name] for name in ("mean_error", *MCE) if summary.get(name) is not None}}
        return {**summary, "missed": missed_thresholds(self.thresholds, held, self._bounds())}

    def _errors(self, clean: Row, rest: Sequence[Row]) -> dict[str, Any]:
        """The mean error and what follows from a baseline, for tasks with labels."""
        key = self.task.accuracy_metric
        if not key:
            return {}
        errors = {name: [1 - row["metrics"][key] for row in rest if row["corruption"] == name] for name in _names(rest)}
        found: dict[str, Any] = {"mean_error": measures.mean_error(errors), "baseline": None}
        if self.baseline is None:
            return found
        base = self.baseline.errors
        found |= {
            "baseline": str(self.settings.baseline),
            "ce": measures.corruption_errors(errors, base),
            "mce": measures.mean_corruption_error(errors, base),
        }
        if self.baseline.clean is not None:
            both = {"clean": 1 - clean["metrics"][key], "baseline_clean": self.baseline.clean}
            found["relative_ce"] = measures.relative_corruption_errors(errors, base, **both)
            found["relative_mce"] = measures.relative_mean_corruption_error(errors, base, **both)
        return found

    def _write(self, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
        folder = self.settings.results
        write_json(folder / RECORD, {**summary, **self.identity, "rows": self.rows})
        write_table(folder / TABLE, _columns(rows))
        if self.task.accuracy_metric and self.settings.corrupted_root is not None:
            rest = rows[1:]
            published = {
                "corruption_type": [row["corruption"] for row in rest],
                "difficulty": [row["severity"] for row in rest],
                "valid_acc": [row["metrics"][self.task.accuracy_metric] for row in rest],
            }
            write_table(folder / PUBLISHED_TABLE, published)
        self._draw(folder, rows)

    def _draw(self, folder: Path, rows: Sequence[Row]) -> None:
        from affectkit.reports.robustness import curves, heat_map

        names, levels = _names(rows[1:]), sorted({row["severity"] for row in rows[1:]})
        at = {(row["corruption"], row["severity"]): row["metrics"] for row in rows}
        self.reporter.start("drawing", 2 * len(self.task.robustness_metrics), "pictures")
        for metric in self.task.robustness_metrics:
            values = [[at[name, level][metric] for level in levels] for name in names]
            facts = {
                "values": values, "corruptions": names, "severities": levels, "clean": rows[0]["metrics"][metric],
                "metric": metric, "better": self.task.metric_direction[metric],
            }  # fmt: skip
            heat_map(folder / f"heat_map_{metric}.png", **facts)
            curves(folder / f"curves_{metric}.png", **facts)
            self.reporter.advance(2)
        self.reporter.finish()


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["corruption"] for row in rows))


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of each metric; NaN where one of them is."""
    return {name: math.fsum(row["metrics"][name] for row in rows) / len(rows) for name in rows[0]["metrics"]}


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    columns = {key: [row[key] for row in rows] for key in ("corruption", "severity", "images")}
    return columns | {name: [row["metrics"][name] for row in rows] for name in rows[0]["metrics"]}
