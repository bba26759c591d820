"""Where a batch stands in a training: its epoch and number, and the optimizer step that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPosition:
    """Position of a batch in a training.

    Attributes:
        epoch: from 0.
        number: of the batch in its epoch, from 0.
        batches: in an epoch.
        epochs: in the training.
        step: optimizer steps before this batch.
        accumulate: batches whose gradients make one optimizer step; the last group of an epoch may be short.
    """

    epoch: int
    number: int
    batches: int
    epochs: int
    step: int = 0
    accumulate: int = 1

    @property
    def epochs_done(self) -> float:
        """Return the epochs before this batch, with their fraction."""
        return self.epoch + self.number / self.batches

    @property
    def epochs_closed(self) -> float:
        """Return the epochs before this batch's optimizer step, so counted that an epoch's last step is at its end.

        An epoch of one step stands at its beginning.
        """
        last = -(-self.batches // self.accumulate) - 1
        return self.epoch + (self.number // self.accumulate / last if last else 0.0)

    @property
    def progress(self) -> float:
        """Share of the training before this batch, from 0 to 1."""
        return self.epochs_done / self.epochs

    @property
    def begins_step(self) -> bool:
        """Return whether no gradient of the same optimizer step comes before this batch."""
        return self.number % self.accumulate == 0

    @property
    def ends_step(self) -> bool:
        """Return whether the optimizer step follows this batch."""
        return (self.number + 1) % self.accumulate == 0 or self.number + 1 == self.batches

    @property
    def batches_in_step(self) -> int:
        """Count the batches that make the optimizer step to which this one belongs."""
        return min(self.accumulate, self.batches - (self.number - self.number % self.accumulate))
