"""outputs.safetensors: metrics come back to the last bit; damage and edited tables are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import CLASSES

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.duplicates import TAIL, WHOLE, item_contents
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.evaluation.outputs import write_tables
from affectkit.evaluation.recorded_outputs import FILE, read_outputs
from affectkit.tasks import make_task
from affectkit.tasks.base import Results

KINDS = ("classification", "distribution", "ratings")


def make_results(root, kind, *, count=30, seed=0):
    """A task and results of ``count`` files in ``root`` with random outputs."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    ids = [f"ä {k}.png" if k % 2 else f"\udcff{k}.png" for k in range(count)]
    for name in ids:
        (root / name).write_bytes(rng.bytes(50))
    names = ("arousal", "valence") if kind == "ratings" else CLASSES
    spec = InputSpec(kind, 8, 8, classes=names, temperature=1.0 if kind == "ratings" else 0.7)
    task = make_task(spec, {"scale": [1, 9]} if kind == "ratings" else {})
    outputs = rng.normal(0, 9, (count, len(names))).astype(np.float32)
    votes = rng.multinomial(10, np.full(len(names), 1 / len(names)), count).astype(np.float32)
    known = {
        "classification": {"labels": rng.integers(0, len(names), count), "votes": votes},
        "distribution": {"distribution": votes / 10, "votes": votes},
        "ratings": {"ratings": rng.uniform(1, 9, (count, 2)), "scale": (1.0, 9.0)},
    }[kind]
    split = Split("test", root, ids, names, **known)
    fields = {name: values.numpy() for name, values in task.targets(split).items()}
    return task, Results(split, outputs, fields)


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_come_back_to_the_last_bit(tmp_path, kind):
    task, results = make_results(tmp_path / "data", kind)
    write_tables(tmp_path / "r", task, results, samples="test_results.csv", reporter=Silent())
    found = read_outputs(tmp_path / "r")
    assert found.task.metrics(found.results) == task.metrics(results)
    assert found.results.split.ids == results.split.ids
    assert found.task.spec == task.spec
    assert len({row.tobytes() for row in found.content}) == len(results.split)
    write_tables(tmp_path / "again", task, results, samples="test_results.csv", reporter=Silent())
    assert (tmp_path / "again" / FILE).read_bytes() == (tmp_path / "r" / FILE).read_bytes()
    assert read_outputs(tmp_path / "data") is None


def changed(path, change):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        record = json.loads(opened.metadata()["affectkit"])
    arrays = load_file(path)
    change(arrays, record)
    save_file(arrays, path, metadata={"affectkit": json.dumps(record)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays, record: arrays.pop("outputs"), "damaged"),
        (lambda arrays, record: arrays.update(outputs=arrays["outputs"][:3]), r"outputs has the shape \(3, 3\)"),
        (lambda arrays, record: arrays.update(label=arrays["label"] + 9), "no class"),
        (lambda arrays, record: arrays.update(content=arrays["content"][:, :3]), "content"),
        (lambda arrays, record: arrays.update(names=arrays["names"][:1]), "damaged"),
        (lambda arrays, record: record.update(format=9), "format 9"),
        (lambda arrays, record: record.pop("spec"), "spec is missing"),
        (lambda arrays, record: record["spec"].update(task="dancing"), "'dancing' is not known"),
    ],
)
def test_damage_is_named(tmp_path, change, words):
    task, results = make_results(tmp_path / "data", "classification")
    write_tables(tmp_path / "r", task, results, samples="test_results.csv", reporter=Silent())
    changed(tmp_path / "r" / FILE, change)
    with pytest.raises(DataError, match=words):
        read_outputs(tmp_path / "r")


def test_an_edited_table_or_a_cut_file_is_refused(tmp_path):
    task, results = make_results(tmp_path / "data", "classification")
    write_tables(tmp_path / "r", task, results, samples="test_results.csv", reporter=Silent())
    table, file = tmp_path / "r" / "test_results.csv", tmp_path / "r" / FILE
    text = table.read_text()
    table.write_text(text.replace("anger", "fear", 1))
    with pytest.raises(DataError, match="has changed since"):
        read_outputs(tmp_path / "r")
    table.unlink()
    with pytest.raises(DataError, match="is gone"):
        read_outputs(tmp_path / "r")
    table.write_text(text)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(DataError, match="cannot read"):
        read_outputs(tmp_path / "r")


def test_content_is_that_of_the_bytes(tmp_path):
    same = b"a" * (WHOLE + TAIL)
    for name, data in {"a": b"x", "b": b"x", "c": b"y", "d": same, "e": b"b" + same[1:-1] + b"b"}.items():
        (tmp_path / name).write_bytes(data)
    split = Split("test", tmp_path, [*"abcde", "gone"], ("one",), labels=np.zeros(6, np.int64))
    found = [row.tobytes() for row in item_contents(split, reporter=Silent())]
    assert found[0] == found[1] and len(set(found)) == 5 and found[5] == bytes(16)
