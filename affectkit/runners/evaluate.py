"""A model over a split: outputs collected by sample number, so that results do not depend on how they were batched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from affectkit import __version__
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.decode import load_for
from affectkit.data.layouts import Source, find
from affectkit.data.loading import (
    Failure,
    SplitImages,
    choose_workers,
    close_loader,
    evaluation_keys,
    make_loader,
    refuse_failures,
)
from affectkit.data.split import Split
from affectkit.data.transforms import normalise
from affectkit.errors import DataError, UsageError
from affectkit.runners.checkpoint import find_checkpoint, load_model, make_task
from affectkit.runners.device import Device, Precision, resolve_device, resolve_precision, to_device
from affectkit.runners.settings import TestSettings
from affectkit.runners.signals import StopFlag
from affectkit.runners.tables import write_table
from affectkit.tasks.base import Collector, Results, Task

BLOCK = 16
"""Samples of a forward pass when a model is evaluated on the CPU."""


@dataclass(frozen=True)
class Place:
    """Where the arithmetic happens."""

    device: Device
    precision: Precision

    @classmethod
    def choose(cls, device: str, precision: str) -> Place:
        """Resolve both names; errors where one is not there."""
        found = resolve_device(device)
        return cls(found, resolve_precision(precision, found))

    def images(self, batch: dict[str, Any], spec: InputSpec) -> dict[str, Any]:
        """``batch`` on the device, its images normalised."""
        moved = to_device(batch, self.device)
        images = normalise(moved["image"], spec)
        if self.device.kind == "cuda":
            images = images.contiguous(memory_format=torch.channels_last)
        return {**moved, "image": images}

    def describe(self) -> str:
        """One line for the header of a run."""
        return f"{self.device.description} ({self.device.reason}); {self.precision.name} ({self.precision.reason})"


@torch.inference_mode()
def forward(model: nn.Module, inputs: tuple[torch.Tensor, ...], place: Place) -> torch.Tensor:
    """Outputs for ``inputs`` (on the device already); halved and tried again where CUDA runs out of memory."""
    try:
        with place.precision.autocast():
            return model(*inputs).float()
    except torch.OutOfMemoryError:
        if len(inputs[0]) == 1:
            raise
    # Outside the except block, so that the failed attempt's tensors are free.
    torch.cuda.empty_cache()
    half = len(inputs[0]) // 2
    parts = (tuple(value[:half] for value in inputs), tuple(value[half:] for value in inputs))
    return torch.cat([forward(model, part, place) for part in parts])


def forward_in_blocks(model: nn.Module, inputs: tuple[torch.Tensor, ...], place: Place) -> torch.Tensor:
    """``forward`` in which a sample's outputs do not depend, to the last bit, on the batch that it came in.

    Kernels are chosen by the size of a batch, and differ in the last digits. On the CPU every pass therefore has
    ``BLOCK`` samples, the last one filled up; there a sample's place within the block makes no difference. On other
    devices the batch is passed as it is, and results agree to about six digits.
    """
    if place.device.kind != "cpu":
        return forward(model, inputs, place)
    count = len(inputs[0])
    spare = -count % BLOCK
    filled = [torch.cat([value, value[-1:].expand(spare, *value.shape[1:])]) if spare else value for value in inputs]
    blocks = zip(*(value.split(BLOCK) for value in filled), strict=True)
    return torch.cat([forward(model, block, place) for block in blocks])[:count]


def evaluate(
    model: nn.Module,
    task: Task,
    split: Split,
    loader: DataLoader,
    *,
    place: Place,
    reporter: Reporter,
    stopping: StopFlag | None = None,
) -> tuple[Results, list[Failure]]:
    """Outputs of ``model`` (in evaluation mode while it runs) on all of ``split``, and the images that failed.

    Raises:
        DataError: no image could be read.
        Stopped: a signal came; nothing has been written.
    """
    targets = task.targets(split)
    collector = Collector(task.collected)
    failures: list[Failure] = []
    training = model.training
    model.eval()
    reporter.start(f"evaluating {split.name}", len(split), "images")
    try:
        for raw in loader:
            failures += raw["failures"]
            count = len(raw["index"])
            if count:
                batch = place.images(raw, task.spec)
                outputs = forward_in_blocks(model, task.inputs(batch), place)
                collector.update(outputs, {"index": raw["index"]} | {k: v[raw["index"]] for k, v in targets.items()})
            reporter.advance(count + len(raw["failures"]))
            if stopping is not None and stopping.requested:
                raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    finally:
        reporter.finish()
        model.train(training)
    if len(failures) == len(split):
        raise DataError(f"none of the {len(split)} images of {split.name} can be read.")
    return collector.results(split), failures


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
    path = find_checkpoint(settings.checkpoint)
    thresholds = parse_thresholds(settings.fail_under)
    place = Place.choose(settings.device, settings.precision)
    model = load_model(path, device=settings.device)
    task = make_task(model.spec, model.header.training.get("task_options"))
    unknown = [name for name in thresholds if name not in task.better]
    if unknown:
        raise UsageError(
            f"--fail-under: the task {task.name} has no metric {', '.join(unknown)}.",
            f"Its metrics are {', '.join(task.better)}.",
        )
    folder = fresh_folder(settings.results, force=settings.force, name="--results") if settings.results else None
    source = find(settings.data, reporter=reporter)
    split, note = task.usable(find_split(source, settings.split))
    workers = choose_workers(settings.workers, held=False)
    reporter.note(f"{source.layout} in {source.root}, {split.name} split: {len(split):,} images")
    for text in filter(None, (*source.notes, note)):
        reporter.note(text)
    reporter.note(f"{place.describe()}; batch {settings.batch_size}, {workers} workers")
    loader = make_loader(
        SplitImages(split, task.spec),
        evaluation_keys(len(split), settings.batch_size),
        workers=workers,
        pin=place.device.kind == "cuda",
    )
    try:
        with StopFlag() as stopping:
            results, failures = evaluate(model, task, split, loader, place=place, reporter=reporter, stopping=stopping)
    finally:
        close_loader(loader)
    refuse_failures(failures, settings.on_error)
    metrics = task.metrics(results)
    summary = {
        "checkpoint": str(path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": __version__,
        "task": task.name,
        "data": str(settings.data),
        "layout": source.layout,
        "split": split.name,
        "data_fingerprint": split.fingerprint(),
        "images": len(results.split),
        "skipped": [{"image": failure.name, "reason": failure.reason} for failure in failures],
        "classes": list(task.spec.classes),
        "temperature": task.spec.temperature,
        "device": place.device.torch_name,
        "precision": place.precision.name,
        "metrics": metrics,
        "missed": missed_thresholds(thresholds, metrics, task),
    }
    if folder is not None:
        write_results(folder, task, results, reporter=reporter)
        write_json(folder / "results.json", summary)
    return summary


def write_results(folder: Path, task: Task, results: Results, *, reporter: Reporter, plots: str = "plots") -> None:
    """The per-sample table, the further tables and the pictures of ``results`` into ``folder``."""
    write_table(folder / "test_results.csv", task.table(results))
    for file, columns in task.tables(results).items():
        write_table(folder / file, columns)
    draw_figures(folder / plots, task, results, reporter=reporter)


def draw_figures(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """The pictures of ``results`` into ``folder``."""
    figures = task.figures(results, lambda position: load_for(results.split.path(position), task.spec))
    reporter.start("drawing", len(figures), "pictures")
    for file, draw in figures.items():
        draw(folder / file)
        reporter.advance()
    reporter.finish()


def parse_thresholds(text: str | None) -> dict[str, float]:
    """``"accuracy=0.8,ece=0.05"`` as a dict; a UsageError names what is not of that form."""
    found = {}
    for part in filter(None, (text or "").split(",")):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            raise UsageError(f"--fail-under: {part!r} is not METRIC=VALUE, as in accuracy=0.8.") from error
    return found


def missed_thresholds(thresholds: dict[str, float], metrics: dict[str, float], task: Task) -> list[str]:
    """A sentence for every threshold that was missed; a metric that is not there, or NaN, misses."""
    missed = []
    for name, bound in thresholds.items():
        value = metrics.get(name, float("nan"))
        held = value >= bound if task.better[name] == "max" else value <= bound
        if not held:
            word = "at least" if task.better[name] == "max" else "at most"
            missed.append(f"{name} is {value:.6g}; {word} {bound:g} was asked for")
    return missed
