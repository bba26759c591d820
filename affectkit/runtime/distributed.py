"""Several processes of one run, as torchrun (or Slurm) starts them: which one this is, and what they tell each other.

torch's own environment says who is who: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. Tensors on CUDA go
over NCCL, everything else, control among it, over gloo, so that a flag never waits for a GPU. Nothing is pickled:
values travel as JSON, arrays as safetensors. With one process every method here is the obvious one, without torch's
distributed package.

The rules that a run keeps: all processes take the same decisions from the same numbers; the first alone writes and
prints; what only one process can know (a signal, an unreadable image, an error of the first) is told to all before
it counts, so that they end together.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from affectkit import errors
from affectkit.errors import AffectkitError, PeerLost, UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch

Value = TypeVar("Value")

PATIENCE = 2 * 60 * 60
"""Seconds for which one process waits for another that is alive: the first may be reading a large dataset."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run.

    Attributes:
        rank: number of this process, from 0. world: how many there are. local: how many of them on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.world > 1

    def largest(self, values: Sequence[int]) -> list[int]:
        """The largest of each of ``values`` over all processes."""
        if not self.several:
            return list(values)
        import torch
        import torch.distributed as dist

        shared = torch.tensor(values, dtype=torch.int64)
        with self._talking():
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return shared.tolist()

    def gather(self, data: bytes) -> list[bytes]:
        """The ``data`` of every process, in the order of their ranks."""
        if not self.several:
            return [data]
        import torch
        import torch.distributed as dist

        lengths = self.largest([len(data) if number == self.rank else 0 for number in range(self.world)])
        padded = torch.zeros(max(*lengths, 1), dtype=torch.uint8)
        if data:
            padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = [torch.empty_like(padded) for _ in range(self.world)]
        with self._talking():
            dist.all_gather(found, padded)
        return [part[:length].numpy().tobytes() for part, length in zip(found, lengths, strict=True)]

    def gather_values(self, value: Any) -> list[Any]:
        """The plain ``value`` of every process (anything that JSON holds)."""
        return [json.loads(data) for data in self.gather(json.dumps(value).encode())] if self.several else [value]

    def gather_arrays(self, arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The ``arrays`` of every process; shapes may differ, and each may lie in memory in any order."""
        if not self.several:
            return [arrays]
        import numpy as np
        from safetensors.numpy import load, save

        # safetensors 0.8.0 writes the memory of an array from its first number on, whatever its strides are.
        laid = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        return [load(data) for data in self.gather(save(laid))]

    def gather_rows(self, tensor: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The rows of ``tensor`` of all processes, one below the other; gradients flow into this one's own rows.

        Args:
            tensor: (n, ...). counts: n of each process, which may be 0.
        """
        if not self.several:
            return tensor
        import torch
        import torch.distributed as dist

        padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))
        padded[: len(tensor)] = tensor.detach()
        found = [torch.empty_like(padded) for _ in range(self.world)]
        with self._talking():
            dist.all_gather(found, padded)
        parts = [part[:count] for part, count in zip(found, counts, strict=True)]
        parts[self.rank] = tensor
        return torch.cat(parts)

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each of ``tensors`` by its sum over all processes, in one exchange a number format."""
        if not self.several:
            return
        import torch
        import torch.distributed as dist

        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            chosen = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in chosen])
            with self._talking():
                dist.all_reduce(flat)
            _spread(flat, chosen)

    def take_from_first(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each of ``tensors`` by that of the first process."""
        if not self.several:
            return
        import torch.distributed as dist

        for tensor in tensors:
            whole = tensor.detach().contiguous()
            with self._talking():
                dist.broadcast(whole, 0)
            tensor.detach().copy_(whole)

    def together(self, work: Callable[[], Value]) -> Value:
        """What ``work`` gives, or raises, in the first process, which alone does it. It must be a plain value."""
        if not self.several:
            return work()
        failure: BaseException | None = None
        told = b""
        if self.first:
            try:
                told = json.dumps({"value": work()}).encode()
            except (AffectkitError, OSError) as error:  # told to the others, then raised again
                failure = error
                told = json.dumps(_describe(error)).encode()
        answer = json.loads(self.gather(told)[0])
        if failure is not None:
            raise failure
        if "error" in answer:
            raise _as_told(answer)
        return answer["value"]

    def in_turn(self, work: Callable[[], Value]) -> Value:
        """``work`` in the first process, then in the others: what it fetches or caches is done once."""
        if not self.several:
            return work()
        found: list[Value] = []
        self.together(lambda: found.append(work()))
        if not self.first:
            found.append(work())
        return found[0]

    def wait(self) -> None:
        """Until every process has come here."""
        self.largest([0])

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            # The same words in all processes, so that they are printed once: no addresses of theirs.
            known = re.search("closed|reset|broken pipe", str(error), re.IGNORECASE)
            raise PeerLost(
                f"one of the {self.world} processes of this run has ended, so all end"
                + ("." if known else f": {' '.join(str(error).split())[:200]}"),
                "If it said why, that stands above; else it was killed (was there memory enough?). What was saved is "
                "intact: start again with train --resume RUN, or with the same command.",
            ) from error


