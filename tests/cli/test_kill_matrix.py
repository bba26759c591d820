"""A seeded part of the matrix of signals; ``python tests/kill_matrix.py`` prints all of it."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from kill_cases import download_case, make_cases
from kill_run import SIGNALS, judge_case
from web import serving

PART = (
    "datasplit, in place, balanced", "datasplit --undo", "relabel", "prep schematic", "prep cremad", "merge infer",
    "merge prep schematic, --remove-shards", "train", "test", "infer images", "infer images --force",
    "infer images --annotate", "infer videos", "convert --half", "eval-corruptions", "quantiles", "completions --write",
)  # fmt: skip
"""Cases that take a second or less; their moments are the first ones of the matrix with another seed."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return make_cases(tmp_path_factory.mktemp("shared"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PART)
def test_what_was_stopped_and_gone_on_with_is_what_was_not(cases, tmp_path, name):
    _judge(cases[name], tmp_path)


@pytest.mark.slow
def test_a_download_that_was_stopped(tmp_path, monkeypatch):
    with serving() as web:
        web.files = {"vca.pth": random.Random(5).randbytes(3_000_000), "notes.txt": b"read me\n"}
        monkeypatch.setenv("AFFECTKIT_ZENODO", web.url)
        _judge(download_case(), tmp_path)


def _judge(case, tmp_path: Path) -> None:
    verdicts = judge_case(case, tmp_path / "case", count=3, seed=11)
    told = [fault for found in verdicts.values() for fault in found.faults]
    assert not told, "\n".join(told)
    assert [found.tried for found in verdicts.values()] == [3] * len(SIGNALS)
    for number, found in verdicts.items():
        assert found.struck > 0, f"no {signal.Signals(number).name} met the command at work"
