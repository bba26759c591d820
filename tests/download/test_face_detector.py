"""``affectkit pull face-detector``: from a server of this machine, checked, and found by ``--faces`` afterwards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from support import Heard, invoke
from web import serving

from affectkit.data.faces import weights
from affectkit.download import face_detector, transfer
from affectkit.download.face_detector import MIRROR, pull
from affectkit.errors import DownloadError, UsageError

BODY = bytes(range(256)) * 800
FILE = "yunet.onnx"


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A server with the file, two addresses of which the second is good, and an empty cache."""
    for name in (MIRROR, "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    with serving() as web:
        web.files[FILE] = BODY
        urls = (f"{web.url}/files/missing.onnx", f"{web.url}/files/{FILE}")
        known = replace(weights.YUNET, size=len(BODY), sha256=hashlib.sha256(BODY).hexdigest(), urls=urls)
        for module in (weights, face_detector):
            monkeypatch.setattr(module, "YUNET", known)
        yield web


def test_it_is_fetched_from_the_first_address_that_has_it(web):
    heard, path = Heard(), weights.pulled_path()
    found = pull(reporter=heard)
    assert path.read_bytes() == BODY and weights.pulled_detector() == path
    assert (found["status"], found["url"], found["path"]) == ("fetched", f"{web.url}/files/{FILE}", str(path))
    assert len(heard.warnings) == 1 and "404, it is not there. Trying 127.0.0.1" in heard.warnings[0]
    assert any("licence MIT, Copyright (c) 2020 Shiqi Yu" in text for text in heard.notes)
    origin = path.with_suffix(".txt").read_text()
    assert all(text in origin for text in (found["url"], weights.YUNET.sha256, "MIT", weights.YUNET.page))
    assert sorted(one.name for one in path.parent.iterdir() if one.suffix != ".lock") == [
        path.name, path.with_suffix(".txt").name,
    ]  # fmt: skip


def test_a_file_that_is_there_is_not_fetched_again(web):
    pull()
    asked = len(web.asked)
    heard = Heard()
    found = pull(reporter=heard)
    assert (found["status"], found["url"], len(web.asked)) == ("present", None, asked)
    assert "nothing to do" in heard.notes[-1]


def test_a_file_put_there_by_hand_is_taken(web):
    path = weights.pulled_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert pull()["status"] == "present" and web.asked == []
    assert "put here by hand" in path.with_suffix(".txt").read_text()


def test_a_file_of_other_content_is_replaced(web):
    path = weights.pulled_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:-1] + b"x")
    heard = Heard()
    assert pull(reporter=heard)["status"] == "fetched" and path.read_bytes() == BODY
    assert "is not the published file" in heard.warnings[0]


@pytest.mark.parametrize("body", [BODY[:-1] + b"x", BODY[:-1], BODY + b"x", b"<html>login</html>"])
def test_what_is_not_the_published_file_is_never_under_its_name(web, body):
    web.files[FILE] = body
    with pytest.raises(DownloadError) as caught:
        pull()
    path = weights.pulled_path()
    assert not path.exists() and weights.pulled_detector() is None
    message, hint = caught.value.message, caught.value.hint
    assert f"{web.url}/files/missing.onnx\n" in message and f"{web.url}/files/{FILE}\n" in message
    assert str(path) in hint and MIRROR in hint and "HTTPS_PROXY" in hint


def test_a_transfer_that_was_cut_is_continued(web):
    web.cuts = [150_000]
    assert pull()["status"] in ("fetched", "continued") and weights.pulled_path().read_bytes() == BODY
    assert [span for name, span in web.asked if name.endswith(FILE)][:1] == [None]
    assert web.asked[-1][1] is not None, "the rest alone was asked for"


def test_a_server_that_is_not_there(web, monkeypatch):
    monkeypatch.setenv(MIRROR, "http://127.0.0.1:9/yunet.onnx")
    with pytest.raises(DownloadError, match=r"127.0.0.1:9 cannot be reached: .*[Rr]efused"):
        pull()
    monkeypatch.setenv(MIRROR, "ftp://somewhere/yunet.onnx")
    with pytest.raises(UsageError, match=f"{MIRROR} must be the address of a file"):
        pull()
    assert web.asked == []


def test_a_folder_in_its_place(web):
    weights.pulled_path().mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder"):
        pull()


def test_as_a_user_types_it(web, monkeypatch):
    monkeypatch.setenv(MIRROR, f"{web.url}/files/{FILE}")
    shown = invoke("pull", "face-detector", "--list")
    assert shown.returncode == 0 and web.asked == []
    assert all(text in shown.stdout for text in (weights.YUNET.name, "MIT", "https://github.com/opencv/opencv_zoo"))
    found = invoke("pull", "face-detector", "--json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["status"] == "fetched" and told["checksum"] == f"sha256:{weights.YUNET.sha256}"
    again = invoke("download", "face-detector")
    assert again.returncode == 0 and "present" in again.stdout and "nothing to do" in again.stderr
    for option in ("--output=x", "--file=y", "--force", "--checksum=sha256:00"):
        refused = invoke("pull", "face-detector", option)
        assert refused.returncode == 2 and "face-detector exclude each other" in refused.stderr
    unknown = invoke("pull", "face-detectr")
    assert unknown.returncode == 2 and "face-detector" in unknown.stderr
