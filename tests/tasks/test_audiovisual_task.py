"""The audio-visual task: its columns mean what they say in every stage, and with every kind of label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affectkit.core.clipspec import ClipSpec
from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.input_transform import check_takes_images
from affectkit.evaluation.reconstruction import channel_mask
from affectkit.models.cmvqvae.mask import Masked
from affectkit.models.cmvqvae.network import CMVQVAEOutput
from affectkit.tasks.audiovisual import AudiovisualTask
from affectkit.tasks.base import Results

SPEC = InputSpec("audiovisual", 8, 8, classes=("a", "b"), clip=ClipSpec())


def test_reconstruction_errors_of_both_splits_have_one_unit(tmp_path):
    task = AudiovisualTask.from_options(SPEC, {"recon_scale": "variance", "variance": (0.5, 4.0), "mask_penalty": 0.0})
    batch = {"image": torch.zeros(2, 3, 8, 8), "audio": torch.zeros(2, 1, 8, 8), "target": torch.eye(2)}
    made = torch.full((2, 3, 8, 8), 1.0), torch.full((2, 1, 8, 8), 3.0)
    found = task.loss(CMVQVAEOutput(None, *made, None, None, None, None, None), batch, 0.0)
    split = Split("valid", tmp_path, ["x", "y"], SPEC.classes, labels=np.array([0, 1]))
    more = {"recon_image": np.array([1.0, 1.0]), "recon_audio": np.array([9.0, 9.0])}
    valid = task.code_metrics(Results(split, np.zeros((2, 2), np.float32), {}, more))
    for name, wanted in (("recon_image", 1.0), ("recon_audio", 9.0)):
        assert float(found[name]) == pytest.approx(wanted) and valid[name] == pytest.approx(wanted)
    assert float(found["loss"]) == pytest.approx(1 / 0.5 + 9 / 4) == pytest.approx(valid["reconstruction"])


@pytest.mark.parametrize("labelled", [True, False])
def test_how_many_raters_told_the_intended_emotion_needs_that(tmp_path, labelled):
    votes = np.array([[1, 3], [4, 0]], np.float32)
    shares = votes / votes.sum(1, keepdims=True)
    known = {"labels": np.array([0, 0])} if labelled else {"distribution": shares}
    split = Split("test", tmp_path, ["x", "y"], SPEC.classes, votes=votes, facts={"votes_both": votes}, **known)
    task = AudiovisualTask.from_options(SPEC, {})
    fields = {name: value.numpy() for name, value in task.targets(split).items()}
    found = task.rater_metrics(Results(split, np.zeros((2, 2), np.float32), fields))
    assert found["human_ceiling_both"] == pytest.approx((3 / 4 + 1) / 2)
    assert found.get("human_accuracy_both") == (pytest.approx((1 / 4 + 1) / 2) if labelled else None)


def test_autoencoders_alone_have_no_predictions_in_their_tables(tmp_path):
    task = AudiovisualTask.from_options(SPEC, {"stage": "autoencoder", "codes": 4})
    split = Split("test", tmp_path, ["x", "y"], SPEC.classes, labels=np.array([0, 1]))
    more = {"recon_image": np.ones(2), "codes_image": np.array([[0], [3]]), "mask": np.ones((2, 8))}
    results = Results(split, np.zeros((2, 2), np.float32), {"target": np.eye(2, dtype=np.float32)}, more)
    assert list(task.table(results)) == ["Image Name", "recon_image"]
    assert list(task.tables(results)) == ["codes_image.csv"]


@pytest.mark.parametrize(("kind", "shared"), [("binarizer", [0, 0, 1]), ("ternarizer", [1, 0, 1])])
def test_a_probe_counts_channels_as_it_reconstructs(kind, shared):
    class Holder:
        _classifier = Masked(3, kind=kind, init="1s", scale=0.01, threshold=0.005)

    with torch.no_grad():
        Holder._classifier.private_shared_mask.copy_(torch.tensor([-0.01, 0.001, 0.01])[:, None, None])
    assert (channel_mask(Holder) != 0).astype(int).tolist() == shared


def test_what_looks_at_no_image_is_not_tested_on_altered_ones():
    check_takes_images(SPEC, "--corrupt")
    with pytest.raises(UsageError, match="looks at none"):
        check_takes_images(SPEC.with_(clip=ClipSpec(needs="audio")), "--corrupt")
