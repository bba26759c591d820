"""What an inference looks with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

from torch import nn

from affectkit.core.progress import Reporter
from affectkit.data.faces.detection import Finder
from affectkit.runtime.context import RunContext
from affectkit.tasks.base import Task


@dataclass(frozen=True)
class Means:
    """What is looked with, whatever is looked at.

    Attributes:
        model: on the device of ``context``; ``settings.compile`` is seen to here. finder: None takes pictures whole.
        stdout: where rows go without results.
        summary: what the record says from the start, ``checkpoint_sha256`` and ``paths`` among it.
    """

    model: nn.Module
    task: Task
    context: RunContext
    finder: Finder | None
    stdout: IO[str]
    summary: dict[str, Any]
    reporter: Reporter
