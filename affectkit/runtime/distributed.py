"""Process groups: the processes of one run, as torchrun (or Slurm) starts them, and what they exchange.

torch's own environment says who is who: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. Tensors on CUDA go
over NCCL, everything else, control among it, over gloo, so that a flag never waits for a GPU. Nothing is pickled:
values travel as JSON, arrays as safetensors. With one process every method here is the obvious one, without torch's
distributed package.

The rules that a run keeps: all processes take the same decisions from the same numbers; the main one alone writes and
prints; what only one process can know (a signal, an unreadable image, an error of the main one) is exchanged before it
counts, so that they end together.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import sys
import threading
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

NOT_FLUSHED = 120
"""Python's exit code where the last of the output could not be written."""
TIMEOUT = 2 * 60 * 60
"""Seconds for which one process waits for another that is alive: the main one may be reading a large dataset."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run.

    Attributes:
        rank: number of this process, from 0.
        world_size: how many there are.
        local_world_size: how many of them run on this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes and prints: rank 0."""
        return self.rank == 0

    @property
    def is_distributed(self) -> bool:
        """Return whether there is more than one process."""
        return self.world_size > 1

    def all_reduce_max(self, values: Sequence[int]) -> list[int]:
        """Return the largest of each of ``values`` over all processes."""
        if not self.is_distributed:
            return list(values)
        import torch
        import torch.distributed as dist

        shared = torch.tensor(values, dtype=torch.int64)
        with self._communicating():
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return shared.tolist()

    def all_gather_bytes(self, data: bytes) -> list[bytes]:
        """Return the ``data`` of every process, in the order of their ranks."""
        if not self.is_distributed:
            return [data]
        import torch
        import torch.distributed as dist

        lengths = self.all_reduce_max([len(data) if number == self.rank else 0 for number in range(self.world_size)])
        padded = torch.zeros(max(*lengths, 1), dtype=torch.uint8)
        if data:
            padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = [torch.empty_like(padded) for _ in range(self.world_size)]
        with self._communicating():
            dist.all_gather(found, padded)
        return [part[:length].numpy().tobytes() for part, length in zip(found, lengths, strict=True)]

    def all_gather_values(self, value: Any) -> list[Any]:
        """Return the plain ``value`` of every process (anything that JSON holds)."""
        return (
            [json.loads(data) for data in self.all_gather_bytes(json.dumps(value).encode())]
            if self.is_distributed
            else [value]
        )

    def all_gather_arrays(self, arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Return the ``arrays`` of every process; shapes may differ, and each may lie in memory in any order."""
        if not self.is_distributed:
            return [arrays]
        import numpy as np
        from safetensors.numpy import load, save

        # safetensors 0.8.0 writes the memory of an array from its first number on, whatever its strides are.
        laid = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        return [load(data) for data in self.all_gather_bytes(save(laid))]

    def all_gather_rows(self, tensor: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Concatenate the rows of ``tensor`` of all processes; gradients flow into this one's own rows.

        Args:
            tensor: (n, ...).
            counts: n of each process, which may be 0.
        """
        if not self.is_distributed:
            return tensor
        import torch
        import torch.distributed as dist

        padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))
        padded[: len(tensor)] = tensor.detach()
        found = [torch.empty_like(padded) for _ in range(self.world_size)]
        with self._communicating():
            dist.all_gather(found, padded)
        parts = [part[:count] for part, count in zip(found, counts, strict=True)]
        parts[self.rank] = tensor
        return torch.cat(parts)

    def all_reduce_sum(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each of ``tensors`` by its sum over all processes, in one exchange per number format."""
        if not self.is_distributed:
            return
        import torch
        import torch.distributed as dist

        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            chosen = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in chosen])
            with self._communicating():
                dist.all_reduce(flat)
            _copy_back(flat, chosen)

    def broadcast_from_main(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each of ``tensors`` by that of the main process."""
        if not self.is_distributed:
            return
        import torch.distributed as dist

        for tensor in tensors:
            whole = tensor.detach().contiguous()
            with self._communicating():
                dist.broadcast(whole, 0)
            tensor.detach().copy_(whole)

    def run_on_main(self, work: Callable[[], Value]) -> Value:
        """Call ``work`` in the main process alone; all return its plain value, or raise its error."""
        if not self.is_distributed:
            return work()
        failure: BaseException | None = None
        report = b""
        if self.is_main:
            try:
                report = json.dumps({"value": work()}).encode()
            except (AffectkitError, OSError) as error:  # sent to the others, then raised again
                failure = error
                report = json.dumps(_error_to_dict(error)).encode()
        answer = json.loads(self.all_gather_bytes(report)[0])
        if failure is not None:
            raise failure
        if "error" in answer:
            raise _error_from_dict(answer)
        return answer["value"]

    def run_main_first(self, work: Callable[[], Value]) -> Value:
        """Call ``work`` in the main process, then in the others: what it downloads or caches is done once."""
        if not self.is_distributed:
            return work()
        found: list[Value] = []
        self.run_on_main(lambda: found.append(work()))
        if not self.is_main:
            found.append(work())
        return found[0]

    def barrier(self) -> None:
        """Wait until every process has come here."""
        self.all_reduce_max([0])

    @contextlib.contextmanager
    def _communicating(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            # The same words in all processes, so that they are printed once: no addresses of theirs.
            known = re.search("closed|reset|broken pipe", str(error), re.IGNORECASE)
            raise PeerLost(
                f"one of the {self.world_size} processes of this run has ended, so all end"
                + ("." if known else f": {' '.join(str(error).split())[:200]}"),
                "If it said why, that stands above; else it was killed (was there memory enough?). What was saved is "
                "intact: start again with train --resume RUN, or with the same command.",
            ) from error


_group = ProcessGroup()
_store: Any = None
_parent = 0


def current_group() -> ProcessGroup:
    """Return the group that was initialised, or that of the only process."""
    return _group


def launched_processes() -> int:
    """Return how many processes the environment says there are."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdigit() else 1


def launched_rank() -> int:
    """Return the rank of this process, as the environment says."""
    text = os.environ.get("RANK", "0")
    return int(text) if launched_processes() > 1 and text.isdigit() else 0


@contextlib.contextmanager
def init_process_group(device: str = "auto") -> Iterator[ProcessGroup]:
    """Connect the processes that the environment names while the block runs; one alone needs no connection.

    Args:
        device: the device asked for; where it is not the CPU and CUDA is there, tensors on it go over NCCL.

    Raises:
        UsageError: the environment says that there are several processes, but not how to reach them.
        PeerLost: another process has not come.
    """
    global _group, _store, _parent  # noqa: PLW0603 - torch's own group is a fact of the process, too
    if launched_processes() == 1 or _group.is_distributed:
        yield _group
        _group.barrier()  # of a block within that of the whole command
        return
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    from affectkit.core.process import end_with_parent

    rank, world_size = launched_rank(), launched_processes()
    lacking = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if lacking or not 0 <= rank < world_size:
        raise UsageError(
            f"WORLD_SIZE is {world_size}, but {', '.join(lacking) or 'RANK'} "
            f"{'are not set' if len(lacking) > 1 else 'is not set' if lacking else 'is out of range'}.",
            "Start several processes with torchrun --nproc-per-node N -m -- affectkit ..., or unset WORLD_SIZE.",
        )
    _parent = os.getppid()
    end_with_parent(signal.SIGTERM)  # the launcher: nothing is left running without it
    timeout = timedelta(seconds=TIMEOUT)
    backend = "cpu:gloo,cuda:nccl" if device != "cpu" and torch.cuda.is_available() else "gloo"
    try:
        _store = next(dist.rendezvous("env://", timeout=timeout))[0]
        dist.init_process_group(backend, store=_store, rank=rank, world_size=world_size, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise PeerLost(f"process {rank + 1} of {world_size} cannot reach the others: {error}") from error
    local = os.environ.get("LOCAL_WORLD_SIZE", "")
    _group = ProcessGroup(rank, world_size, int(local) if local.isdigit() else world_size)
    try:
        yield _group
        _group.barrier()  # the main process hosts the store of the others, so it must not leave before they are done
    finally:
        _group = ProcessGroup()
        dist.destroy_process_group()  # without it, some exits abort


def leave(error: BaseException) -> None:
    """End this process with ``error``, as Python does, if it was connected to others; else return.

    Where it was, torch's threads are now and then still there when the process tears down what C++ holds, and it aborts
    (torch 2.14: 1 in 8 on a busy machine), although all is done and written. So that is left to the system.
    """
    if not _parent:
        return
    code = _exit_code(error)
    threading._shutdown()  # waits for threads, as Python does before what is registered for the end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as lost:
            code = NOT_FLUSHED
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{stream.name} could not be written: {lost}\n")
                sys.stderr.flush()
    os._exit(code)


def _exit_code(error: BaseException) -> int:
    """Return the exit code that Python ends with after ``error``, reported where Python reports it."""
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(error.code, int | None):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return 1


def write_torchrun_error(text: str) -> None:
    """Write ``text`` where torchrun looks for the reason of a failure, for its own report; nothing without torchrun."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        report = {"message": {"message": text, "extraInfo": {"py_callstack": "", "timestamp": str(int(time.time()))}}}
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps(report), encoding="utf-8")


def is_first_report(text: str) -> bool:
    """Return whether no other process has reported ``text`` yet: an error that all meet is printed once."""
    if launched_processes() == 1:
        return True
    if _store is None or os.getppid() != _parent:
        # Not connected yet, so that what is wrong is wrong in all; or the launcher, which keeps count, has gone.
        return launched_rank() == 0
    from affectkit.core.randomness import address_seed

    try:
        return int(_store.add(f"affectkit reported {address_seed(0, text)}", 1)) == 1
    except RuntimeError:  # who kept count has gone
        return True


def _copy_back(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    begin = 0
    for tensor in tensors:
        tensor.copy_(flat[begin : begin + tensor.numel()].view_as(tensor))
        begin += tensor.numel()


def _error_to_dict(error: AffectkitError | OSError) -> dict[str, Any]:
    kind = type(error).__name__ if isinstance(error, AffectkitError) else "RunError"
    message = error.message if isinstance(error, AffectkitError) else f"the main process failed: {error}"
    return {
        "error": kind,
        "message": message,
        "hint": getattr(error, "hint", ""),
        "code": getattr(error, "exit_code", 1),
    }


def _error_from_dict(answer: dict[str, Any]) -> AffectkitError:
    error = getattr(errors, answer["error"])(answer["message"], answer["hint"])
    error.exit_code = answer["code"]
    return error
