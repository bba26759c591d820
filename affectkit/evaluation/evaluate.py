"""Run a model over a split: outputs collected by sample number, so that results do not depend on the batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import collate_function, item_name, make_dataset
from affectkit.data.loading.loaders import EVALUATION, SplitImages, close_loader, evaluation_keys, make_loader
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.split import Split
from affectkit.engines.engine import Engine
from affectkit.errors import DataError
from affectkit.runtime.context import RunContext, gather_failures
from affectkit.runtime.forward import forward_in_blocks
from affectkit.runtime.shutdown import StopFlag
from affectkit.tasks.base import Collector, Results, Task

if TYPE_CHECKING:
    from affectkit.data.loading.clips import SplitClips


def evaluation_loader(
    dataset: SplitImages | SplitClips, *, context: RunContext, batch_size: int, workers: int
) -> DataLoader:
    """Make a loader over this process's share of a split: item rank, rank + world size, ...; each exactly once."""
    group = context.group
    keys = evaluation_keys(len(dataset), context.batch_per_process(batch_size), first=group.rank, step=group.world_size)
    return make_loader(
        dataset, keys, workers=workers, pin=context.pin_memory, collate_fn=collate_function(dataset.split)
    )


def evaluate(
    model: nn.Module | Engine,
    task: Task,
    split: Split,
    loader: DataLoader,
    *,
    context: RunContext,
    reporter: Reporter,
    stopping: StopFlag | None = None,
) -> tuple[Results, list[ReadFailure]]:
    """Return the outputs of ``model`` (run in evaluation mode) on all of ``split``, and the images that failed.

    With several processes each goes over the share that ``loader`` gives it, and all return the same. An engine gives
    the outputs that ``Task.rows`` reads, and nothing beside them.

    Raises:
        DataError: nothing could be read.
        Stopped: a signal came; nothing has been written.
    """
    targets, outputs_of = task.targets(split), _outputs_of(model, task, context, reporter)
    collector = Collector()
    failures: list[ReadFailure] = []
    done = 0
    modes = not isinstance(model, Engine)
    training = modes and model.training
    if modes:
        model.eval()
    # All processes go through as many rounds, so that they can agree on stopping in each.
    (rounds,) = context.group.all_reduce_max([len(loader)])
    reporter.start(f"evaluating {split.name}", len(split), item_name(task.spec))
    try:
        for raw in itertools.islice(itertools.chain(loader, itertools.repeat(None)), rounds):
            if raw is not None:
                failures += raw["failures"]
                if len(raw["index"]):
                    collector.update(raw["index"], outputs_of(raw))
                seen = (len(raw["index"]) + len(raw["failures"])) * context.group.world_size
                reporter.advance(min(seen, len(split) - done))
                done += seen
            if stopping is not None and stopping.requested_anywhere(context.group):
                raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    finally:
        reporter.finish()
        if modes:
            model.train(training)
    parts = context.group.all_gather_arrays(collector.arrays())
    failures = gather_failures(failures, context.group)
    if len(failures) == len(split):
        first = f" The first: {failures[0].reason}" if failures else ""
        raise DataError(f"none of the {len(split)} {item_name(task.spec)} of {split.name} can be read.{first}")
    recompute = partial(recompute_items, model, task, getattr(loader, "dataset", None), context)
    return Collector.results(parts, split, targets, recompute=recompute), failures


def evaluate_split(
    model: nn.Module | Engine,
    task: Task,
    split: Split,
    *,
    batch_size: int,
    workers: int | None,
    in_colour: bool = False,
    context: RunContext,
    reporter: Reporter,
) -> tuple[Results, list[ReadFailure]]:
    """Return what ``evaluate`` does, with a loader made for it; SIGTERM and Ctrl-C end it.

    Args:
        model, task, split: see ``evaluate``.
        batch_size: over all processes.
        workers: that decode; None: chosen by the data.
        in_colour: read images in colour, whatever the model takes.
        context: where the model computes.
        reporter: of the progress.
    """
    count, why = context.choose_workers(workers, held=split.store is not None)
    reporter.note(context.describe(batch_size, f"{count} ({why})"))
    context.warn_if_slow(reporter)
    dataset = make_dataset(split, task.spec.in_colour() if in_colour else task.spec)
    loader = evaluation_loader(dataset, context=context, batch_size=batch_size, workers=count)
    try:
        with StopFlag(reporter) as stopping:
            return evaluate(model, task, split, loader, context=context, reporter=reporter, stopping=stopping)
    finally:
        close_loader(loader)


def _outputs_of(
    model: nn.Module | Engine, task: Task, context: RunContext, reporter: Reporter
) -> Callable[[dict[str, Any]], Any]:
    """Return the function from a loader's batch to outputs."""
    if not isinstance(model, Engine):
        call = partial(task.evaluation_outputs, model)
        return lambda raw: forward_in_blocks(
            call, task.inputs(context.prepare_batch(raw, task.spec)), context, reporter
        )
    change = context.input_transform
    if change is None:
        return lambda raw: model.outputs(raw, reporter=reporter)
    return lambda raw: model.outputs({**raw, "image": change(raw["image"].float() / 255) * 255}, reporter=reporter)


@torch.inference_mode()
def recompute_items(
    model: nn.Module, task: Task, items: SplitImages | SplitClips | None, context: RunContext, index: Sequence[int]
) -> dict[str, np.ndarray]:
    """Run ``model`` again on the items at ``index``, for figures; see ``Task.visual_outputs``.

    The model runs as it is now, in evaluation mode.
    """
    if not hasattr(items, "__getitems__") or not len(index):  # images have nothing to show
        return {}
    modes = not isinstance(model, Engine)
    training = modes and model.training
    if modes:
        model.eval()
    try:
        batch = items.__getitems__([(EVALUATION, int(number)) for number in index])
        shown = task.visual_outputs(model, context.prepare_batch(batch, task.spec))
        return {name: value.cpu().numpy() for name, value in shown.items()}
    finally:
        model.train(training)
