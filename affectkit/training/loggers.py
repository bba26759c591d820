"""Loggers beside history.csv: TensorBoard always, Weights & Biases where asked."""

from __future__ import annotations

import hashlib
import math
import re
import time
from pathlib import Path
from typing import Any

from affectkit.core.text import printable
from affectkit.errors import UsageError

_EVENTS = re.compile(r"events\.out\.tfevents\.([0-9]{10})\.(.*)")
SERIES_LENGTH, NAME_LENGTH = 200, 128
"""Characters of the name of a series, and of a run: W&B takes no longer one."""


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
        order_by_time(events, time.time())
        self._events = SummaryWriter(str(events), purge_step=first_epoch or None)

    def log(self, epoch: int, numbers: dict[str, float]) -> None:
        """Log an epoch's numbers; those that are not finite are left out."""
        finite = {key: value for key, value in numbers.items() if math.isfinite(value)}
        if self._events is not None:
            for key, value in finite.items():
                self._events.add_scalar(series_name(key.replace("_", "/", 1)), value, epoch)
            self._events.flush()
        if self._wandb is not None:
            self._wandb.log({series_name(key): value for key, value in finite.items()}, step=epoch)

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
        project="affectkit",
        name=series_name(name, NAME_LENGTH),
        id=name_to_id(folder),
        dir=str(folder),
        config=settings,
        resume="allow",
    )


def order_by_time(events: Path, now: float) -> None:
    """Rename event files that are dated ``now`` or later, by a clock that was set back since, to seconds before.

    Viewers read the files of a run in the order of the seconds in their names: a resumed run must come last.
    """
    dated = [(int(match[1]), path) for path in events.glob("events*") if (match := _EVENTS.fullmatch(path.name))]
    kept = max((seconds for seconds, _ in dated if seconds < int(now)), default=0)
    later = sorted((seconds, path.name, path) for seconds, path in dated if seconds >= int(now))
    for place, (_, name, path) in enumerate(later):
        seconds = max(int(now) - len(later) + place, kept)
        target = path.with_name(f"events.out.tfevents.{seconds:010d}.{_EVENTS.fullmatch(name)[2]}")
        if not target.exists():
            path.rename(target)


def series_name(name: str, length: int = SERIES_LENGTH) -> str:
    r"""Return ``name`` as a viewer may get it: without control characters, as UTF-8, not too long; most as they are.

    Two names never become one: to what was changed a hash of the name is added.

    >>> series_name("valid/loss"), series_name("valid/ccc_\x1b[31m")
    ('valid/loss', 'valid/ccc_\\x1b[31m~2039b484')
    """
    text = printable(name).replace("\n", "\\x0a").replace("\t", "\\x09")
    if text == name and 0 < len(text) <= length:
        return name
    mark = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{text[: length - len(mark) - 1]}~{mark}"


def name_to_id(folder: Path) -> str:
    """Make an id that is the same for the same run folder, so that a resumed run resumes its W&B run."""
    from affectkit.core.randomness import address_seed

    return f"{address_seed(0, 'wandb', str(folder.resolve())):016x}"
