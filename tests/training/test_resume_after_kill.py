"""Runs that are killed with -9 and resumed end with the bytes of the run that nobody touched.

Every run is a forked process with one thread: it shares what the test has imported, so a kill costs half a second.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pkgutil
import random
import re
import resource
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
import torch
import torch.utils.tensorboard
from support import Heard, make_votes, settings

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.evaluation.test import test as run_test
from affectkit.settings.evaluation import TestSettings
from affectkit.training import run as runs
from affectkit.training.resume_state import newest_state, save_state

STEP, BATCH = (
    "affectkit.training.training_step:Learner.optimizer_step",
    "affectkit.training.training_step:Learner.training_step",
)
FILES = ("best.safetensors", "last.safetensors", "history.csv", "metrics.json")
OF_FOLDS = ("fold_items.csv", "folds.csv", "fold_metrics.csv", "metrics.json", "out_of_fold/out_of_fold_results.csv")
KILLED = -signal.SIGKILL
RESUMED = "resuming in|starting from|is left|fold-3 is complete"
"""Words by which a resumption tells where it goes on."""


@pytest.fixture(autouse=True)
def _no_figures_and_no_fsync(no_figures, monkeypatch):
    # The page cache survives the death of a process; only a power failure needs what this leaves out.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """48 training images: 6 batches of 8 an epoch."""
    return make_votes(tmp_path_factory.mktemp("faces"), train=48, valid=12, test=6)


def forked(work) -> int:
    """Run ``work()`` in a forked process of one thread; its exit code, negative for a signal."""

    def run() -> None:
        torch.set_num_threads(1)
        try:
            work()
        except SystemExit as error:
            os._exit(error.code)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(99)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("the run did not end in 60 s")
    return process.exitcode


def at_call(place: str, number: int, act, *, before: bool = False, where: str = "") -> None:
    """Have ``act()`` happen at the ``number``-th call of ``place``, with ``where`` in its arguments if given."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = pkgutil.resolve_name(f"{module}:{'.'.join(owners)}" if owners else module)
    real, count = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        count[0] += where in " ".join(map(str, args))
        now = count[0] == number and where in " ".join(map(str, args))
        if before and now:
            act()
        result = real(*args, **kwargs)
        if now and not before:
            act()
        return result

    setattr(owner, name, counted)


def kill(place: str, number: int, **options):
    """A preparation of the process: it will kill itself there."""
    return lambda: at_call(place, number, lambda: os.kill(os.getpid(), signal.SIGKILL), **options)


def life(data: Path, root: Path, changes: dict, *, prepare=None, resume: bool = False) -> tuple[int, list[str]]:
    """One process of a run: from its start, or resumed, to its end or its death; the exit code and what was told."""
    told = root.with_suffix(".told")
    told.write_text("[]")

    def work() -> None:
        chosen = settings(data, root, **changes)
        if prepare is not None:
            prepare()
        heard = Heard()
        heard.note = heard.warn = lambda text: (heard.notes.append(text), told.write_text(json.dumps(heard.notes)))
        runs.train(replace(chosen, resume=root) if resume else chosen, reporter=heard)

    return forked(work), json.loads(told.read_text())


def killed_and_resumed(data: Path, root: Path, changes: dict, kills: list) -> list[str]:
    """A run killed at each of ``kills`` in turn and resumed after it; where each resumption went on."""
    places = []
    for number, prepare in enumerate([*kills, None]):
        code, notes = life(data, root, changes, prepare=prepare, resume=number > 0)
        assert code == (KILLED if prepare is not None else 0), f"process {number} ended with {code}: {notes}"
        if number:
            places.append(next(text for text in notes if re.search(RESUMED, text)))
    return places


def files_of(root: Path) -> list[Path]:
    """The files of a run that must not differ."""
    parts = sorted(root.glob("repeat-*")) or sorted(root.glob("fold-*"))
    if not parts:
        return [root / name for name in FILES]
    own = ["repeats.csv"] if parts[0].name == "repeat-1" else OF_FOLDS
    return [*(root / name for name in own), *(part / name for part in parts for name in FILES)]


def predicted(data: Path, root: Path) -> bytes:
    """The table of predictions on the test split."""
    folder = root.parent / f"results-{root.name}"
    several = root / ("fold-2" if (root / "fold-2").is_dir() else "repeat-2")
    checkpoint = root if (root / "best.safetensors").is_file() else several
    chosen = {"checkpoint": checkpoint, "data": data, "results": folder, "workers": 0}
    run_test(resolve(TestSettings, flags=chosen).settings, reporter=Silent())
    return (folder / "test_results.csv").read_bytes()


