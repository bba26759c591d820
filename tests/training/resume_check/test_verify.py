"""``verify``: a proof that holds, and faults that it must find, in forked processes of one thread."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import fields

import psutil
import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
import torch
import torch.utils.tensorboard
from support import Heard, make_votes, settings

from affectkit.core.progress import Silent
from affectkit.errors import DataError, RunError, UsageError
from affectkit.settings.training import TrainSettings
from affectkit.training.resume_check import verify
from affectkit.training.resume_check.killed_run import draw_part, kernels_in, named_kernels
from affectkit.training.resume_check.verify import FILES, NEUTRAL, find_cause, shorten


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def prove(data, trainer="KilledRun", *, reporter=None, steps=4, images=None, keep=None, **changes):
    module = "affectkit.training.resume_check.killed_run" if trainer == "KilledRun" else "broken_trainers"
    return verify.verify(
        settings(data, data, **changes), steps=steps, images=images, keep=keep, reporter=reporter or Silent(),
        trainer=f"{module}:{trainer}", start="fork",
    )  # fmt: skip


def test_a_proof_that_holds(votes, tmp_path):
    chosen = {"mixup": 0.4, "ema": 0.9, "accumulate": 2, "workers": 2, "cache": "none", "schedule": "cosine"}
    heard = Heard()
    proof = prove(votes, keep=tmp_path / "kept", reporter=heard, **chosen)
    assert proof.exact and proof.repeats and proof.error() is None and heard.done == 5 and heard.warnings == []
    assert proof.short == {"epochs": 2, "steps": 4, "batch_size": 8, "train_images": 32, "valid_images": 16}
    assert proof.killed_after == [2, 4] and "resume is exact on CPU" in proof.describe()
    told = json.loads(json.dumps(proof.to_dict()))
    assert told["exact"] is True and set(told["files"]) == set(FILES)
    assert all(one["again"] == one["resumed"] == "equal" for one in told["files"].values())
    roots = [tmp_path / "kept" / name for name in ("uninterrupted", "again", "resumed")]
    for name in FILES:
        assert len({(root / name).read_bytes() for root in roots}) == 1
    assert all(len((root / "history.csv").read_text().splitlines()) == 3 for root in roots)
    # The kills happened: each process writes its own events.
    assert [len(list((root / "events").iterdir())) for root in roots] == [1, 1, 3]
    assert not (roots[0] / "plots").exists()


EVERYTHING = {"mixup": 0.4, "ema": 0.9, "label_smoothing": 0.1, "optimizer": "adamw", "weight_decay": 0.01,
              "schedule": "cosine", "warmup": 0.5, "clip_norm": 1.0, "batch_size": 6}  # fmt: skip
LITTLE = {"mixup": 0.4, "augment": "none", "optimizer": "sgd", "momentum": 0.0, "schedule": "constant",
          "early_stop": 0, "calibrate": "none", "precision": "fp32", "epochs": 20}  # fmt: skip


@pytest.mark.parametrize(
    ("trainer", "repeats", "options", "chosen"),
    [
        ("StreamedDropout", True, ["--dropout 0.3"], LITTLE),
        pytest.param("UnseededMixup", False, ["--mixup 0.4"], LITTLE, marks=pytest.mark.slow),
        ("Forgetful", True, [], LITTLE),
        pytest.param("StreamedMixup", True, ["--mixup 0.4"], EVERYTHING, marks=pytest.mark.slow),
        pytest.param("StreamedBoth", True, ["--dropout 0.3", "--mixup 0.4"], EVERYTHING, marks=pytest.mark.slow),
        pytest.param("ForgetfulAverage", True, ["--ema 0.9"], EVERYTHING, marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_found_and_the_option_named(votes, trainer, repeats, options, chosen):
    proof = prove(votes, trainer, **chosen)
    assert (proof.exact, proof.repeats, proof.searched) == (False, repeats, True)
    assert sorted(proof.options) == options
    error = proof.error()
    assert isinstance(error, RunError) and error.exit_code == 1
    start = "a killed and resumed run ended otherwise" if repeats else "the same run twice gave different results"
    assert error.message.startswith(start) and "history.csv differs from epoch" in error.message
    assert "last.safetensors differs in" in error.message
    cause = "The cause is " + " and ".join(options) if options else "No option is the cause"
    assert cause in error.message.replace("--mixup 0.4 and --dropout 0.3", "--dropout 0.3 and --mixup 0.4")
    assert "report it" in error.hint.lower()


def test_kernels_without_a_fixed_result_are_named(votes, monkeypatch):
    """As on CUDA, but for the device: torch's own warning, from an operation that warns on the CPU too."""
    monkeypatch.setattr(verify, "resolve_device", lambda name: type("Cuda", (), {"kind": "cuda"}))
    heard = Heard()
    proof = prove(votes, "UnseededNamed", reporter=heard, **LITTLE)
    assert len(proof.kernels) == 1 and proof.kernels[0].startswith("put_") and proof.options == []
    error = proof.error()
    assert (
        "gave different results on CPU" in error.message and "without a fixed result were used: put_" in error.message
    )
    has_option = "deterministic" in {entry.name for entry in fields(TrainSettings)}
    assert ("--deterministic" in error.hint) == has_option and "--device cpu" in error.hint


def test_named_kernels_put_torch_back_as_it_was():
    with pytest.raises(ValueError, match="x"), named_kernels(True):
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        raise ValueError("x")
    assert not torch.are_deterministic_algorithms_enabled()
    text = "Deterministic behavior was enabled with either ..., but ... you must set CUBLAS_WORKSPACE_CONFIG=:4096:8"
    assert kernels_in([text, "something else"])[0].startswith("cuBLAS (no fixed workspace")


