"""A model over a split: outputs collected by sample number, so that results do not depend on how they were batched."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from affectkit import __version__
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.corruptions import CORRUPTIONS, corrupt, parse
from affectkit.corruptions.base import check_strength
from affectkit.data.decode import load_for
from affectkit.data.layouts import Labels, Source, find
from affectkit.data.loading import (
    Failure,
    SplitImages,
    choose_workers,
    close_loader,
    evaluation_keys,
    make_loader,
    refuse_failures,
)
from affectkit.data.scales import parse_scale
from affectkit.data.split import Split, numbered, some
from affectkit.data.transforms import normalise
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.runners.backends import Compiled, compile_model, set_up_backends
from affectkit.runners.checkpoint import find_checkpoint, load_model, make_task
from affectkit.runners.device import (
    Device,
    Precision,
    resolve_device,
    resolve_precision,
    to_device,
)
from affectkit.runners.processes import Group, current, joined
from affectkit.runners.settings_tested import Tested, TestSettings
from affectkit.runners.signals import StopFlag
from affectkit.runners.tables import write_table
from affectkit.runners.thresholds import missed_thresholds, parse_thresholds
from affectkit.tasks.base import Collector, Results, Task

BLOCK, SMALL_BLOCK, SMALL = 16, 32, 112 * 112
"""Samples of a forward pass when a model is evaluated on the CPU; more where images have at most so many pixels."""


@dataclass
class Place:
    """Where the arithmetic happens.

    Attributes:
        group: the processes that share it. fits: how many samples fit in the memory of the device at once, once a
            forward pass has run out of it.
        alter: what is done to images (B, C, H, W) in [0, 1] before a model sees them.
    """

    device: Device
    precision: Precision
    group: Group = field(default_factory=current)
    fits: int | None = None
    alter: Callable[[torch.Tensor], torch.Tensor] | None = None

    @classmethod
    def choose(cls, device: str, precision: str) -> Place:
        """Resolve both names; errors where one is not there, or where two processes would share a GPU."""
        found = resolve_device(device)
        place = cls(found, resolve_precision(precision, found))
        place._check_apart()
        return place

    @property
    def pins(self) -> bool:
        """Whether batches are made in pinned memory, from which copies to the device need not be waited for."""
        return self.device.kind == "cuda"

    def move(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``batch`` on the device."""
        return to_device(batch, self.device)

    def images(self, batch: dict[str, Any], spec: InputSpec) -> dict[str, Any]:
        """``batch`` on the device, its images altered where that is asked for, and normalised.

        What a frozen encoder has made of images, (B, width), is left as it is.
        """
        moved = self.move(batch)
        if moved["image"].dim() == 2:
            return moved
        images = moved["image"]
        if self.alter is not None:
            images = self.alter(images.float() / 255)
        images = normalise(images, spec)
        if self.device.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return {**moved, "image": images}

    def network(self, model: nn.Module, *, compiled: bool, reporter: Reporter) -> nn.Module | Compiled:
        """``model``, or its forward pass ``compiled``, with the model's own parameters."""
        if not compiled:
            return model
        reporter.note("compiling the model: the first batches take a minute, on a CPU several")
        return compile_model(model, device=self.device)

    def workers(self, asked: int | None, *, held: bool = False) -> tuple[int, str]:
        """How many processes decode for this one, and why."""
        return choose_workers(asked, held=held, on_cpu=self.device.kind == "cpu", processes=self.group.local)

    def describe(self, batch_size: int, workers: str, *, accumulate: int = 1) -> str:
        """One line for the header of a run: device, precision, batch, workers, and why."""
        steps = f" x {accumulate}" if accumulate > 1 else ""
        shared = ""
        if self.group.several:
            shared = f" over {self.group.world} processes ({-(-batch_size // self.group.world)} each)"
        return (
            f"{self.device.description} ({self.device.reason}); {self.precision.name} ({self.precision.reason}); "
            f"batch {batch_size}{steps}{shared}; decoding workers: {workers}"
        )

    def _check_apart(self) -> None:
        if not self.group.several:
            return
        own = ""
        if self.device.kind == "cuda":
            own = f"{socket.gethostname()} {torch.cuda.get_device_properties(self.device.index).uuid}"
        names = self.group.gather_values([self.device.kind, own])
        if len({kind for kind, _ in names}) > 1:
            raise DeviceError(
                f"the processes chose different devices: {', '.join(kind for kind, _ in names)}.",
                "Name one with --device.",
            )
        if own and len({name for _, name in names}) < len(names):
            raise DeviceError(
                f"{len(names)} processes would share {len({name for _, name in names})} GPU(s).",
                "Start as many processes on each machine as it has GPUs, or use --device cpu.",
            )


