from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import Heard, set_up, settings

import affectkit
from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.training import run as runs
from affectkit.training.distillation import mix_targets

pytestmark = pytest.mark.usefixtures("no_figures")


def test_targets_are_a_mixture_of_both(votes, trained, tmp_path):
    """Against the teacher asked image by image."""
    chosen = settings(votes, tmp_path / "run", task="distribution", teacher=(str(trained),), teacher_share=0.25)
    training = set_up(chosen, reporter=Silent())
    split = training.train
    rows = list(affectkit.predict(affectkit.load(trained), [split.path(k) for k in range(6)], batch_size=2))
    told = np.array([[row[name] for name in training.task.spec.classes] for row in rows])
    found = training.targets(0)["target"][:6].numpy()
    assert found == pytest.approx(0.75 * split.distribution[:6] + 0.25 * told, abs=1e-5)
    two = settings(
        votes, tmp_path / "two", task="distribution", teacher=(str(trained), str(trained)), teacher_share=1.0
    )
    assert set_up(two, reporter=Silent()).targets(3)["target"][:6].numpy() == pytest.approx(told, abs=1e-5)


def test_a_student_learns_from_its_teacher_alone(votes, trained, tmp_path):
    """With all of the targets its teacher's, a student comes close to it, and goes on after a stop."""
    chosen = settings(
        votes, tmp_path / "run", task="distribution", teacher=(str(trained),), teacher_share=1.0, epochs=8, lr=5e-3,
        schedule="cosine", augment="none", dropout=0.0,
    )  # fmt: skip
    runs.train(chosen, reporter=Silent())
    split = set_up(chosen, reporter=Silent()).train
    paths = [split.path(k) for k in range(len(split))]
    told, learnt = (
        np.array([[row[name] for name in split.classes] for row in affectkit.predict(affectkit.load(root), paths)])
        for root in (trained, tmp_path / "run")
    )
    gap = np.abs(told - learnt).sum(1).mean() / 2
    assert gap < 0.6 * np.abs(told - 1 / 3).sum(1).mean() / 2
    heard = Heard()
    runs.train(replace(chosen, resume=tmp_path / "run"), reporter=heard)
    assert any("nothing to do" in note for note in heard.notes)


def test_without_a_teacher_targets_stay():
    targets = {"target": torch.eye(3), "votes": torch.ones(3, 3)}
    assert mix_targets(targets, None, 0.5) is targets
    both = mix_targets(targets, torch.full((3, 3), 1 / 3), 0.5)
    torch.testing.assert_close(both["target"], 0.5 * torch.eye(3) + 1 / 6)
    assert both["votes"] is targets["votes"]


def test_teachers_that_cannot_teach(votes, folders, trained, tmp_path):
    with pytest.raises(UsageError, match="no targets into which"):
        set_up(settings(votes, tmp_path / "a", teacher=(str(trained),), draw_labels=True), reporter=Silent())
    run = tmp_path / "other"
    chosen = settings(folders, run, task="classification", epochs=1)
    runs.train(chosen, reporter=Silent())
    assert (
        set_up(settings(votes, tmp_path / "b", task="distribution", teacher=(str(run),)), reporter=Silent()).soft
        is not None
    )  # the same classes of another task will do
    import shutil

    shutil.copytree(folders, tmp_path / "renamed")
    for split in ("train", "valid", "test"):
        (tmp_path / "renamed" / split / "anger").rename(tmp_path / "renamed" / split / "rage")
    with pytest.raises(UsageError, match="rage"):
        set_up(settings(tmp_path / "renamed", tmp_path / "c", teacher=(str(trained),)), reporter=Silent())
