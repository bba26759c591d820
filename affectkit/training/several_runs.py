"""Runs of one folder that are trained one after the other: repeats, and the folds of a cross-validation."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from affectkit.core.contained_paths import refuse_link
from affectkit.core.progress import Reporter
from affectkit.core.text import duration_text
from affectkit.errors import AffectkitError, Stopped
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import current_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.training.run_folder import RunFolder
from affectkit.training.single_run import train_once

SHORT = 1.0
"""Seconds below which a run was found done, and says nothing of how long the others take."""


def train_several(
    top: RunFolder, count: int, noun: str, train: Callable[[int, StopFlag], dict[str, Any]], *, reporter: Reporter
) -> list[dict[str, Any]]:
    """Train the runs 1 to ``count`` in ``top``, whose status says how many are done.

    Args:
        top: the folder of all of them.
        count: of runs.
        noun: what they are, for messages.
        train: trains the run of a number, until it is stopped.
        reporter: of signals.

    Raises:
        Stopped: by a signal, also between two runs.
    """
    group, rows, times = current_group(), [], [time.monotonic()]
    group.run_on_main(lambda: top.write_status("running", host=socket.gethostname(), pid=os.getpid()))
    try:
        while len(rows) < count:
            stopping = StopFlag(reporter)
            rows.append(train(len(rows) + 1, stopping))
            times.append(time.monotonic())
            if (rest := count - len(rows)) > 0 and (lasted := times[-1] - times[-2]) >= SHORT:
                reporter.note(f"{len(rows)} of {count} {noun} done; about {duration_text(lasted * rest)} left")
            # A signal that came while the last files of a run were written has not been answered.
            if len(rows) < count and stopping.requested_anywhere(group):
                raise stopping.error(f"{len(rows)} of {count} {noun} are done.", "")
    except (AffectkitError, OSError) as error:
        if isinstance(error, Stopped):  # it named the folder of this run
            error.hint = f"Resume with: affectkit train --resume {top.root}"
        if group.is_main:
            with contextlib.suppress(OSError):
                state = "stopped" if isinstance(error, Stopped) else "failed"
                top.write_status(state, done=len(rows), reason=getattr(error, "message", str(error)))
        raise
    return rows


def train_one_of_several(
    settings: TrainSettings, choose_context: Callable[[], RunContext], *, reporter: Reporter, **given: Any
) -> dict[str, Any]:
    """Train the run of ``settings``, from wherever it stands; ``given`` is for ``train_once``."""
    folder, group = settings.output, current_group()
    group.run_on_main(lambda: refuse_link(folder, "the folder"))
    begun = group.run_on_main((folder / "config.yaml").is_file)
    return train_once(settings, choose_context, resuming=begun, reporter=reporter, **given)
