"""Result folders of made-up models: outputs whose quality is chosen, written as ``affectkit test`` writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectkit.core.files import write_json
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.evaluation.outputs import write_tables
from affectkit.tasks import make_task
from affectkit.tasks.base import Results

CLASSES = ("anger", "happiness", "sadness", "surprise")


def make_data(root: Path, count: int = 60, *, seed: int = 0, names: Sequence[str] | None = None) -> list[str]:
    """Files of a data set, with contents that differ; their names."""
    rng = np.random.default_rng(seed)
    names = names or [f"images/{k:05}.png" for k in range(count)]
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(20))
    return list(names)


def model_of(
    root: Path,
    names: Sequence[str],
    *,
    kind: str = "classification",
    skill: float = 1.0,
    seed: int = 1,
    truth: int = 0,
    classes: Sequence[str] = CLASSES,
    temperature: float = 1.0,
    options: dict | None = None,
):
    """Task and results of a model on ``names``: the higher the skill, the better; ``truth`` is the targets' seed."""
    of_truth, rng = np.random.default_rng(truth), np.random.default_rng(seed)
    count = len(names)
    if kind == "ratings":
        classes = ("arousal", "valence")
        ratings = of_truth.uniform(1, 9, (count, 2))
        split = Split("test", root, list(names), classes, ratings=ratings, scale=(1.0, 9.0))
        outputs = skill * ratings + (1 - skill) * 5 + rng.normal(0, 1, (count, 2))
        task = make_task(InputSpec(kind, 8, 8, classes=tuple(classes)), {"scale": [1, 9], **(options or {})})
    else:
        latent = of_truth.normal(0, 1, (count, len(classes)))
        votes = of_truth.multinomial(10, np.full(len(classes), 1 / len(classes)), count).astype(np.float32)
        target = {"labels": latent.argmax(1)} if kind == "classification" else {"distribution": votes / 10}
        if kind != "classification":
            latent = votes / 3
        outputs = skill * latent + rng.normal(0, 1, latent.shape)
        task = make_task(InputSpec(kind, 8, 8, classes=tuple(classes), temperature=temperature), options or {})
        split = Split("test", root, list(names), tuple(classes), **target)
    fields = {name: values.numpy() for name, values in task.targets(split).items()}
    return task, Results(split, outputs.astype(np.float32), fields)


def write_folder(folder: Path, task, results, *, older: bool = False, files: bool = True) -> Path:
    """Write what ``affectkit test --results`` does, but for the pictures.

    Args:
        older: as versions did before there were recorded outputs.
        files: whether the items are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, task, results, samples="test_results.csv", reporter=Silent())
    found = {
        "task": task.name, "data": str(results.split.root), "split": "test", "images": len(results.split),
        "data_fingerprint": results.split.fingerprint() if files else "", "classes": list(task.spec.classes),
        "temperature": task.spec.temperature, "metrics": task.metrics(results), "skipped": [],
    }  # fmt: skip
    write_json(folder / "results.json", found)
    if older:
        (folder / "outputs.safetensors").unlink()
    return folder


def two_folders(root: Path, *, count: int = 60, skills: tuple[float, float] = (1.0, 2.0), **options) -> list[Path]:
    """Folders ``a`` and ``b`` of two models on the same data."""
    names = make_data(root / "data", count)
    return [
        write_folder(root / name, *model_of(root / "data", names, skill=skill, seed=seed, **options))
        for name, skill, seed in (("a", skills[0], 1), ("b", skills[1], 2))
    ]


def change_record(folder: Path, **changes) -> None:
    """Change entries of ``results.json``."""
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
