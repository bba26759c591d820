"""Choose the CUDA device of this process where a launcher started several on one machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from affectkit.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from affectkit.runtime.available_devices import CudaDevice


@dataclass(frozen=True)
class LocalProcess:
    """Place this process among those of the same run on this machine.

    Attributes:
        number: LOCAL_RANK, from 0; None where the launcher did not set it.
        count: LOCAL_WORLD_SIZE, how many there are; 1 where there is no launcher.
        shared: whether all of them see the same devices, as under torchrun with CUDA_VISIBLE_DEVICES left alone.
    """

    number: int | None = 0
    count: int = 1
    shared: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> LocalProcess:
        """Read the environment that torchrun (or a Slurm job that sets the same names) gives."""
        world, number = environment.get("WORLD_SIZE", ""), environment.get("LOCAL_RANK", "")
        if "RANK" not in environment or not world.isdecimal() or int(world) < 2:
            return cls()
        count = environment.get("LOCAL_WORLD_SIZE", "")
        shared = "TORCHELASTIC_RUN_ID" in environment and "CUDA_VISIBLE_DEVICES" not in environment
        return cls(int(number) if number.isdecimal() else None, int(count) if count.isdecimal() else int(world), shared)

    def __str__(self) -> str:
        return f"local process {'?' if self.number is None else self.number + 1} of {self.count}"


def own_device(usable: Sequence[CudaDevice], local: LocalProcess) -> CudaDevice:
    """Return the device of ``usable`` (not empty) for ``local``: the one bound to it, else that of its number.

    Raises:
        DeviceError: there are fewer devices than processes.
        UsageError: the launcher did not set LOCAL_RANK.
    """
    # A batch system that binds one device to each task shows every process its own, under the number 0.
    if len(usable) == 1 and not local.shared:
        return usable[0]
    if len(usable) < local.count:
        there = ", ".join(f"cuda:{entry.index} {entry.description}" for entry in usable)
        raise DeviceError(
            f"{local.count} processes of this run share this machine, and torch can use "
            f"{len(usable)} CUDA device{'s' * (len(usable) > 1)} ({there}); each process needs its own.",
            f"Start {len(usable)} (torchrun --nproc-per-node {len(usable)} ...), or use --device cpu.",
        )
    if local.number is None or local.number >= local.count:
        raise UsageError(
            f"LOCAL_RANK is {os.environ.get('LOCAL_RANK') or 'not set'}, with {local.count} processes on this "
            "machine; it must say which of them this one is, from 0, so that each takes a CUDA device of its own.",
            "torchrun sets it. Under Slurm alone: export LOCAL_RANK=$SLURM_LOCALID.",
        )
    return usable[local.number]
