"""ONNX files of ``affectkit export``: what their metadata says of the model, read without torch, onnx or onnxruntime.

Each key begins with ``affectkit.``; values are JSON, or text where that is said:

- ``format``: text, ``FORMAT``. ``version``: text, the affectkit that wrote it.
- ``model``: ``name`` in the registry and ``options``, as in the header of the checkpoint; ``spec`` and ``training``
  likewise.
- ``inputs``: of the graph, each with ``name``, ``kind`` (``image``, ``audio`` or ``features``), ``dtype``, ``layout``
  and ``shape`` (null is the batch, which is free), and in words what it holds. ``outputs``: the same without a kind.
- ``reading``: how pictures become inputs, in words, and whether the model takes faces.
- ``precision``: text, of the weights: ``fp32`` as the checkpoint has them, ``fp16`` or ``int8`` rounded to that.
- ``source``: SHA-256 of the checkpoint. ``licence``: text.
- ``comparison``: how far the graph was from torch when it was written.
- ``checksum``: ``algorithm``, ``content``: CRC-32 of all that is no metadata, and ``header``: 16 digits of the SHA-256
  of the other keys and those two, as JSON with sorted keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from affectkit.checkpoints.find import missing_checkpoint
from affectkit.core.forms import check_form, parse_json, shown
from affectkit.core.limits import MAX_TENSOR_TABLE
from affectkit.core.onnx_bytes import content_checksum, metadata_bytes, read_metadata, refuse_external_data
from affectkit.core.spec import InputSpec
from affectkit.core.version import VERSION
from affectkit.errors import CheckpointError

SUFFIX = ".onnx"
PREFIX = "affectkit."
FORMAT = "1"
ALGORITHM = "crc32"
PRECISIONS = ("fp32", "fp16", "int8")
TENSOR = {"name": str, "dtype": str, "shape": list[int | None], "meaning": str}
FORM: dict[str, Any] = {
    "model": {"name": str, "options": dict[str, Any]},
    "spec": dict[str, Any],
    "training": {"published?": {"notes?": list[str]}, "task_options?": dict[str, Any] | None},
    "inputs": list[dict[str, Any]],
    "outputs": list[dict[str, Any]],
    "reading": {"takes_faces": bool},
    "source": {"sha256": str},
    "comparison": dict[str, Any],
    "checksum": {"algorithm": str, "content": str, "header": str},
}
"""Of the values that are JSON; see ``core.forms``."""
INPUT_FORM = {**TENSOR, "kind": Literal["image", "audio", "features"], "layout": str}
TEXTS = ("format", "version", "precision", "licence")
NEXT = "Export it again: affectkit export CHECKPOINT OUT.onnx. --no-verify loads it as it is."


@dataclass(frozen=True)
class GraphInput:
    """An input of the graph.

    Attributes:
        name: in the graph.
        dtype: NumPy's name of the number format.
        shape: None stands for the batch.
        meaning: what the numbers are, in words.
        kind: ``image``: pixels, uint8 RGB in [0, 255]; of a model of gray images three equal channels are the same as
            the one; ``audio``: spectrograms in decibels; ``features``: computed by another network.
        layout: names of the axes, as ``NHWC``.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    meaning: str
    kind: str
    layout: str