def assert_same(data: Path, whole: Path, cut: Path) -> None:
    """All files and predictions are equal, and nothing half-written is left."""
    names = [path.relative_to(whole) for path in files_of(whole)]
    assert len(names) >= len(FILES) and names == [path.relative_to(cut) for path in files_of(cut)]
    for name in names:
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), f"{name} differs"
    assert predicted(data, whole) == predicted(data, cut)
    for root in {path.parent for path in files_of(cut)} - {cut / "out_of_fold"}:
        assert json.loads((root / "status.json").read_text())["state"] == "done"
    assert not list(cut.rglob(".state-*"))


EVERY = {"checkpoint_every": "1"}
CASES = {
    "no-state-yet": ({"epochs": 2}, [kill(STEP, 4)], ["starting from the beginning"]),
    "epoch-begins-again": ({"epochs": 3}, [kill(STEP, 9)], ["epoch 2, batch 1"]),
    "two-in-one-epoch": (
        {"epochs": 2, "schedule": "constant", "optimizer": "sgd", **EVERY},
        [kill(STEP, 3), kill(BATCH, 3)],
        ["epoch 1, batch 3", "epoch 1, batch 5"],
    ),
    "accumulate-ema-cosine": (
        {"epochs": 3, "accumulate": 2, "ema": 0.9, "clip_norm": 1.0, "optimizer": "adamw", "schedule": "cosine",
         "warmup": 1.5, **EVERY},
        [kill(BATCH, 4, before=True), kill(BATCH, 8)],
        ["epoch 1, batch 3", "epoch 2, batch 3"],
    ),
    "short-group-step": (
        {"epochs": 2, "accumulate": 4, "schedule": "step", "step_size": 1, "warmup": 0.5, "label_smoothing": 0.1,
         **EVERY},
        [kill(BATCH, 5), kill(BATCH, 4)],
        ["epoch 1, batch 5", "epoch 2, batch 1"],
    ),
    "workers-multistep": (
        {"epochs": 3, "workers": 2, "cache": "none", "augment": "face-strong", "schedule": "multistep",
         "milestones": (1, 2), "warmup": 0.5, "checkpoint_every": "2"},
        [kill(STEP, 4), kill(STEP, 8)],
        ["epoch 1, batch 3", "epoch 2, batch 3"],
    ),
    "drawn-labels-plateau": (
        {"epochs": 4, "draw_labels": True, "task": "classification", "optimizer": "sgd", "monitor": "accuracy",
         "schedule": "plateau", "lr_patience": 0, "class_weights": "balanced", "checkpoint_every": "2"},
        [kill(STEP, 15), kill(BATCH, 4)],
        ["epoch 3, batch 3", "epoch 3, batch 5"],
    ),
    "mixup-early-stop": (
        {"epochs": 9, "early_stop": 2, "mixup": 0.4, "lr": 1e-12, "schedule": "constant", **EVERY},
        [kill(STEP, 9), kill(STEP, 6)],
        ["epoch 2, batch 3", "epoch 3, batch 2"],
    ),
    "transformer": (
        {"epochs": 2, "model": "test_vit", "image_size": 32, "schedule": "cosine", "mixup": 0.2, **EVERY},
        [kill(STEP, 8)],
        ["epoch 2, batch 2"],
    ),
    "second-fold": (
        {"epochs": 1, "folds": "3", **EVERY},
        [kill(STEP, 5 + 2), kill("affectkit.training.out_of_fold:write_json", 1, before=True)],
        ["epoch 1, batch 2", "fold-3 is complete"],
    ),
    "second-repeat": (
        {"epochs": 1, "repeat": 3, **EVERY},
        [kill(STEP, 6 + 3), kill("affectkit.training.final_evaluation:write_json", 1)],
        ["epoch 1, batch 3", "only the end is left"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "second-fold" else []) for name in CASES]
)
def test_a_killed_run_ends_with_the_same_bytes(faces, tmp_path, name):
    changes, kills, expected = CASES[name]
    assert life(faces, tmp_path / "whole", changes)[0] == 0
    resumed_at = killed_and_resumed(faces, tmp_path / "cut", changes, kills)
    assert len(resumed_at) == len(expected), resumed_at
    assert all(words in said for words, said in zip(expected, resumed_at, strict=True)), resumed_at
    assert_same(faces, tmp_path / "whole", tmp_path / "cut")
    histories = [path.read_text().splitlines()[1:] for path in sorted((tmp_path / "cut").rglob("history.csv"))]
    rates = [row.split(",")[1] for row in histories[0]]
    if changes.get("schedule") not in (None, "constant"):
        assert len(set(rates)) > 1, f"the schedule did nothing: {rates}"
    assert (len(rates) < changes["epochs"]) == ("early_stop" in changes)
    assert len(histories) == changes.get("repeat", int(changes.get("folds", 1)))


