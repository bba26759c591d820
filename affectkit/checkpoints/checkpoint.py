"""Save and load checkpoints: a ``.safetensors`` file whose header describes the model. Loading runs no code from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from affectkit.core.assets import BUILTIN_MODEL, PREFIX, model_file
from affectkit.core.files import sha256, whole_file
from affectkit.core.progress import Reporter
from affectkit.core.spec import FITS, InputSpec
from affectkit.core.version import VERSION
from affectkit.errors import CheckpointError, RunError, UsageError
from affectkit.models.external.published_format import Published
from affectkit.models.external.restricted_pickle import is_pickled
from affectkit.models.registry import family
from affectkit.runtime.device import Device, prepare_model, resolve_device
from affectkit.tasks import TASKS
from affectkit.tasks.base import Task

FORMAT = 1
KEY = "affectkit"


@dataclass(frozen=True)
class Header:
    """Describe the model of a checkpoint.

    Attributes:
        model: registry name.
        options: keyword arguments it was built with.
        spec: input, task and classes.
        training: summary of the run that made it (epoch, monitored metric, data fingerprint, ...).
        version: affectkit that wrote it.
    """

    model: str
    options: dict[str, Any]
    spec: InputSpec
    training: dict[str, Any] = field(default_factory=dict)
    version: str = VERSION

    def to_text(self) -> str:
        """Return the header as JSON."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": self.version,
                "model": {"name": self.model, "options": self.options},
                "spec": self.spec.to_dict(),
                "training": self.training,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_text(cls, text: str) -> Header:
        """Read what ``to_text`` gave; a CheckpointError names what is wrong."""
        try:
            values = json.loads(text)
            form = values["format"]
            if form != FORMAT:
                raise CheckpointError(
                    f"the checkpoint has format {form}; this affectkit ({VERSION}) reads format {FORMAT}.",
                    "Upgrade with pip install -U affectkit.",
                )
            return cls(
                model=str(values["model"]["name"]),
                options=dict(values["model"]["options"]),
                spec=InputSpec.from_dict(_with_named(values["spec"], values["training"])),
                training=dict(values["training"]),
                version=str(values["version"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"the header is damaged: {type(error).__name__} {error}.") from error


def _with_named(spec: Mapping[str, Any], training: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``spec`` with ``named`` where ``convert`` wrote it before there was that entry: numbers for names it gave
    to the classes of published files alone, which ``training`` distinguishes from those that were trained here.
    """
    if "published" not in training or "named" in spec:
        return spec
    classes = list(spec["classes"])
    return {**spec, "named": classes != [str(number) for number in range(len(classes))]}


def save_checkpoint(path: Path, model: nn.Module, header: Header) -> None:
    """Write ``model`` and ``header`` to ``path``, whole or not at all."""
    save_tensors(path, state_copy(model), header)


def state_copy(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy the tensors that a checkpoint of ``model`` holds into memory of their own."""
    # Clones, since safetensors refuses tensors that share memory.
    return {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], header: Header) -> None:
    """Write the result of ``state_copy`` and ``header`` to ``path``, whole or not at all."""
    with whole_file(path) as part:
        try:
            save_file(tensors, str(part), metadata={KEY: header.to_text()})
        except SafetensorError as error:  # the disk is full, or the like
            raise RunError(f"cannot write {path}: {error}.", "Check the disk and the permissions.") from error


def find_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint of ``path``: the file, ``best.safetensors`` of a run folder, or a built-in model's."""
    built_in = model_file(path)
    if built_in is not None and Path(path).exists():
        raise UsageError(
            f"{path} is a model that comes with affectkit, and also a file or folder here.",
            f"Name the one as {PREFIX}{BUILTIN_MODEL}, the other by its absolute path.",
        )
    path = built_in or Path(path).expanduser()
    if path.is_dir():
        found = path / "best.safetensors"
        if not found.is_file():
            raise CheckpointError(
                f"{path} holds no best.safetensors.", "Name a checkpoint file, or a run folder of affectkit train."
            )
        return found
    if not path.is_file():
        raise CheckpointError(f"the checkpoint {path} does not exist.")
    return path


def published_header(published: Published) -> Header:
    """Return the header of ours for a checkpoint that its authors published."""
    found = {"family": published.family, "title": published.title, "precision": published.precision}
    found |= {"notes": list(published.notes)} if published.notes else {}
    counted = {"codes": published.options["codes"]} if "codes" in published.options else {}
    training = {"published": {**found, **published.summary}, "task_options": counted}
    return Header(published.model, published.options, published.spec, training)


def read_header(path: str | Path) -> Header:
    """Read the header of a checkpoint, without its tensors; of a published one, make it."""
    return _read_header(find_checkpoint(path))


def _read_header(path: Path) -> Header:
    if is_pickled(path):
        return published_header(_published(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of affectkit: {error}.",
            "Checkpoints are .safetensors files of affectkit train, and published ones of VCA, V1 networks, CM-VQVAE, "
            "emotion distributions.",
        ) from error
    if KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a checkpoint of affectkit (no header).",
            "To start training from such weights, use affectkit train --init FILE.",
        )
    try:
        return Header.from_text(metadata[KEY])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error


def load_model(
    path: str | Path,
    *,
    device: str | Device = "cpu",
    clip_weights: str | None = None,
    mode: str | None = None,
    mask: str | None = None,
    fit: str | None = None,
) -> nn.Module:
    """Load the model of a checkpoint, in evaluation mode, with ``spec``, ``header`` and ``checkpoint_hash`` attributes.

    Args:
        path: as for ``find_checkpoint``.
        device: where the model goes, or its name.
        clip_weights: file with the weights of a frozen CLIP, where they are not where the checkpoint has them.
        mode, mask: of a published CM-VQVAE, whose file does not hold them.
        fit: how images are brought to the input size, one of ``core.spec.FITS``; None: as in training;
            the header keeps that.

    Raises:
        UsageError: ``mode`` or ``mask`` is given for another checkpoint, which records it itself; ``fit`` for a model
            that takes clips.
        CheckpointError: missing, damaged, NaN in a weight, or a name that this affectkit does not know.
        DeviceError: the device is not there.
    """
    path = find_checkpoint(path)
    published = _published(path, mode=mode, mask=mask) if is_pickled(path) else None
    refuse_idle_choices(published, path, mode, mask)
    header = published_header(published) if published else _read_header(path)
    spec = fitted(header.spec, fit)
    target = device if isinstance(device, Device) else resolve_device(device)
    try:
        found = family(header.model)
    except UsageError as error:
        raise CheckpointError(f"{path}: the model {header.model!r} cannot be built: {error}") from error
    options = found.checkpoint_options(header.options, {"clip_weights": clip_weights})
    try:
        model = found.build(header.model, header.spec, **options)
    except (UsageError, TypeError) as error:
        raise CheckpointError(f"{path}: the model {header.model!r} cannot be built: {error}") from error
    if published:
        model.load_state_dict(published.state)
    else:
        load_tensors(model, path)
    model.spec = spec
    model.header = header
    model.checkpoint_hash = sha256(path)
    return prepare_model(model, target, channels_last=target.channels_last).eval()


def fitted(spec: InputSpec, fit: str | None) -> InputSpec:
    """Return ``spec`` with images fitted as ``--fit`` asks; itself for None.

    Raises:
        UsageError: there is no such fit, or the model takes clips, which are framed as its study did.
    """
    if fit is None:
        return spec
    if fit not in FITS:
        raise UsageError(f"--fit must be one of {', '.join(FITS)}; got {fit!r}.")
    if spec.clip is not None:
        raise UsageError(
            f"--fit {fit} has no effect: this model takes clips, which are framed as its study did.", "Leave it out."
        )
    return spec.with_(fit=fit)


def fit_record(model: nn.Module) -> dict[str, str]:
    """Return how images are fitted to the input of a loaded ``model``, for a record; also the fit of its checkpoint,
    where that is another. Empty where it takes clips."""
    if model.spec.clip is not None:
        return {}
    own = model.header.spec.fit
    return {"fit": model.spec.fit, **({"checkpoint_fit": own} if own != model.spec.fit else {})}


def checkpoint_notes(model: nn.Module) -> list[str]:
    """Return notes for the user on how a checkpoint was read."""
    fit, published = fit_record(model), model.header.training.get("published", {})
    notes = [str(note) for note in published.get("notes", ())]
    if "checkpoint_fit" in fit:
        notes.append(f"images are fitted by --fit {fit['fit']}; the checkpoint has {fit['checkpoint_fit']}")
    return notes


def _published(path: Path, **choices: str | None) -> Published:
    from affectkit.models.external.published import (
        read_published,  # with it come all families, and torchvision: seconds
    )

    return read_published(path, **choices)


def refuse_idle_choices(published: Published | None, path: Path, mode: str | None, mask: str | None) -> None:
    """Refuse ``mode`` and ``mask`` for a file that is no published CM-VQVAE.

    Raises:
        UsageError: one is given for another.
    """
    if (mode or mask) and (published is None or "mode" not in published.choices):
        raise UsageError(
            f"--mode and --mask are for published CM-VQVAE files, which do not hold them; {path} is none.",
            "Leave them out.",
        )


def load_tensors(model: nn.Module, path: Path) -> None:
    """Copy the tensors of a checkpoint into ``model``; every one must be there, of its shape, and finite."""
    wanted = model.state_dict()
    faults = []
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        faults += [f"{name} is missing" for name in wanted if name not in names]
        faults += [f"{name} is not known" for name in sorted(names - set(wanted))]
        state: dict[str, torch.Tensor] = {}
        for name in names & set(wanted):
            tensor = file.get_tensor(name)
            if tensor.shape != wanted[name].shape:
                faults.append(f"{name} is {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
            elif tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                faults.append(f"{name} holds NaN or infinity")
            state[name] = tensor
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise CheckpointError(f"{path} does not fit its own header: {'; '.join(faults[:5])}{more}.")
    model.load_state_dict(state)


def make_task(spec: InputSpec, options: Mapping[str, Any] | None = None) -> Task:
    """Build the task that ``spec`` names, with what it reads from ``options``."""
    return TASKS.resolve(spec.task).from_options(spec, options or {})


def load_model_and_task(
    path: str | Path, *, device: Device, reporter: Reporter, **choices: str | None
) -> tuple[nn.Module, Task]:
    """Load the model of a checkpoint and build its task; reports what a user should know of how it was read.

    Args:
        path: as for ``find_checkpoint``.
        device: where the model goes.
        reporter: gets the notes.
        choices: what ``load_model`` takes beside them.
    """
    model = load_model(path, device=device, **choices)
    for text in checkpoint_notes(model):
        reporter.note(text)
    return model, make_task(model.spec, model.header.training.get("task_options"))
