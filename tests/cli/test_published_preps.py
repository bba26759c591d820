"""Preparations of published datasets from the command line: what is kept and left out, and folders of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_data import afew_va, affectnet_first, emotic, fer2013
from support import invoke


def test_fer2013_with_copies_dropped(tmp_path: Path) -> None:
    source = fer2013(tmp_path / "in", {"Training": (1, 2), "PublicTest": (3, 4), "PrivateTest": (5,)})
    lines = (source / "fer2013.csv").read_text().splitlines()
    lines[3] = lines[1].replace("1,", "3,", 1).replace("Training", "PublicTest")
    (source / "fer2013.csv").write_text("\n".join(lines) + "\n")
    done = invoke("prep", "fer2013", source, "--output", tmp_path / "out", "--drop-copies")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["images", "train", "valid", "test"] and ["kept", "2", "1", "1"] in rows
    assert "dropped: copy of an image in an earlier split      0      1     0" in done.stdout
    again = invoke("prep", "fer2013", source, "--output", tmp_path / "out", "--drop-copies")
    assert again.stdout == done.stdout and "nothing to do" in again.stderr


def test_affectnet_leaves_out_and_says_so(tmp_path: Path) -> None:
    rows = {f"{number}/a.jpg": (1, 1, 20, 20, number, 0.1, 0.2) for number in range(11)}
    source = affectnet_first(tmp_path / "in", {"training": rows, "validation": {"1/v.jpg": (1, 1, 9, 9, 1, 0, 0)}})
    done = invoke("prep", "affectnet", source, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "dropped: expression none, uncertain or non-face      3      0" in done.stdout
    assert "8/a.jpg, 9/a.jpg, 10/a.jpg" in done.stderr
    about = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert about["report"]["dropped"] == {"train": {"expression none, uncertain or non-face": 3}}
    refused = invoke("train", "--data", source, "--output", tmp_path / "run")
    assert refused.returncode == 1 and f"affectkit prep affectnet {source} --output NEW" in refused.stderr


def test_afew_va_with_actors_apart(tmp_path: Path, no_figures: None) -> None:
    clips = {f"{number:03d}": (f"Actor {number % 5}", [(number - 6, 3), (0, 0)]) for number in range(1, 11)}
    afew_va(tmp_path / "in", clips)
    done = invoke("prep", "afew-va", tmp_path / "in", "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(split["frames"] for split in found["kept"].values()) == 20 and next(iter(found["kept"])) == "train"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["rating_scale"] == [-10, 10]
    other = invoke("prep", "afew-va", tmp_path / "in", "--output", tmp_path / "out", "--seed", "1")
    assert other.returncode == 2 and "another preparation: seed" in other.stderr
    trained = invoke(
        "train", "--data", tmp_path / "out", "--output", tmp_path / "run", "--model", "test_resnet", "--no-pretrained",
        "--image-size", "24", "--epochs", "1",
    )  # fmt: skip
    assert trained.returncode == 0 and "on a scale of -10 to 10" in trained.stderr


def test_emotic_by_gender_and_age(tmp_path: Path, no_figures: None) -> None:
    box = (2, 2, 30, 30)
    pictures = {f"mscoco/images/{number}.jpg": [(box, ("Peace", "Esteem"), (5, 6, 7))] for number in range(6)}
    emotic(
        tmp_path / "in", {"train": pictures, "val": pictures, "test": {"ade20k/images/x.jpg": [(box, (), (1, 1, 1))]}}
    )
    done = invoke("prep", "emotic", tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (
        "dropped: no category      0      0     1" in done.stdout
        and "test: 1 left out (no category): ade20k_x_1" in done.stderr
    )
    assert "average precision, EMOTIC's measure, is not computed" in done.stderr
    trained = invoke(
        "train", "--data", tmp_path / "out", "--output", tmp_path / "run", "--model", "test_resnet", "--no-pretrained",
        "--image-size", "24", "--epochs", "1",
    )  # fmt: skip
    assert trained.returncode == 0 and "26 classes" in trained.stderr and "task distribution" in trained.stderr


@pytest.mark.parametrize("name", ["fer2013", "affectnet", "afew-va", "emotic"])
def test_another_folder_is_an_error_of_the_data(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    done = invoke("prep", name, tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert invoke("prep", name, tmp_path / "in").returncode == 2
