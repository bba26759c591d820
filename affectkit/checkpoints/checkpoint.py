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

from affectkit.checkpoints.description import checkpoint_notes, fitted
from affectkit.checkpoints.find import find_checkpoint
from affectkit.core.assets import check_shipped, model_file
from affectkit.core.files import sha256, whole_file
from affectkit.core.forms import check_form, parse_json, shown
from affectkit.core.libraries import library_error
from affectkit.core.limits import MAX_TENSOR_TABLE
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.core.tensor_files import check_tensor_table
from affectkit.core.version import VERSION
from affectkit.errors import AffectkitError, CheckpointError, RunError, UsageError
from affectkit.models import checksums
from affectkit.models.build_limit import BuildLimit
from affectkit.models.external.published_format import Published
from affectkit.models.external.restricted_pickle import is_pickled
from affectkit.models.registry import family
from affectkit.runtime.device import Device, prepare_model, resolve_device
from affectkit.tasks import make_task
from affectkit.tasks.base import Task

FORMAT = 1
KEY = "affectkit"
FORM = {
    "format": Any,
    "version": str,
    "model": {"name": str, "options": dict[str, Any]},
    "spec": dict[str, Any],
    "training": {"published?": {"notes?": list[str]}, "task_options?": dict[str, Any] | None},
}
"""What a header must hold; see ``core.forms``."""


@dataclass(frozen=True)
class Header:
    """Describe the model of a checkpoint.

    Attributes:
        model: registry name.
        options: keyword arguments it was built with.
        spec: input, task and classes.
        training: summary of the run that made it (epoch, monitored metric, data fingerprint, ...).
        version: affectkit that wrote it.
        checksum: what ``models.checksums.checksum_entry`` gave for the file that it was read from; None: it has none,
            as before there were checksums.
    """

    model: str
    options: dict[str, Any]
    spec: InputSpec
    training: dict[str, Any] = field(default_factory=dict)
    version: str = VERSION
    checksum: dict[str, str] | None = field(default=None, compare=False)

    def to_text(self, tensors: Mapping[str, torch.Tensor] | None = None) -> str:
        """Return the header as JSON, with checksums of the ``tensors`` that are written behind it."""
        text = json.dumps(
            {
                "format": FORMAT,
                "version": self.version,
                "model": {"name": self.model, "options": self.options},
                "spec": self.spec.to_dict(),
                "training": self.training,
            },
            ensure_ascii=False,
        )
        if tensors is None:
            return text
        values = json.loads(text)  # as it will be read: keys are text
        return json.dumps({**values, checksums.KEY: checksums.checksum_entry(values, tensors)}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str, *, verify: bool = True) -> Header:
        """Read what ``to_text`` gave; a CheckpointError names what is wrong.

        Args:
            text: JSON.
            verify: compare the header with its own checksum.
        """
        damaged = {"error": CheckpointError, "limit": MAX_TENSOR_TABLE}
        values = parse_json(text, "the header is damaged", form={"format": Any}, **damaged)
        if values["format"] != FORMAT:
            raise CheckpointError(
                f"the checkpoint has format {shown(values['format'])}; this affectkit ({VERSION}) reads {FORMAT}.",
                "Upgrade with pip install -U affectkit.",
            )
        check_form(values, FORM, "the header is damaged", error=CheckpointError)
        checksum = checksums.check_header(values) if verify else None
        return cls(
            model=values["model"]["name"],
            options=values["model"]["options"],
            spec=InputSpec.from_dict(_with_named(values["spec"], values["training"])),
            training=values["training"],
            version=values["version"],
            checksum=checksum,
        )


