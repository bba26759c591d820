"""Compare an ONNX file with torch on the same inputs: random ones, and those of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from affectkit.checkpoints.onnx_data import RealInputs, graph_inputs
from affectkit.checkpoints.onnx_file import GraphInput
from affectkit.checkpoints.onnx_graph import random_inputs
from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.core.progress import Reporter
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
    """An ONNX file that runs on ONNX Runtime, on the CPU.

    Args:
        path: the file.
        singly: run one sample at a time, as int8 needs it: ranges of activations are taken over a batch, so that what
            comes out of a sample depends on those beside it.
    """

    def __init__(self, path: Path, *, singly: bool = False) -> None:
        onnxruntime = load_onnxruntime()
        self.singly = singly
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
        if self.singly:
            rows = [self._run(tuple(one[at : at + 1] for one in arrays)) for at in range(len(arrays[0]))]
            return {name: np.concatenate([row[name] for row in rows]) for name in self.outputs}
        return self._run(arrays)

    def _run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        try:
            found = self.session.run(self.outputs, dict(zip(self.inputs, arrays, strict=True)))
        except Exception as error:  # of classes that are not public
            raise CheckpointError(
                f"the graph does not run on a batch of {len(arrays[0])}, so that its batch is not free: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
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
        if self.of_features:
            given: tuple[Any, ...] = (batch["features"],)
        else:
            given = self.task.inputs(self.context.prepare_batch(batch, self.task.spec))
        found = forward(lambda *some: self.task.predict_step(self.model, *some), given, self.context)
        named = found if isinstance(found, dict) else {self.outputs[0]: found}
        return {name: value.numpy().astype(np.float64) for name, value in named.items()}

    @property
    def of_features(self) -> bool:
        """Return whether the graph is the head alone of a model on a frozen encoder."""
        return [one.name for one in self.inputs] == ["features"]

    def encode(self, raw: dict[str, Any]) -> np.ndarray:
        """Return the features (B, width) of a batch of pictures, for a graph of the head alone."""
        (images,) = self.task.inputs(self.context.prepare_batch(raw, self.task.spec))
        return forward(self.model.encoder, (images,), self.context).numpy()

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


def compare_real(graph: Graph, reference: Reference, real: RealInputs, reporter: Reporter) -> Comparison:
    """Compare on the inputs of a dataset."""
    names = [(one.name, one.layout) for one in reference.inputs]

    def batches() -> Iterator[Arrays]:
        for raw in real.batches(max(BATCHES)):
            yield (reference.encode(raw),) if reference.of_features else graph_inputs(raw, names)
            reporter.advance(len(raw["index"]))

    reporter.start("comparing with torch", real.taken, real.noun)
    found = compare(graph, reference, batches())
    reporter.finish()
    return found


def compare(graph: Graph, reference: Reference, batches: Iterable[Arrays]) -> Comparison:
    """Compare on ``batches`` of inputs of the graph."""
    found, labels = Comparison(), not reference.task.predicts_ratings
    for arrays in batches:
        found.add(reference(arrays), graph(arrays), labels=labels)
    return found