def test_a_run_that_resumes_elsewhere_reports_it(faces, tmp_path):
    """With another number of threads, sums are added up in another order."""
    changes = {"epochs": 1, **EVERY}
    assert life(faces, tmp_path / "cut", changes, prepare=kill(STEP, 3))[0] == KILLED

    def other() -> None:
        torch.get_num_threads = lambda: 64

    code, notes = life(faces, tmp_path / "cut", changes, prepare=other, resume=True)
    assert code == 0 and any("had CPU, 1 thread and has CPU, 64 threads now" in text for text in notes), notes


STATE, CORE = "affectkit.training.resume_state", "affectkit.core.files"
WHILE_WRITING = {
    "states": [
        kill(f"{STATE}:save_file", 2, before=True),  # a folder, nothing in it
        kill(f"{STATE}:save_file", 1),  # tensors alone
        kill(f"{CORE}:fsync_path", 3, before=True, where="state-"),  # a manifest, not flushed
        kill(f"{CORE}:fsync_path", 4, where="state-"),  # all but the new name
        kill(f"{CORE}:os.replace", 1, before=True, where="state/state-"),
        kill(f"{CORE}:os.replace", 2, where="state/state-"),
        kill(f"{STATE}:shutil.rmtree", 4, before=True, where="state/state-"),  # of what is to be pruned
    ],
    "an epoch's files": [
        kill("affectkit.training.trainer:evaluate", 1, before=True),  # between the last step and the validation
        kill("affectkit.training.trainer:evaluate", 1),
        kill(f"{CORE}:os.replace", 1, before=True, where="best.safetensors"),
        kill(f"{CORE}:os.replace", 1, where="best.safetensors"),
        kill("affectkit.checkpoints.checkpoint:save_file", 2),  # last.safetensors, before it has its name
        kill("affectkit.training.checkpointing:write_history", 1, before=True),
        kill("affectkit.training.checkpointing:write_history", 1),
        kill("affectkit.training.checkpointing:save_state", 1, before=True),
    ],
    "the end": [
        kill("affectkit.training.run_folder:RunFolder.write_config", 1),
        kill("affectkit.training.single_run:evaluate_best", 1, before=True),
        kill("affectkit.training.final_evaluation:load_tensors", 1),
        kill(f"{CORE}:os.replace", 1, where="best.safetensors"),  # with its temperature, for the first time
        kill("affectkit.training.trainer:draw_figures", 1),
        kill(f"{CORE}:os.replace", 1, before=True, where="metrics.json"),
        kill("affectkit.training.final_evaluation:write_json", 1),
    ],
}


