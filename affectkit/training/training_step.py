"""The training step: forward, loss over the whole batch, backward, all-reduce, optimizer step.

With several processes each has a share of every batch. Outputs and targets of all shares are put together and the loss
is taken of the whole batch in each process; its gradient flows into the own share alone, and the gradients are summed.
That is exact for every loss, whether or not it is a mean over samples. Batch norm is the exception: it normalises over
the share of its process, and its running statistics are averaged over the processes with every step.

With ``--sam`` the batches of a step are passed a second time, where the loss is greatest nearby; see ``sharpness``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from affectkit.core.progress import Reporter
from affectkit.core.randomness import address_seed
from affectkit.core.text import count_text
from affectkit.errors import RunError, UsageError
from affectkit.runtime.torch_backends import compile_errors
from affectkit.training.batch_position import BatchPosition
from affectkit.training.epoch_totals import EpochOutputs, LossSum
from affectkit.training.mixup import mix, mixes
from affectkit.training.setup import TrainingSetup
from affectkit.training.sharpness import ascended


class Learner:
    """Holds what changes with a training step: model, optimizer, gradient scaler, averaged weights.

    Attributes:
        fits: the most images that are computed at once, since more did not fit in the memory of the device; None: all.
        parts: the sums of the parts of the loss over the epoch, of those that the loss of this model has.
        seen: the outputs of the epoch's training steps, for a task that measures them; else None.
        again: passes the batches of the current step once more, for sharpness-aware minimisation; else empty.
        offset: what the loss adds to logits (C,) of the true class prior, see ``class_sampling``; None: nothing.
    """

    seen: EpochOutputs | None = None
    offset: torch.Tensor | None = None

    def __init__(self, setup: TrainingSetup, *, reporter: Reporter) -> None:
        self.setup = setup
        self.settings = setup.settings
        self.task = setup.task
        self.model = setup.model
        self.context = setup.context
        self.group = setup.context.group
        self.reporter = reporter
        self.fits: int | None = None
        self.optimizer = setup.optimizer
        self.scaler = setup.context.precision.grad_scaler()
        self.parameters = [value for value in self.model.parameters() if value.requires_grad]
        if self.group.is_distributed and not self.task.supports_distributed:
            raise UsageError(
                f"the task {self.task.name} is trained in one process, and {self.group.world_size} were started.",
                "Start train without torchrun; test, infer and the preparations run in several.",
            )
        self.group.broadcast_from_main([*self.model.parameters(), *self.model.buffers()])
        self.ema = _averaged(self.model, self.settings.ema) if self.settings.ema else None
        self._has_gradients = self._uneven = False
        self._output_shape = self._shape_of_output() if self.group.is_distributed else ()
        self.again: list[Callable[[], torch.Tensor]] = []
        self.parts: dict[str, LossSum] = {}
        if (sampling := setup.class_sampling) is not None:
            device = self.context.device.torch_name
            self.offset = torch.from_numpy(sampling.offset).to(device=device, dtype=torch.float32)
        if self.task.measures_training:
            self.seen = EpochOutputs()

    def training_step(self, batch: dict[str, Any], counts: Sequence[int], position: BatchPosition) -> torch.Tensor:
        """Run forward, loss and backward of one batch; with the last of a group all-reduce and the optimizer step.

        Args:
            batch: this process's share: images, targets, indices.
            counts: images that each process has of the batch.
            position: of the batch, at which its dropout and mixup are addressed.

        Returns:
            The mean loss of the whole batch (0-d); 0 where no process has an image of it.
        """
        if position.begins_step:
            schedule = self.setup.schedule
            self.set_learning_rate(schedule.rate(position.epochs_closed if schedule.closed else position.epochs_done))
        batch = self.prepare_batch(batch, position)
        rank = [self.group.rank] if self.group.rank else []
        seed = address_seed(self.settings.seed, "batch", position.epoch, position.number, *rank)

        def forward_backward(part: dict[str, Any], fraction: float, first: int, *, again: bool = False) -> torch.Tensor:
            torch.manual_seed(seed + first)  # dropout, so that a resumed run draws what the first would have drawn
            outputs = self.forward(part)
            outputs, targets = self.gather(outputs, part, counts)
            if self.offset is not None:
                outputs = outputs + self.offset
            losses = self.task.loss(outputs, targets, position.progress)
            if len(part["index"]):  # else the loss is of the images of other processes, and has no graph here
                self.backward(losses["loss"] * fraction / position.batches_in_step)
            if again:
                return losses["loss"].detach()
            self.add_parts(losses, len(targets["index"]))
            if self.seen is not None:
                self.seen.add(outputs, targets["target"])
            return losses["loss"].detach()

        loss = torch.zeros((), device=self.context.device.torch_name)
        if sum(counts):
            loss = self.within_memory(forward_backward, batch)
            self._has_gradients = True
            self._uneven |= 0 in counts
            if self.settings.sam:
                twice = functools.partial(forward_backward, again=True)
                self.again.append(functools.partial(self.within_memory, twice, batch))
        if position.ends_step:
            self.all_reduce_gradients()
            self.sharpen()
            self.optimizer_step(position.step + 1)
        return loss

    def train(self) -> None:
        """Set training mode for what learns.

        What is frozen stays in evaluation mode: its batch norm goes by the statistics that it has and leaves them as
        they are, and its dropout is off.
        """
        trainable = self.setup.trainable
        self.model.train(trainable is None)
        if trainable is not None:
            trainable.train()

    @property
    def evaluated(self) -> nn.Module:
        """Return the model that is validated and kept: the averaged weights where there are some."""
        return self.ema.module if self.ema is not None else self.model

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of all parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    @property
    def learning_rate(self) -> float:
        """Return the learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def prepare_batch(self, batch: dict[str, Any], position: BatchPosition) -> dict[str, Any]:
        """Move a batch to the device and normalise it; mix and resize its images where the settings say so."""
        if not len(batch["index"]):
            return self.context.to_device(batch)
        batch = self.context.prepare_batch(batch, self.task.spec)
        settings = self.settings
        if mixes(settings, position.epoch):
            alphas = {"mixup_alpha": settings.mixup, "cutmix_alpha": settings.cutmix}
            batch = mix(batch, **alphas, seed=settings.seed, epoch=position.epoch, number=position.number)
        if self.setup.start_size is not None:
            from affectkit.training.progressive_resizing import resize_for

            sizes = {"start": self.setup.start_size, "until": self.settings.grow_until}
            batch["image"] = resize_for(position.progress, batch["image"], **sizes)
        return batch

    def forward(self, batch: dict[str, Any]) -> Any:
        """Compute the outputs of the model in single precision, for no image too."""
        if not len(batch["index"]):
            return torch.zeros(0, *self._output_shape, device=self.context.device.torch_name)
        try:
            with self.context.precision.autocast():
                return _in_single(self.setup.network(*self.task.inputs(batch)))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UsageError(
                f"{self.settings.model} normalises over the batch, and a batch of {len(batch['index'])} at "
                f"{self.task.spec.height}x{self.task.spec.width} leaves it one value.",
                "Choose a larger --batch-size.",
            ) from error

    def gather(self, outputs: Any, batch: dict[str, Any], counts: Sequence[int]) -> tuple[Any, dict[str, Any]]:
        """Put outputs and targets of all processes together; a graph leads to this one's own rows alone."""
        if not self.group.is_distributed:
            return outputs, batch
        rows = {name: value for name, value in _tensors(batch).items() if name != "image"}
        targets = {name: self.group.all_gather_rows(value, counts) for name, value in rows.items()}
        return self.group.all_gather_rows(outputs, counts), targets

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of ``loss``: all of them or, where memory ends on the way, none."""
        with compile_errors() if self.settings.compile else contextlib.nullcontext():
            found = torch.autograd.grad(self.scaler.scale(loss), self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, found, strict=True):
            if gradient is not None:
                like = parameter.grad
                parameter.grad = _laid_out(gradient, parameter) if like is None else like.add_(gradient)

    def add_parts(self, losses: dict[str, torch.Tensor], images: int) -> None:
        """Add the parts of a mean loss of ``images`` to their sums over the epoch."""
        for name in self.task.loss_parts:
            if name in losses:
                self._part(name).add(losses[name].detach(), images)

    def end_epoch(self, images: int) -> dict[str, float]:
        """Return the parts of the mean loss of the epoch's ``images``, and the measures of its training steps.

        Sums and outputs begin anew.
        """
        found = {name: total.read() / max(images, 1) for name, total in self.parts.items()}
        for total in self.parts.values():
            total.set(0.0)
        if self.seen is not None:
            found |= self.task.training_metrics(*self.seen.arrays())
            self.seen.clear()
        return found

    def sharpen(self) -> None:
        """Take, for sharpness-aware minimisation, the gradients at the weights that ``ascended`` moves to instead."""
        if self.again:
            with ascended(self.model, self.parameters, self.settings.sam):
                for passed in self.again:
                    passed()
            self.again.clear()
            self.all_reduce_gradients(statistics=False)

    def all_reduce_gradients(self, *, statistics: bool = True) -> None:
        """Sum the gradients over the processes and average batch norm's running statistics, in one exchange.

        Args:
            statistics: False: the gradients alone.
        """
        if not self.group.is_distributed or not self._has_gradients:
            return
        used = [parameter.grad is not None for parameter in self.parameters]
        if self._uneven:  # a process without an image does not know which parameters the others used
            used = [bool(value) for value in self.group.all_reduce_max([int(value) for value in used])]
        for parameter, wanted in zip(self.parameters, used, strict=True):
            if wanted and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        running = [
            value
            for module in self.model.modules()
            if isinstance(module, _NormBase) and module.track_running_stats and module.training  # not if frozen
            for value in (module.running_mean, module.running_var)
            if statistics
        ]
        for value in running:
            value.div_(self.group.world_size)
        self.group.all_reduce_sum([*gradients, *running])

    def optimizer_step(self, number: int) -> None:
        """Take the ``number``-th optimizer step, by the gradients added so far."""
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._has_gradients = self._uneven = False
        if self.ema is not None:
            self.ema.update(self.model, step=number)

    # --- memory ----------------------------------------------------------------------------------------------------

    def within_memory(
        self, forward_backward: Callable[[dict[str, Any], float, int], torch.Tensor], batch: dict[str, Any]
    ) -> torch.Tensor:
        """Compute a batch at once or, where the memory of the device ends, in parts that fit; their mean loss.

        Args:
            forward_backward: is given a part, its fraction of the batch and its first row, and returns its mean loss;
                it adds gradients as its last act that may need memory.
            batch: of which every tensor has the images as rows.

        Raises:
            RunError: not even one image fits; or the processes are several, which keep in step.
        """
        count = len(batch["index"])
        if self.group.is_distributed:
            try:
                return forward_backward(batch, 1.0, 0)
            except torch.OutOfMemoryError as error:
                raise RunError(
                    f"process {self.group.rank + 1} of {self.group.world_size} is out of memory with its "
                    f"{count_text(count, 'image')} of the batch.",
                    f"Lower --batch-size (now {self.settings.batch_size} over all processes), and raise --accumulate.",
                ) from error
        waiting = list(torch.arange(count).split(self.fits or count))
        total = torch.zeros((), device=self.context.device.torch_name)
        while waiting:
            rows = waiting[0]
            part = batch if len(rows) == count else {name: value[rows] for name, value in _tensors(batch).items()}
            try:
                total += forward_backward(part, len(rows) / count, int(rows[0])) * (len(rows) / count)
            except torch.OutOfMemoryError:
                pass
            else:
                waiting.pop(0)
                continue
            # Outside the except block, so that the failed attempt's tensors are free.
            self._halve(len(rows))
            waiting = list(torch.cat(waiting).split(self.fits))
        return total

    def _halve(self, count: int) -> None:
        """Compute half of ``count`` images at once from now on, and report it."""
        if count == 1:
            raise RunError(
                f"{self.context.device.torch_name} is out of memory with a single image.",
                "Choose a smaller --image-size or model, or another --device.",
            )
        torch.cuda.empty_cache()
        self.fits = -(-count // 2)
        self.reporter.warn(
            f"out of memory on {self.context.device.torch_name} with {count_text(count, 'image')}: "
            f"from here on a batch is computed "
            f"{self.fits} images at a time (same gradients; batch norm sees these alone). "
            "A smaller --batch-size avoids it."
        )

    # --- state -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs of this."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "fits": self.fits,
            "parts": {name: total.read() for name, total in self.parts.items()},
            **({"seen": self.seen.state()} if self.seen is not None else {}),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Continue from a ``state``."""
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
        if self.seen is not None and "seen" in tree:
            device = self.context.device.torch_name
            self.seen.restore([[value.to(device) for value in taken] for taken in tree["seen"]])
        elif self.seen is not None:
            self.seen = None
            self.reporter.note("the run was started without measures of the training phase, and goes on without them")

    def _part(self, name: str) -> LossSum:
        """Return the sum of a part of the loss, from its first value on."""
        return self.parts.setdefault(name, LossSum(self.context.device.torch_name))

    def _shape_of_output(self) -> tuple[int, ...]:
        """Compute the shape of one image's outputs, for a process that has no image of a batch."""
        spec = self.task.spec
        images = torch.zeros(1, spec.channels, spec.height, spec.width, device=self.context.device.torch_name)
        self.model.eval()
        with torch.no_grad():
            return tuple(self.model(*self.task.inputs({"image": images})).shape[1:])


def _averaged(model: nn.Module, decay: float) -> Any:
    """Make what keeps the moving average of the weights of ``model``."""
    from timm.utils import ModelEmaV3  # seconds to import, and few trainings need it

    return ModelEmaV3(model, decay=decay, use_warmup=True)


def _laid_out(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return ``value`` with its numbers in memory in the order of those of ``like``, which is of the same shape.

    torch's fused optimizers go through memory without regard to strides (on the CPU they then mix up the weights in
    silence, on CUDA they refuse), and the gradients of convolutions over channels-last images come channels-last.
    """
    return value if value.stride() == like.stride() else torch.empty_like(like).copy_(value)


def _in_single(outputs: Any) -> Any:
    """Return ``outputs``, a tensor or a named tuple of them, in single precision."""
    if isinstance(outputs, tuple):
        return type(outputs)(*(None if value is None else value.float() for value in outputs))
    return outputs.float()


def _tensors(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
