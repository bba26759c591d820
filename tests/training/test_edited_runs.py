"""Run folders, states and sweeps that others handed on: what has another form is named, and no link is followed."""

from __future__ import annotations

import json

import pytest
import torch

from affectkit.core.files import sha256
from affectkit.core.progress import Silent
from affectkit.errors import AffectkitError, CheckpointError, DataError
from affectkit.robustness.record import SweepRecord
from affectkit.training.checkpointing import Checkpointer
from affectkit.training.resume_state import newest_state, save_state
from affectkit.training.run_folder import RunFolder

POSITION = {"epoch": 1, "batch": 0, "step": 4, "loss_sum": 0.5, "best": None, "history": [{"loss": 1.0}]}
STATE = {"position": POSITION, "plateau": {"best": float("inf"), "waited": 0, "reductions": 0}, "data": ["a", "b"],
         "processes": 1, "device": "cpu", "encoder": ""}  # fmt: skip
METRICS = {"best_epoch": 1, "seed": 0, "valid": {"loss": 0.5}, "skipped": []}


def refused(error, words, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    assert words in caught.value.message and caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("null", "must be an object, got null"),
        ("{}", "state is missing"),
        ('{"state": 3}', "state must be text, got 3"),
    ],
)
def test_a_status_of_another_form_is_named(tmp_path, text, words):
    run = RunFolder(tmp_path)
    run.status_file.write_text(text)
    assert str(run.status_file) in refused(DataError, words, run.status)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"valid": []}, "valid must be an object, got a list of 0"),
        ({"valid": {"loss": "low"}}, "valid.loss must be a finite number, got 'low'"),
        ({"skipped": [{"image": 3, "reason": ""}]}, "skipped[0].image must be text, got 3"),
        ({"best_epoch": None}, "best_epoch must be a count, got null"),
    ],
)
def test_metrics_of_another_form_are_named(tmp_path, change, words):
    run = RunFolder(tmp_path)
    run.metrics.write_text(json.dumps(METRICS))
    assert run.read_metrics() == METRICS
    run.metrics.write_text(json.dumps({**METRICS, **change}))
    assert str(run.metrics) in refused(DataError, words, run.read_metrics)


@pytest.mark.parametrize("name", ["state", "events", "plots", "valid", "test", "epochs"])
def test_no_folder_of_a_run_may_be_a_link(tmp_path, name):
    run = RunFolder(tmp_path / "run")
    run.root.mkdir()
    run.refuse_links()
    (tmp_path / "elsewhere").mkdir()
    (run.root / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    refused(DataError, "elsewhere; nothing was touched", run.refuse_links)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "values.json must be a value, tensor, list or dict of a state, got a list of 0"),
        ({"dict": [["a", {"value": {}}]]}, "values.json.a must be"),
        ({"dict": [["a", {"list": [{"value": 1}, {"tensor": "9"}]}]]}, "values.json.a[1] must be"),
        ({"dict": [["a", {"exec": "rm"}]]}, "values.json.a must be"),
        ({"dict": [[["a"], {"value": 1}]]}, "values.json must be"),
        ({"dict": [["a"]]}, "values.json must be"),
        ({"list": 3}, "values.json must be"),
    ],
)
def test_a_state_that_was_edited_with_its_hash_is_passed_over_by_place(tmp_path, values, words):
    save_state(tmp_path, {"a": torch.zeros(2)}, step=1)
    folder = save_state(tmp_path, {"a": torch.zeros(2)}, step=2)
    (folder / "values.json").write_text(json.dumps(values))
    record = json.loads((folder / "manifest.json").read_text())
    record["sha256"]["values.json"] = sha256(folder / "values.json")
    (folder / "manifest.json").write_text(json.dumps(record))
    path, tree, skipped = newest_state(tmp_path)
    assert path.name == "state-000000001" and torch.equal(tree["a"], torch.zeros(2))
    assert len(skipped) == 1 and words in skipped[0]


def test_a_state_that_is_a_link_is_passed_over(tmp_path):
    save_state(tmp_path / "own", {"a": 1}, step=1)
    other = save_state(tmp_path / "other", {"a": 2}, step=2)
    (tmp_path / "own" / other.name).symlink_to(other, target_is_directory=True)
    path, tree, skipped = newest_state(tmp_path / "own")
    assert tree == {"a": 1} and "is a link" in skipped[0] and path.name == "state-000000001"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": {**POSITION, "epoch": "1"}}, "position.epoch must be a count, got '1'"),
        ({"position": {**POSITION, "history": {}}}, "position.history must be a list, got an object of 0"),
        ({"plateau": None}, "plateau must be an object, got null"),
        ({"data": "a"}, "data must be a list, got 'a'"),
        ({"processes": None}, "processes must be a count, got null"),
    ],
)
def test_a_state_of_another_form_is_not_resumed_from(tmp_path, change, words):
    checkpointer = Checkpointer.__new__(Checkpointer)
    checkpointer.run = RunFolder(tmp_path)
    refused(CheckpointError, words, checkpointer.restore, {**STATE, **change}, Silent())


ROW = {"corruption": "fog", "severity": 1, "images": 4, "metrics": {"accuracy": 0.5}}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "it must be an object, got null"),
        ({"rows": {}}, "rows must be a list, got an object of 0"),
        ({"rows": [{**ROW, "severity": "1"}]}, "rows[0].severity must be a count, got '1'"),
        ({"rows": [ROW, {**ROW, "metrics": None}]}, "rows[1].metrics must be an object, got null"),
        (
            {"rows": [{**ROW, "metrics": {"accuracy": "1"}}]},
            "rows[0].metrics.accuracy must be a finite number, got '1'",
        ),
        ({"rows": [], "skipped": [3]}, "skipped[0] must be an object, got 3"),
    ],
)
def test_a_sweep_of_another_form_is_named(tmp_path, record, words):
    found = SweepRecord(tmp_path, {})
    found.path.write_text(json.dumps({"rows": [ROW]}))
    assert found.read(force=False) == ([ROW], [])
    found.path.write_text(json.dumps(record))
    assert str(found.path) in refused(AffectkitError, words, lambda: found.read(force=False))
