"""Reconstruct a split from the shared and the private codes of an audio-visual model alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.checkpoints.checkpoint import load_model_and_task
from affectkit.checkpoints.find import find_checkpoint
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.progress import Reporter
from affectkit.core.version import VERSION
from affectkit.data.halves import half_record
from affectkit.data.loading.clips import SplitClips
from affectkit.data.loading.loaders import EVALUATION
from affectkit.data.media.spectrograms import to_sound, write_wav
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.load_split import load_split, wanted_labels
from affectkit.metrics.codes import private_shared
from affectkit.models.cmvqvae.network import Parts
from affectkit.models.cmvqvae.reconstruction import KINDS, reconstruct_from
from affectkit.reports import audiovisual
from affectkit.runtime.context import RunContext
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.reconstruction import ReconstructSettings
from affectkit.tasks.audiovisual import MODALITIES
from affectkit.tasks.base import Task
from affectkit.tasks.categorical import spread

DRAWN = {"image": ("Image", "image.png"), "audio": ("Sound", "sound.png")}
"""Title and file of the figure of each modality."""
COLUMN_TITLES = {
    "all": "all codes",
    "shared": "shared codes",
    "private": "private codes",
    "mixed": "shared, with the\nprivate of another",
}


def reconstruct(settings: ReconstructSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Reconstruct a split from all, shared and private codes, and from shared ones with another clip's private ones.

    Writes ``probe.csv`` (mean squared errors over the split), ``image.png`` and ``sound.png`` (a row per clip),
    ``probe.safetensors`` (what is drawn), ``probe.json`` and, where asked for, ``sounds/``. Another clip is the one
    before it in the split, or in the picture; of the first the last.

    Returns:
        The summary: errors by codes and modality, and the shares of private and shared channels.

    Raises:
        UsageError: the model reconstructs nothing, or has no mask.
        Stopped: a signal came; nothing has been written.
    """
    path = find_checkpoint(settings.checkpoint)
    context = RunContext.resolve(settings.device, settings.precision)
    context.warn_if_slow(reporter)
    with set_up_backends(context.device, context.precision):
        model, task = load_model_and_task(path, device=context.device, reporter=reporter, **settings.of_file())
        check_reconstructs(model, model.header.model)
        folder = fresh_folder(settings.results, force=settings.force, name="--results")
        data = load_split(
            settings.data,
            settings.split,
            labels=wanted_labels(settings, task),
            task=task,
            group=context.group,
            half=settings.half,
            reporter=reporter,
        )
        split = data.split
        reconstructor = Reconstructor(model, task, context, reporter)
        with StopFlag(reporter) as stopping:
            errors = reconstructor.errors(split, settings.batch_size, stopping)
        shares = private_shared(channel_mask(model))
        for name in model.modalities:
            if not shares[f"private_{name}"]:
                reporter.warn(f"no channel of the {name} is private: what its private codes give shows nothing.")
        reconstructor.write(folder, split.select(spread(len(split), settings.clips)), errors, sound=settings.sound)
    summary = {
        "checkpoint": str(path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": VERSION,
        "data": str(data.source.root),
        "split": split.name,
        **half_record(settings.half),
        "clips": len(split),
        "errors": errors,
        "channels": shares,
    }
    write_json(folder / "probe.json", summary)
    return summary


def check_reconstructs(model: Any, name: str) -> None:
    """Refuse a model that reconstructs nothing from a part of its codes.

    Raises:
        UsageError: it reconstructs nothing, has no mask, or its inputs are no images and sounds.
    """
    shape = getattr(model, "shape", None)
    if not isinstance(model, Parts) or not shape.decoded or not shape.masked or model.spec.clip.features is not None:
        raise UsageError(
            f"{name} has no mask over codes of clips that it decodes, so none of its codes are private or shared.",
            "Name a checkpoint of --model cmvqvae.",
        )


def channel_mask(model: Parts) -> np.ndarray:
    """Return the mask over the channels of both modalities: 0 private, others shared."""
    return model._classifier.effective_mask().cpu().numpy()


class Reconstructor:
    """Reconstruct clips from a part of their codes, for errors and figures."""

    def __init__(self, model: Parts, task: Task, context: RunContext, reporter: Reporter) -> None:
        self.model, self.task, self.context, self.reporter = model, task, context, reporter

    @torch.inference_mode()
    def errors(self, split: Split, size: int, stopping: StopFlag) -> dict[str, dict[str, float]]:
        """Return mean squared errors by codes and modality over all clips, ``size`` of them at a time.

        Raises:
            Stopped: a signal came.
        """
        sums: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        self.reporter.start("reconstructing", len(split), "clips")
        for inputs in self._batches(split, size):
            for kind in KINDS:
                for name, values in self._reconstructions(inputs, kind).items():
                    found = (values - inputs[name])[1:].double().square().flatten(1).mean(1).sum()
                    sums[kind][name] = sums[kind].get(name, 0.0) + float(found)
            self.reporter.advance(len(next(iter(inputs.values()))) - 1)
            if stopping.requested:
                raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
        self.reporter.finish()
        return {kind: {name: total / len(split) for name, total in found.items()} for kind, found in sums.items()}

    @torch.inference_mode()
    def write(self, folder: Path, shown: Split, errors: dict[str, dict[str, float]], *, sound: bool) -> None:
        """Write the table, and the clips of ``shown`` as figures, arrays and, with ``sound``, sounds."""
        inputs = self._inputs(shown, range(len(shown)))
        made = {"original": inputs, **{kind: self._reconstructions(inputs, kind) for kind in KINDS}}
        names = [name.rsplit("/", 1)[-1] for name in shown.ids]
        values = {}
        for name, (title, file) in DRAWN.items():
            if name not in inputs:
                continue
            arrays = {kind: found[name].float().cpu().numpy() for kind, found in made.items()}
            values |= {f"{kind}_{name}": array for kind, array in arrays.items()}
            columns = [(title, COLUMN_TITLES.get(kind, kind), array) for kind, array in arrays.items()]
            audiovisual.draw_clip_grid(folder / file, columns=columns, names=names)
        audiovisual.save_values(folder / "probe.safetensors", values)
        table: dict[str, Any] = {"codes": list(KINDS)}
        table |= {f"mse_{name}": [errors[kind][name] for kind in KINDS] for name in errors["all"]}
        write_table(folder / "probe.csv", table)
        if sound:
            # Whole ids: clips of several people may be called alike.
            self._write_sounds(folder / "sounds", values, [name.replace("/", "_") for name in shown.ids])

    def _reconstructions(self, inputs: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
        with self.context.precision.autocast():
            found = reconstruct_from(self.model, *(inputs.get(name) for name in MODALITIES), kind=kind)
        return {name: value.float() for name, value in zip(MODALITIES, found, strict=True) if value is not None}

    def _inputs(self, split: Split, index: Iterable[int]) -> dict[str, torch.Tensor]:
        items = SplitClips(split, self.task.spec)
        batch = self.context.prepare_batch(
            items.__getitems__([(EVALUATION, number) for number in index]), self.task.spec
        )
        found = zip(MODALITIES, self.task.inputs(batch), strict=True)
        return {name: value for name, value in found if value is not None}

    def _batches(self, split: Split, size: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the clips in order, each batch with the clip before its first at its head (before the very first the
        last), so that mixing does not depend on the size of the batches."""
        for begin in range(0, len(split), size):
            before = begin - 1 if begin else len(split) - 1
            yield self._inputs(split, [before, *range(begin, min(begin + size, len(split)))])

    def _write_sounds(self, folder: Path, values: dict[str, np.ndarray], names: list[str]) -> None:
        spec = self.task.spec.clip.sound
        kinds = [kind for kind in ("original", *KINDS) if f"{kind}_audio" in values]
        if not kinds:
            self.reporter.warn("--sound has no effect: the model takes no sound.")
            return
        folder.mkdir(exist_ok=True)
        self.reporter.start("making sounds", len(names) * len(kinds), "sounds")
        for row, name in enumerate(names):
            for kind in kinds:
                write_wav(folder / f"{name}-{kind}.wav", to_sound(values[f"{kind}_audio"][row, 0], spec), spec.rate)
                self.reporter.advance()
        self.reporter.finish()
