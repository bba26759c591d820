"""``verify``: a proof that holds, and faults that it must find, in forked processes of one thread."""

from __future__ import annotations

import json
import warnings
from dataclasses import fields, replace

import pytest
import torch
import torch.utils.tensorboard
from support import Heard, make_votes, settings

from affectkit.core.progress import Silent
from affectkit.errors import CheckpointError, DataError, RunError, UsageError
from affectkit.runners import rehearsal, verify
from affectkit.runners.rehearsal import draw_part, kernels_in, named_kernels
from affectkit.runners.settings import TrainSettings
from affectkit.runners.verify import FILES, NEUTRAL, find_cause, shorten


def prove(data, trainer="Rehearsal", *, reporter=None, steps=4, images=None, keep=None, **changes):
    module = "affectkit.runners.rehearsal" if trainer == "Rehearsal" else "broken_trainers"
    return verify.verify(
        settings(data, data, **changes), steps=steps, images=images, keep=keep, reporter=reporter or Silent(),
        trainer=f"{module}:{trainer}", start="fork",
    )  # fmt: skip


def test_a_proof_that_holds(votes, tmp_path):
    chosen = {"mixup": 0.4, "ema": 0.9, "accumulate": 2, "workers": 2, "cache": "none", "schedule": "cosine"}
    heard = Heard()
    proof = prove(votes, keep=tmp_path / "kept", reporter=heard, **chosen)
    assert proof.exact and proof.repeats and proof.error() is None and heard.done == 5 and heard.warnings == []
    assert proof.short == {"epochs": 2, "steps": 4, "batch_size": 8, "train_images": 32, "valid_images": 12}
    assert proof.killed_after == [2, 4] and "resume is exact on CPU" in proof.in_words()
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


@pytest.mark.parametrize(
    ("trainer", "repeats", "options"),
    [
        ("StreamedDropout", True, ["--dropout 0.3"]),
        ("StreamedMixup", True, ["--mixup 0.4"]),
        ("StreamedBoth", True, ["--dropout 0.3", "--mixup 0.4"]),
        ("ForgetfulAverage", True, ["--ema 0.9"]),
        ("UnseededMixup", False, ["--mixup 0.4"]),
        ("Forgetful", True, []),
    ],
)
def test_a_fault_is_found_and_the_option_named(votes, trainer, repeats, options):

    proof = prove(votes, trainer, **EVERYTHING)
    assert (proof.exact, proof.repeats, proof.searched) == (False, repeats, True)
    assert sorted(proof.options) == options
    error = proof.error()
    assert isinstance(error, RunError) and error.exit_code == 1
    start = "a killed and resumed run ended otherwise" if repeats else "the same run twice gave different results"
    assert error.message.startswith(start) and "history.csv differs from epoch 1 on" in error.message
    cause = "The cause is " + " and ".join(proof.options) if options else "No option is the cause"
    assert cause in error.message and error.hint
