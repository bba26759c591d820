from __future__ import annotations

import json
import os

import pytest
import torch

from affectkit.core import files
from affectkit.errors import RunError
from affectkit.training.resume_state import newest_state, save_state, states

TREE = {
    "position": {"epoch": 2, "best": None, "history": [{"loss": 0.5, "note": "ö"}], "rate": 1e-7},
    "optimizer": {
        "state": {0: {"exp_avg": torch.arange(3.0), "step": torch.tensor(4.0)}},
        "groups": [{"betas": (0.9, 0.99)}],
    },
    "flags": [True, False, 3],
    "half": torch.ones(2, dtype=torch.bfloat16),
}


def load_state(folder):
    path, tree, skipped = newest_state(folder)
    return tree if path else None, skipped


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


def test_a_state_comes_back_as_it_was(tmp_path):
    save_state(tmp_path, TREE, step=3)
    loaded, skipped = load_state(tmp_path)
    assert same({**TREE}, loaded) and skipped == []


def test_tied_tensors_and_views_are_stored(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_state(tmp_path, {"a": base, "b": base, "t": base.T}, step=1)
    loaded, _ = load_state(tmp_path)
    assert torch.equal(loaded["t"], base.T) and torch.equal(loaded["b"], base)


def test_the_newest_good_state_is_taken_and_the_others_are_named(tmp_path):
    for step in (9, 10, 11):
        save_state(tmp_path, {"step": step}, step=step, keep=3)
    newest = tmp_path / "state-000000011"
    (newest / "values.json").write_text(json.dumps({"dict": []}))
    os.remove(tmp_path / "state-000000010" / "manifest.json")
    loaded, skipped = load_state(tmp_path)
    assert loaded == {"step": 9}
    assert len(skipped) == 2 and "does not match its hash" in skipped[0] and "manifest" in skipped[1]


def test_old_states_go_and_a_failed_save_leaves_the_last_one(tmp_path, monkeypatch):
    for step in range(4):
        save_state(tmp_path, {"step": step}, step=step, keep=2)
    assert [path.name for path in states(tmp_path)] == ["state-000000003", "state-000000002"]
    monkeypatch.setattr(files, "fsync_path", lambda path: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(RunError, match="No space"):
        save_state(tmp_path, {"step": 9}, step=9)
    monkeypatch.undo()
    assert load_state(tmp_path) == ({"step": 3}, [])
    assert sorted(os.listdir(tmp_path)) == ["state-000000002", "state-000000003"]


def test_what_is_no_plain_value_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold a set"):
        save_state(tmp_path, {"x": {1}}, step=0)
    assert load_state(tmp_path) == (None, [])