@pytest.mark.parametrize(
    "guilty",
    [{"mixup"}, {"precision"}, {"calibrate"}, {"dropout", "ema"}, {"schedule", "optimizer", "mixup"}, set(NEUTRAL)],
    ids=lambda names: "-".join(sorted(names))[:40],
)
def test_the_search_finds_any_cause_in_few_trials(votes, guilty):
    chosen = settings(votes, votes, **EVERYTHING)
    entries = {entry.name for entry in fields(chosen)}
    on = {name for name in NEUTRAL if name in entries and getattr(chosen, name) != NEUTRAL[name]}
    guilty = guilty & on
    trials = []

    def broken(tried):
        trials.append(tried)
        return any(getattr(tried, name) != NEUTRAL[name] for name in guilty)

    found = find_cause(chosen, broken)
    assert {text.split()[0][2:].replace("-", "_") for text in found} == guilty and len(guilty) > 0
    assert len(trials) <= 1 + len(guilty) * 5 and len(on) > 12


def test_the_search_finds_options_that_break_together(votes):
    chosen = settings(votes, votes, **EVERYTHING)
    found = find_cause(chosen, lambda tried: tried.mixup > 0 and tried.ema > 0)
    assert found in (["--mixup 0.4"], ["--ema 0.9"])
    assert find_cause(chosen, lambda tried: True) == []


def test_what_does_nothing_by_itself_is_neutral():
    """A name that training no longer has, or a value that it refuses, would hide a cause."""
    names = {entry.name for entry in fields(TrainSettings)}
    assert set(NEUTRAL) - names <= {"compile"}
    neutral = {name: value for name, value in NEUTRAL.items() if name in names}
    assert TrainSettings(data="d", output="o", **neutral).rules() == []


def shortened(votes, available, *, steps=6, images=None, **changes):
    heard = Heard()
    short, part = shorten(settings(votes, votes, **changes), available, steps=steps, images=images, reporter=heard)
    return short, part, heard.notes


def test_runs_are_shortened_so_that_every_schedule_moves(votes):
    short, part, notes = shortened(
        votes, (10_000, 500), batch_size=32, accumulate=2, warmup=5, epochs=90, schedule="multistep",
        milestones=(30, 60), repeat=5, workers=3, cache="ram",
    )  # fmt: skip
    assert (short.epochs, short.warmup, short.milestones, short.repeat, short.batch_size) == (2, 1.0, (1,), 1, 32)
    assert (part.train, part.valid, part.workers, part.cache) == (3 * 2 * 32, 64, 3, "ram") and notes == []
    assert short.rules() == []


def test_few_images_make_small_batches_and_too_few_are_refused(votes):
    short, part, notes = shortened(votes, (50, 4), batch_size=32)
    assert (short.batch_size, part.train, part.valid) == (16, 48, 4) and "batches of 16 images instead of 32" in notes[
        0
    ]
    short, part, _ = shortened(votes, (5000, 400), steps=4, images=9, batch_size=32)
    assert (short.batch_size, part.train) == (4, 8)
    assert shortened(votes, (3, 1), batch_size=1)[1].train == 3
    for options in ({"images": 5}, {"accumulate": 8}, {"batch_size": 1, "accumulate": 17}):
        with pytest.raises(UsageError, match="training images are too few for"):
            shortened(votes, (47, 4), **options)


def test_the_part_is_drawn_by_the_seed(votes):
    from affectkit.data.layouts.discovery import find_dataset

    split = find_dataset(votes, reporter=Silent()).splits["train"]
    one, same, other = (draw_part(split, 9, seed).ids for seed in (1, 1, 2))
    assert one == same != other and len(set(one)) == 9 and one == sorted(one) and set(one) < set(split.ids)


def test_an_error_of_a_process_is_raised_here_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    data = make_votes(tmp_path / "data", train=24)
    with pytest.raises(RunError, match="ended with exit code 99"):
        prove(data, "Silent99")
    with pytest.raises(RunError, match="ended before its step 4"):
        prove(data, "Short")
    with pytest.raises(UsageError, match="too few"):
        prove(data, images=3)
    (data / "images" / "train" / "003.png").write_bytes(b"no image")
    for cache in ("ram", "none"):
        with pytest.raises(DataError, match="1 image cannot be read") as caught:
            prove(data, steps=6, cache=cache)
        assert "--on-error skip" in caught.value.hint
    heard = Heard()
    assert prove(data, steps=6, on_error="skip", cache="none", reporter=heard).exact
    told = [text for text in heard.warnings if not text.startswith("validation: ece")]
    assert len(told) == 1 and "003.png" in told[0]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_several_processes_and_used_folders_are_refused(votes, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="--keep-files .* is not empty"):
        prove(votes, keep=votes)
    with pytest.raises(UsageError, match="no model 'resnet81'|resnet81"):
        prove(votes, model="resnet81")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="without torchrun"):
        prove(votes)


def test_an_interrupted_proof_leaves_no_process_and_no_file(votes, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    begun = set(psutil.Process().children(recursive=True))

    def interrupt(number, frame):
        assert set(psutil.Process().children(recursive=True)) - begun, "it came while a process was at work"
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            prove(votes, "Sleeper")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(psutil.Process().children(recursive=True)) <= begun
    assert list(tmp_path.iterdir()) == []
