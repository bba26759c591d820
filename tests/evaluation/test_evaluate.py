from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from support import CLASSES, Heard, make_folders, settings

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.loading.transforms import normalise
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.evaluation.evaluate import evaluate
from affectkit.evaluation.test import test as run_test
from affectkit.runtime.context import RunContext
from affectkit.runtime.forward import forward, forward_in_blocks
from affectkit.settings.evaluation import TestSettings
from affectkit.tasks.distribution import DistributionTask
from affectkit.training import run

pytestmark = pytest.mark.usefixtures("no_figures")


def chosen(checkpoint, data, **changes):
    values = {"checkpoint": checkpoint, "data": data, "workers": 0, **changes}
    return resolve(TestSettings, flags=values).settings


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_results_depend_neither_on_batches_nor_on_workers(trained, votes, tmp_path):
    tables, numbers = set(), []
    for batch, workers in ((1, 0), (5, 2), (64, 0)):
        folder = tmp_path / f"{batch}"
        summary = run_test(chosen(trained, votes, batch_size=batch, workers=workers, results=folder), reporter=Silent())
        tables.add((folder / "test_results.csv").read_text())
        numbers.append(summary["metrics"])
    assert len(tables) == 1
    assert numbers[1] == numbers[2] == numbers[0]


def test_metrics_agree_with_the_table_and_with_references(trained, votes, tmp_path):
    summary = run_test(chosen(trained, votes, results=tmp_path / "r"), reporter=Silent())
    rows = read(tmp_path / "r" / "test_results.csv")
    assert len(rows) == summary["images"] == 12
    p = np.array([[float(row[f"predicted {name}"]) for name in CLASSES] for row in rows])
    q = np.array([[float(row[f"true {name}"]) for name in CLASSES] for row in rows])
    metrics = summary["metrics"]
    assert metrics["mse"] == pytest.approx(((p - q) ** 2).mean(), abs=1e-5)
    assert metrics["total_variation"] == pytest.approx(0.5 * np.abs(p - q).sum(1).mean(), abs=1e-5)
    positive = np.where(q > 0, q, 1)
    assert metrics["kl"] == pytest.approx((q * np.log(positive / p)).sum(1).mean(), abs=1e-4)
    assert metrics["emd"] == pytest.approx(np.abs((p - q).cumsum(1)).sum(1).mean(), abs=1e-5)
    votes_table = {row["filename"]: [int(row[name]) for name in CLASSES] for row in read(votes / "test.csv")}
    counts = np.array([votes_table[row["Image Name"]] for row in rows])
    assert np.allclose(q, counts / counts.sum(1, keepdims=True), atol=1e-6)
    share = counts[np.arange(12), p.argmax(1)] / counts.sum(1)
    assert metrics["rater_agreement"] == pytest.approx(share.mean(), abs=1e-6)
    expected = confusion_matrix(q.argmax(1), p.argmax(1), labels=range(3))
    matrix = [[int(row[name]) for name in CLASSES] for row in read(tmp_path / "r" / "confusion_matrix.csv")]
    assert np.array_equal(matrix, expected)


def test_the_model_is_better_than_chance(trained, votes):
    """On the 48 images that it was trained on; the 12 others are too few to tell."""
    metrics = run_test(chosen(trained, votes, split="train"), reporter=Silent())["metrics"]
    assert metrics["top1"] > 0.6


def test_temperature_is_applied_in_test_and_in_predict(trained, votes):
    summary = run_test(chosen(trained, votes), reporter=Silent())
    model = affectkit.load(trained)
    assert summary["temperature"] == model.spec.temperature != 1
    path = votes / "images" / "test" / "000.png"
    (row,) = affectkit.predict(model, [path])
    from affectkit.data.media.images import load_for_spec

    image = torch.from_numpy(load_for_spec(path, model.spec).transpose(2, 0, 1))[None]
    logits = model(normalise(image, model.spec))[0].detach().double() / model.spec.temperature
    expected = torch.softmax(logits, 0)
    assert [row[name] for name in CLASSES] == pytest.approx(expected.tolist(), abs=1e-6)
    assert row["Predicted Label"] == CLASSES[int(expected.argmax())]
    assert row["Confidence"] == pytest.approx(float(expected.max()), abs=1e-6)


def test_classes_are_matched_by_name_whatever_the_order(trained, votes, tmp_path):
    before = run_test(chosen(trained, votes), reporter=Silent())["metrics"]
    shutil.copytree(votes, tmp_path / "turned")
    for name in ("train", "valid", "test"):
        rows = read(votes / f"{name}.csv")
        with (tmp_path / "turned" / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["filename", *reversed(CLASSES)])
            writer.writeheader()
            writer.writerows(rows)
    after = run_test(chosen(trained, tmp_path / "turned"), reporter=Silent())["metrics"]
    assert after == before


