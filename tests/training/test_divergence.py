"""A training that diverges ends alike in every task: where, at which rate, what to try, what is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from clips import make_cremad, prepare
from support import make_folders, make_ratings, make_votes, settings, vca_settings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.progress import Silent
from affectkit.data.split import Split
from affectkit.errors import RunError
from affectkit.tasks.base import Results
from affectkit.tasks.classification import ClassificationTask
from affectkit.training import run
from affectkit.training.divergence import broken_outputs, diverged
from affectkit.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("no_figures")


def check(error: RunError, root, lr: float) -> None:
    assert error.message.startswith("the training diverged: ")
    assert "epoch 1, " in error.message and "step " in error.message and "learning rate of " in error.message
    assert f"Lower --lr (now {lr:g}; a tenth is {lr / 10:g})" in error.hint and "--clip-norm" in error.hint
    status = json.loads((root / "status.json").read_text())
    assert status["state"] == "failed" and status["reason"] == error.message


@pytest.mark.parametrize("kind", ["classification", "distribution"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_labels_and_distributions(tmp_path, kind, optimizer):
    data = (make_folders if kind == "classification" else make_votes)(tmp_path / "data")
    chosen = settings(data, tmp_path / "run", task=kind, optimizer=optimizer, lr=1e19, epochs=2)
    with pytest.raises(RunError) as caught:
        run.train(chosen, reporter=Silent())
    check(caught.value, tmp_path / "run", 1e19)


def test_ratings(tmp_path):
    data = make_ratings(tmp_path / "data")
    chosen = vca_settings(data, tmp_path / "run", lr=1e30, schedule="constant")
    with pytest.raises(RunError) as caught:
        run.train(chosen, reporter=Silent())
    check(caught.value, tmp_path / "run", 1e30)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    prepare(make_cremad(root / "clone", actors=6, seconds=0.25, size=(240, 180)), root / "data", size=32)
    return root / "data"


def test_clips(tmp_path, clips):
    values = {"model": "cmvqvae", "hidden": 16, "codes": 32, "quantizer": "plain", "image_size": None, "lr": 1e20}
    chosen = settings(clips, tmp_path / "run", optimizer="sgd", augment="none", **values)
    with pytest.raises(RunError) as caught:
        run.train(chosen, reporter=Silent())
    check(caught.value, tmp_path / "run", 1e20)


@pytest.mark.parametrize(("stage", "lr"), [("autoencoder", 1e3), ("autoencoder", 1e20), ("joint", 1e3)])
def test_reconstructions_that_are_not_finite(tmp_path, clips, stage, lr):
    """With one step an epoch the training's own loss is never seen to break."""
    values = {"model": "cmvqvae", "hidden": 16, "codes": 32, "quantizer": "plain", "image_size": None, "stage": stage}
    chosen = settings(
        clips, tmp_path / "run", optimizer="sgd", augment="none", lr=lr, epochs=1, batch_size=99, **values
    )
    with pytest.raises(RunError, match="of 6 of 6 valid items became (infinite|NaN) in epoch 1, ") as caught:
        run.train(chosen, reporter=Silent())
    check(caught.value, tmp_path / "run", lr)
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_a_validation_loss_that_is_not_finite(tmp_path, monkeypatch):
    """Outputs may be finite and a loss of them not; ``best`` and ``last`` are of the epoch before."""
    data = make_folders(tmp_path / "data")
    plain, losses = ClassificationTask.metrics, iter((None, float("inf")))
    monkeypatch.setattr(
        ClassificationTask,
        "metrics",
        lambda self, results: {**plain(self, results), **({"loss": own} if (own := next(losses)) else {})},
    )
    with pytest.raises(RunError, match="the loss on valid became inf in epoch 2, ") as caught:
        run.train(settings(data, tmp_path / "run", task="classification", epochs=3), reporter=Silent())
    assert "The best epoch before, 1, is kept" in caught.value.hint
    assert load_model(tmp_path / "run" / "best.safetensors") and load_model(tmp_path / "run" / "last.safetensors")


def test_outputs_of_a_validation_that_are_not_finite(tmp_path, monkeypatch):
    """Weights can break with the last step of an epoch, whose loss was still finite; the best epoch before is kept."""
    data = make_folders(tmp_path / "data")
    validate = Trainer.validate

    def broken(self, *arguments):
        if self.state.epoch == 1:
            with torch.no_grad():
                next(self.learner.model.parameters()).fill_(float("nan"))
        return validate(self, *arguments)

    monkeypatch.setattr(Trainer, "validate", broken)
    with pytest.raises(RunError, match="the outputs of 12 of 12 valid items became NaN in epoch 2, ") as caught:
        run.train(settings(data, tmp_path / "run", epochs=3), reporter=Silent())
    best = tmp_path / "run" / "best.safetensors"
    assert f"The best epoch before, 1, is kept in {best}" in caught.value.hint
    for name in ("best", "last"):
        model = load_model(tmp_path / "run" / f"{name}.safetensors")
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_items_without_finite_outputs_are_counted():
    split = Split("valid", None, ["a", "b", "c"], ("x", "y"))
    outputs = np.zeros((3, 2), dtype=np.float32)
    assert broken_outputs(Results(split, outputs, {})) == ""
    outputs[1, 0] = np.inf
    assert broken_outputs(Results(split, outputs, {})) == "the outputs of 1 of 3 valid items became infinite"
    outputs[2, 1] = np.nan
    assert broken_outputs(Results(split, outputs, {})) == "the outputs of 2 of 3 valid items became NaN"
    more = {"codes_image": np.zeros((3, 4), np.int16), "recon_audio": np.array([1, np.inf, 2], np.float32)}
    found = broken_outputs(Results(split, np.zeros((3, 2), np.float32), {}, more))
    assert found == "recon_audio of 1 of 3 valid items became infinite"


def test_advice_goes_by_the_settings():
    values = {"lr": 0.5, "clip_norm": 2.0, "warmup": 1, "precision": "fp16"}
    error = diverged("the loss became nan", where="epoch 1", rate=0.25, kept="Nothing is kept.", **values)
    assert (
        error.message == "the training diverged: the loss became nan in epoch 1, at a learning rate of 0.25, --lr 0.5."
    )
    assert error.hint == (
        "Lower --lr (now 0.5; a tenth is 0.05), lower --clip-norm (now 2), or compute with --precision fp32. "
        "Nothing is kept."
    )