@torch.inference_mode()
def forward(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], place: Place, reporter: Reporter | None = None
) -> torch.Tensor:
    """Outputs for ``inputs`` (on the device already), in parts where the device's memory does not hold them at once.

    What fits is remembered in ``place`` and told to ``reporter``.
    """
    count = len(inputs[0])
    if place.fits is not None and count > place.fits:
        parts = zip(*(value.split(place.fits) for value in inputs), strict=True)
        return torch.cat([forward(model, part, place, reporter) for part in parts])
    try:
        with place.precision.autocast():
            return model(*inputs).float()
    except torch.OutOfMemoryError as error:
        if count == 1:
            raise DeviceError(
                f"{place.device.torch_name} is out of memory with a single image of {tuple(inputs[0].shape[1:])}.",
                "Use another --device, or free the memory of this one.",
            ) from error
    # Outside the except block, so that the failed attempt's tensors are free.
    torch.cuda.empty_cache()
    place.fits = -(-count // 2)
    if reporter is not None:
        reporter.warn(f"out of memory on {place.device.torch_name} with {count} images: going on with {place.fits}.")
    return forward(model, inputs, place, reporter)


def forward_in_blocks(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], place: Place, reporter: Reporter | None = None
) -> torch.Tensor:
    """``forward`` in which a sample's outputs do not depend, to the last bit, on the batch that it came in.

    Kernels are chosen by the size of a batch, and differ in the last digits. On the CPU every pass therefore has
    as many samples (``BLOCK``), the last one filled up; there a sample's place within the block makes no difference.
    On other devices the batch is passed as it is, and results agree to about six digits.
    """
    if place.device.kind != "cpu":
        return forward(model, inputs, place, reporter)
    count = len(inputs[0])
    # Features in blocks of the size in which the images would have come, for the same last digit.
    small = inputs[0].dim() == 4 and inputs[0].shape[-2:].numel() <= SMALL
    size = SMALL_BLOCK if small else BLOCK
    spare = -count % size
    # Filled up by indexing, which keeps the order in memory (channels-last): other orders have other kernels.
    filled = [value[[*range(count), *[-1] * spare]] if spare else value for value in inputs]
    blocks = zip(*(value.split(size) for value in filled), strict=True)
    return torch.cat([forward(model, block, place) for block in blocks])[:count]


def evaluation_loader(dataset: SplitImages, *, place: Place, batch_size: int, workers: int) -> DataLoader:
    """A loader over this process's share of a split: item rank, rank + world, ...; none twice and none left out."""
    group = place.group
    keys = evaluation_keys(len(dataset), share_of(batch_size, place), first=group.rank, step=group.world)
    return make_loader(dataset, keys, workers=workers, pin=place.pins)


