"""A model over a split: outputs collected by sample number, so that results do not depend on how they were batched."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from affectkit.checkpoints.checkpoint import checkpoint_notes, find_checkpoint, fit_record, load_model, make_task
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.core.text import some
from affectkit.core.version import VERSION
from affectkit.corruptions import CORRUPTIONS, CorruptionChoice, corrupt
from affectkit.corruptions.base import check_strength
from affectkit.corruptions.vca_study import luma
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.discovery import Labels, Source, find
from affectkit.data.layouts.duplicates import apart
from affectkit.data.loading.loaders import (
    EVALUATION,
    ReadFailure,
    SplitImages,
    close_loader,
    evaluation_keys,
    make_loader,
    refuse_failures,
)
from affectkit.data.loading.modality import collate_of, item_name, items_of, picture_of
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.class_counts import judged
from affectkit.evaluation.thresholds import missed_thresholds
from affectkit.runtime.context import RunContext, gather_failures
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.forward import forward_in_blocks
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.evaluation import Tested, TestSettings
from affectkit.tasks.base import Collector, Results, Task

if TYPE_CHECKING:
    from affectkit.data.loading.clips import SplitClips


def evaluation_loader(
    dataset: SplitImages | SplitClips, *, context: RunContext, batch_size: int, workers: int
) -> DataLoader:
    """A loader over this process's share of a split: item rank, rank + world, ...; none twice and none left out."""
    group = context.group
    keys = evaluation_keys(len(dataset), context.batch_per_process(batch_size), first=group.rank, step=group.world_size)
    return make_loader(dataset, keys, workers=workers, pin=context.pin_memory, collate_fn=collate_of(dataset.split))


def evaluate(
    model: nn.Module,
    task: Task,
    split: Split,
    loader: DataLoader,
    *,
    context: RunContext,
    reporter: Reporter,
    stopping: StopFlag | None = None,
) -> tuple[Results, list[ReadFailure]]:
    """Outputs of ``model`` (in evaluation mode while it runs) on all of ``split``, and the images that failed.

    With several processes each goes over the share that ``loader`` gives it, and all return the same.

    Raises:
        DataError: nothing could be read.
        Stopped: a signal came; nothing has been written.
    """
    targets, call = task.targets(split), partial(task.evaluation_outputs, model)
    collector = Collector()
    failures: list[ReadFailure] = []
    done = 0
    training = model.training
    model.eval()
    # All processes go through as many rounds, so that they can agree on stopping in each.
    (rounds,) = context.group.all_reduce_max([len(loader)])
    reporter.start(f"evaluating {split.name}", len(split), item_name(task.spec))
    try:
        for raw in itertools.islice(itertools.chain(loader, itertools.repeat(None)), rounds):
            if raw is not None:
                failures += raw["failures"]
                if len(raw["index"]):
                    batch = context.prepare_batch(raw, task.spec)
                    outputs = forward_in_blocks(call, task.inputs(batch), context, reporter)
                    collector.update(raw["index"], outputs)
                seen = (len(raw["index"]) + len(raw["failures"])) * context.group.world_size
                reporter.advance(min(seen, len(split) - done))
                done += seen
            if stopping is not None and stopping.requested_anywhere(context.group):
                raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    finally:
        reporter.finish()
        model.train(training)
    parts = context.group.all_gather_arrays(collector.arrays())
    failures = gather_failures(failures, context.group)
    if len(failures) == len(split):
        first = f" The first: {failures[0].reason}" if failures else ""
        raise DataError(f"none of the {len(split)} {item_name(task.spec)} of {split.name} can be read.{first}")
    recompute = partial(recompute_items, model, task, getattr(loader, "dataset", None), context)
    return Collector.results(parts, split, targets, recompute=recompute), failures


