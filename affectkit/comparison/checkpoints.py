"""Test checkpoints for a comparison, one after another, as ``affectkit test`` does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from affectkit.comparison.result_folders import repeat_folders
from affectkit.comparison.tested_models import TestedRun
from affectkit.core.progress import Reporter
from affectkit.data.layouts.duplicates import item_contents
from affectkit.evaluation.test import tested_outputs
from affectkit.settings.compare import CompareSettings
from affectkit.settings.evaluation import TestSettings

OWN = {"results", "force", "fail_under", "groups", "cluster"}
"""Settings of the comparison that those of a test are called like."""


def test_checkpoint(source: str, settings: CompareSettings, *, reporter: Reporter) -> tuple[TestedRun, ...]:
    """Test the checkpoint ``source``, or the best model of each repeat in it, on the data of ``settings``.

    Raises:
        AffectkitError: as ``evaluation.test.test``.
    """
    repeats = repeat_folders(Path(source)) if Path(source).is_dir() else []
    return tuple(_tested(str(path), settings, reporter) for path in repeats or [source])


test_checkpoint.__test__ = False  # type: ignore[attr-defined]


def _tested(source: str, settings: CompareSettings, reporter: Reporter) -> TestedRun:
    shared = {entry.name for entry in fields(TestSettings)} & {entry.name for entry in fields(CompareSettings)}
    values = {name: getattr(settings, name) for name in shared - OWN}
    reporter.note(f"testing {source}")
    task, results, summary = tested_outputs(TestSettings(checkpoint=Path(source), **values), reporter=reporter)
    content = item_contents(results.split, reporter=reporter)
    metrics = {name: float(value) for name, value in summary["metrics"].items()}
    return TestedRun(source, task, results, np.asarray(content), metrics, summary["data_fingerprint"])