def share_of(batch_size: int, place: Place) -> int:
    """How many images of a batch one process takes."""
    return -(-batch_size // place.group.world)


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

    With several processes each goes over the share that ``loader`` gives it, and all return the same.

    Raises:
        DataError: no image could be read.
        Stopped: a signal came; nothing has been written.
    """
    targets = task.targets(split)
    collector = Collector()
    failures: list[Failure] = []
    done = 0
    training = model.training
    model.eval()
    # All processes go through as many rounds, so that they can agree on stopping in each.
    (rounds,) = place.group.largest([len(loader)])
    reporter.start(f"evaluating {split.name}", len(split), "images")
    try:
        for raw in itertools.islice(itertools.chain(loader, itertools.repeat(None)), rounds):
            if raw is not None:
                failures += raw["failures"]
                if len(raw["index"]):
                    batch = place.images(raw, task.spec)
                    outputs = forward_in_blocks(model, task.inputs(batch), place, reporter)
                    collector.update(raw["index"], outputs)
                seen = (len(raw["index"]) + len(raw["failures"])) * place.group.world
                reporter.advance(min(seen, len(split) - done))
                done += seen
            if stopping is not None and stopping.agreed(place.group):
                raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    finally:
        reporter.finish()
        model.train(training)
    parts = place.group.gather_arrays(collector.arrays())
    failures = gather_failures(failures, place.group)
    if len(failures) == len(split):
        raise DataError(f"none of the {len(split)} images of {split.name} can be read.")
    return Collector.results(parts, split, targets), failures


def gather_failures(failures: Sequence[Failure], group: Group) -> list[Failure]:
    """The failures of all processes, in the order of their items."""
    parts = group.gather_values([asdict(failure) for failure in failures])
    return sorted((Failure(**failure) for part in parts for failure in part), key=attrgetter("index"))


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
    with joined(settings.device):
        return _test(settings, reporter=reporter)


def _test(settings: TestSettings, *, reporter: Reporter) -> dict[str, Any]:
    path = find_checkpoint(settings.checkpoint)
    thresholds = parse_thresholds(settings.fail_under)
    place = Place.choose(settings.device, settings.precision)
    with set_up_backends(place.device, place.precision):
        return _test_at(place, path, thresholds, settings, reporter=reporter)


def _test_at(
    place: Place, path: Path, thresholds: dict[str, float], settings: TestSettings, *, reporter: Reporter
) -> dict[str, Any]:
    model = load_model(path, device=settings.device, clip_weights=settings.clip_weights)
    network = place.network(model, compiled=settings.compile, reporter=reporter)
    task = make_task(model.spec, model.header.training.get("task_options"))
    unknown = [name for name in thresholds if name not in task.better]
    if unknown:
        raise UsageError(
            f"--fail-under: the task {task.name} has no metric {', '.join(unknown)}.",
            f"Its metrics are {', '.join(task.better)}.",
        )
    if settings.alter:
        place.alter = alteration(settings.alter, task.spec)
        reporter.note(f"images altered: {parse(settings.alter)}")
    folder = settings.results
    if folder is not None:
        place.group.together(lambda: str(fresh_folder(folder, force=settings.force, name="--results")))
    source, split = tested(place, task, settings, reporter=reporter)
    workers, why = place.workers(settings.workers)
    reporter.note(place.describe(settings.batch_size, f"{workers} ({why})"))
    loader = evaluation_loader(
        SplitImages(split, task.spec), place=place, batch_size=settings.batch_size, workers=workers
    )
    try:
        with StopFlag(reporter) as stopping:
            found = evaluate(network, task, split, loader, place=place, reporter=reporter, stopping=stopping)
    finally:
        close_loader(loader)
    results, failures = found
    refuse_failures(failures, settings.on_error)
    metrics = task.metrics(results)
    for text in task.remarks(results):
        reporter.warn(text)
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
        **({"altered": settings.alter} if settings.alter else {}),
        "metrics": metrics,
        "intervals": {name: list(pair) for name, pair in task.intervals(results).items()},
        "missed": missed_thresholds(thresholds, metrics, task.better),
    }
    if folder is not None:
        place.group.together(lambda: _write_test(folder, task, results, summary, reporter=reporter))
    return summary


def tested(place: Place, task: Task, settings: Tested, *, reporter: Reporter) -> tuple[Source, Split]:
    """The dataset and the split of it that are tested on, with what a user should know of them said."""
    labels = Labels(
        settings.labels,
        ratings=task.rated,
        scale=parse_scale(settings.rating_range) if settings.rating_range else task.scale,
        alone=settings.split,
        whole=settings.split == "all",
    )
    source = place.group.in_turn(lambda: find(settings.data, labels=labels, reporter=reporter))
    split, note = task.usable(find_split(source, settings.split))
    reporter.note(f"{source.layout} in {source.root}, {split.name} split: {len(split):,} images")
    for text in filter(None, (*source.notes, note)):
        reporter.note(text)
    if numbered(task.spec.classes) and source.classes != task.spec.classes:
        reporter.warn(
            f"the checkpoint holds no class names: its {len(task.spec.classes)} outputs are taken to be the classes in "
            f"the order {some(source.classes, 3)}."
        )
    return source, split


def alteration(text: str, spec: InputSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    """What ``--alter`` means, on images (B, 3, H, W) in [0, 1]."""
    if spec.channels != 3:
        raise UsageError(
            f"--alter {text}: alterations are of colour images, and the model takes {spec.channels} channel."
        )
    chosen = parse(text)
    if chosen.strength is not None:  # now, not when the first batch comes
        check_strength(CORRUPTIONS.resolve(chosen.name), chosen.name, chosen.strength)
    return lambda images: corrupt(images, chosen.name, chosen.severity, strength=chosen.strength)


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
    figures = task.figures(results, lambda position: load_for(results.split.path(position), task.spec))
    reporter.start("drawing", len(figures), "pictures")
    for file, draw in figures.items():
        draw(folder / file)
        reporter.advance()
    reporter.finish()
