"""Where the arithmetic of a run happens: device, number format, processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any

import torch
from torch import nn

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import ReadFailure, choose_workers
from affectkit.data.loading.transforms import in_single, normalise
from affectkit.errors import DeviceError
from affectkit.runtime.device import Device, Precision, resolve_device, resolve_precision, to_device
from affectkit.runtime.distributed import ProcessGroup, current
from affectkit.runtime.torch_backends import Compiled, compile_model


@dataclass
class RunContext:
    """Where the arithmetic happens.

    Attributes:
        group: the processes that share it. max_batch: how many samples fit in the memory of the device at once, once a
            forward pass has run out of it.
        input_transform: what is done to images (B, C, H, W) in [0, 1] before a model sees them.
    """

    device: Device
    precision: Precision
    group: ProcessGroup = field(default_factory=current)
    max_batch: int | None = None
    input_transform: Callable[[torch.Tensor], torch.Tensor] | None = None

    @classmethod
    def choose(cls, device: str, precision: str) -> RunContext:
        """Resolve both names; errors where one is not there, or where two processes would share a GPU."""
        found = resolve_device(device)
        place = cls(found, resolve_precision(precision, found))
        place._check_apart()
        return place

    @property
    def pins(self) -> bool:
        """Whether batches are made in pinned memory, from which copies to the device need not be waited for."""
        return self.device.kind == "cuda"

    def move(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``batch`` on the device."""
        return to_device(batch, self.device)

    def images(self, batch: dict[str, Any], spec: InputSpec) -> dict[str, Any]:
        """``batch`` on the device, its images altered where that is asked for, and normalised; sounds in decibels.

        What a frozen encoder has made of images, (B, width), is left as it is; stored features become single precision.
        """
        moved = self.move(batch)
        if spec.clip is not None:
            moved |= {name: in_single(moved[name]) for name in ("image", "audio") if name in moved}
        if "image" not in moved or moved["image"].dim() == 2 or (spec.clip and spec.clip.features):
            return moved
        images = moved["image"]
        if self.input_transform is not None:
            images = self.input_transform(images.float() / 255)
        images = normalise(images, spec)
        if self.device.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return {**moved, "image": images}

    def network(self, model: nn.Module, *, compiled: bool, reporter: Reporter) -> nn.Module | Compiled:
        """``model``, or its forward pass ``compiled``, with the model's own parameters."""
        if not compiled:
            return model
        reporter.note("compiling the model: the first batches take a minute, on a CPU several")
        return compile_model(model, device=self.device)

    def workers(self, asked: int | None, *, held: bool = False) -> tuple[int, str]:
        """How many processes decode for this one, and why."""
        return choose_workers(asked, held=held, on_cpu=self.device.kind == "cpu", processes=self.group.local)

    def share_of(self, batch_size: int) -> int:
        """How many samples of a batch one process takes."""
        return -(-batch_size // self.group.world)

    def describe(self, batch_size: int, workers: str, *, accumulate: int = 1) -> str:
        """One line for the header of a run: device, precision, batch, workers, and why."""
        steps = f" x {accumulate}" if accumulate > 1 else ""
        shared = ""
        if self.group.several:
            shared = f" over {self.group.world} processes ({self.share_of(batch_size)} each)"
        return (
            f"{self.device.description} ({self.device.reason}); {self.precision.name} ({self.precision.reason}); "
            f"batch {batch_size}{steps}{shared}; decoding workers: {workers}"
        )

    def _check_apart(self) -> None:
        if not self.group.several:
            return
        own = ""
        if self.device.kind == "cuda":
            own = f"{socket.gethostname()} {torch.cuda.get_device_properties(self.device.index).uuid}"
        names = self.group.gather_values([self.device.kind, own])
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
    """The failures of all processes, in the order of their items."""
    parts = group.gather_values([asdict(failure) for failure in failures])
    return sorted((ReadFailure(**failure) for part in parts for failure in part), key=attrgetter("index"))
