"""The run context: the device, precision and process group that a run computes with."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.loading.worker_count import choose_workers
from affectkit.errors import DeviceError
from affectkit.runtime.device import Device, resolve_device, to_device
from affectkit.runtime.distributed import ProcessGroup, current_group
from affectkit.runtime.precision import Precision, resolve_precision
from affectkit.runtime.torch_backends import Compiled, compile_model

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class RunContext:
    """Hold what a run computes with, resolved once and handed on.

    Attributes:
        device: where tensors lie.
        precision: number format of forward passes.
        group: the processes of the run.
        max_batch: how many samples fit in the memory of the device at once, once a forward pass has run out of it.
        input_transform: applied to images (B, C, H, W) in [0, 1] before a model sees them.
        warned: whether a user was told that its precision is slow.
    """

    device: Device
    precision: Precision
    group: ProcessGroup = field(default_factory=current_group)
    max_batch: int | None = None
    input_transform: Callable[[torch.Tensor], torch.Tensor] | None = None
    warned: bool = False

    @classmethod
    def resolve(cls, device: str | Device, precision: str) -> RunContext:
        """Resolve both names; errors where one is not there, or where two processes would share a GPU."""
        found = device if isinstance(device, Device) else resolve_device(device)
        context = cls(found, resolve_precision(precision, found))
        context.check_one_device_each()
        return context

    @property
    def pin_memory(self) -> bool:
        """Return whether batches are made in pinned memory, from which copies to the device need not be waited for."""
        return self.device.kind == "cuda"

    def to_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move the tensors of ``batch`` to the device."""
        return to_device(batch, self.device)

    def prepare_batch(self, batch: dict[str, Any], spec: InputSpec) -> dict[str, Any]:
        """Move ``batch`` to the device, apply ``input_transform`` to its images and normalise them; sounds in decibels.

        Features of a frozen encoder, (B, width), are left as they are; stored features become single precision.
        """
        import torch

        from affectkit.data.loading.transforms import normalise, to_float32

        moved = self.to_device(batch)
        if spec.clip is not None:
            moved |= {name: to_float32(moved[name]) for name in ("image", "audio") if name in moved}
        if "image" not in moved or moved["image"].dim() == 2 or (spec.clip and spec.clip.features):
            return moved
        images = moved["image"]
        if self.input_transform is not None:
            images = self.input_transform(images.float() / 255)
        images = normalise(images, spec)
        if self.device.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return {**moved, "image": images}

    def maybe_compile(self, model: nn.Module, *, enabled: bool, reporter: Reporter) -> nn.Module | Compiled:
        """Compile the forward pass of ``model``, which keeps its parameters; ``model`` itself where not ``enabled``."""
        if not enabled:
            return model
        reporter.note("compiling the model: the first batches take a minute, on a CPU several")
        return compile_model(model, device=self.device)

    def choose_workers(self, asked: int | None, *, held: bool = False) -> tuple[int, str]:
        """Choose how many worker processes decode for this one, and say why."""
        return choose_workers(asked, held=held, on_cpu=self.device.kind == "cpu", processes=self.group.local_world_size)

    def batch_per_process(self, batch_size: int) -> int:
        """Return how many samples of a batch one process takes."""
        return -(-batch_size // self.group.world_size)

    def describe(self, batch_size: int, workers: str, *, accumulate: int = 1) -> str:
        """Describe device, precision, batch and workers, and why, in one line for the header of a run."""
        steps = f" x {accumulate}" if accumulate > 1 else ""
        shared = ""
        if self.group.is_distributed:
            shared = f" over {self.group.world_size} processes ({self.batch_per_process(batch_size)} each)"
        return (
            f"{self.device.description} ({self.device.reason}); {self.precision.name} ({self.precision.reason}); "
            f"batch {batch_size}{steps}{shared}; decoding workers: {workers}"
        )

    def warn_if_slow(self, reporter: Reporter) -> None:
        """Warn, the first time, where the device computes slowly in the precision; see ``Precision.slowness``."""
        if not self.warned and (text := self.precision.slowness()):
            reporter.warn(text)
        self.warned = True

    def check_one_device_each(self) -> None:
        """Raise a DeviceError where two processes would share a GPU, or have devices of two kinds."""
        if not self.group.is_distributed:
            return
        own = ""
        if self.device.kind == "cuda":
            import torch

            own = f"{socket.gethostname()} {torch.cuda.get_device_properties(self.device.index).uuid}"
        names = self.group.all_gather_values([self.device.kind, own])
        if len({kind for kind, _ in names}) > 1:
            raise DeviceError(
                f"the processes chose different devices: {', '.join(kind for kind, _ in names)}.",
                "Name one with --device.",
            )
        if own and len({name for _, name in names}) < len(names):
            raise DeviceError(
                f"{len(names)} processes would share {len({name for _, name in names})} GPU(s).",
                "Start as many processes on each machine as it has GPUs, or use --device cpu.",
            )


def gather_failures(failures: Sequence[ReadFailure], group: ProcessGroup) -> list[ReadFailure]:
    """Return the failures of all processes, in the order of their items."""
    parts = group.all_gather_values([asdict(failure) for failure in failures])
    return sorted((ReadFailure(**failure) for part in parts for failure in part), key=attrgetter("index"))
