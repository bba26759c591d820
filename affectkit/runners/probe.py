"""What the shared and the private codes of an audio-visual model hold: reconstructions from each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit import __version__
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.progress import Reporter
from affectkit.data.clip_loading import SplitClips
from affectkit.data.loading import EVALUATION
from affectkit.data.sound import to_sound, write_wav
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.metrics.codes import private_shared
from affectkit.models.cmvqvae.network import Parts
from affectkit.models.cmvqvae.probe import KINDS
from affectkit.models.cmvqvae.probe import probe as probed
from affectkit.reports import audiovisual
from affectkit.runners.backends import set_up_backends
from affectkit.runners.checkpoint import find_checkpoint, load_model, make_task
from affectkit.runners.evaluate import tested
from affectkit.runners.place import Place
from affectkit.runners.settings_probe import ProbeSettings
from affectkit.runners.signals import StopFlag
from affectkit.runners.tables import write_table
from affectkit.tasks.audiovisual import MODALITIES
from affectkit.tasks.base import Task
from affectkit.tasks.categorical import spread

TITLES = {"image": "Image", "audio": "Sound"}
SAID = {
    "all": "all codes",
    "shared": "shared codes",
    "private": "private codes",
    "mixed": "shared, with the private\nof the row above",
}


def probe(settings: ProbeSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Reconstruct a split from all, shared and private codes, and from shared ones with another clip's private ones.

    Writes ``probe.csv`` (mean squared errors over the split), ``image.png`` and ``sound.png`` (a row a clip),
    ``probe.safetensors`` (what is drawn), ``probe.json`` and, where asked for, ``sounds/``.

    Returns:
        The summary: errors by codes and modality, and the shares of private and shared channels.

    Raises:
        UsageError: the model reconstructs nothing, or has no mask.
        Stopped: a signal came; nothing has been written.
    """
    path = find_checkpoint(settings.checkpoint)
    place = Place.choose(settings.device, settings.precision)
    with set_up_backends(place.device, place.precision):
        model = load_model(path, device=settings.device, **settings.of_file())
        task = make_task(model.spec, model.header.training.get("task_options"))
        check_probed(model, model.header.model)
        folder = fresh_folder(settings.results, force=settings.force, name="--results")
        source, split = tested(place, task, settings, reporter=reporter)
        with StopFlag(reporter) as stopping:
            errors = _errors(model, task, split, place, settings.batch_size, stopping, reporter)
        shares = private_shared(_mask_of(model))
        for name in MODALITIES:
            if name in model.looks_at and not shares[f"private_{name}"]:
                reporter.warn(f"no channel of the {name} is private: what is made of its private codes shows nothing.")
        summary = {
            "checkpoint": str(path),
            "checkpoint_sha256": model.checkpoint_hash,
            "affectkit": __version__,
            "data": str(source.root),
            "split": split.name,
            "clips": len(split),
            "errors": errors,
            "channels": shares,
        }
        _write(folder, model, task, split, place, settings, errors, reporter)
    write_json(folder / "probe.json", summary)
    return summary


def check_probed(model: Any, name: str) -> None:
    """Refuse a model that cannot be probed.

    Raises:
        UsageError: it reconstructs nothing, has no mask, or its inputs are no pictures and sounds.
    """
    shape = getattr(model, "shape", None)
    if not isinstance(model, Parts) or not shape.decoded or not shape.masked or model.spec.clip.features is not None:
        raise UsageError(
            f"probe draws what private and shared codes hold; {name} has no mask over codes of clips that it decodes.",
            "Name a checkpoint of --model cmvqvae.",
        )


def _mask_of(model: Parts) -> np.ndarray:
    classifier = model._classifier
    return (classifier.private_shared_mask.detach().flatten() > classifier.threshold).cpu().numpy()


