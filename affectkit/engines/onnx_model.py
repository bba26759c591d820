"""A model on ONNX Runtime, from an .onnx file of ours: without torch, with rows that depend on no batch and thread.

Which kernels ONNX Runtime takes depends on the shapes that it is given and on the threads of a session, and with them
the last digits. A session therefore has one thread, and every sample is run alone, or in a block of ``BLOCK`` where
the same numbers came out both ways, to the last bit, of samples that are drawn for this comparison; several samples
or blocks are run beside each other, in threads of ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.checkpoints.description import fitted
from affectkit.checkpoints.onnx_file import GraphInput, OnnxHeader, read_header
from affectkit.core.assets import check_shipped
from affectkit.core.clipspec import DECIBELS
from affectkit.core.files import sha256
from affectkit.core.onnx_bytes import with_float_pixels
from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.loading.thread_loader import open_threads
from affectkit.data.loading.worker_count import choose_threads
from affectkit.engines.onnx_device import CUDA_PROVIDER, computing_threads
from affectkit.errors import CheckpointError, DeviceError, RunError, UsageError
from affectkit.runtime.context import RunContext

BLOCK = 8
"""Samples of a run, where blocks give the same numbers as single samples."""
TRIED_AFTER = 128
"""Samples after which blocks are tried: for fewer the trial, which costs twice ``BLOCK``, would not pay."""


class OnnxModel:
    """A loaded .onnx file as an ``Engine``, and what ``affectkit.load`` gives: called with images, it gives outputs.

    Args:
        path: an .onnx file of ``affectkit export``.
        context: device and processes.
        built_in: whether the file is one that comes with affectkit, whose SHA-256 is known.
        fit: as of ``checkpoints.description.fitted``.
        verify: compare the file with its checksum.

    Attributes:
        spec, header, checkpoint_hash: as a module that ``load_model`` gives has them.

    Raises:
        CheckpointError: it is none of ours, is damaged, or ONNX Runtime cannot run it.
        DeviceError: CUDA is asked for and does not start.
    """

    name = "onnx"

    def __init__(
        self, path: Path, context: RunContext, *, built_in: bool = False, fit: str | None = None, verify: bool = True
    ) -> None:
        self.checkpoint_hash = sha256(path)
        if built_in and verify:
            check_shipped(path, self.checkpoint_hash)
        self.header: OnnxHeader = read_header(path, verify=verify and not built_in)
        self.spec: InputSpec = fitted(self.header.spec, fit)
        if self.spec.clip is None and any(one.kind != "image" for one in self.header.inputs):
            raise UsageError(
                f"{path} holds the head of its model alone, which takes features, not images.",
                "Export it without --head-only.",
            )
        self.context = context
        self._path = path
        self._session = _session(path, context)
        self._seen = 0

    @property
    def takes_faces(self) -> bool:
        """Return whether it takes face crops."""
        return self.header.takes_faces

    @property
    def described(self) -> str:
        """Return name and version, and the number format of weights that the graph rounds."""
        rounded = "" if self.header.precision == "fp32" else f", {self.header.precision} weights"
        return f"ONNX Runtime {load_onnxruntime().__version__}{rounded}"

    def __repr__(self) -> str:
        return f"OnnxModel({self._path}, {self.header.model}, {self.spec.task})"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a model on ONNX Runtime has no {name!r}; affectkit.load(checkpoint, engine='torch') gives a module of "
            "torch, which can be trained and taken apart."
        )

    def __call__(self, images: Any) -> Any:
        """Return the outputs (B, K) of images: of an array uint8 (B, H, W, C) as an array, of a tensor uint8
        (B, C, H, W) as a tensor.

        They have the input size of ``spec``; what a module of torch takes normalised is done in here.

        Raises:
            UsageError: of another type or shape, or the model takes clips.
        """
        if [one.kind for one in self.header.inputs] != ["image"]:
            raise UsageError("this model takes more than images.", "affectkit.predict(model, PATH) reads clips.")
        array = as_pixels(images)
        spec = self.spec
        wanted = (spec.height, spec.width, spec.channels)
        if array.dtype != np.uint8 or array.shape[1:] != wanted:
            raise UsageError(
                f"images are {array.dtype} {array.shape}; this model takes uint8 (B, {wanted[0]}, {wanted[1]}, "
                f"{wanted[2]}), a tensor with the channels before height and width.",
                "affectkit.predict(model, images) brings pictures of any size to that.",
            )
        outputs = self.outputs({"image": array})
        return outputs if array is images else _like(images, outputs)

    # --- the interface of an engine ----------------------------------------------------------------------------------

    def outputs(self, batch: Mapping[str, Any], *, exact: bool = True, reporter: Reporter | None = None) -> np.ndarray:
        """Implement ``Engine.outputs``."""
        feeds = {one.name: _feed(one, batch) for one in self.header.inputs}
        count = len(next(iter(feeds.values())))
        # Weights of 8 bits: the range of activations is taken over a batch, so that neighbours change it by percents.
        singly = self.header.precision == "int8"
        if not singly and (not exact or self.context.device.kind != "cpu"):
            return self._run(feeds)
        parts = [(at, at + 1) for at in range(count)] if singly else self._parts(count)
        pieces = [{name: values[begin:end] for name, values in feeds.items()} for begin, end in parts]
        if len(pieces) == 1 or self._threads is None:
            found = [self._run(piece) for piece in pieces]
        else:
            found = list(self._threads.map(self._run, pieces))
        return np.concatenate(found)

    def with_network(self, compiled: bool, reporter: Reporter) -> OnnxModel:
        """Implement ``Engine.with_network``: there is nothing to compile."""
        return self

    def choose_workers(self, asked: int | None) -> tuple[int, str]:
        """Implement ``Engine.choose_workers``: threads."""
        return choose_threads(asked, processes=self.context.group.local_world_size)

    def loader(
        self, files: Any, keys: Iterable[Sequence[Any]], *, workers: int, collate: Callable[[Any], dict[str, Any]]
    ) -> contextlib.AbstractContextManager[Iterator[dict[str, Any]]]:
        """Implement ``Engine.loader``: threads of this process."""
        return open_threads(files, keys, workers=workers, collate=collate)

    def computing(self) -> contextlib.AbstractContextManager[None]:
        """Implement ``Engine.computing``: there is nothing to set."""
        return contextlib.nullcontext()

    def isolated(self) -> contextlib.AbstractContextManager[None]:
        """Implement ``Engine.isolated``: a program has no modes that reach a session."""
        return contextlib.nullcontext()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        pixels = feeds.get("image")
        between = pixels is not None and pixels.dtype == np.float32 and self.header.inputs[0].dtype == "uint8"
        session = self._float_session if between else self._session
        try:
            return session.run([self.header.outputs[0].name], feeds)[0].astype(np.float32, copy=False)
        except Exception as error:  # of classes that are not public
            text = " ".join(str(error).split())[:300]
            raise RunError(f"{self.described} failed on {self._path}: {text}", "Is there memory enough?") from error

    @cached_property
    def _float_session(self) -> Any:
        """Return a session of the same graph for pixels between the 256 values, as corruptions make them."""
        return _session(with_float_pixels(self._path.read_bytes()), self.context, name=self._path)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor | None:
        """Return the threads that compute; None where there is but one."""
        count = computing_threads(self.context.group.local_world_size)
        return ThreadPoolExecutor(count, thread_name_prefix="computing") if count > 1 else None

    def _parts(self, count: int) -> list[tuple[int, int]]:
        """Return where the runs for ``count`` samples begin and end: blocks, and single samples."""
        self._seen += count
        whole = count // BLOCK * BLOCK if self._seen > TRIED_AFTER and self._blocks_agree else 0
        return [(at, at + BLOCK) for at in range(0, whole, BLOCK)] + [(at, at + 1) for at in range(whole, count)]

    @cached_property
    def _blocks_agree(self) -> bool:
        """Return whether a block of samples that are drawn gives the numbers that they give alone, to the last bit."""
        rng = np.random.default_rng(0)
        drawn = {one.name: _drawn(one, rng) for one in self.header.inputs}
        alone = [self._run({name: values[at : at + 1] for name, values in drawn.items()}) for at in range(BLOCK)]
        return bool(np.array_equal(self._run(drawn), np.concatenate(alone)))


def as_pixels(images: Any) -> np.ndarray:
    """Return images (B, H, W, C) of an array of this shape, or of a tensor (B, C, H, W)."""
    if isinstance(images, np.ndarray):
        return images
    if not hasattr(images, "detach"):
        raise UsageError(f"images are of type {type(images).__name__}; they must be an array or a tensor.")
    images = images.detach().cpu()
    return (images.permute(0, 2, 3, 1) if images.dim() == 4 else images).numpy()


def _like(images: Any, outputs: np.ndarray) -> Any:
    import torch  # it is here: ``images`` are of it

    return torch.from_numpy(outputs).to(images.device)


def _feed(one: GraphInput, batch: Mapping[str, Any]) -> np.ndarray:
    """Return what the graph's input ``one`` gets of a batch."""
    values = batch["audio" if one.kind == "audio" else "image"] if one.kind != "features" else batch[_features(one)]
    if one.kind == "image":
        pixels = as_pixels(values)
        if pixels.shape[-1] < one.shape[-1]:  # gray: the graph takes three equal channels for one
            pixels = np.repeat(pixels, one.shape[-1], axis=-1)
        return np.ascontiguousarray(pixels)
    array = values if isinstance(values, np.ndarray) else values.detach().cpu().numpy()
    if array.dtype == np.int16:  # as stored: see ``core.clipspec``
        array = array.astype(np.float32) / DECIBELS
    return np.ascontiguousarray(array, one.dtype)


