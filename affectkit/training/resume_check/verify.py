"""Check that a run with given settings repeats and resumes to the last bit, on a small part of the user's data.

Three short runs: one uninterrupted, the same again, and one that is killed twice with SIGKILL and resumed, each in
processes of its own. Their histories, weights and metrics must be the same bytes. Where they are not, the cause is
searched for: kernels that are not deterministic, or the option without which the resume is exact.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

from affectkit import errors
from affectkit.config import Parsed, option_name
from affectkit.core.files import fresh_folder, sha256
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import count_text
from affectkit.errors import AffectkitError, RunError, UsageError
from affectkit.runtime.device import resolve_device
from affectkit.runtime.distributed import current_group, launched_processes
from affectkit.settings.training import TrainSettings
from affectkit.settings.values import Interval
from affectkit.training.data_setup import set_up_data
from affectkit.training.resume_check.killed_run import TRAINER, ShortRun, run_process
from affectkit.training.resume_check.report import EPOCHS, FILES, ResumeReport, differ, difference
from affectkit.training.run import absolute
from affectkit.training.run_folder import RunFolder

NEUTRAL: dict[str, Any] = {
    "compile": False, "precision": "fp32", "workers": 0, "augment": "none", "finish_augment": None, "finish_epochs": 0,
    "start_size": None, "draw_labels": False, "mixup": 0.0, "cutmix": 0.0, "sampling": Parsed("uniform", 0.0),
    "label_smoothing": 0.0, "class_weights": "none", "top": "linear", "dropout": 0.0, "ema": 0.0, "accumulate": 1,
    "clip_norm": None, "sam": 0.0, "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant",
    "warmup": 0.0, "cycles": 1, "cycle_decay": 1.0, "init": None, "pretrained": False, "tune": "all", "early_stop": 0,
    "calibrate": "none", "abstain": None,
}  # fmt: skip
"""The value with which each option has no part in a run; those that differ are suspected, in this order."""
BOUND = {"schedule": "cycles", "finish_epochs": "finish_augment"}
"""Options without which another one is refused: it goes with them."""


def verify(
    settings: TrainSettings,
    *,
    steps: int = 6,
    images: int | None = None,
    keep: Path | None = None,
    reporter: Reporter,
    trainer: str = TRAINER,
    start: str = "spawn",
) -> ResumeReport:
    """Check the resume of a run with ``settings``.

    Args:
        settings: of the user's run.
        steps: optimizer steps of each run; an even number is made of it.
        images: at most so many training images.
        keep: a new folder that the three runs stay in; None: a temporary one.
        reporter: of progress.
        trainer: ``module:Class``, a subclass of ``killed_run.KilledRun``.
        start: how processes are started; a forked one takes one thread, since those of its parent do not come with it.

    Raises:
        UsageError: there are too few images for so many steps, or this process is one of several.
    """
    if launched_processes() > 1:
        raise UsageError("verify-resume starts its own processes, one at a time.", "Start it without torchrun.")
    if keep is not None:
        fresh_folder(keep, name="--keep-files")
    available = count_images(settings)
    _, short = shorten(absolute(settings), available, steps=steps, images=images, reporter=reporter)
    short = replace(
        short, trainer=trainer, threads=1 if start == "fork" else None, decoders=multiprocessing.get_start_method()
    )
    per_epoch = short.train // (short.settings.batch_size * short.settings.accumulate)
    with tempfile.TemporaryDirectory(prefix="affectkit-verify-") as temporary:
        harness = Harness(short, [2, per_epoch + 2], keep or Path(temporary), start=start, reporter=reporter)
        return harness.compare_runs()


def count_images(settings: TrainSettings) -> tuple[int, int]:
    """Count the training and validation images of a run with ``settings``."""
    data = set_up_data(settings, group=current_group(), reporter=Silent())
    return len(data.train), len(data.valid)


def shorten(
    settings: TrainSettings, available: tuple[int, int], *, steps: int, images: int | None, reporter: Reporter
) -> tuple[TrainSettings, ShortRun]:
    """Shorten ``settings`` to two epochs with ``steps`` optimizer steps in all, in which every schedule moves."""
    per_epoch = max(-(-steps // EPOCHS), 2)
    batches = per_epoch * settings.accumulate
    limit = min(available[0], available[0] if images is None else images)
    size = min(settings.batch_size, limit // batches)
    if size < min(2, settings.batch_size):
        raise UsageError(
            f"{limit:,} training images are too few for {batches} batches in each of {EPOCHS} epochs.",
            "Lower --accumulate or --steps (4 at least)" + (", or raise --max-images." if images is not None else "."),
        )
    if size < settings.batch_size:
        reporter.note(f"batches of {count_text(size, 'image')} instead of {settings.batch_size}, of {limit:,} in all")
    short = replace(
        settings,
        **{"epochs": EPOCHS, "batch_size": size, "repeat": 1, "track": "none", "resume": None, "force": False},
        **{"checkpoint_every": Parsed("1", Interval(1, 0.0)), "keep": 2, "cache": "none"},
        **{"warmup": min(settings.warmup, 1.0), "step_size": 1, "lr_patience": 0},
        cycles=1 if settings.warmup else min(settings.cycles, EPOCHS),
        finish_epochs=min(settings.finish_epochs, EPOCHS - 1),  # so that an epoch of either kind is seen
        milestones=(1,) if settings.milestones else (),
    )
    valid = min(available[1], 2 * max(size, 2))
    return short, ShortRun(short, Path(), size * batches, valid, cache=settings.cache, workers=settings.workers)


class Harness:
    """Makes runs of ``short`` in folders under ``root``, one of them killed after the optimizer steps ``kills``."""

    def __init__(self, short: ShortRun, kills: Sequence[int], root: Path, *, start: str, reporter: Reporter) -> None:
        self.short, self.kills, self.root, self.reporter = short, list(kills), root, reporter
        self._context = multiprocessing.get_context(start)
        self._trials = 0

    def compare_runs(self) -> ResumeReport:
        """Make the three runs and, where they differ, search for the cause."""
        short = self.short
        whole, again, resumed = (self.root / name for name in ("uninterrupted", "again", "resumed"))
        self.reporter.start("resume check", 2 + len(self.kills) + 1, "processes")
        for text in self._run(short, whole)["warnings"]:
            self.reporter.warn(text)
        self._run(short, again)
        self._run_killed(short, resumed)
        self.reporter.finish()
        report = ResumeReport(
            device=RunFolder(whole).read_config()["place"]["device"],
            short={
                "epochs": EPOCHS,
                "steps": EPOCHS * short.train // (short.settings.batch_size * short.settings.accumulate),
                "batch_size": short.settings.batch_size,
                "train_images": short.train,
                "valid_images": short.valid,
            },
            killed_after=self.kills,
            again={name: difference(whole / name, again / name) for name in FILES},
            resumed={name: difference(whole / name, resumed / name) for name in FILES},
            hashes={name: sha256(whole / name) for name in FILES},
        )
        if not report.exact:
            self._explain(report)
        return report

    def _explain(self, report: ResumeReport) -> None:
        """Find the cause."""
        if resolve_device(self.short.settings.device).kind == "cuda":
            self.reporter.note("the results differ; looking for kernels that are not deterministic")
            report.kernels = self._run(replace(self.short, kernels=True), self.root / "kernels")["kernels"]
            if report.kernels:
                return
        self.reporter.note("the results differ; looking for the option that is the cause")
        self.reporter.start("search", None, "processes")
        broken = self._fails_resumed if report.repeats else self._fails_again
        try:
            report.options, report.searched = find_cause(self.short.settings, broken), True
        except AffectkitError as error:  # what was found so far is worth more than this
            self.reporter.warn(f"the search for the cause ended early: {error.message}")
        self.reporter.finish()

    def _fails_again(self, settings: TrainSettings) -> bool:
        """Return whether a run with ``settings`` does not repeat."""
        one, two = self._trial_folders()
        for root in (one, two):
            self._run(self._with(settings), root)
        return differ(one, two)

    def _fails_resumed(self, settings: TrainSettings) -> bool:
        """Return whether a killed and resumed run with ``settings`` is another than the uninterrupted one."""
        one, two = self._trial_folders()
        self._run(self._with(settings), one)
        self._run_killed(self._with(settings), two)
        return differ(one, two)

    def _with(self, settings: TrainSettings) -> ShortRun:
        """Return the run with other settings, in as many optimizer steps, so that it is killed at the same ones."""
        steps = self.short.train // (self.short.settings.batch_size * self.short.settings.accumulate)
        count = steps * settings.batch_size * settings.accumulate
        return replace(self.short, settings=settings, train=count, workers=settings.workers)

    def _trial_folders(self) -> tuple[Path, Path]:
        self._trials += 1
        return self.root / f"trial-{self._trials}-a", self.root / f"trial-{self._trials}-b"

    def _run_killed(self, short: ShortRun, root: Path) -> None:
        """Make a run that is killed at each of ``kills``, and resumed after each."""
        for step in [*self.kills, None]:
            self._run(replace(short, kill_after=step), root)

    def _run(self, short: ShortRun, root: Path) -> dict[str, Any]:
        """Run one process of a run to its end or its death; return what it sent."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=run_process, args=(replace(short, root=root), sender))
        with _quiet_start():
            process.start()
        sender.close()
        try:
            try:
                answer = json.loads(receiver.recv_bytes())
            except EOFError:
                answer = {}
            process.join()
        finally:  # a Ctrl-C leaves none behind
            if process.is_alive():
                process.kill()
                process.join()
            receiver.close()
        self.reporter.advance()
        if "error" in answer:
            raise getattr(errors, answer["error"], RunError)(answer["message"], answer["hint"])
        if "killed" not in answer and process.exitcode != 0:
            raise RunError(
                f"a process of the check ended with {_ended(process.exitcode)}.", "What it printed stands above."
            )
        if "killed" not in answer and short.kill_after is not None:
            raise RunError(f"the short run ended before its step {short.kill_after}.", "Add --early-stop 0.")
        return answer


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Start processes, while entered, that ignore SIGINT, with an environment that hides what is printed after a kill.

    A Ctrl-C reaches them too, while they import; this process answers it and ends them. multiprocessing's tracker takes
    away the semaphores of killed workers, and would warn that there were some; it starts with the first process, and
    reads its filters from the environment.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def find_cause(settings: TrainSettings, broken: Callable[[TrainSettings], bool]) -> list[str]:
    """Find the options of ``settings`` without which ``broken`` no longer holds, each as a user writes it.

    Options are switched off until it does not hold, and on again by halves: of n options one is found in log2(n)
    trials. Empty where it holds with all of them off.
    """
    entries = {entry.name: entry for entry in fields(settings)}
    suspects = [name for name in NEUTRAL if name in entries and getattr(settings, name) != NEUTRAL[name]]

    def without(names: Sequence[str]) -> TrainSettings:
        more = [bound for name, bound in BOUND.items() if name in names]
        return replace(settings, **{name: NEUTRAL[name] for name in (*names, *more)})

    if broken(without(suspects)):
        return []
    found: list[str] = []
    while not found or broken(without(found)):
        # With none of them on it does not hold, with all it does: so it begins with one, the culprit.
        low, high = 0, len(suspects)
        while high - low > 1:
            middle = (low + high) // 2
            if broken(without([*found, *suspects[middle:]])):
                high = middle
            else:
                low = middle
        found.append(suspects.pop(high - 1))
    return [_written(settings, entries[name]) for name in found]


def _written(settings: TrainSettings, entry: Field[Any]) -> str:
    """Write an option with its value, as on a command line."""
    value = getattr(settings, entry.name)
    name = option_name(entry)
    if value is True:
        return name
    return f"{name} {entry.metadata['default_text'] if value is None else value}"


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"