@dataclass(frozen=True)
class GraphOutput:
    """An output of the graph; the attributes are those of ``GraphInput``."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    meaning: str


@dataclass(frozen=True)
class OnnxHeader:
    """Describe the model of an ONNX file; the first five attributes are those of ``checkpoint.Header``.

    Attributes:
        model: registry name.
        options: keyword arguments it was built with.
        spec: input, task, classes and temperature; logits are not divided by that inside the graph.
        training: summary of the run that made it.
        version: affectkit that wrote the ONNX file.
        inputs, outputs: of the graph, in its order.
        takes_faces: whether it takes face crops.
        precision: of the weights, one of ``PRECISIONS``.
        source_sha256: of the checkpoint that it was made from.
        reading: how pictures become inputs, in words by subject.
        licence: what is known of the terms of the weights.
        comparison: how far the outputs were from torch's when it was written.
    """

    model: str
    options: dict[str, Any]
    spec: InputSpec
    training: dict[str, Any]
    inputs: tuple[GraphInput, ...]
    outputs: tuple[GraphOutput, ...]
    takes_faces: bool
    precision: str
    source_sha256: str
    reading: dict[str, str] = field(default_factory=dict)
    licence: str = ""
    comparison: dict[str, Any] = field(default_factory=dict)
    version: str = VERSION

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata without the checksum, by whole key."""
        values = {
            "model": {"name": self.model, "options": self.options},
            "spec": self.spec.to_dict(),
            "training": self.training,
            "inputs": [asdict(one) for one in self.inputs],
            "outputs": [asdict(one) for one in self.outputs],
            "reading": {**self.reading, "takes_faces": self.takes_faces},
            "source": {"sha256": self.source_sha256},
            "comparison": self.comparison,
        }
        texts = {"format": FORMAT, "version": self.version, "precision": self.precision, "licence": self.licence}
        found = texts | {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
        return {PREFIX + name: value for name, value in found.items()}


def is_onnx(path: str | Path) -> bool:
    """Return whether a path is that of an ONNX file, by its ending."""
    return Path(path).suffix.lower() == SUFFIX


def append_header(path: Path, header: OnnxHeader) -> None:
    """Write ``header``, with checksums, behind the graph in the file ``path``, which has no metadata of ours yet."""
    values = header.to_metadata()
    entry = {"algorithm": ALGORITHM, "content": content_checksum(path)}
    entry["header"] = _digest(values, entry)
    values[f"{PREFIX}checksum"] = json.dumps(entry)
    with path.open("ab") as stream:
        stream.write(metadata_bytes(values))


def read_header(path: Path, *, verify: bool = True) -> OnnxHeader:
    """Read what an ONNX file of ours says of its model.

    Args:
        path: the file.
        verify: compare metadata and graph with the checksums that it holds.

    Raises:
        CheckpointError: it is no ONNX file of affectkit (what is missing is named), is damaged, changed since it was
            written, refers to other files, or was written by a newer affectkit.
    """
    if not path.is_file():
        raise missing_checkpoint(path)
    metadata = read_metadata(path)
    _refuse_foreign(path, metadata)
    refuse_external_data(path)
    try:
        values = _parsed(metadata)
        if verify:
            _check_digest(metadata, values["checksum"])
        header = _header(values)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    if verify and (found := content_checksum(path)) != values["checksum"]["content"]:
        raise CheckpointError(
            f"{path}: the graph or its weights changed on the disk since they were written: their checksum "
            f"({ALGORITHM}) is {shown(found)}, and was {shown(values['checksum']['content'])}.",
            NEXT,
        )
    return header


def _refuse_foreign(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuse a file without our metadata, or with that of another format."""
    wanted = [PREFIX + name for name in (*TEXTS, *FORM)]
    missing = [name for name in wanted if name not in metadata]
    if len(missing) == len(wanted):
        raise CheckpointError(
            f"{path} is an ONNX model, but none of affectkit: its metadata has no {', '.join(missing[:4])}, ..., "
            "without which its classes, its input and what its outputs mean are not known.",
            "Make one of a checkpoint with affectkit export CHECKPOINT OUT.onnx.",
        )
    stated = metadata.get(f"{PREFIX}format")
    if stated is not None and stated != FORMAT:
        raise CheckpointError(
            f"{path} has format {shown(stated)}; this affectkit ({VERSION}) reads {FORMAT}.",
            "Upgrade with pip install -U affectkit.",
        )
    if missing:
        raise CheckpointError(f"{path}: its metadata is not complete: {', '.join(missing)} missing.", NEXT)


def _parsed(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of our keys, each of its form."""
    found: dict[str, Any] = {name: metadata[PREFIX + name] for name in TEXTS}
    for name, form in FORM.items():
        title = f"the metadata is damaged, {PREFIX}{name}"
        options = {"form": form, "hint": NEXT, "error": CheckpointError, "limit": MAX_TENSOR_TABLE}
        found[name] = parse_json(metadata[PREFIX + name], title, **options)
    for name, form in (("inputs", INPUT_FORM), ("outputs", TENSOR)):
        for one in found[name]:
            check_form(one, form, f"the metadata is damaged, {PREFIX}{name}", hint=NEXT, error=CheckpointError)
    if found["precision"] not in PRECISIONS:
        raise CheckpointError(
            f"precision must be one of {', '.join(PRECISIONS)}, got {shown(found['precision'])}.", NEXT
        )
    return found


def _header(values: Mapping[str, Any]) -> OnnxHeader:
    reading = {name: value for name, value in values["reading"].items() if name != "takes_faces"}
    return OnnxHeader(
        model=values["model"]["name"],
        options=values["model"]["options"],
        spec=InputSpec.from_dict(values["spec"]),
        training=values["training"],
        version=values["version"],
        inputs=tuple(GraphInput(**_known(one, INPUT_FORM)) for one in values["inputs"]),
        outputs=tuple(GraphOutput(**_known(one, TENSOR)) for one in values["outputs"]),
        takes_faces=values["reading"]["takes_faces"],
        precision=values["precision"],
        source_sha256=values["source"]["sha256"],
        reading={name: str(value) for name, value in reading.items()},
        licence=values["licence"],
        comparison=values["comparison"],
    )


def _known(values: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(values[name]) if name == "shape" else values[name] for name in form}


def _check_digest(metadata: Mapping[str, str], entry: Mapping[str, str]) -> None:
    """Refuse metadata that changed since it was written, or has checksums of a kind that is not known."""
    own = {name: text for name, text in metadata.items() if name.startswith(PREFIX)}
    own.pop(f"{PREFIX}checksum")
    rest = {name: value for name, value in entry.items() if name != "header"}
    if _digest(own, rest) != entry["header"]:
        raise CheckpointError("the metadata does not match its own checksum: it changed since it was written.", NEXT)
    if entry["algorithm"] != ALGORITHM:
        raise CheckpointError(
            f"the graph has a checksum by {entry['algorithm']}; this affectkit knows {ALGORITHM}.",
            "Upgrade with pip install -U affectkit; --no-verify loads it unverified.",
        )


def _digest(values: Mapping[str, str], entry: Mapping[str, str]) -> str:
    text = json.dumps([values, entry], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