_group = ProcessGroup()
_store: Any = None
_parent = 0


def current() -> ProcessGroup:
    """The processes that were joined, or the only one."""
    return _group


def launched() -> int:
    """How many processes the environment says there are."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdigit() else 1


def rank() -> int:
    """The number of this process, as the environment says."""
    text = os.environ.get("RANK", "0")
    return int(text) if launched() > 1 and text.isdigit() else 0


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[ProcessGroup]:
    """The processes that the environment names, connected while the block runs; one alone needs no connection.

    Args:
        device: the device asked for; where it is not the CPU and CUDA is there, tensors on it go over NCCL.

    Raises:
        UsageError: the environment says that there are several processes, but not how to reach them.
        PeerLost: another process has not come.
    """
    global _group, _store, _parent  # noqa: PLW0603 - torch's own group is a fact of the process, too
    if launched() == 1 or _group.several:
        yield _group
        return
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    from affectkit.core.process import end_with_parent

    lacking = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if lacking or not 0 <= rank() < launched():
        raise UsageError(
            f"WORLD_SIZE is {launched()}, but {', '.join(lacking) or 'RANK'} "
            f"{'are not set' if len(lacking) > 1 else 'is not set' if lacking else 'is out of range'}.",
            "Start several processes with torchrun --nproc-per-node N -m -- affectkit ..., or unset WORLD_SIZE.",
        )
    _parent = os.getppid()
    end_with_parent(signal.SIGTERM)  # the launcher: nothing is left running without it
    patience = timedelta(seconds=PATIENCE)
    backend = "cpu:gloo,cuda:nccl" if device != "cpu" and torch.cuda.is_available() else "gloo"
    try:
        _store = next(dist.rendezvous("env://", timeout=patience))[0]
        dist.init_process_group(backend, store=_store, rank=rank(), world_size=launched(), timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise PeerLost(f"process {rank() + 1} of {launched()} cannot reach the others: {error}") from error
    local = os.environ.get("LOCAL_WORLD_SIZE", "")
    _group = ProcessGroup(rank(), launched(), int(local) if local.isdigit() else launched())
    try:
        yield _group
        _group.wait()  # the first hosts what the others talk through, so it must not leave before they are done
    finally:
        _group = ProcessGroup()
        dist.destroy_process_group()  # without it, some exits abort


def leave_word(text: str) -> None:
    """Put ``text`` where torchrun looks for the reason of a failure, for its own report; nothing without torchrun."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        told = {"message": {"message": text, "extraInfo": {"py_callstack": "", "timestamp": str(int(time.time()))}}}
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps(told), encoding="utf-8")


def first_to_say(text: str) -> bool:
    """Whether no other process has said ``text`` yet: an error that all meet is printed once."""
    if launched() == 1:
        return True
    if _store is None or os.getppid() != _parent:
        # Not connected yet, so that what is wrong is wrong in all; or the launcher, which keeps count, has gone.
        return rank() == 0
    from affectkit.core.randomness import address

    try:
        return int(_store.add(f"affectkit said {address(0, text)}", 1)) == 1
    except RuntimeError:  # who kept count has gone
        return True


def _spread(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    begin = 0
    for tensor in tensors:
        tensor.copy_(flat[begin : begin + tensor.numel()].view_as(tensor))
        begin += tensor.numel()


def _describe(error: AffectkitError | OSError) -> dict[str, Any]:
    kind = type(error).__name__ if isinstance(error, AffectkitError) else "RunError"
    message = error.message if isinstance(error, AffectkitError) else f"the first process failed: {error}"
    return {
        "error": kind,
        "message": message,
        "hint": getattr(error, "hint", ""),
        "code": getattr(error, "exit_code", 1),
    }


def _as_told(answer: dict[str, Any]) -> AffectkitError:
    error = getattr(errors, answer["error"])(answer["message"], answer["hint"])
    error.exit_code = answer["code"]
    return error
