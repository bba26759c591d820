"""Run affectkit as the child of a submitted job: have it save when time is up, and resume it later.

Read in submitit 1.5's source (core/job_environment.py, slurm/slurm.py, local/local.py):

- The batch script carries ``--signal=USR2@DELAY``: so many seconds before the limit Slurm sends SIGUSR2
  (``SUBMITIT_PREEMPT_SIGNAL`` names another) to each task; submitit's handler runs in the task's main thread, on top of
  whatever stands there. Task 0 alone calls ``checkpoint`` and, with what it returns pickled over the job's own pickle,
  ``scontrol requeue``; in the others the handler does nothing, so ours takes its place. Where ``checkpoint`` gives
  None, the job fails.
- A job that has run for 80% of its time, or to within 10 minutes of it, has timed out, which lowers the number of
  requeues that are left; before, it was preempted, which does not.
- SIGTERM and SIGCONT are ignored by submitit. ``scancel`` sends SIGTERM, and SIGKILL after Slurm's KillWait (30 s);
  preemption sends SIGTERM, and SIGUSR2 right after it where the cluster has ``preempt_send_user_signal``. Where it has
  not, and when a node fails, Slurm itself starts the same pickle again and counts in ``SLURM_RESTART_COUNT``.
- The local executor starts a controller process (its pid is the job's id), which passes SIGTERM on to the tasks, sends
  SIGUSR2 before the limit, and starts tasks that exited with 144 again, five times at most.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from affectkit.core.children import python_command
from affectkit.core.process import end_with_parent
from affectkit.core.text import printable
from affectkit.errors import EXIT_INTERRUPTED, EXIT_RESUMABLE, EXIT_TERMINATED, RunError

STOPPED = (EXIT_RESUMABLE, EXIT_INTERRUPTED, EXIT_TERMINATED, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a child that a signal has ended."""
FINAL = (0, 3, 4)
"""Exit codes of one that has done its work."""
MEANING = {
    1: "it failed",
    2: "an option is wrong",
    3: "a threshold was missed",
    4: "done in part: some inputs were skipped, and are named in its results",
}
TORCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
GLANCE = 0.05
"""Seconds between two polls of the child."""
LINGER = 2.0
"""Seconds in which the warning that follows SIGTERM at a preemption can still come."""
END = 3.0
"""Seconds that a child gets to end in order when its job ends before it."""


@dataclass(frozen=True)
class Work:
    """Hold a command, and how it resumes.

    Attributes:
        argv: arguments of affectkit at the first start.
        again: arguments at every later start.
        folder: working directory.
        record: file that exists once there is something to resume; empty where ``again`` always holds.
        stamp: modification time of ``record`` in ns when the job was submitted, None where it was not there. One that
            has not changed since belongs to an earlier run.
        patience: seconds that the child has to save what it has done.
    """

    argv: tuple[str, ...]
    again: tuple[str, ...]
    folder: str
    record: str = ""
    stamp: int | None = None
    patience: float = 100.0

    def arguments(self, *, restarted: bool) -> tuple[str, ...]:
        """Return the arguments of a first or a later start."""
        begun = not self.record or modified(Path(self.record)) not in (None, self.stamp)
        return self.again if restarted and begun else self.argv