def test_missing_class_folders_shift_nothing_and_extra_ones_are_refused(tmp_path):
    data = make_folders(tmp_path / "data")
    run.train(settings(data, tmp_path / "run", epochs=3, lr=3e-3), reporter=Silent())
    part = tmp_path / "part"
    shutil.copytree(data / "test" / "sadness", part / "test" / "sadness")
    shutil.copytree(data / "test" / "happiness", part / "test" / "happiness")
    summary = run_test(chosen(tmp_path / "run", part, results=tmp_path / "r"), reporter=Silent())
    truth = {row["Image Name"].split("/")[-2]: row["True Label"] for row in read(tmp_path / "r" / "test_results.csv")}
    assert truth == {"sadness": "sadness", "happiness": "happiness"} and summary["images"] == 8
    shutil.copytree(data / "test" / "anger", part / "test" / "rage")
    with pytest.raises(DataError, match="rage"):
        run_test(chosen(tmp_path / "run", part), reporter=Silent())


def test_a_split_that_is_not_there_is_named(trained, votes):
    with pytest.raises(DataError, match=r"no all split; it has train \(48\)"):
        run_test(chosen(trained, votes, split="all"), reporter=Silent())


def test_thresholds_know_their_direction(trained, votes):
    good = run_test(chosen(trained, votes, fail_under="top1=0.1,kl=5"), reporter=Silent())
    assert good["images"] == 12
    assert good["missed"] == []
    missed = run_test(chosen(trained, votes, fail_under="top1=1.1,kl=0.001"), reporter=Silent())["missed"]
    assert "; at least 1.1 was" in missed[0] and "; at most 0.001 was" in missed[1] and len(missed) == 2
    with pytest.raises(UsageError, match="no metric 'f1'"):
        run_test(chosen(trained, votes, fail_under="f1=0.5"), reporter=Silent())
    with pytest.raises(UsageError, match="METRIC=VALUE"):
        chosen(trained, votes, fail_under="top1")


def test_skipped_images_are_counted_and_named(trained, votes, tmp_path):
    shutil.copytree(votes, tmp_path / "data")
    (tmp_path / "data" / "images" / "test" / "003.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"003\.png"):
        run_test(chosen(trained, tmp_path / "data"), reporter=Silent())
    summary = run_test(chosen(trained, tmp_path / "data", on_error="skip", results=tmp_path / "r"), reporter=Silent())
    assert summary["images"] == 11 and [s["image"] for s in summary["skipped"]] == ["images/test/003.png"]
    names = [row["Image Name"] for row in read(tmp_path / "r" / "test_results.csv")]
    assert names == [f"images/test/{k:03}.png" for k in range(12) if k != 3]
    assert json.loads((tmp_path / "r" / "results.json").read_text())["images"] == 11


def test_results_into_a_used_folder_are_refused(trained, votes, tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="--results .* is not empty"):
        run_test(chosen(trained, votes, results=tmp_path), reporter=Silent())


class Hungry(torch.nn.Module):
    """Runs out of memory on more than ``most`` images."""

    def __init__(self, most):
        super().__init__()
        self.most, self.calls = most, []

    def forward(self, images):
        self.calls.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images.flatten(1)[:, :3]


def test_a_batch_too_large_for_memory_is_halved():
    images = torch.rand(7, 3, 2, 2)
    model = Hungry(2)
    context, heard = RunContext.resolve("cpu", "fp32"), Heard()
    for _ in range(2):
        assert torch.equal(forward(model, (images,), context, heard), images.flatten(1)[:, :3])
    assert model.calls == [7, 4, 2, 2, 2, 1, 2, 2, 2, 1], "what fits is remembered"
    assert [text.split(": ")[1] for text in heard.warnings] == ["continuing with 4.", "continuing with 2."]
    with pytest.raises(DeviceError, match="with one sample"):
        forward(Hungry(0), (images,), RunContext.resolve("cpu", "fp32"))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "mobilenetv3_small_100"])
def test_outputs_of_an_evaluation_do_not_depend_on_the_batch_to_the_last_bit(name):
    import timm

    torch.manual_seed(0)
    context = RunContext.resolve("cpu", "fp32")
    model = timm.create_model(name, num_classes=3, **({"img_size": 32} if "vit" in name else {})).eval()
    # Kernels are chosen by the order in memory too, which filling up a block must keep: batches come channels-last.
    images, order = torch.rand(40, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randperm(40)
    whole = forward_in_blocks(model, (images,), context)
    for size in (3, 17, 40):
        parts = [forward_in_blocks(model, (part,), context) for part in images[order].split(size)]
        assert torch.equal(torch.cat(parts), whole[order]), size
    assert torch.allclose(whole, forward(model, (images,), context), atol=1e-5)


def test_evaluation_leaves_the_training_mode_as_it_was(trained, votes):
    from affectkit.data.layouts.discovery import find_dataset
    from affectkit.data.loading.loaders import SplitImages, evaluation_keys, make_loader

    model = affectkit.load(trained).train()
    task = DistributionTask(model.spec)
    split = find_dataset(votes).splits["test"]
    heard = Heard()
    loader = make_loader(SplitImages(split, model.spec), evaluation_keys(12, 5), workers=0)
    results, failures = evaluate(model, task, split, loader, context=RunContext.resolve("cpu", "fp32"), reporter=heard)
    assert model.training and failures == [] and heard.done == 12 and results.split.ids == split.ids