def _batches(task: Task, split: Split, place: Place, size: int) -> Iterator[dict[str, Any]]:
    """The clips of ``split`` in order, each batch with the clip before its first one at its head (before the very first
    the last), so that mixing does not depend on the size of the batches."""
    items = SplitClips(split, task.spec)
    for begin in range(0, len(split), size):
        wanted = [begin - 1 if begin else len(split) - 1, *range(begin, min(begin + size, len(split)))]
        yield place.images(items.__getitems__([(EVALUATION, index) for index in wanted]), task.spec)


@torch.inference_mode()
def _errors(
    model: Parts, task: Task, split: Split, place: Place, size: int, stopping: StopFlag, reporter: Reporter
) -> dict[str, dict[str, float]]:
    """Mean squared errors by codes and modality over all clips."""
    sums: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    reporter.start("probing", len(split), "clips")
    for batch in _batches(task, split, place, size):
        inputs = dict(zip(MODALITIES, task.inputs(batch), strict=True))
        for kind in KINDS:
            with place.precision.autocast():
                made = dict(zip(MODALITIES, probed(model, *inputs.values(), kind=kind), strict=True))
            for name, values in made.items():
                if values is not None:
                    found = (values.float() - inputs[name])[1:].double().square().flatten(1).mean(1).sum()
                    sums[kind][name] = sums[kind].get(name, 0.0) + float(found)
        reporter.advance(len(batch["index"]) - 1)
        if stopping.requested:
            raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    reporter.finish()
    return {kind: {name: total / len(split) for name, total in found.items()} for kind, found in sums.items()}


@torch.inference_mode()
def _write(
    folder: Path,
    model: Parts,
    task: Task,
    split: Split,
    place: Place,
    settings: ProbeSettings,
    errors: dict[str, dict[str, float]],
    reporter: Reporter,
) -> None:
    chosen = spread(len(split), settings.clips)
    shown = split.select(chosen)
    batch = place.images(
        SplitClips(shown, task.spec).__getitems__([(EVALUATION, k) for k in range(len(shown))]), task.spec
    )
    inputs = task.inputs(batch)
    made = {kind: probed(model, *inputs, kind=kind) for kind in KINDS}
    values = {}
    names = [name.rsplit("/", 1)[-1] for name in shown.ids]
    for place_of, name in enumerate(MODALITIES):
        if made["all"][place_of] is None:
            continue
        columns = {"original": inputs[place_of], **{kind: made[kind][place_of] for kind in KINDS}}
        arrays = {kind: value.float().cpu().numpy() for kind, value in columns.items()}
        values |= {f"{kind}_{name}": array for kind, array in arrays.items()}
        file = folder / ("image.png" if name == "image" else "sound.png")
        drawn = [(TITLES[name], SAID.get(kind, kind), array) for kind, array in arrays.items()]
        audiovisual.grid(file, columns=drawn, names=names)
    audiovisual.save_values(folder / "probe.safetensors", values)
    table = {"codes": list(KINDS)}
    for name in errors["all"]:
        table[f"mse_{name}"] = [errors[kind][name] for kind in KINDS]
    write_table(folder / "probe.csv", table)
    if settings.sound:
        _write_sounds(folder / "sounds", values, names, task, reporter)


def _write_sounds(
    folder: Path, values: dict[str, np.ndarray], names: list[str], task: Task, reporter: Reporter
) -> None:
    spec = task.spec.clip.sound
    kinds = [kind for kind in ("original", *KINDS) if f"{kind}_audio" in values]
    if not kinds:
        reporter.warn("--sound has no effect: the model does not look at sound.")
        return
    folder.mkdir(exist_ok=True)
    reporter.start("making sounds", len(names) * len(kinds), "sounds")
    for row, name in enumerate(names):
        for kind in kinds:
            write_wav(folder / f"{name}-{kind}.wav", to_sound(values[f"{kind}_audio"][row, 0], spec), spec.rate)
            reporter.advance()
    reporter.finish()
