"""``--tune last``: nothing moves but the last layer; checkpoints of every N-th epoch; crops from whole images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from support import (
    CLASSES,
    TINY,
    Heard,
    in_ranks,
    make_folders,
    make_ratings,
    set_up,
    settings,
    vca_settings,
    without_figures,
)
from torch import nn

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.progress import Silent
from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.loading.transforms import RANGES, draw_change
from affectkit.data.media.images import load_for_spec
from affectkit.errors import Stopped, UsageError
from affectkit.features.extractor import ViewDataset
from affectkit.models import registry
from affectkit.models.family import Family
from affectkit.runtime.context import RunContext
from affectkit.training import run
from affectkit.training.single_run import train_once
from affectkit.training.trainer import Trainer
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")


class Quiet(Trainer):
    """A trainer whose pictures, which take longer than the training, are left out."""

    def draw(self, task, results): ...


def train(chosen, *, resuming=False, make=Quiet, reporter=None):
    with run.init_process_group("cpu"):
        chosen = run.absolute(chosen)
        context = RunContext.resolve("cpu", chosen.precision)
        return train_once(chosen, lambda: context, resuming=resuming, reporter=reporter or Silent(), make_trainer=make)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_folders(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def start(place, tmp_path_factory):
    """Weights of a short training, whose batch norm has seen images."""
    root = tmp_path_factory.mktemp("start") / "run"
    with without_figures():
        train(settings(place, root, epochs=1))
    return root / "last.safetensors"


def tensors(path):
    return load_model(path).state_dict()


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.4, "ema": 0.9, "optimizer": "sgd", "weight_decay": 0.1}])
def test_nothing_but_the_last_layer_moves(place, start, tmp_path, changes):
    chosen = settings(place, tmp_path / "run", init=start, tune="last", **changes)
    heard = Heard()
    train(chosen, reporter=heard)
    before, after = tensors(start), tensors(tmp_path / "run" / "last.safetensors")
    assert len(before) > 20 and any("running_mean" in name for name in before)
    assert moved(before, after) == {"top.1.weight", "top.1.bias"}
    learning = before["top.1.weight"].numel() + len(CLASSES)
    assert any(f"M parameters, of which {learning:,} learn (--tune last)" in text for text in heard.notes)
    assert [text for text in heard.warnings if not text.startswith("validation: ece")] == []
    # The same training of all layers moves them, the statistics too.
    train(settings(place, tmp_path / "all", init=start, **changes))
    free = moved(before, tensors(tmp_path / "all" / "last.safetensors"))
    assert len(free) > 20 and any("running_mean" in name for name in free)


def test_what_is_frozen_is_in_evaluation_mode_and_out_of_the_optimiser(place, start, tmp_path):
    training = set_up(settings(place, tmp_path / "run", init=start, tune="last", dropout=0.5), reporter=Silent())
    learner = Learner(training, reporter=Silent())
    learner.train()
    modules = dict(training.model.named_modules())
    on = {name for name, module in modules.items() if module.training}
    assert on == {"top", "top.0", "top.1"} and len(modules) > 20
    held = [value for group in training.optimizer.param_groups for value in group["params"]]
    assert {id(value) for value in held} == {id(value) for value in training.model.top.parameters()}
    assert {name for name, value in training.model.named_parameters() if value.requires_grad} == {
        "top.1.weight", "top.1.bias",
    }  # fmt: skip
    training.model.eval()
    learner.train()
    assert training.model.top[0].training and not training.model.features.training


def test_resuming_is_exact_to_the_last_bit(place, start, tmp_path):
    options = {"init": start, "tune": "last", "ema": 0.9, "mixup": 0.2, "epochs": 3, "keep_every": 2}
    train(settings(place, tmp_path / "whole", **options))
    done = {}

    class Cut(Quiet):
        def end_epoch(self, *arguments):
            row = super().end_epoch(*arguments)
            if self.state.epoch == 1:
                self.save()
                raise Stopped("cut", "")
            return row

    with pytest.raises(Stopped):
        train(settings(place, tmp_path / "cut", **options), make=Cut)
    asked = settings(place, tmp_path / "x", resume=tmp_path / "cut")
    train(run.resumed_settings(asked, frozenset({"resume"})), resuming=True)
    for name in ("history.csv", "best.safetensors", "last.safetensors", "epochs/epoch-002.safetensors"):
        done[name] = (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(done) == 4 and all(done.values()), done


def test_frozen_statistics_are_not_averaged_over_processes(place, start, tmp_path):
    # A third of a number three times over is not that number.
    def work():
        chosen = settings(place, tmp_path / "run", init=start, tune="last", epochs=1, device="cpu", batch_size=9)
        train(chosen)

    assert in_ranks(3, work) == [0, 0, 0]
    assert moved(tensors(start), tensors(tmp_path / "run" / "last.safetensors")) == {"top.1.weight", "top.1.bias"}


def test_a_start_from_random_weights_is_warned_of(place, tmp_path):
    heard = Heard()
    set_up(settings(place, tmp_path / "run", tune="last"), reporter=heard)
    assert len(heard.warnings) == 1 and "random weights" in heard.warnings[0] and "--init FILE" in heard.warnings[0]
    heard = Heard()
    set_up(settings(place, tmp_path / "run"), reporter=heard)
    assert [text for text in heard.warnings if not text.startswith("validation: ece")] == []


def test_the_last_layer_of_each_family(tmp_path):
    spec = InputSpec("classification", 32, 32, classes=CLASSES)
    vgg = registry.build(TINY, spec, top="vgg-avg")
    assert registry.last_layer(TINY, vgg) is vgg.top
    data = make_ratings(tmp_path / "ratings", count=20)
    training = set_up(vca_settings(data, tmp_path / "run", tune="last"), reporter=Silent())
    assert training.trainable is training.model.head.LastFC
    assert [value.requires_grad for value in training.model.head.LA.parameters()].count(True) == 0


class Plain(nn.Module):
    def __init__(self, *names):
        super().__init__()
        self.body = nn.Module()
        for name in names:
            setattr(self.body, name, nn.Linear(2, 2))


def test_a_family_without_a_word_on_it_is_looked_through(monkeypatch):
    bare = type("Bare", (Family,), dict.fromkeys(Family.__abstractmethods__))
    monkeypatch.setattr(registry, "family", lambda name: bare())
    one = Plain("conv", "fc", "head")
    assert registry.last_layer("x", one) is one.body.fc
    assert registry.last_layer("x", two := Plain("classifier")) is two.body.classifier
    unknown = Plain("conv", "fc")
    unknown.fc = nn.Linear(2, 2)
    empty = nn.Module()
    empty.fc = nn.Identity()
    for model in (Plain("conv"), unknown, empty):
        with pytest.raises(UsageError, match="--tune last: it is not known which layer of x"):
            registry.last_layer("x", model)


def test_every_nth_epoch_is_kept(place, tmp_path):
    train(settings(place, tmp_path / "run", epochs=5, keep_every=2, early_stop=0))
    assert sorted(path.name for path in (tmp_path / "run" / "epochs").iterdir()) == [
        "epoch-002.safetensors", "epoch-004.safetensors",
    ]  # fmt: skip
    header = load_model(tmp_path / "run" / "epochs" / "epoch-004.safetensors").header
    assert header.training["epoch"] == 4
    both = settings(place, tmp_path / "run", keep_epochs=True, keep_every=2)
    assert [both.keeps(epoch) for epoch in range(4)] == [True] * 4
    assert [settings(place, tmp_path).keeps(epoch) for epoch in range(4)] == [False] * 4
    assert run.without_effect(both, frozenset({"keep_every"})) == [
        "--keep-every has no effect with --keep-epochs, which keeps them all."
    ]
    with pytest.raises(UsageError, match="--keep-every"):
        settings(place, tmp_path, keep_every=0)


def test_best_by_accuracy(place, tmp_path):
    done = train(settings(place, tmp_path / "run", epochs=3, monitor="accuracy"))
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("valid_accuracy")
    values = [float(row.split(",")[column]) for row in rows[1:]]
    assert done["best_epoch"] == values.index(max(values)) + 1


def test_cropped_training_images_are_not_held_at_the_input_size(place, tmp_path):
    heard = Heard()
    chosen = settings(place, tmp_path / "run", augment="imagenet", fit="imagenet", cache="ram")
    training = set_up(chosen, reporter=heard)
    assert training.in_memory[0] is None and len(training.in_memory[1].pixels) == len(training.valid)
    assert any("--cache ram holds the validation images alone" in text for text in heard.notes)
    assert training.task.spec.fit == "imagenet"
    path = training.valid.path(0)
    with Image.open(path) as image:  # 24 x 24: the middle 21 pixels
        want = np.asarray(image.resize((24, 24), Image.Resampling.BILINEAR, box=(1.5, 1.5, 22.5, 22.5)))
    assert np.array_equal(training.in_memory[1].pixels[0], want)


def test_crops_are_the_same_whatever_is_held(place, tmp_path):
    for cache in ("ram", "none"):
        chosen = settings(place, tmp_path / cache, augment="imagenet", fit="imagenet", cache=cache, epochs=1)
        train(chosen)
    assert (tmp_path / "ram" / "history.csv").read_bytes() == (tmp_path / "none" / "history.csv").read_bytes()
    assert load_model(tmp_path / "ram").spec.fit == "imagenet"


def test_views_for_a_frozen_encoder_are_crops_of_the_whole_image(place):
    split = find_dataset(place).splits["train"]
    spec = InputSpec("ratings", 16, 16)
    views = ViewDataset(split, spec, [b"one"] * len(split), "imagenet")
    _, images = views[3, ("plain", "imagenet/0", "imagenet/1")]
    for number, label in enumerate(("imagenet/0", "imagenet/1"), 1):
        change = draw_change(RANGES["imagenet"], numpy_generator(0, "view", b"one".hex(), label))
        want = load_for_spec(split.path(3), spec, part=change.crop.box)
        want = want[:, ::-1] if change.flip else want
        assert np.array_equal(images[number].permute(1, 2, 0).numpy(), want)
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), load_for_spec(split.path(3), spec))
