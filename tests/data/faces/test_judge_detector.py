"""The commands that judge detectors: their tables on a photograph that is always there, and on cases made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from benchmarks.face_peers import NotHere
from benchmarks.judge_crops import Cell, labelled
from benchmarks.judge_detector import Result, detector, groups_of, main, table
from face_judge import Mark
from face_scenes import NoFaces, Scene

from affectkit.data.faces.haar import HaarDetector

PICTURE = np.zeros((40, 40, 3), np.uint8)


def scene(marks, group):
    return Scene("made", PICTURE, tuple(marks), ("",) * len(marks), group)


def test_groups_of_marks():
    plain = scene([], "plain")
    assert set(groups_of(plain, Mark((0, 0, 24, 24), roll=-45))) == {"scenes", "size 24", "angle 45", "goal"}
    assert "goal" not in groups_of(plain, Mark((0, 0, 20, 20)))
    assert "goal" not in groups_of(plain, Mark((0, 0, 48, 48), roll=60))
    assert set(groups_of(scene([], "hard"), Mark((0, 0, 24, 24), kind="blur"))) == {"hard", "blur"}
    assert set(groups_of(scene([], "turned 30"), Mark((0, 0, 24, 24)))) == {"turned 30"}


def test_boxes_without_a_face_count_for_the_picture():
    result = Result()
    result.add(scene([Mark((0, 0, 20, 20))], "plain"), [((0, 0, 20, 20), 0.9, ()), ((30, 30, 5, 5), 0.5, ())])
    result.add(scene([Mark((0, 0, 20, 20))], "plain"), [])
    result.add(scene([], "empty"), [((30, 30, 5, 5), 0.5, ())])
    tallies = result.tallies
    assert (tallies["scenes"].found, tallies["scenes"].faces, tallies["scenes"].false) == (1, 2, 1)
    assert (tallies["empty"].faces, tallies["empty"].false) == (0, 1)
    assert (tallies["all"].faces, tallies["all"].false, tallies["all"].double) == (2, 2, 0)
    assert len(result.faulty) == 3
    row = next(line for line in table({"made": result}).splitlines() if line.startswith("| scenes"))
    assert "| 2 " in row and "50.0% (9-91), 1 false" in row


def test_a_photograph_from_the_command_line(tmp_path, capsys):
    samples = Path(matplotlib.get_data_path()) / "sample_data"
    sheet, figures = tmp_path / "missed.png", tmp_path / "figures.json"
    name = "affectkit.data.faces.haar:HaarDetector()"
    main([name, "--scenes", "none", "--photographs", str(samples), "--misses", str(sheet), "--json", str(figures)])
    shown = capsys.readouterr().out
    assert "| portraits" in shown and "100.0% (21-100)" in shown
    told = json.loads(figures.read_text())[name]
    assert told["portraits"][:2] == [1, 1] and told["turned 45"][:2] == [0, 2]  # the cascade finds upright faces alone
    assert sheet.stat().st_size > 1000


def test_detectors_by_name(monkeypatch):
    monkeypatch.delenv("AFFECTKIT_FACE_MODELS", raising=False)
    assert isinstance(detector("haar"), HaarDetector)
    assert detector("benchmarks.face_peers:cascade()")(np.zeros((64, 64, 3), np.uint8)) == []
    with pytest.raises(NotHere, match="AFFECTKIT_FACE_MODELS"):
        detector("yunet-0.6")


def test_the_loss_of_pairs():
    cell = Cell()
    for given, found in [(True, True)] * 80 + [(True, False)] * 15 + [(False, True)] * 5:
        cell.add(given, found, 0.1)
    loss, half = cell.loss
    assert loss == pytest.approx(10) and half == pytest.approx(196 * np.sqrt((0.2 - 0.01) / 100))
    assert np.isnan(Cell().loss).all()


def test_without_ferplus_it_is_said_where_to_name_it(tmp_path, monkeypatch):
    from face_scenes import ferplus_folder

    monkeypatch.setenv("AFFECTKIT_FERPLUS_ARCHIVE", str(tmp_path))
    with pytest.raises(NoFaces, match="AFFECTKIT_FERPLUS_ARCHIVE"):
        ferplus_folder()


def test_labels_are_those_of_most_votes(monkeypatch):
    from face_scenes import Crop

    votes = ((1, 8, 0, 0, 0, 0, 0, 0), (4, 4, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 9))
    made = tuple(Crop(str(number), np.zeros((48, 48), np.uint8), row) for number, row in enumerate(votes))
    monkeypatch.setattr("face_scenes.crops", lambda: made)
    assert sorted((crop.name, label) for crop, label in labelled(5)) == [("0", 1), ("2", 7)]
