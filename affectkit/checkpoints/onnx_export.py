"""``export``: a checkpoint as an ONNX file that runs without torch, written once it agrees with torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from affectkit.checkpoints.checkpoint import find_checkpoint, load_model_and_task
from affectkit.checkpoints.convert import check_output
from affectkit.checkpoints.onnx_compare import BATCHES, Comparison, Graph, Reference, compare_random, compare_real
from affectkit.checkpoints.onnx_data import RealInputs
from affectkit.checkpoints.onnx_file import SUFFIX, OnnxHeader, append_header, is_onnx, read_header
from affectkit.checkpoints.onnx_graph import check_exporter, graph_module, make_graph, quantise, store_half
from affectkit.core.assets import model_file
from affectkit.core.files import whole_file
from affectkit.core.limits import MAX_ONNX_BYTES
from affectkit.core.progress import Reporter
from affectkit.core.spec import FITS, InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.registry import takes_faces
from affectkit.runtime.device import resolve_device

TOLERANCE = {"fp32": 1e-5, "fp16": 2e-2, "int8": None}
"""Greatest difference from torch, in shares of the greatest output (1 at least); None: it is measured alone."""


def export(
    source: str | Path,
    output: Path,
    *,
    precision: str = "fp32",
    head_only: bool = False,
    data: Path | None = None,
    samples: int = 500,
    tolerance: float | None = None,
    force: bool = False,
    reporter: Reporter,
    **choices: Any,
) -> dict[str, Any]:
    """Write the model of a checkpoint as an ONNX file, once it is known to agree with torch; see ``onnx_file``.

    Args:
        source: as for ``checkpoint.find_checkpoint``.
        output: a ``.onnx`` file.
        precision: of the weights, one of ``onnx_file.PRECISIONS``.
        head_only: of a model on a frozen encoder, the head alone.
        data: what it is compared on beside random inputs, as for ``onnx_data.RealInputs``.
        samples: of ``data``, at most.
        tolerance: in place of ``TOLERANCE``.
        force: replace ``output``.
        reporter: hears of the steps.
        choices: what ``checkpoint.load_model`` takes beside the path.

    Raises:
        UsageError: ``output`` exists, or has another ending.
        LibraryError: onnx or onnxscript is not installed.
        CheckpointError: the checkpoint cannot be used, its network cannot be exported, or the graph differs from torch
            by more than ``tolerance``; then no file is left.
        DataError: ``data`` holds nothing that can be read.
    """
    path = find_checkpoint(source)
    if is_onnx(path):
        raise UsageError(f"{path} is an ONNX file already.", "Name the checkpoint that it was made from.")
    check_output(output, path, force=force, suffix=SUFFIX)
    check_exporter()
    model, task = load_model_and_task(source, device=resolve_device("cpu"), reporter=reporter, **choices)
    module, inputs = graph_module(model, task, head_only=head_only)
    _refuse_large(module)
    reporter.note(f"tracing {model.header.model}")
    real = None if data is None else RealInputs(data, model.spec, samples=samples, reporter=reporter)
    proto, outputs = make_graph(module, inputs, task)
    halves = 0
    if precision != "int8":
        halves = store_half(proto, rounding=precision == "fp16")
    header = OnnxHeader(
        model=model.header.model,
        options=model.header.options,
        spec=model.spec,
        training=model.header.training,
        inputs=inputs,
        outputs=outputs,
        takes_faces=not head_only and takes_faces(model.header.model),
        precision=precision,
        source_sha256=model.checkpoint_hash,
        reading=_reading(model.spec),
        licence=_licence(source),
    )
    limit = TOLERANCE[precision] if tolerance is None else tolerance
    reference = Reference(model, task, inputs, [one.name for one in outputs])
    with whole_file(output) as part:
        if precision == "int8":
            quantise(proto, part)
        else:
            part.write_bytes(proto.SerializeToString(deterministic=True))
        reporter.note("comparing with torch")
        graph = Graph(part, singly=precision == "int8")
        comparison = _compare(graph, reference, real, limit, reporter)
        append_header(part, replace(header, comparison=comparison))
        read_header(part)
    return {
        "source": str(path),
        "output": str(output),
        "model": header.model,
        "task": header.spec.task,
        "precision": precision,
        "tensors_in_half": halves,
        "inputs": {one.name: [one.dtype, list(one.shape)] for one in inputs},
        "outputs": {one.name: [one.dtype, list(one.shape)] for one in outputs},
        "bytes_before": path.stat().st_size,
        "bytes_after": output.stat().st_size,
        "comparison": comparison,
    }


def _compare(
    graph: Graph, reference: Reference, real: RealInputs | None, limit: float | None, reporter: Reporter
) -> dict[str, Any]:
    """Compare the graph with torch on random and, where they are given, on real inputs; for the header and the user."""
    found = {"random": compare_random(graph, reference)}
    _check(found["random"], limit, "random inputs")
    if real is not None:
        found["data"] = compare_real(graph, reference, real, reporter)
        _check(found["data"], limit, str(real.data))
    comparison: dict[str, Any] = {name: one.to_dict() for name, one in found.items()}
    return comparison | {"tolerance": limit, "batches": list(BATCHES), "torch": torch.__version__}


def _refuse_large(module: torch.nn.Module) -> None:
    tensors = {id(value): value for value in [*module.parameters(), *module.buffers()]}
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size > MAX_ONNX_BYTES:
        raise CheckpointError(
            f"the weights take {size:,} bytes; an ONNX file holds at most {MAX_ONNX_BYTES:,}.",
            "Weights in files beside it are not written. --head-only leaves a frozen encoder out.",
        )


def _check(found: Comparison, limit: float | None, what: str) -> None:
    """Refuse a graph that differs from torch by more than ``limit``, or has outputs that are no numbers."""
    if found.missing:
        raise CheckpointError(
            f"on {what} {found.missing} of {found.samples} samples have outputs that are not finite: nothing is "
            "written."
        )
    if limit is not None and found.relative > limit:
        raise CheckpointError(
            f"on {what} the graph differs from torch by {found.largest:.3g} (outputs to {found.magnitude:.3g}), which "
            f"is more than {limit:g} of the greatest output (at least 1): nothing is written.",
            "--tolerance says how much is let pass; where a model quantises (CM-VQVAE), two codes may be equally near.",
        )


def _reading(spec: InputSpec) -> dict[str, str]:
    """Describe how pictures become inputs."""
    if spec.clip is not None:
        return {"clip": "frame and spectrogram as spec.clip says"}
    return {
        "orientation": "the EXIF orientation is applied, transparency is laid on white",
        "fit": f"{spec.fit} to {spec.height}x{spec.width}: {FITS[spec.fit]}",
        "interpolation": "bilinear with antialiasing, as Pillow's",
    }


def _licence(source: str | Path) -> str:
    if model_file(source) is not None:
        return (
            "affectkit's weights (MIT), trained on FER+, whose images (FER-2013) and votes are for research: look at "
            "their terms before any other use"
        )
    return "affectkit knows of none: that of the weights and of the data that they were trained on"
