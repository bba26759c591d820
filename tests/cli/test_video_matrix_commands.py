"""Videos of many containers and conditions at the command line: prep rml, audio-visual infer, and infer of videos."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import invoke
from video_conditions import CONDITIONS
from video_zoo import Zoo, read_number

from affectkit.data.layouts.clip_store import ClipStore
from affectkit.errors import EXIT_PARTIAL
from affectkit.training.trainer import Trainer

TINY = ("--hidden", 16, "--codes", 32, "--batch-size", 12, "--quantizer", "plain")
USERS = ("s1", "s2", "s3", "s4")
WHOLE = (
    ("mp4", "rotated"),
    ("mkv", "late-start"),
    ("webm", "two-tracks"),
    ("mov", "data-track"),
    ("3gp", "sound-first"),
    ("avi", "b-frames"),
    ("avi", "dropped"),
    ("flv", "variable"),
    ("ts", "wraps"),
    ("mpg", "joined"),
    ("wmv", "segment"),
    ("ogv", "constant"),
)
CUT = (("mp4", "cut-60"), ("mkv", "cut-40"), ("avi", "cut-80"))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("zoo"), CONDITIONS)


@pytest.fixture(scope="module")
def prepared(zoo, tmp_path_factory) -> tuple[Path, dict[str, tuple[str, str]]]:
    """The store of these clips, and which cell each of its names is."""
    root, names = tmp_path_factory.mktemp("rml"), {}
    for number, (kind, condition) in enumerate((*WHOLE, *CUT)):
        path = (
            root / "source" / USERS[number % 4] / "English" / f"{('anger', 'happy', 'sad')[number % 3]}{number}.{kind}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(zoo.cell(kind, condition).path, path)
        names[path.relative_to(root / "source").with_suffix("").as_posix()] = (kind, condition)
    done = invoke(
        "prep", "rml", root / "source", "--output", root / "out", "--size", 128, "--workers", 1, "--on-error", "skip"
    )
    assert done.returncode == EXIT_PARTIAL, done.stderr
    return root / "out", names


def test_prep_rml(zoo, prepared):
    out, names = prepared
    with (out / "report.csv").open() as stream:
        reasons = {names[row["clip"]]: row["reason"] for row in csv.DictReader(stream) if row["reason"]}
    assert set(reasons) == set(CUT) and set(reasons.values()) <= {"truncated", "undecodable"}
    store = ClipStore.open(out)
    kept = {name: cell for name, cell in names.items() if cell in WHOLE}
    middle = store.images(list(kept), [store.frames // 2] * len(kept))
    seen = {cell: read_number(picture) for cell, picture in zip(kept.values(), middle, strict=True)}
    wanted = {cell: (numbers := zoo.cell(*cell).numbers)[len(numbers) // 2] for cell in WHOLE}
    assert seen == wanted
    # Each neighbour of the middle is the next frame, up to the ends of short clips.
    for name, cell in kept.items():
        numbers = zoo.cell(*cell).numbers
        places = np.clip(len(numbers) // 2 + np.arange(store.frames) - store.frames // 2, 0, len(numbers) - 1)
        pictures = store.images([name] * store.frames, list(range(store.frames)))
        assert [read_number(picture) for picture in pictures] == [numbers[place] for place in places], cell


def test_audiovisual_infer(zoo, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "draw", lambda *_: None)
    run = ("--model", "cmvqvae", "--data", prepared[0], "--output", tmp_path / "run", "--epochs", 1)
    done = invoke("train", *run, *TINY)
    assert done.returncode == 0, done.stderr
    # Copies of one video, whose frames and sound are the same, are predicted the same.
    same = {
        "mkv": ("constant", "late-start", "sound-first", "two-tracks", "data-track", "cover"),
        "mov": ("constant", "data-track"),
    }
    files = [zoo.cell(kind, one).path for kind, some in same.items() for one in some]
    cut = [zoo.cell(*cell).path for cell in CUT]
    done = invoke("infer", *files, *cut, "--checkpoint", tmp_path / "run", "--format", "jsonl")
    assert done.returncode == EXIT_PARTIAL, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(files), [row.get("Image Name") for row in rows]
    shares = np.array([[value for value in row.values() if isinstance(value, float)] for row in rows])
    assert shares.shape[1] > 1
    first = dict(zip(files, shares, strict=True))
    for kind, some in same.items():
        for one in some[1:]:
            found, plain = first[zoo.cell(kind, one).path], first[zoo.cell(kind, "constant").path]
            assert np.allclose(found, plain, atol=1e-6), (kind, one)
