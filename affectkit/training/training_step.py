"""From batches to optimiser steps: forward, loss over the whole batch, gradients, their sum over processes, the step.

With several processes each has a share of every batch. Outputs and targets of all shares are put together and the loss
is taken of the whole batch in each process; its gradient flows into the own share alone, and the gradients are summed.
That is exact for every loss, whether or not it is a mean over samples. Batch norm is the exception: it normalises over
the share of its process, and its running statistics are averaged over the processes with every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from affectkit.core.progress import Reporter
from affectkit.core.randomness import address, numpy_generator
from affectkit.errors import RunError, UsageError
from affectkit.runtime.torch_backends import compile_errors
from affectkit.training.progressive_resizing import first_size, growing
from affectkit.training.setup import Training


class Learner:
    """Holds what changes with a step: model, optimiser, gradient scaler, averaged weights.

    Attributes:
        fits: how many images at most are computed at once, since more did not fit in the memory of the device.
    """

    def __init__(self, training: Training, *, reporter: Reporter) -> None:
        self.training = training
        self.settings = training.settings
        self.task = training.task
        self.model = training.model
        self.context = training.context
        self.group = training.context.group
        self.reporter = reporter
        self.fits: int | None = None
        self.optimizer = training.optimizer
        self.scaler = training.context.precision.grad_scaler()
        self.parameters = [value for value in self.model.parameters() if value.requires_grad]
        self.group.broadcast_from_main([*self.model.parameters(), *self.model.buffers()])
        self.ema = _averaged(self.model, self.settings.ema) if self.settings.ema else None
        self._pending = self._uneven = False
        if self.group.is_distributed and not self.task.supports_distributed:
            raise UsageError(
                f"the task {self.task.name} is trained in one process, and {self.group.world_size} were started.",
                "Start train without torchrun; test, infer and the preparations run in several.",
            )
        self._width = self._output_shape() if self.group.is_distributed else ()
        self.start_size = first_size(self.settings, self.task.spec, self.model)
        self.parts: dict[str, LossSum] = {}  # of those that the loss of this model has

    def train(self) -> None:
        """Training mode for what learns. What is frozen stays in evaluation mode: its batch norm goes by the statistics
        that it has and leaves them as they are, and its dropout is off."""
        tuned = self.training.tuned
        self.model.train(tuned is None)
        if tuned is not None:
            tuned.train()

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and kept: the averaged weights where there are some."""
        return self.ema.module if self.ema is not None else self.model

    def set_rate(self, epoch: float) -> None:
        """The learning rate of the schedule at ``epoch``."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.schedule.rate(epoch)

    def add(
        self, raw: dict[str, Any], counts: Sequence[int], *, epoch: int, number: int, progress: float, share: int
    ) -> torch.Tensor:
        """Add the gradients of one batch to those of its group; returns the mean loss of the whole batch (0-d).

        Args:
            raw: this process's part: images, targets, indices. counts: how many images each process has of it.
            epoch, number: of the batch, at which its dropout and mixup are addressed.
            progress: from 0 to 1 over the training. share: how many batches make the step.
        """
        batch = self.context.prepare_batch(raw, self.task.spec) if len(raw["index"]) else self.context.to_device(raw)
        if self.settings.mixup and len(raw["index"]):
            batch = mixup(batch, self.settings.mixup, seed=self.settings.seed, epoch=epoch, number=number)
        if self.start_size is not None and len(raw["index"]):
            batch["image"] = growing(batch["image"], start=self.start_size, progress=progress)
        self._pending = True
        self._uneven |= 0 in counts
        seed = address(self.settings.seed, "batch", epoch, number, *([self.group.rank] if self.group.rank else []))
        if not self.group.is_distributed:
            return self._in_parts(batch, seed=seed, progress=progress, share=share)
        try:
            loss = self._loss(batch, counts, seed=seed, progress=progress)
            if len(raw["index"]):
                self._accumulate(loss / share)
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"process {self.group.rank + 1} of {self.group.world_size} is out of memory with its "
                f"{len(raw['index'])} images of the batch.",
                f"Lower --batch-size (now {self.settings.batch_size} over all processes), and raise --accumulate.",
            ) from error
        return loss.detach()

    def step(self, number: int) -> None:
        """The optimiser step, the ``number``-th, of the gradients added so far."""
        if self.group.is_distributed and self._pending:
            self._add_up()
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._pending = self._uneven = False
        if self.ema is not None:
            self.ema.update(self.model, step=number)

    def state(self) -> dict[str, Any]:
        """Everything of it that a resumed run needs."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "fits": self.fits,
            "parts": {name: total.read() for name, total in self.parts.items()},
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.model.load_state_dict(tree["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(tree["ema"])
        self.optimizer.load_state_dict(tree["optimizer"])
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    values[name] = _laid_out(value, parameter)
        if tree["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(tree["scaler"])
        self.fits = tree["fits"]
        for name, value in tree.get("parts", {}).items():
            self._part(name).set(value)

    # --- one batch -------------------------------------------------------------------------------------------------

    def _in_parts(self, batch: dict[str, Any], *, seed: int, progress: float, share: int) -> torch.Tensor:
        """The batch at once, or in parts that fit; their losses are weighted by their sizes."""
        count = len(batch["index"])
        waiting = list(torch.arange(count).split(self.fits or count))
        total = torch.zeros((), device=self.context.device.torch_name)
        while waiting:
            rows = waiting[0]
            part = batch if len(rows) == count else {name: value[rows] for name, value in _tensors(batch).items()}
            full = False
            try:
                # Dropout is addressed by the batch, so that a resumed run draws what the first would have drawn.
                before = {name: total.copied() for name, total in self.parts.items()}
                loss = self._loss(part, (len(rows),), seed=seed + int(rows[0]), progress=progress)
                self._accumulate(loss * (len(rows) / count) / share)
            except torch.OutOfMemoryError:
                full = True
            if not full:
                total += loss.detach() * (len(rows) / count)
                waiting.pop(0)
                continue
            # Outside the except block, so that the failed attempt's tensors are free.
            for name, counted in self.parts.items():  # they come again
                counted.set(before.get(name, 0.0))
            self._take_fewer(len(rows))
            waiting = list(torch.cat(waiting).split(self.fits))
        return total

    def _take_fewer(self, count: int) -> None:
        """From now on compute half of ``count`` images at once, and say so."""
        if count == 1:
            raise RunError(
                f"{self.context.device.torch_name} is out of memory with a single image.",
                "Choose a smaller --image-size or model, or another --device.",
            )
        torch.cuda.empty_cache()
        self.fits = -(-count // 2)
        self.reporter.warn(
            f"out of memory on {self.context.device.torch_name} with {count} images: from here on a batch is computed "
            f"{self.fits} images at a time (same gradients; batch norm sees these alone). "
            "A smaller --batch-size avoids it."
        )

    def _loss(self, batch: dict[str, Any], counts: Sequence[int], *, seed: int, progress: float) -> torch.Tensor:
        """The loss of the whole batch, with a graph to this process's share."""
        torch.manual_seed(seed)
        if len(batch["index"]):
            outputs = self._forward(batch)
        else:
            outputs = torch.zeros(0, *self._width, device=self.context.device.torch_name)
        if self.group.is_distributed:
            batch = {
                name: self.group.all_gather_rows(value, counts)
                for name, value in _tensors(batch).items()
                if name != "image"
            }
            outputs = self.group.all_gather_rows(outputs, counts)
        found = self.task.loss(outputs, batch, progress)
        for name in self.task.loss_parts:
            if name in found:
                self._part(name).add(found[name].detach(), len(batch["index"]))
        return found["loss"]

    def _part(self, name: str) -> LossSum:
        """The sum of a part of the loss, from its first value on."""
        return self.parts.setdefault(name, LossSum(self.context.device.torch_name))

    def _forward(self, batch: dict[str, Any]) -> Any:
        try:
            with self.context.precision.autocast():
                return _in_single(self.training.network(*self.task.inputs(batch)))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UsageError(
                f"{self.settings.model} normalises over the batch, and a batch of {len(batch['index'])} at "
                f"{self.task.spec.height}x{self.task.spec.width} leaves it one value.",
                "Choose a larger --batch-size.",
            ) from error

    def _accumulate(self, loss: torch.Tensor) -> None:
        """Add the gradients of ``loss``: all of them or, where memory ends on the way, none."""
        with compile_errors() if self.settings.compile else contextlib.nullcontext():
            found = torch.autograd.grad(self.scaler.scale(loss), self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, found, strict=True):
            if gradient is not None:
                like = parameter.grad
                parameter.grad = _laid_out(gradient, parameter) if like is None else like.add_(gradient)

    # --- several processes -----------------------------------------------------------------------------------------

    def _add_up(self) -> None:
        """Sum the gradients over the processes and average batch norm's running statistics, in one exchange."""
        used = [parameter.grad is not None for parameter in self.parameters]
        if self._uneven:  # a process without an image does not know which parameters the others used
            used = [bool(value) for value in self.group.all_reduce_max([int(value) for value in used])]
        for parameter, wanted in zip(self.parameters, used, strict=True):
            if wanted and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        statistics = [
            value
            for module in self.model.modules()
            if isinstance(module, _NormBase) and module.track_running_stats and module.training  # not if frozen
            for value in (module.running_mean, module.running_var)
        ]
        for value in statistics:
            value.div_(self.group.world_size)
        self.group.all_reduce_sum([*gradients, *statistics])

    def _output_shape(self) -> tuple[int, ...]:
        """The shape of one image's outputs, for a process that has no image of a batch."""
        spec = self.task.spec
        images = torch.zeros(1, spec.channels, spec.height, spec.width, device=self.context.device.torch_name)
        self.model.eval()
        with torch.no_grad():
            return tuple(self.model(*self.task.inputs({"image": images})).shape[1:])


class LossSum:
    """The sum of losses of an epoch, kept on a CUDA device until it is read, so that steps need not wait for it."""

    def __init__(self, device: str) -> None:
        self.lazy = device.startswith("cuda")
        self._sum = torch.zeros((), dtype=torch.float64, device=device if self.lazy else "cpu")

    def add(self, loss: torch.Tensor, images: int) -> None:
        """A batch's mean loss."""
        self._sum += loss.to(self._sum) * images

    def read(self) -> float:
        """The sum so far."""
        return float(self._sum)

    def copied(self) -> torch.Tensor:
        """The sum so far, where it lies."""
        return self._sum.clone()

    def set(self, value: float | torch.Tensor) -> None:
        """Begin from ``value``."""
        self._sum.fill_(value)


def _averaged(model: nn.Module, decay: float) -> Any:
    """What keeps the moving average of the weights of ``model``."""
    from timm.utils import ModelEmaV3  # seconds to import, and few trainings need it

    return ModelEmaV3(model, decay=decay, use_warmup=True)


def _laid_out(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``value`` with its numbers in memory in the order of those of ``like``, which is of the same shape.

    torch's fused optimisers go through memory without a look at strides (on the CPU they then mix up the weights in
    silence, on CUDA they refuse), and the gradients of convolutions over channels-last images come channels-last.
    """
    return value if value.stride() == like.stride() else torch.empty_like(like).copy_(value)


def _in_single(outputs: Any) -> Any:
    """``outputs``, a tensor or a named tuple of them, in single precision."""
    if isinstance(outputs, tuple):
        return type(outputs)(*(None if value is None else value.float() for value in outputs))
    return outputs.float()


def _tensors(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}


def mixup(batch: dict[str, Any], alpha: float, *, seed: int, epoch: int, number: int) -> dict[str, Any]:
    """Images and targets mixed with a shuffled copy, one Beta(alpha, alpha) weight a batch (Zhang et al. 2018).

    Sounds are mixed as the images are. With several processes the copy is of the own share.
    """
    rng = numpy_generator(seed, "mixup", epoch, number)
    weight = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(batch["index"]))).to(batch["target"].device)
    names = [name for name in ("image", "audio", "target") if name in batch]
    mixed = {name: weight * batch[name] + (1 - weight) * batch[name][order] for name in names}
    return {**batch, **mixed}
