"""Comparing two models on 100,000 items with 10,000 resamples, against a plain loop with scikit-learn's metrics.

The loop resamples the items, and computes accuracy, balanced accuracy and macro F1 of both models on each resample; it
is timed over a few resamples, and its time multiplied. Ours draws 10,000 bootstrap resamples and 10,000 swaps of the
permutation tests; the whole command is timed too, from reading both folders to the table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from comparison.tested_folders import model_of, write_folder
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from affectkit.statistics.paired import differences

pytestmark = pytest.mark.benchmark

ITEMS = int(os.environ.get("AFFECTKIT_ITEMS", "100000"))
DRAWS, TIMED = 10_000, 8
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[tuple[Path, object, object]]:
    root = tmp_path_factory.mktemp("many")
    names = [f"images/{k:06}.png" for k in range(ITEMS)]
    found = []
    for name, skill, seed in (("a", 1.0, 1), ("b", 1.02, 2)):
        task, results = model_of(root / "data", names, skill=skill, seed=seed, classes=CLASSES)
        found.append((write_folder(root / name, task, results, files=False), task, results))
    return found


def plain_loop(truth: np.ndarray, a: np.ndarray, b: np.ndarray, draws: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = np.empty((draws, 3))
    for draw in range(draws):
        rows = rng.integers(0, len(truth), len(truth))
        own = [
            (
                accuracy_score(truth[rows], predicted[rows]),
                balanced_accuracy_score(truth[rows], predicted[rows]),
                f1_score(truth[rows], predicted[rows], average="macro"),
            )
            for predicted in (a, b)
        ]
        found[draw] = np.subtract(own[1], own[0])
    return found


def test_a_twentieth_of_the_time_of_a_plain_loop(folders):
    truth = folders[0][2].split.labels
    a, b = (results.outputs.argmax(1) for _, _, results in folders)
    began = time.perf_counter()
    plain_loop(truth, a, b, TIMED)
    loop = (time.perf_counter() - began) / TIMED * DRAWS
    measures = [{one.name: one for one in task.measures(results)} for _, task, results in folders]
    pairs = [(measures[1][name], measures[0][name]) for name in METRICS]
    began = time.perf_counter()
    found = differences(pairs, draws=DRAWS, method="percentile")
    ours = time.perf_counter() - began
    began = time.perf_counter()
    words = [sys.executable, "-m", "affectkit", "compare", *(str(folder) for folder, _, _ in folders), "--metrics"]
    done = subprocess.run([*words, ",".join(METRICS)], capture_output=True, text=True)
    whole = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    print(
        f"\n{ITEMS:,} items, {DRAWS:,} resamples: plain loop {loop:,.0f} s (from {TIMED} of them), ours {ours:.2f} s, "
        f"1/{loop / ours:,.0f}; the whole command {whole:.1f} s, 1/{loop / whole:,.0f}"
    )
    assert ours <= loop / 20 and whole <= loop / 20
    # The same numbers: values to the last digits, ends of intervals to what resamples of either vary by.
    assert found[0].difference == pytest.approx(accuracy_score(truth, b) - accuracy_score(truth, a))
    if ITEMS <= 5000:
        loop_ends = np.quantile(plain_loop(truth, a, b, 400), (0.025, 0.975), axis=0).T
        for one, (low, high) in zip(found, loop_ends, strict=True):
            assert one.low == pytest.approx(low, abs=0.15 * (high - low))
            assert one.high == pytest.approx(high, abs=0.15 * (high - low))