def _features(one: GraphInput) -> str:
    return "audio" if one.name == "audio" else "image"


def _drawn(one: GraphInput, rng: np.random.Generator) -> np.ndarray:
    shape = tuple(BLOCK if size is None else size for size in one.shape)
    if np.dtype(one.dtype).kind in "iu":
        return rng.integers(0, 256, shape).astype(one.dtype)
    return rng.standard_normal(shape).astype(one.dtype)


def _session(graph: Path | bytes, context: RunContext, *, name: Path | None = None) -> Any:
    """Open the session of a file, or of the bytes of one that is called ``name``."""
    library = load_onnxruntime()
    options = library.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    on_cuda = context.device.kind == "cuda"
    providers: list[Any] = ["CPUExecutionProvider"]
    if on_cuda:
        providers = [(CUDA_PROVIDER, {"device_id": context.device.index}), *providers]
    try:
        given = graph if isinstance(graph, bytes) else str(graph)
        session = library.InferenceSession(given, options, providers=providers)
    except Exception as error:  # of classes that are not public
        text = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"ONNX Runtime {library.__version__} cannot run {name or graph}: {text}",
            "Export it again with affectkit export.",
        ) from error
    if on_cuda and CUDA_PROVIDER not in session.get_providers():
        raise DeviceError(
            f"ONNX Runtime {library.__version__} cannot start CUDA on {context.device.torch_name}.",
            "Does its version fit CUDA and cuDNN here? Use --device cpu, or a checkpoint and --engine torch.",
        )
    return session
