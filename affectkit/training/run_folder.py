"""The folder of a run: its files, its records, its lock."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from affectkit.config import dump_yaml
from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import read_json, write_json, write_text
from affectkit.core.folder_lock import Output, locked
from affectkit.core.forms import Count
from affectkit.core.limits import MAX_RECORD_NODES
from affectkit.core.missing_paths import instead_of
from affectkit.core.progress import Reporter
from affectkit.core.text import list_some
from affectkit.core.yaml_files import load_yaml
from affectkit.errors import CheckpointError

SKIPPED_FORM = {"image": str, "reason": str}
METRICS_FORM = {
    "best_epoch": Count, "seed": int, "valid": dict[str, float | None], "test?": dict[str, float | None],
    "skipped": list[SKIPPED_FORM],
}  # fmt: skip
"""What stands in ``metrics.json`` of a run that is done; see ``core.forms``."""
FOLD_FILES = ("folds.csv", "fold_items.csv", "fold_metrics.csv")
"""Tables of a cross-validation: counts of each fold, the fold of each item, metrics of each fold."""
OF_REPEATS = ("repeats.csv", "repeats_quantiles.csv")
"""Tables of a folder with repeats."""


class RunFolder:
    """Paths and records of a training run.

    ``config.yaml``: settings, versions, data. ``history.csv``: one row per epoch, the same for the same seed.
    ``timing.csv``: seconds and images per second an epoch. ``metrics.json``: validation metrics of the best epoch.
    ``best.safetensors``, ``last.safetensors``: checkpoints. ``state/``: what resuming needs. ``events/``: TensorBoard.
    ``plots/``: pictures. ``valid/``: tables of the best epoch on validation data. ``test/``: tables and pictures of the
    best epoch on test data, where there are some.
    ``epochs/``: the checkpoint of each epoch, where they are kept. ``status.json``: running, stopped or done.
    ``fold-1/``, ... are runs of a cross-validation, ``out_of_fold/`` is what they give together.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.yaml"
        self.history = root / "history.csv"
        self.timing = root / "timing.csv"
        self.metrics = root / "metrics.json"
        self.best = root / "best.safetensors"
        self.last = root / "last.safetensors"
        self.state = root / "state"
        self.events = root / "events"
        self.plots = root / "plots"
        self.valid = root / "valid"
        self.test = root / "test"
        self.epochs = root / "epochs"
        self.status_file = root / "status.json"

    def write_config(self, record: dict[str, Any]) -> None:
        """Record the resolved settings and what they met."""
        write_text(self.config, dump_yaml(record))

    def read_config(self) -> dict[str, Any]:
        """Read what ``write_config`` recorded; a CheckpointError where the folder is not a run."""
        if not self.config.is_file():
            if not self.root.exists():
                hint = instead_of(self.root, advice="Name a folder that affectkit train made.")
                raise CheckpointError(f"the run folder {self.root} does not exist.", hint)
            raise CheckpointError(f"{self.root} is not a run folder: it has no config.yaml.", self._runs_nearby())
        record = load_yaml(self.config.read_text(encoding="utf-8"), str(self.config), nodes=MAX_RECORD_NODES)
        if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
            raise CheckpointError(f"{self.config} has no settings.")
        return record

    def _runs_nearby(self) -> str:
        """Return the next step where the folder is no run: those in it, or the one that it is a file of."""
        if self.root.is_file() and (self.root.parent / self.config.name).is_file():
            return f"Did you mean {self.root.parent}?"
        inside = sorted(path.parent for path in self.root.glob(f"*/{self.config.name}"))
        if inside:
            return f"Name one of what it holds: {list_some(inside, 5)}."
        return "Name a folder that affectkit train made."

    def status(self) -> dict[str, Any]:
        """Read the last status written; empty where there is none."""
        if not self.status_file.is_file():
            return {}
        hint = f"Remove it: affectkit train --resume {self.root} continues from the newest state."
        return read_json(self.status_file, {"state": str}, hint=hint)

    def read_metrics(self) -> dict[str, Any]:
        """Read the metrics of a run that is done."""
        hint = f"Remove {self.status_file}: affectkit train --resume {self.root} then evaluates the best epoch again."
        return read_json(self.metrics, METRICS_FORM, hint=hint)

    def refuse_links(self) -> None:
        """Refuse a run whose inner folders are links: states and pictures would be written, and removed, elsewhere.

        Raises:
            DataError: one is.
        """
        for folder in (self.state, self.events, self.plots, self.valid, self.test, self.epochs):
            refuse_link(folder, "the folder")

    def write_status(self, state: str, **details: Any) -> None:
        """Write ``running``, ``stopped``, ``failed`` or ``done``, with details."""
        write_json(self.status_file, {"state": state, **details})

    def clear(self) -> None:
        """Remove what an earlier run left, the status first; other files in the folder stay."""
        files = (self.status_file, self.best, self.last, self.history, self.timing, self.metrics, self.config)
        for path in (*files, *(self.root / name for name in (*FOLD_FILES, *OF_REPEATS))):
            path.unlink(missing_ok=True)
        for folder in (
            self.state,
            self.events,
            self.plots,
            self.valid,
            self.test,
            self.epochs,
            self.root / "out_of_fold",
            *self.root.glob("repeat-*"),
            *self.root.glob("fold-*"),
        ):
            shutil.rmtree(folder, ignore_errors=True)

    def locked(self, reporter: Reporter | None = None) -> contextlib.AbstractContextManager[None]:
        """Lock the folder for one process, until what this returns is left; see ``core.folder_lock``."""
        return locked(Output(self.root), reporter=reporter)
