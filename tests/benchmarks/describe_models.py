"""The tables of a model card: models on both validation halves, and under changes of the images.

    PYTHONPATH=tests python -m benchmarks.describe_models first=affectkit:ferplus-small-1 second=builtin \
        --shares data/ferplus --labels data/ferplus-majority --output tables

``--shares`` and ``--labels`` are ``affectkit prep ferplus`` with ``--target distribution`` and ``--target majority``.
Each model is tested once for each change, on the whole validation split, and the halves are taken of its outputs
(``data.halves``). Tables are printed as Markdown; ``--output`` keeps them, and every number in ``numbers.json``.
A model whose numbers an earlier call left there is not measured again; ``--processes`` measures changes side by side.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.corruptions.registry import GROUPS, SEVERITIES
from affectkit.data.halves import in_first_half
from affectkit.evaluation.test import tested_outputs
from affectkit.settings.evaluation import TestSettings
from affectkit.statistics.exact import clopper_pearson
from affectkit.tasks.base import Results, Task

HALVES = ("first", "second")
FRAMINGS = ("0.75", "0.85", "0.95", "1.05", "1.15", "1.25")
TILTS = ("4", "8", "12", "16", "20")
CHANGES = ("mirror", *(f"framing={level}" for level in FRAMINGS), *(f"tilt={angle}" for angle in TILTS))
LABELLED = ("top1", "balanced_accuracy", "ece_top1", "brier")
SHARED = ("kl", "top1")

Numbers = dict[str, Any]


def tested(model: str, data: Path, corrupt: str | None = None) -> tuple[Task, Results]:
    """Test ``model`` on the whole validation split of ``data``, its images changed by ``corrupt``."""
    flags = {"checkpoint": Path(model), "data": data, "split": "valid", "corrupt": corrupt}
    settings = resolve(TestSettings, flags={name: value for name, value in flags.items() if value is not None}).settings
    task, results, _ = tested_outputs(settings, reporter=Silent())
    return task, results


def halves(results: Results) -> Iterator[tuple[str, Results]]:
    """Yield each half by name."""
    first = in_first_half(results.split.ids)
    for name, rows in zip(HALVES, (first, ~first), strict=True):
        fields = {key: values[rows] for key, values in results.fields.items()}
        yield name, Results(results.split.select(rows), results.outputs[rows], fields)


def recalls(task: Task, results: Results) -> Numbers:
    """Return the recall of each class with its exact interval, and how many images it has."""
    right, top = task.judged(results)[1], results.split.top()
    found = {}
    for number, name in enumerate(results.split.classes):
        rows = top == number
        hits, count = int(right[rows].sum()), int(rows.sum())
        interval = list(clopper_pearson(hits, count)) if count else []
        found[name] = {"right": hits, "images": count, "interval": interval}
    return found


def overtold(task: Task, results: Results, name: str = "happiness", at_least: float = 0.5) -> dict[str, Numbers]:
    """Return of how many faces with other labels ``name`` is told, and of how many with a share of ``at_least``."""
    p = task.probabilities(results)
    number = results.split.classes.index(name)
    others = results.split.top() != number
    told = others & (p.argmax(1) == number)
    counts = {f"{name} told of others": told, f"the same with {at_least} and more": told & (p[:, number] >= at_least)}
    images = int(others.sum())
    return {
        what: {"right": int(rows.sum()), "images": images, "interval": list(clopper_pearson(int(rows.sum()), images))}
        for what, rows in counts.items()
    }


def changed(model: str, labels: Path, change: str) -> dict[str, list[float]]:
    """Measure one model under one change: ``{half: [accuracy, KL, calibration error]}``."""
    task, results = tested(model, labels, change)
    found = {}
    for name, half in halves(results):
        metrics = task.metrics(half)
        found[name] = [float(metrics[key]) for key in ("top1", "kl", "ece_top1")]
    print(f"{model}: {change}", flush=True)
    return found


def numbers(model: str, shares: Path, labels: Path, *, corruptions: bool, processes: int = 1) -> Numbers:
    """Measure one model: ``{half: {"labels": ..., "shares": ..., "recall": ..., "changes": {change: accuracy}}}``."""
    found: Numbers = {name: {"changes": {}} for name in HALVES}
    for kind, data, names in (("labels", labels, LABELLED), ("shares", shares, SHARED)):
        task, results = tested(model, data)
        for name, half in halves(results):
            metrics, bounds = task.metrics(half), task.intervals(half)
            found[name][kind] = {key: [float(metrics[key]), *bounds.get(key, ())] for key in names}
            found[name][f"{kind}_images"] = len(half.split)
            if kind == "labels":
                found[name]["recall"] = recalls(task, half)
                found[name]["overtold"] = overtold(task, half)
    severities = [f"{name}:{severity}" for name in GROUPS["benchmark"] for severity in SEVERITIES]
    changes = (*CHANGES, *(severities if corruptions else ()))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        measured = pool.map(changed, [model] * len(changes), [labels] * len(changes), changes)
        for change, both in zip(changes, measured, strict=True):
            for name in HALVES:
                found[name]["changes"][change] = both[name]
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: Sequence[float], *, percent: bool) -> str:
    """Return a value with its interval where it has one."""
    unit = 100 if percent else 1
    texts = [f"{number * unit:.{1 if percent else 4}f}" for number in value]
    return texts[0] + (f" ({texts[1]} to {texts[2]})" if len(texts) == 3 else "")


def tables(found: dict[str, Numbers]) -> str:
    """Return all tables: a column for each model and half."""
    columns = [(model, half) for model in found for half in HALVES]
    head = ["", *(f"{model}, {half} half" for model, half in columns)]
    rows = []
    for kind, names in (("labels", LABELLED), ("shares", SHARED)):
        counts = [f"{found[model][half][f'{kind}_images']:,}" for model, half in columns]
        rows.append([f"images ({'majority' if kind == 'labels' else 'distributions'})", *counts])
        for name in names:
            values = [found[model][half][kind][name] for model, half in columns]
            rows.append([name, *(shown(value, percent=name not in ("kl", "brier")) for value in values)])
    for kind, words in (("recall", "recall of "), ("overtold", "")):
        for name in found[columns[0][0]]["first"][kind]:
            cells = []
            for model, half in columns:
                one = found[model][half][kind][name]
                share = one["right"] / one["images"] if one["images"] else float("nan")
                cells.append(f"{one['right']} of {one['images']}: {shown([share, *one['interval']], percent=True)}")
            rows.append([f"{words}{name}", *cells])
    changes = found[columns[0][0]]["first"]["changes"]

    def accuracy(model: str, half: str, change: str) -> float:
        return found[model][half]["changes"][change][0]

    for change in CHANGES:
        rows.append([f"accuracy, {change}", *(f"{accuracy(*column, change) * 100:.1f}" for column in columns)])
    groups = [name for name in GROUPS["benchmark"] if f"{name}:1" in changes]
    means = {
        name: [np.mean([accuracy(*column, f"{name}:{level}") for level in SEVERITIES]) for column in columns]
        for name in groups
    }
    rows += [[f"accuracy, {name}", *(f"{value * 100:.1f}" for value in values)] for name, values in means.items()]
    if means:
        whole = np.mean([*means.values()], axis=0)
        rows.append(["accuracy, mean of the fifteen", *(f"{value * 100:.1f}" for value in whole)])
    return table(head, rows)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--shares", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--no-corruptions", action="store_true", help="leave the fifteen corruptions out")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    pairs = [text.partition("=")[::2] for text in given.models]
    kept = given.output / "numbers.json" if given.output is not None else None
    known = json.loads(kept.read_text()) if kept is not None and kept.is_file() else {}
    found: dict[str, Numbers] = {}
    for name, path in pairs:
        options = {"corruptions": not given.no_corruptions, "processes": given.processes}
        found[name] = known[name] if name in known else numbers(path, given.shares, given.labels, **options)
        if kept is not None:  # after each model: a call that was stopped has not measured in vain
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({**known, **found}, indent=1) + "\n")
    text = tables(found)
    print(text)
    if given.output is not None:
        (given.output / "tables.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