def _with_named(spec: Mapping[str, Any], training: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``spec`` with ``named`` where ``convert`` wrote it before there was that entry: numbers for names it gave
    to the classes of published files alone, which ``training`` distinguishes from those that were trained here.
    """
    if "published" not in training or "named" in spec:
        return spec
    classes = spec.get("classes")
    if not isinstance(classes, list):  # InputSpec reports it
        return spec
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
            save_file(tensors, str(part), metadata={KEY: header.to_text(tensors)})
        except SafetensorError as error:  # the disk is full, or the like
            raise RunError(f"cannot write {path}: {error}.", "Check the disk and the permissions.") from error


def published_header(published: Published) -> Header:
    """Return the header of ours for a checkpoint that its authors published."""
    found = {"family": published.family, "title": published.title, "precision": published.precision}
    found |= {"notes": list(published.notes)} if published.notes else {}
    counted = {"codes": published.options["codes"]} if "codes" in published.options else {}
    training = {"published": {**found, **published.summary}, "task_options": counted}
    return Header(published.model, published.options, published.spec, training)


def read_header(path: str | Path, *, verify: bool = True) -> Header:
    """Read the header of a checkpoint, without its tensors; of a published one, make it.

    Args:
        path: as for ``find_checkpoint``.
        verify: compare the header with its own checksum.
    """
    return _read_header(find_checkpoint(path), verify=verify)


def _read_header(path: Path, *, verify: bool = True) -> Header:
    if is_pickled(path):
        return published_header(_published(path))
    try:
        check_tensor_table(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, CheckpointError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of affectkit: {getattr(error, 'message', str(error)).removesuffix('.')}.",
            "Checkpoints are .safetensors files of affectkit train, and published ones of VCA, V1 networks, CM-VQVAE, "
            "emotion distributions.",
        ) from error
    if KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a checkpoint of affectkit (no header).",
            "To start training from such weights, use affectkit train --init FILE.",
        )
    try:
        return Header.from_text(metadata[KEY], verify=verify)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error


def checksum_state(path: str | Path) -> str:
    """Describe in words the checksum of a checkpoint, and whether it matches; the whole file is read."""
    built_in, path = model_file(path), find_checkpoint(path)
    try:
        if built_in is not None:
            check_shipped(path, sha256(path))
            return "SHA-256 of the file, which affectkit knows; it matches"
        entry = None if is_pickled(path) else _read_header(path).checksum
        if entry is None:
            return "none" if is_pickled(path) else "none: written before checkpoints had one"
        with safe_open(path, framework="pt") as file:
            verifier = checksums.Verifier(path, entry, file.keys())
            for name in file.keys():  # noqa: SIM118 - not a mapping
                verifier.compare(name, file.get_tensor(name))
        verifier.check()
    except CheckpointError as error:
        return f"does not match: {error.message}"
    return f"{entry['algorithm']} of each tensor; all match"


def weights_digest(path: str | Path) -> str | None:
    """Compute 16 digits that stand for the weights of a checkpoint alone: names, number formats, shapes and values.

    Two trainings that gave the same weights have the same, whatever their headers say. None for a pickled file.
    """
    path = find_checkpoint(path)
    if is_pickled(path):
        return None
    with safe_open(path, framework="pt") as file:
        names = sorted(file.keys())
        return checksums.weights_digest("".join(checksums.tensor_checksum(n, file.get_tensor(n)) for n in names))


def load_model(
    path: str | Path,
    *,
    device: str | Device = "cpu",
    clip_weights: str | None = None,
    mode: str | None = None,
    mask: str | None = None,
    fit: str | None = None,
    verify: bool = True,
) -> nn.Module:
    """Load the model of a checkpoint, in evaluation mode, with ``spec``, ``header`` and ``checkpoint_hash`` attributes.

    Args:
        path: as for ``find_checkpoint``.
        device: where the model goes, or its name.
        clip_weights: file with the weights of a frozen CLIP, where they are not where the checkpoint has them.
        mode, mask: of a published CM-VQVAE, whose file does not hold them.
        fit: how images are brought to the input size, one of ``core.spec.FITS``; None: as in training;
            the header keeps that.
        verify: compare header and tensors with the checksums in the file, where it has any, and a file of the package
            with the one that is known of it.

    Raises:
        UsageError: ``mode`` or ``mask`` is given for another checkpoint, which records it itself; ``fit`` for a model
            that takes clips.
        CheckpointError: missing, damaged, changed since it was written, NaN in a weight, a header that asks for more
            than the file holds, or a name that this affectkit does not know.
        DeviceError: the device is not there.
    """
    built_in, path = model_file(path), find_checkpoint(path)
    file_hash = sha256(path)
    if built_in is not None and verify:
        check_shipped(path, file_hash)
    published = _published(path, mode=mode, mask=mask) if is_pickled(path) else None
    refuse_idle_choices(published, path, mode, mask)
    header = published_header(published) if published else _read_header(path, verify=verify)
    spec = fitted(header.spec, fit)
    target = device if isinstance(device, Device) else resolve_device(device)
    model = _built(path, header, clip_weights)
    if published:
        model.load_state_dict(published.state)
    else:
        load_tensors(model, path, checksum=header.checksum)
    model.spec = spec
    model.header = header
    model.checkpoint_hash = file_hash
    return prepare_model(model, target, channels_last=target.channels_last).eval()


def _built(path: Path, header: Header, clip_weights: str | None) -> nn.Module:
    """Build the network of a header with random weights, in memory that bears a proportion to the file."""
    cannot = f"{path}: the model {header.model!r} cannot be built"
    try:
        found = family(header.model)
    except UsageError as error:
        raise CheckpointError(f"{cannot}: {error}") from error
    options = found.checkpoint_options(header.options, {"clip_weights": clip_weights})
    try:
        with BuildLimit(path.stat().st_size, beside=found.bytes_beside(options)):
            return found.build(header.model, header.spec, **options)
    except (UsageError, CheckpointError) as error:
        raise CheckpointError(f"{cannot}: {error.message}", error.hint) from error
    except AffectkitError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, RuntimeError) as error:
        if (fault := library_error(error)) is not None:
            raise fault from error
        text = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{cannot} with the options in the header: {type(error).__name__} {text}.",
            "The file is damaged, or was written by another version of affectkit.",
        ) from error


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


def load_tensors(model: nn.Module, path: Path, *, checksum: Mapping[str, str] | None = None) -> None:
    """Copy the tensors of a checkpoint into ``model``; every one must be there, of its shape, finite, and as
    ``checksum``, of its header, says; None: they are not compared.
    """
    wanted = model.state_dict()
    faults = []
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        verifier = checksums.Verifier(path, checksum, names)
        faults += [f"{name} is missing" for name in wanted if name not in names]
        faults += [f"{name} is not known" for name in sorted(names - set(wanted))]
        state: dict[str, torch.Tensor] = {}
        for name in names & set(wanted):
            tensor = file.get_tensor(name)
            verifier.compare(name, tensor)
            if tensor.shape != wanted[name].shape:
                faults.append(f"{name} is {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
            elif tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                faults.append(f"{name} holds NaN or infinity")
            state[name] = tensor
    verifier.check()
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise CheckpointError(f"{path} does not fit its own header: {'; '.join(faults[:5])}{more}.")
    model.load_state_dict(state)


def read_tensors(path: Path, header: Header) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint as they stand in it, compared with the checksum in its ``header``.

    Raises:
        CheckpointError: they differ from it.
    """
    with safe_open(path, framework="pt") as file:
        verifier = checksums.Verifier(path, header.checksum, file.keys())
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    for name, value in found.items():
        verifier.compare(name, value)
    verifier.check()
    return found


def load_model_and_task(
    path: str | Path, *, device: Device, reporter: Reporter, **choices: Any
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