def modified(path: Path) -> int | None:
    """Return the modification time of ``path`` in ns; None where there is no such file."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class _Ended(Exception):
    """The child has come to its end by itself, so there is nothing to requeue."""


class Job:
    """Callable that submitit pickles, calls in the job, and asks for a checkpoint; ``job.result()`` is 0 or raises.

    Args:
        work: what to run.
        attempt: how often it was requeued after a checkpoint.
    """

    _stop_sent = False

    def __init__(self, work: Work, attempt: int = 0) -> None:
        self.work, self.attempt = work, attempt
        self._child: subprocess.Popen[bytes] | None = None
        self._code: int | None = None

    def __call__(self) -> int:
        """Run the command to its end; signals go to it.

        Raises:
            RunError: it ended with another exit code than 0.
        """
        import submitit

        environment = submitit.JobEnvironment()
        first = environment.global_rank == 0
        arguments = self.work.arguments(restarted=self.attempt > 0 or _restarts(environment) > 0)
        end_with_parent(signal.SIGTERM)
        with self._passing_on(first=first), contextlib.suppress(_Ended):
            try:
                self._start(arguments, environment)
                self._until_ended()
                if first and self._stopped():
                    time.sleep(LINGER)
            finally:
                self._clear_up()
                signal.signal(_warning(), signal.SIG_IGN)  # from here on there is nothing to resume
        if not first and self._stopped():
            raise SystemExit(0)  # the first task requeues, or reports; an error here could end it before
        return self._judge(arguments)

    def checkpoint(self) -> Any:
        """Make the child save; called by submitit in its signal handler.

        Returns:
            the ``DelayedSubmission`` that resumes the work.
        """
        from submitit.helpers import DelayedSubmission

        log = logging.getLogger("submitit")
        if self._child is not None and self._code is None:
            log.info("affectkit saves at the end of this step")
            # Not SIGUSR1, which would kill a command that has nothing to save; SIGTERM ends that in order.
            self._send_stop()
            self._until_ended(self.work.patience)
        if self._code is not None and not self._stopped():
            raise _Ended
        state = {None: "has not ended its step in time; what it saved before counts", EXIT_RESUMABLE: "has saved"}
        log.info(f"affectkit {state.get(self._code, 'had nothing to save')}; to be queued again")
        return DelayedSubmission(Job(self.work, self.attempt + 1))

    def _start(self, arguments: tuple[str, ...], environment: Any) -> None:
        logging.getLogger("submitit").info(printable("affectkit " + " ".join(arguments)))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        parent = os.getpid()
        self._child = subprocess.Popen(
            python_command("-m", "affectkit", *arguments),
            cwd=self.work.folder,
            env=child_environment(os.environ, environment),
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=lambda: _bind(parent),  # noqa: PLW1509 - calls nothing that could wait for a thread
        )
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self) -> None:
        # In a thread: a handler that waited while the main thread does would wait for its lock for ever.
        self._code = self._child.wait()

    def _until_ended(self, seconds: float = float("inf")) -> None:
        end = time.monotonic() + seconds
        while self._code is None and time.monotonic() < end:
            time.sleep(GLANCE)

    def _stopped(self) -> bool:
        """Return whether a signal ended the child: where several end, the error of one may be the others'."""
        return self._code in STOPPED or (self._stop_sent and self._code not in FINAL)

    def _send_stop(self, number: int = signal.SIGTERM) -> None:
        """Send the child a signal to stop: once, for a second signal would interrupt its way out."""
        if self._child is not None and not self._stop_sent:
            self._stop_sent = True
            self._child.send_signal(number)

    @contextlib.contextmanager
    def _passing_on(self, *, first: bool) -> Iterator[None]:
        """Pass signals that end a job on to the child, and submitit's warning in tasks that submitit does not ask."""

        def pass_on(number: int, frame: FrameType | None) -> None:
            self._send_stop(signal.SIGTERM if number == _warning() else number)

        numbers = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1} - {_warning()}
        before = {number: signal.signal(number, pass_on) for number in numbers}
        if not first:
            signal.signal(_warning(), pass_on)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _clear_up(self) -> None:
        """Leave no process behind: neither the child, nor what it started."""
        if self._child is None:
            return
        if self._code is None:
            self._send_stop()
            self._until_ended(END)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._until_ended(END)

    def _judge(self, arguments: tuple[str, ...]) -> int:
        code = self._code
        if code == 0:
            return 0
        command = printable("affectkit " + " ".join(arguments))  # submitit logs what is raised, as it is
        if code in STOPPED:
            saved = "What is done is saved" if code == EXIT_RESUMABLE else "What was saved before is intact"
            raise RunError(
                f"{command} was stopped by a signal that did not come as Slurm's warning (scancel, or one sent to the "
                f"process itself), so it was not queued again. {saved} (exit code {code}).",
                f"Resume with: affectkit {printable(' '.join(self.work.arguments(restarted=True)))}",
            )
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        why = "out of memory?" if code == -signal.SIGKILL else MEANING.get(code, "")
        raise RunError(f"{command} {how}{f' ({why})' if why else ''}.", "Its messages stand in the job's log (.err).")


def child_environment(around: Mapping[str, str], environment: Any) -> dict[str, str]:
    """Return the variables of the child: those of the job, and torch's where it has several tasks.

    Args:
        around: the variables of this process; those that a launcher set for torch are dropped.
        environment: submitit's JobEnvironment.
    """
    own = {name: value for name, value in around.items() if name not in TORCH and not name.startswith("TORCHELASTIC_")}
    if environment.num_tasks == 1:
        return own
    from submitit.helpers import TorchDistributedEnvironment

    torch = TorchDistributedEnvironment()
    here = environment.name() == "local"  # the machine's name need not lead to it
    values = (torch.rank, torch.world_size, torch.local_rank, torch.local_world_size)
    values += ("127.0.0.1" if here else torch.master_addr, torch.master_port)
    return own | {name: str(value) for name, value in zip(TORCH, values, strict=True)}


def _restarts(environment: Any) -> int:
    """Return how often Slurm itself has started the job again."""
    text = os.environ.get("SLURM_RESTART_COUNT", "") if environment.name() == "slurm" else ""
    return int(text) if text.isdigit() else 0


def _warning() -> signal.Signals:
    """Return the signal that warns submitit that time is up."""
    return getattr(signal, "SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2"))


def _bind(parent: int) -> None:
    """Prepare the child, before it becomes affectkit, to end with ``parent`` and to survive a warning meant for it."""
    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(EXIT_TERMINATED)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
