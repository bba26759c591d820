"""Compare an ONNX file with torch on the same inputs: random ones, and those of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from affectkit.checkpoints.onnx_file import GraphInput
from affectkit.checkpoints.onnx_graph import random_inputs
from affectkit.core.randomness import address_seed
from affectkit.errors import CheckpointError, LibraryError
from affectkit.runtime.context import RunContext
from affectkit.runtime.forward import forward
from affectkit.tasks.base import Task

BATCHES = (1, 2, 7, 32)
Arrays = tuple[np.ndarray, ...]


@dataclass
class Comparison:
    """Hold how far outputs are apart.

    Attributes:
        samples: how many were compared.
        largest: greatest difference of an output.
        magnitude: greatest output of torch, in size.
        changed: samples whose label is another; None: the outputs are no logits.
        margin: of the labels that changed, the greatest difference between torch's first and second logit.
        missing: samples with an output that is no number.
    """

    samples: int = 0
    largest: float = 0.0
    magnitude: float = 0.0
    changed: int | None = None
    margin: float = 0.0
    missing: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, wanted: dict[str, np.ndarray], found: dict[str, np.ndarray], *, labels: bool) -> None:
        """Count a batch in; ``labels``: whether the outputs ``logits`` are."""
        self.samples += len(next(iter(wanted.values())))
        for name, value in wanted.items():
            other = found[name].astype(np.float64)
            if other.shape != value.shape:
                raise CheckpointError(f"the graph's {name} is {other.shape}, and torch's {value.shape}.")
            finite = _finite(other) & _finite(value)
            self.missing += int((~finite).sum())
            if finite.any():
                self.largest = max(self.largest, float(np.abs(other - value)[finite].max()))
                self.magnitude = max(self.magnitude, float(np.abs(value[finite]).max()))
        if labels and "logits" in wanted:
            logits, others = wanted["logits"], found["logits"]
            moved = logits.argmax(1) != others.argmax(1)
            self.changed = (self.changed or 0) + int(moved.sum())
            if moved.any():
                top = np.sort(logits[moved], 1)
                self.margin = max(self.margin, float((top[:, -1] - top[:, -2]).max()))

    @property
    def relative(self) -> float:
        """Return the greatest difference in shares of the greatest output, which counts as 1 at least."""
        return self.largest / max(self.magnitude, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found = {"samples": self.samples, "largest_difference": self.largest, "largest_output": self.magnitude}
        if self.changed is not None:
            found |= {"changed_labels": self.changed, "margin_of_changed": self.margin}
        return found | ({"not_finite": self.missing} if self.missing else {})


def _finite(values: np.ndarray) -> np.ndarray:
    """Return which samples (B,) hold numbers alone."""
    return np.isfinite(values).reshape(len(values), -1).all(1)


class Graph:
    """An ONNX file that runs on ONNX Runtime, on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise LibraryError(
                f"ONNX Runtime {onnxruntime.__version__} does not take the graph: {' '.join(str(error).split())[:300]}",
                "Is onnxruntime older than affectkit asks for? pip install -U onnxruntime.",
            ) from error
        self.outputs = [one.name for one in self.session.get_outputs()]
        self.inputs = [one.name for one in self.session.get_inputs()]

    def __call__(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs by name."""
        found = self.session.run(self.outputs, dict(zip(self.inputs, arrays, strict=True)))
        return dict(zip(self.outputs, found, strict=True))


class Reference:
    """A model on torch as ``infer`` runs it, in single precision on the CPU: what a graph is compared with.

    Preprocessing is that of ``RunContext.prepare_batch``, and not that of the graph.
    """

    def __init__(self, model: nn.Module, task: Task, inputs: tuple[GraphInput, ...], outputs: list[str]) -> None:
        self.model, self.task, self.inputs, self.outputs = model, task, inputs, outputs
        self.context = RunContext.resolve("cpu", "fp32")

    def __call__(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs by name, float64 where they are no whole numbers."""
        batch = {one.name: self._tensor(one, value) for one, value in zip(self.inputs, arrays, strict=True)}
        if "features" in batch:
            given: tuple[Any, ...] = (batch["features"],)
        else:
            given = self.task.inputs(self.context.prepare_batch(batch, self.task.spec))
        found = forward(lambda *some: self.task.predict_step(self.model, *some), given, self.context)
        named = found if isinstance(found, dict) else {self.outputs[0]: found}
        return {name: value.numpy().astype(np.float64) for name, value in named.items()}

    def _tensor(self, one: GraphInput, value: np.ndarray) -> torch.Tensor:
        if one.layout != "NHWC":
            return torch.from_numpy(value)
        if self.task.spec.channels == 1:
            value = np.stack([np.asarray(Image.fromarray(picture).convert("L"))[:, :, None] for picture in value])
        return torch.from_numpy(value).permute(0, 3, 1, 2)


def compare_random(graph: Graph, reference: Reference) -> Comparison:
    """Compare on random inputs, in batches of all sizes of ``BATCHES``."""
    rng = np.random.default_rng(address_seed(0, "onnx"))
    batches = (random_inputs(reference.inputs, count, rng) for count in BATCHES)
    return compare(graph, reference, batches)


def compare(graph: Graph, reference: Reference, batches: Iterable[Arrays]) -> Comparison:
    """Compare on ``batches`` of inputs of the graph."""
    found, labels = Comparison(), not reference.task.predicts_ratings
    for arrays in batches:
        found.add(reference(arrays), graph(arrays), labels=labels)
    return found


def graph_batches(
    raw: Iterator[dict[str, Any]], inputs: tuple[GraphInput, ...], encode: Any = None
) -> Iterator[Arrays]:
    """Yield batches of a loader as inputs of the graph.

    Args:
        raw: batches with ``image`` uint8 (B, C, H, W) or features, ``audio`` int16 or features.
        inputs: of the graph.
        encode: makes features of such a batch, for a graph of a head alone.
    """
    for batch in raw:
        if not len(batch["index"]):
            continue
        if encode is not None:
            yield (encode(batch),)
            continue
        found = []
        for one in inputs:
            value = batch[one.name]
            if one.layout == "NHWC":
                pixels = value.permute(0, 2, 3, 1).numpy()
                found.append(np.ascontiguousarray(np.repeat(pixels, 3, 3) if pixels.shape[3] == 1 else pixels))
            else:
                found.append((value.float() / 256 if value.dtype == torch.int16 else value.float()).numpy())
        yield tuple(found)
