"""A model and the preprocessing that belongs to it as one ONNX graph; see ``onnx_file`` for its inputs.

Decoding, cropping and resizing stay outside. Batch norm is not folded into convolutions, so that the weights in the
graph are those of the checkpoint; ONNX Runtime folds it while it loads.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from affectkit.checkpoints.onnx_file import GraphInput, GraphOutput
from affectkit.core.memory_errors import find_causes
from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, LibraryError, UsageError
from affectkit.models.family import FrozenEncoderModel
from affectkit.tasks.base import Task

if TYPE_CHECKING:
    from onnx import ModelProto

LUMA = (19595.0, 38470.0, 7471.0)
"""Of red, green and blue, in 65,536ths: ITU-R 601-2 as Pillow rounds it; whole numbers below 2^24 are exact in single
precision, so that the gray is the same to the bit."""
EXAMPLES = 3
"""Samples that a graph is traced with: none of those that it is tried with afterwards."""
LEAST_HALF = 64
"""Numbers of a tensor from which on it is worth storing in half precision."""
MOST_HALF = 65504
NEEDED = 'pip install "affectkit[export]"'


class Pixels(nn.Module):
    """From uint8 RGB (B, H, W, 3) to what a model of ``spec`` sees, (B, C, H, W): gray where C is 1, normalised.

    The arithmetic is that of ``data.loading.transforms.normalise``, operation by operation.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.gray, self.changed = spec.channels == 1, any(spec.mean) or any(value != 1 for value in spec.std)
        # Buffers must not be called as operators are (mean, std): the exporter would give two things one name.
        self.register_buffer("luma", torch.tensor(LUMA), persistent=False)
        for name, values in (("pixel_mean", spec.mean), ("pixel_std", spec.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the normalised images."""
        found = image.float()
        if self.gray:
            luma = torch.floor(((found * self.luma).sum(3, keepdim=True) + 32768) / 65536)
            red, green, blue = found.split(1, 3)
            # Gray stays as it is: also values between the 256, see ``core.onnx_bytes.with_float_pixels``.
            found = torch.where((red == green) & (green == blue), red, luma)
        found = found.permute(0, 3, 1, 2).div(255)
        return found.sub(self.pixel_mean).div(self.pixel_std) if self.changed else found


class Encoded(nn.Module):
    """A frozen encoder and the head on it, with the tower registered, which the encoder keeps apart."""

    def __init__(self, model: FrozenEncoderModel) -> None:
        super().__init__()
        self.tower, self.head = model.encoder.tower, model.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the head makes of the features of ``images``."""
        features = self.tower(images)
        return self.head((features[0] if isinstance(features, tuple) else features).float())


class OfImage(nn.Module):
    """A graph of pictures."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.pixels, self.task = Pixels(task.spec), task
        self.model = Encoded(model) if isinstance(model, FrozenEncoderModel) else model

    def forward(self, image: torch.Tensor) -> Any:
        """Return the model's outputs for uint8 RGB (B, H, W, 3)."""
        return self.task.predict_step(self.model, self.pixels(image))


class OfFeatures(nn.Module):
    """A graph of the features of a frozen encoder."""

    def __init__(self, model: FrozenEncoderModel) -> None:
        super().__init__()
        self.head = model.head

    def forward(self, features: torch.Tensor) -> Any:
        """Return the head's outputs for features (B, width)."""
        return self.head(features)


class OfClip(nn.Module):
    """A graph of clips, picture and sound, or features of both."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.pixels = Pixels(task.spec) if task.spec.clip.features is None else nn.Identity()

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> Any:
        """Return the outputs for both."""
        return self.task.predict_step(self.model, self.pixels(image), audio)


class OfClipImage(OfClip):
    """A graph of the picture of a clip."""

    def forward(self, image: torch.Tensor) -> Any:
        """Return the outputs for pictures alone."""
        return self.task.predict_step(self.model, self.pixels(image), None)


class OfClipAudio(OfClip):
    """A graph of the sound of a clip."""

    def forward(self, audio: torch.Tensor) -> Any:
        """Return the outputs for sounds alone."""
        return self.task.predict_step(self.model, None, audio)


def graph_module(model: nn.Module, task: Task, *, head_only: bool = False) -> tuple[nn.Module, tuple[GraphInput, ...]]:
    """Return what becomes the graph, and its inputs.

    Args:
        model: as ``checkpoint.load_model`` gives it, on the CPU.
        task: of its outputs.
        head_only: of a model on a frozen encoder, the head alone, which takes features.

    Raises:
        UsageError: ``head_only`` is asked of a model that has no frozen encoder.
    """
    spec = task.spec
    if head_only:
        if not isinstance(model, FrozenEncoderModel):
            raise UsageError(f"--head-only is for models on a frozen encoder; {model.header.model} has none.")
        made: nn.Module = OfFeatures(model)
        meaning = f"features of {model.encoder.described}, not normalised to length 1"
        inputs = [GraphInput("features", "float32", (None, model.encoder.width), meaning, "features", "NC")]
    elif spec.clip is None:
        made, inputs = OfImage(model, task), [_image_input(spec)]
    else:
        needs, clip = spec.clip.needs, spec.clip
        made = {"both": OfClip, "image": OfClipImage, "audio": OfClipAudio}[needs](model, task)
        inputs = []
        if needs != "audio":
            inputs.append(_image_input(spec) if clip.features is None else _features("image", clip.features[0]))
        if needs != "image":
            inputs.append(_audio_input(spec) if clip.features is None else _features("audio", clip.features[1]))
    return made.eval().requires_grad_(False), tuple(inputs)


def _image_input(spec: InputSpec) -> GraphInput:
    gray = " (the network sees their gray; three equal channels are a gray picture)" if spec.channels == 1 else ""
    meaning = f"RGB pixels in [0, 255], upright, at the input size{gray}"
    return GraphInput("image", "uint8", (None, spec.height, spec.width, 3), meaning, "image", "NHWC")


def _audio_input(spec: InputSpec) -> GraphInput:
    sound = spec.clip.sound
    return GraphInput(
        "audio", "float32", (None, 1, sound.height, sound.width), "mel spectrogram in decibels", "audio", "NCHW"
    )


def _features(name: str, shape: tuple[int, ...]) -> GraphInput:
    meaning = f"features of the {name} of a clip, frame by frame"
    return GraphInput(name, "float32", (None, *shape), meaning, "features", "NTC")


def random_inputs(inputs: tuple[GraphInput, ...], count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draw ``count`` samples of all ``inputs``: noise and smooth patches in turn; decibels in [-80, 0]."""
    found = []
    for one in inputs:
        shape = (count, *one.shape[1:])
        if one.kind == "features":
            found.append(rng.standard_normal(shape, dtype=np.float32))
            continue
        unit = rng.random(shape, dtype=np.float32)
        height, width = shape[1:3] if one.layout == "NHWC" else shape[2:4]
        rows, columns = (np.arange(size) * 6 // size for size in (height, width))
        coarse = rng.random((count, 6, 6, 1), dtype=np.float32)[:, rows][:, :, columns]
        smooth = coarse if one.layout == "NHWC" else coarse.transpose(0, 3, 1, 2)
        unit[::2] = 0.9 * smooth[::2] + 0.1 * unit[::2]
        found.append((unit * 255).round().astype(np.uint8) if one.dtype == "uint8" else (unit - 1) * 80)
    return tuple(found)


def make_graph(
    module: nn.Module, inputs: tuple[GraphInput, ...], task: Task
) -> tuple[ModelProto, tuple[GraphOutput, ...]]:
    """Return the ONNX graph of what ``graph_module`` gave, its batch free, and its outputs.

    Raises:
        LibraryError: onnx or onnxscript is not installed.
        CheckpointError: the network has an operator that ONNX has not, or depends on values in a way that no graph
            does; the operator is named.
    """
    check_exporter()
    from onnxscript import optimizer

    given = tuple(map(torch.from_numpy, random_inputs(inputs, EXAMPLES, np.random.default_rng(0))))
    with torch.no_grad():
        found = module(*given)
    named = found if isinstance(found, dict) else {task.output_name: found}
    try:
        with _quiet(), torch.no_grad():
            # A free batch by Dim.DYNAMIC: with a Dim of a name the exporter freezes it in silence where a network takes
            # its batch apart by len().
            program = torch.onnx.export(
                module,
                given,
                dynamo=True,
                optimize=False,
                verbose=False,
                input_names=[one.name for one in inputs],
                output_names=list(named),
                dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),
            )
            # In place of optimize=True, which also folds batch norm, and so changes every weight before it.
            optimizer.inline(program.model)
            optimizer.fold_constants_ir(program.model)
            optimizer.remove_unused_nodes(program.model)
            proto = program.model_proto
    except Exception as error:
        raise _refusal(error) from error
    _strip(proto)
    outputs = tuple(
        GraphOutput(name, str(value.dtype).removeprefix("torch."), (None, *value.shape[1:]), _meaning(task))
        for name, value in named.items()
    )
    return proto, outputs


def check_exporter() -> None:
    """Raise a LibraryError where the packages that write ONNX files are not installed."""
    missing = []
    load_onnxruntime()
    for name in ("onnx", "onnxscript"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise LibraryError(f"export needs {' and '.join(missing)}, which cannot be imported.", NEEDED)


def _meaning(task: Task) -> str:
    if task.predicts_ratings:
        return f"ratings of {', '.join(task.spec.classes)}"
    return "logits, one a class in the order of the spec's classes; softmax(logits / temperature) is the prediction"


def _refusal(error: Exception) -> CheckpointError:
    """Return the refusal of a network that cannot be exported, with the operator's name where one is named."""
    texts = [str(one) for one in find_causes(error)]
    for text in reversed(texts):
        if found := re.search(r"OpOverload\(op='([\w.:]+)'|operator[^\w]+([\w:]+[.:]+[\w.]+)|^(aten::\w+)", text):
            name = next(filter(None, found.groups()))
            return CheckpointError(f"this network cannot be exported: ONNX has nothing for its operator {name}.")
    if any("data-dependent" in text or "data dependent" in text for text in texts):
        return CheckpointError(
            "this network cannot be exported: what it computes depends on values, and not on shapes alone, in a way "
            f"that ONNX has not: {' '.join(texts[-1].split())[:200]}"
        )
    if any("inferred a static shape" in text for text in texts):
        return CheckpointError(
            "this network cannot be exported with a free batch: it takes its batch apart, so that its graph would be "
            f"one for {EXAMPLES} samples alone: {' '.join(texts[-1].split())[:200]}"
        )
    kind = type(list(find_causes(error))[-1]).__name__
    return CheckpointError(f"this network cannot be exported: {kind}: {' '.join(texts[-1].split())[:300]}")


def _strip(proto: ModelProto) -> None:
    """Take out what the exporter says about its own work (traces of source files are half of a small graph), and call
    the batch so."""
    graph = proto.graph
    for one in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del one.metadata_props[:]
        one.doc_string = ""
    del graph.value_info[:]
    for one in (*graph.input, *graph.output):
        if one.type.tensor_type.shape.dim and one.type.tensor_type.shape.dim[0].dim_param:
            one.type.tensor_type.shape.dim[0].dim_param = "batch"


def store_half(proto: ModelProto, *, rounding: bool) -> int:
    """Store weights in half precision, converted to single where they are used; return how many tensors.

    Args:
        proto: changed in place.
        rounding: round the matrices and filters; False: of all tensors those alone that are the same in half
            precision to the bit.

    Raises:
        CheckpointError: a weight is beyond the range of half precision.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for one in proto.graph.initializer:
        if one.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(one)
        if value.size < LEAST_HALF:
            continue
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        same = np.array_equal(half.astype(np.float32), value)
        if not same and not (rounding and value.ndim > 1):
            continue
        if not np.isfinite(half).all():
            raise CheckpointError(
                f"{one.name} holds {np.abs(value).max():.3g}, beyond the {MOST_HALF:,} of half precision.",
                "Leave --fp16 out.",
            )
        name = one.name
        one.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return len(casts)


def quantise(proto: ModelProto, path: Path) -> None:
    """Write a graph with weights, and what they are multiplied with, in 8 bits (ONNX Runtime's dynamic quantisation).

    Weights are unsigned: with signed ones ONNX Runtime's convolutions take four times as long.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(proto, path, weight_type=QuantType.QUInt8, per_channel=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which prints, logs and warns of its own inner matters."""
    root = logging.getLogger()
    before = root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