@pytest.mark.parametrize("place", WHILE_WRITING)
def test_killed_while_a_file_is_written(faces, tmp_path, place):
    """One run, killed in each process at another file operation."""
    # One epoch of three steps leaves each process of "the end" no file before those that are meant.
    changes = {"epochs": 1 if place == "the end" else 2, "batch_size": 16, **({} if place != "states" else EVERY)}
    assert life(faces, tmp_path / "whole", changes)[0] == 0
    kills = WHILE_WRITING[place]
    resumed_at = killed_and_resumed(faces, tmp_path / "cut", changes, kills)
    assert len(resumed_at) == len(kills) >= 7
    assert_same(faces, tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("before", [True, False])
def test_a_step_that_is_saved_again_is_there_at_any_moment(tmp_path, before):
    """A stop in the validation saves the step that was the last to be saved; with one kept, it is the only one."""
    for number in range(12):
        prepare = kill(f"{CORE}:os.replace", 1, before=before, where="state-")
        code = forked(lambda number=number, act=prepare: (act(), save_state(tmp_path, {"n": number}, step=7, keep=1)))
        assert code == KILLED
        saved = save_state(tmp_path, {"n": -number}, step=7, keep=1)
        newest, tree, damaged = newest_state(tmp_path)
        assert newest == saved and tree == {"n": -number} and not damaged
        assert [path.name for path in tmp_path.iterdir()] == [saved.name]


SHORT = {"epochs": 2, "checkpoint_every": "1"}
FLAGS = ("--model", "test_resnet", "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--workers", "0",
         "--augment", "flip", "--epochs", "2", "--checkpoint-every", "1")  # fmt: skip


def no_file_larger_than(size: int) -> None:
    """A real limit of the operating system."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def no_space() -> None:
    """A disk on which nothing more can be written."""

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    runs.write_json = full
    for place in ("affectkit.core.files:tempfile", "affectkit.core.files:os"):
        module = pkgutil.resolve_name(place)
        setattr(module, "mkstemp" if place.endswith("tempfile") else "fsync", full)


@pytest.mark.parametrize(
    ("fill", "words", "left"),
    [
        (
            lambda: at_call(STEP, 3, lambda: no_file_larger_than(1 << 20)),
            ["the state could not be saved in", "File too large", "What was saved before is intact"],
            2,
        ),
        (
            lambda: at_call(STEP, 3, no_space),
            ["the state could not be saved in", "No space left", "What was saved before is intact"],
            2,
        ),
        (
            lambda: at_call(
                "affectkit.training.checkpointing:save_tensors", 1, lambda: no_file_larger_than(1 << 20), before=True
            ),
            ["cannot write", "best.safetensors", "File too large"],
            6,
        ),
        (
            lambda: at_call("affectkit.training.checkpointing:write_history", 1, no_space, before=True),
            ["the disk is full", "could not be written", "then run again"],
            6,
        ),
    ],
    ids=["limit-at-a-state", "full-at-a-state", "limit-at-a-checkpoint", "full-at-the-history"],
)
def test_a_full_disk_ends_a_run_with_a_message_and_it_resumes(faces, tmp_path, fill, words, left):
    from affectkit.cli.app import app

    run, told = tmp_path / "cut", tmp_path / "told"

    def work() -> None:
        fill()
        with told.open("w") as sys.stderr:
            app(["train", "--data", str(faces), "--output", str(run), *FLAGS])

    assert forked(work) == 1
    said = " ".join(told.read_text().split())
    assert all(word in said for word in words) and "fault of affectkit" not in said, said
    newest, _, damaged = newest_state(run / "state")
    assert newest.name == f"state-{left:09d}" and damaged == [] and not list((run / "state").glob(".*"))
    assert life(faces, tmp_path / "whole", SHORT)[0] == 0
    code, notes = life(faces, run, SHORT, resume=True)
    assert code == 0 and any(f"resuming in epoch 1, batch {left + 1}" in text for text in notes)
    assert_same(faces, tmp_path / "whole", run)


RANDOM_OPTIONS = {
    "schedule": ["constant", "step", "plateau", "cosine"], "optimizer": ["sgd", "adam", "adamw"], "warmup": [0.0, 0.7],
    "mixup": [0.0, 0.4], "cutmix": [0.0, 1.0], "ema": [0.0, 0.9], "accumulate": [1, 2, 4], "clip_norm": [None, 1.0],
    "workers": [0, 2], "cache": ["none", "ram"], "augment": ["none", "face", "face-strong"], "keep": [1, 3],
    "model": ["test_resnet", "test_vit"], "checkpoint_every": [None, "1", "2", "1s"], "step_size": [1],
    "dropout": [0.0, 0.3], "lr_patience": [0], "val_fraction": [0.1], "seed": [0, 7], "batch_size": [7, 8, 48],
    "sampling": ["uniform", "0.5", "balanced"], "sam": [0.0, 0.05], "early_stop": [0, 1],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_runs_killed_at_random_moments(faces, tmp_path, seed):
    """Two kills a run, 40 in all: at a step, a batch, a file operation, or just after some time."""
    rng = random.Random(seed)
    changes = {name: rng.choice(values) for name, values in RANDOM_OPTIONS.items()} | {"image_size": 32, "epochs": 3}
    assert life(faces, tmp_path / "whole", changes)[0] == 0
    places = [STEP, BATCH, f"{CORE}:fsync_path", f"{CORE}:os.replace", "affectkit.training.trainer:evaluate"]
    resumed, kills = False, 0
    while kills < 2:
        prepare = kill(rng.choice(places), rng.randint(1, 6), before=rng.random() < 0.5)
        code, notes = life(faces, tmp_path / "cut", changes, prepare=prepare, resume=resumed)
        assert code in (0, KILLED), notes
        kills += 1
        # Before its settings are written there is no run, and it starts again.
        resumed = (tmp_path / "cut" / "config.yaml").is_file()
    assert life(faces, tmp_path / "cut", changes, resume=resumed)[0] == 0
    assert_same(faces, tmp_path / "whole", tmp_path / "cut")
