"""What doctor says of face detectors."""

from __future__ import annotations

import pytest

from affectkit.data.faces import weights
from affectkit.doctor import face_detectors
from affectkit.doctor.face_detectors import detector_faults, detector_rows, examine_detectors


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path))


def test_without_a_download():
    found = examine_detectors("haar")
    assert found["pulled"] is None and found["damaged"] is None and detector_faults(found) == []
    rows = dict(detector_rows(found))
    assert rows["--faces auto"] == "haar: OpenCV's cascade"
    assert "affectkit pull face-detector" in rows[weights.YUNET.name]
    assert dict(detector_rows(examine_detectors(None)))["--faces auto"] == "not known"


def test_a_damaged_file_and_a_detector_that_is_left_out(monkeypatch):
    path = weights.pulled_path()
    path.parent.mkdir()
    path.write_bytes(b"torn")
    monkeypatch.setattr(
        face_detectors, "LEFT_OUT", ("the face detector 'haar' of the package x 1 is left out: taken.",)
    )
    what = [fault[0] for fault in detector_faults(examine_detectors("haar"))]
    assert what == [
        "the face detector 'haar' of the package x 1 is left out: taken",
        f"the face detector's file {path} is damaged",
    ]


def test_the_pulled_file_is_named(monkeypatch):
    path = weights.pulled_path()
    monkeypatch.setattr(face_detectors, "pulled_detector", lambda: path)
    assert dict(detector_rows(examine_detectors("yunet")))[weights.YUNET.name] == str(path)
