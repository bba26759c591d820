"""Loggers beside history.csv: TensorBoard always, Weights & Biases where asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from affectkit.errors import UsageError


class Loggers:
    """Writes each epoch's numbers to ``events`` and, with ``wandb``, to a Weights & Biases run.

    Args:
        events: folder for TensorBoard's event files; None to log nothing.
        first_epoch: on resuming, events from this epoch (counted from 1) on are purged from what a viewer shows; 0 to
            purge nothing.
        service: ``none`` or ``wandb``; WANDB_MODE=offline keeps that run on this machine.
        name: of the run.
        settings: recorded with it.
    """

    def __init__(
        self, events: Path | None, *, first_epoch: int, service: str, name: str, settings: dict[str, Any]
    ) -> None:
        self._events = self._wandb = None
        if events is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        self._wandb = _start_wandb(events.parent, name, settings) if service == "wandb" else None
        self._events = SummaryWriter(str(events), purge_step=first_epoch or None)

    def log(self, epoch: int, numbers: dict[str, float]) -> None:
        """Log an epoch's numbers; those that are not finite are left out."""
        finite = {key: value for key, value in numbers.items() if math.isfinite(value)}
        if self._events is not None:
            for key, value in finite.items():
                self._events.add_scalar(key.replace("_", "/", 1), value, epoch)
            self._events.flush()
        if self._wandb is not None:
            self._wandb.log(finite, step=epoch)

    def close(self) -> None:
        """Flush and end."""
        if self._events is not None:
            self._events.close()
        if self._wandb is not None:
            self._wandb.finish()


def _start_wandb(folder: Path, name: str, settings: dict[str, Any]) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UsageError(
            "--track wandb needs the package wandb, which is not installed.", "Install it with pip install wandb."
        ) from error
    return wandb.init(
        project="affectkit", name=name, id=name_to_id(folder), dir=str(folder), config=settings, resume="allow"
    )


def name_to_id(folder: Path) -> str:
    """Make an id that is the same for the same run folder, so that a resumed run resumes its W&B run."""
    from affectkit.core.randomness import address_seed

    return f"{address_seed(0, 'wandb', str(folder.resolve())):016x}"
