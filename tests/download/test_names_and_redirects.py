"""Names that a server chose, the folder of a record, and ways that lead from https to http."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path

import pytest
import requests
from support import Heard
from web import serving

from affectkit.download.file_names import check_name
from affectkit.download.zenodo import download, resolve_source
from affectkit.errors import DataError, DownloadError

BODY = random.Random(5).randbytes(300_000)


@pytest.fixture
def web(monkeypatch):
    with serving() as served:
        served.files = {"vca.pth": BODY, "notes.txt": b"read me\n"}
        monkeypatch.setenv("AFFECTKIT_ZENODO", served.url)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield served


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


REFUSED = {
    ".bashrc": "begins with a dot", "sub/.git/config": "begins with a dot", "...": "begins with a dot",
    "-rf": "begins with a dash", "sub/--force": "begins with a dash", "~root": "begins with '~'",
    "CON": "device", "nul.txt": "device", "Com1": "device", "lpt9.tar.gz": "device", "sub/aux": "device",
    "COM\u00b9.txt": "device", "con .txt": "device", "CONIN$": "device",
    "a\\b.pth": "another folder", "up\\..\\x": "leaves the folder", "a//b.pth": "another folder",
    "red\x1b[31m.pth": "control", "a\rb": "control", "gnp\u202e.exe": "control", "a\x7f": "control",
    "a\u2028b": "control",
    "end.": "ends with a dot", "end ": "ends with a space", " begin": "begins or ends with a space",
    "n" * 201: "longer than 200", "\u00fc" * 101: "longer than 200", "sub/" + "n" * 300: "longer than 200",
}  # fmt: skip
TAKEN = ("a.pth", "CONFIG.txt", "com.txt", "COM10", "nullable.csv", "a-b.txt", "a..b", "v1.0/a b.txt", "ünï 顔.png",
         "owner/repo-1.0.zip", "n" * 200, "=1+2.csv", "@x", "lpt")  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_a_server_should_not_choose(web, tmp_path, name):
    web.record = web.described()
    web.record["files"][0]["key"] = name
    with pytest.raises(DataError, match=REFUSED[name]) as error:
        download("zenodo:7", tmp_path / "in")
    assert left(tmp_path) == set() and not [path for path, _ in web.asked if path.startswith("/files/")]
    assert "not taken as" not in str(error.value) or "--file" in error.value.hint
    download("zenodo:7", tmp_path / "in", names=["notes.txt"])  # the others can be had
    assert left(tmp_path) == {"in/notes.txt"}


@pytest.mark.parametrize("name", TAKEN)
def test_names_that_are_taken(name):
    check_name(name, folders=True)
    if "/" in name:
        with pytest.raises(DataError):
            check_name(name)


@pytest.mark.parametrize("end", ["/.profile", "/-rf", "/nul", "/a%2Fb", "/%2e%2e", "/x%1b[31m", "/" + "n" * 201])
def test_the_name_in_an_address_is_judged_alike(end):
    with pytest.raises(DataError, match="is not taken as the name of a file"):
        resolve_source(f"https://a.example{end}")


def test_a_record_has_a_folder_of_its_own(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = download("zenodo:7")
    assert done["output"] == "zenodo-7" and left(tmp_path) == {"zenodo-7/vca.pth", "zenodo-7/notes.txt"}
    assert [row["path"] for row in done["files"]] == ["zenodo-7/vca.pth", "zenodo-7/notes.txt"]
    assert [row["status"] for row in download("zenodo:7")["files"]] == ["present", "present"]
    web.record = web.described() | {"id": "../7"}
    assert download("zenodo:7")["output"] == "zenodo-7"
    digest = hashlib.sha256(BODY).hexdigest()
    done = download(f"{web.url}/files/vca.pth", checksum=f"sha256:{digest}")
    assert done["output"] == "." and (tmp_path / "vca.pth").read_bytes() == BODY


class Answers(requests.adapters.HTTPAdapter):
    """What hosts answer, by address: a body, or where they lead to; ``asked`` keeps the addresses."""

    def __init__(self, answers: dict[str, bytes | str]) -> None:
        super().__init__()
        self.answers, self.asked = answers, []

    def send(self, request, **given):
        self.asked.append(request.url)
        answer = self.answers[request.url]
        response = requests.Response()
        response.request, response.url = request, request.url
        response.status_code = 302 if isinstance(answer, str) else 200
        if isinstance(answer, str):
            response.headers["Location"] = answer
        response.raw = io.BytesIO(b"" if isinstance(answer, str) else answer)
        return response


@pytest.fixture
def hosts(monkeypatch):
    def answer(**answers):
        adapter = Answers(answers.pop("by_address"))
        monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: adapter)
        return adapter

    return answer


SAFE, DOWN, ON = "https://a.example/w.pth", "http://b.example/w.pth", "https://c.example/w.pth"
LEADS = {
    "at once": {SAFE: DOWN, DOWN: BODY},
    "after another": {SAFE: ON, ON: DOWN, DOWN: BODY},
    "back again": {SAFE: DOWN, DOWN: ON, ON: BODY},
    "without a scheme": {SAFE: "//a.example/x", "https://a.example/x": "HTTP://b.example/w.pth", DOWN: BODY},
}


@pytest.mark.parametrize("way", LEADS)
def test_https_does_not_lead_to_http_without_a_checksum(hosts, tmp_path, way):
    asked = hosts(by_address=LEADS[way]).asked
    with pytest.raises(DownloadError, match="leads from https to .*b.example/w.pth") as error:
        download(SAFE, tmp_path)
    assert "--checksum" in error.value.hint and left(tmp_path) == set()
    assert all(url.startswith("https:") for url in asked) and len(asked) >= 1
    heard = Heard()
    done = download(SAFE, tmp_path, checksum=f"sha256:{hashlib.sha256(BODY).hexdigest()}", reporter=heard)
    assert done["files"][0]["status"] == "fetched" and (tmp_path / "w.pth").read_bytes() == BODY
    assert [note for note in heard.notes if "b.example without https; the checksum decides" in note] != []


def test_https_leads_to_https_as_before(hosts, tmp_path):
    hosts(by_address={SAFE: ON, ON: "/x", "https://c.example/x": BODY})
    heard = Heard()
    download(SAFE, tmp_path, reporter=heard)
    assert (tmp_path / "w.pth").read_bytes() == BODY and not [note for note in heard.notes if "https;" in note]


def test_a_record_is_not_described_over_http(hosts, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_ZENODO", "https://a.example")
    page = "https://a.example/api/records/7"
    asked = hosts(by_address={page: "http://b.example/r", "http://b.example/r": b"{}"}).asked
    with pytest.raises(DownloadError, match="leads from https to http://b.example/r"):
        resolve_source("zenodo:7")
    assert asked == [page]
    entry = {"key": "w.pth", "size": 3, "links": {"self": "http://b.example/w.pth"}}
    hosts(by_address={page: json.dumps({"id": 7, "files": [entry]}).encode()})
    with pytest.raises(DownloadError, match=r"'w.pth' an address without https, and no checksum"):
        resolve_source("zenodo:7")
    hosts(by_address={page: json.dumps({"id": 7, "files": [{**entry, "checksum": "md5:" + "0" * 32}]}).encode()})
    assert resolve_source("zenodo:7").files[0].url == "http://b.example/w.pth"