@torch.inference_mode()
def recompute_items(
    model: nn.Module, task: Task, items: SplitImages | SplitClips | None, context: RunContext, index: Sequence[int]
) -> dict[str, np.ndarray]:
    """Run ``model`` anew on the items at ``index``, for what pictures show; see ``Task.visual_outputs``.

    The model is asked as it is now, in evaluation mode.
    """
    if not hasattr(items, "__getitems__") or not len(index):  # images have nothing to show
        return {}
    training = model.training
    model.eval()
    try:
        batch = items.__getitems__([(EVALUATION, int(number)) for number in index])
        return {
            name: value.cpu().numpy()
            for name, value in task.visual_outputs(model, context.prepare_batch(batch, task.spec)).items()
        }
    finally:
        model.train(training)


def find_split(source: Source, name: str) -> Split:
    """The split called ``name``, or a DataError that lists those there are."""
    if name not in source.splits:
        there = ", ".join(f"{key} ({len(split):,})" for key, split in source.splits.items())
        raise DataError(f"{source.root} has no {name} split; it has {there}.", "Choose one of them with --split.")
    return source.splits[name]


def test(settings: TestSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Test a checkpoint on a split; writes tables and pictures where ``results`` is given.

    Returns:
        The summary, whose ``"missed"`` names every threshold of ``fail_under`` that was missed.
    """
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        return _test(settings, reporter=reporter)


def _test(settings: TestSettings, *, reporter: Reporter) -> dict[str, Any]:
    path = find_checkpoint(settings.checkpoint)
    thresholds = value_of(settings.fail_under, {})
    context = RunContext.resolve(settings.device, settings.precision)
    with set_up_backends(context.device, context.precision):
        return _test_at(context, path, thresholds, settings, reporter=reporter)


def _test_at(
    context: RunContext, path: Path, thresholds: dict[str, float], settings: TestSettings, *, reporter: Reporter
) -> dict[str, Any]:
    model = load_model(path, device=settings.device, fit=settings.fit, **settings.of_file())
    for text in checkpoint_notes(model):
        reporter.note(text)
    network = context.maybe_compile(model, enabled=settings.compile, reporter=reporter)
    task = make_task(model.spec, model.header.training.get("task_options"))
    unknown = [name for name in thresholds if name not in task.metric_direction]
    if unknown:
        raise UsageError(
            f"--fail-under: the task {task.name} has no metric {', '.join(unknown)}.",
            f"Its metrics are {', '.join(task.metric_direction)}.",
        )
    if settings.corrupt:
        check_looks(task.spec, "--corrupt")
        context.input_transform = corrupting(settings.corrupt.value, task.spec)
        reporter.note(f"images corrupted: {settings.corrupt.value}")
    folder = settings.results
    if folder is not None:
        context.group.run_on_main(lambda: str(fresh_folder(folder, force=settings.force, name="--results")))
    source, split = tested(context, task, settings, reporter=reporter)
    split, copies = context.group.run_main_first(
        lambda: without_copies(source, split, task, settings, reporter=reporter)
    )
    if settings.fit and split.store is not None:
        raise UsageError(f"--fit is for image files; {source.root} holds prepared clips.", "Leave it out.")
    workers, why = context.choose_workers(settings.workers, held=split.store is not None)
    reporter.note(context.describe(settings.batch_size, f"{workers} ({why})"))
    seen = task.spec.in_colour() if settings.corrupt else task.spec
    loader = evaluation_loader(items_of(split, seen), context=context, batch_size=settings.batch_size, workers=workers)
    try:
        with StopFlag(reporter) as stopping:
            found = evaluate(network, task, split, loader, context=context, reporter=reporter, stopping=stopping)
    finally:
        close_loader(loader)
    results, failures = found
    refuse_failures(failures, settings.on_error)
    metrics = task.metrics(results)
    told = judged(task, results)
    for text in told["remarks"]:
        reporter.warn(text)
    summary = {
        "checkpoint": str(path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": VERSION,
        "task": task.name,
        "data": str(settings.data),
        "layout": source.layout,
        "split": split.name,
        "data_fingerprint": split.fingerprint(),
        "images": len(results.split),
        "copies": copies,
        "skipped": [{"image": failure.name, "reason": failure.reason} for failure in failures],
        "classes": list(task.spec.classes),
        **fit_record(model),
        "class_counts": {} if task.predicts_ratings else results.split.counts(),
        **told,
        "temperature": task.spec.temperature,
        "calibration": model.header.training.get("calibration"),
        "device": context.device.torch_name,
        "precision": context.precision.name,
        **({"altered": str(settings.corrupt)} if settings.corrupt else {}),
        "metrics": metrics,
        "intervals": task.recorded_intervals(results),
        "missed": missed_thresholds(thresholds, metrics, task.metric_direction),
    }
    if folder is not None:
        context.group.run_on_main(lambda: _write_test(folder, task, results, summary, reporter=reporter))
    return summary


def tested(context: RunContext, task: Task, settings: Tested, *, reporter: Reporter) -> tuple[Source, Split]:
    """The dataset and the split of it that are tested on, with what a user should know of them said."""
    labels = Labels(
        settings.labels,
        ratings=task.predicts_ratings,
        scale=value_of(settings.rating_range, task.scale),
        alone=settings.split,
        whole=settings.split == "all",
        choice=Choice(settings.classes, settings.ignore_columns, known=task.spec.classes if task.spec.named else ()),
        follow_links=settings.follow_links,
    )
    source = context.group.run_main_first(lambda: find(settings.data, labels=labels, reporter=reporter))
    split, note = task.select_items(find_split(source, settings.split))
    reporter.note(
        f"{source.layout} in {source.root}, {split.name} split: {len(split):,} {item_name(task.spec)}; "
        f"{task.description()}"
    )
    for text in filter(None, (*source.notes, note)):
        reporter.note(text)
    if not task.spec.named:
        taken = [f"output {number} is {name!r}" for number, name in enumerate(source.classes)]
        reporter.warn(
            f"the checkpoint holds no class names: its {len(taken)} outputs are taken to be the classes in sorted "
            f"order: {some(taken, 3)}."
        )
    return source, split


def without_copies(
    source: Source, split: Split, task: Task, settings: TestSettings, *, reporter: Reporter
) -> tuple[Split, dict[str, Any]]:
    """``data.layouts.duplicates.apart`` for a split that is tested on, against those that the dataset has before it."""
    drop, noun = settings.drop_copies, item_name(task.spec)
    kept, copies = apart(split, source.splits, drop=drop, noun=noun, reporter=reporter)
    if drop and not copies:
        reporter.warn(f"--drop-copies: {source.root} has no split before {split.name} that could hold copies.")
    return kept, copies


def check_looks(spec: InputSpec, what: str) -> None:
    """Refuse to corrupt images where the model gets none.

    Raises:
        UsageError: it takes sounds alone, or features.
    """
    if spec.clip is not None and (spec.clip.needs == "audio" or spec.clip.features is not None):
        raise UsageError(
            f"{what}: corruptions are of images, and this model looks at none.",
            "Name a checkpoint that looks at images.",
        )


def corrupting(chosen: CorruptionChoice, spec: InputSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what ``--corrupt`` does to colour images (B, 3, H, W) in [0, 1]; where ``spec`` is gray, their luma."""
    if chosen.strength is not None:  # now, not when the first batch comes
        check_strength(CORRUPTIONS.resolve(chosen.name), chosen.name, chosen.strength)

    def corrupted(images: torch.Tensor) -> torch.Tensor:
        made = corrupt(images, chosen.name, chosen.severity, strength=chosen.strength)
        return luma(made) if spec.channels == 1 else made

    return corrupted


def _write_test(folder: Path, task: Task, results: Results, summary: dict[str, Any], *, reporter: Reporter) -> None:
    write_results(folder, task, results, reporter=reporter)
    write_json(folder / "results.json", summary)


def write_results(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """The per-sample table, the further tables and the pictures of ``results`` into ``folder``."""
    write_table(folder / "test_results.csv", task.table(results))
    for file, columns in task.tables(results).items():
        write_table(folder / file, columns)
    draw_figures(folder / task.figures_folder, task, results, reporter=reporter)


def draw_figures(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """The pictures of ``results`` into ``folder``."""
    figures = task.figures(results, lambda position: picture_of(results.split, task.spec, position))
    figures |= task.registered_figures(results)
    reporter.start("drawing", len(figures), "pictures")
    for file, draw in figures.items():
        draw(folder / file)
        reporter.advance()
    reporter.finish()
