"""The API, in this process: numbers, faults, limits, jobs, and that nothing is left."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from serving import client_of, face, film, png, scene, serve_settings, service_of

import affectkit
from affectkit.config import resolve
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Silent
from affectkit.errors import DataError
from affectkit.inference.infer import infer
from affectkit.settings.inference import InferSettings

BOX = ("x", "y", "width", "height")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "one.png").write_bytes(png(face()))
    (folder / "two.png").write_bytes(png(scene()))
    (folder / "none.png").write_bytes(png(np.full((200, 300, 3), 90, np.uint8)))
    (folder / "torn.png").write_bytes(png(scene())[:2000])
    film(folder / "film.mp4")
    return folder


@pytest.fixture(scope="module")
def service():
    with service_of(serve_settings(queue=3, max_size="3M", max_files=4, max_seconds=20.0)) as made:
        yield made


@pytest.fixture
def client(service):
    return client_of(service)


def parts(folder: Path, *names: str, shown: str = ""):
    return [("file", (shown or name, (folder / name).read_bytes())) for name in names]


def ended(client, job: dict, *, seconds: float = 60) -> dict:
    until = time.monotonic() + seconds
    while (found := client.get(f"/jobs/{job['job']}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def empty(service, *, seconds: float = 10) -> bool:
    """Whether no file of a request stands any more."""
    until = time.monotonic() + seconds
    while [path for path in service.folder.iterdir() if path.name != ".lock"]:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# --- pictures ---


def test_rows_are_those_of_predict_to_the_last_digit(client, service, files):
    names = ("one.png", "two.png", "none.png")
    own = list(affectkit.predict(affectkit.load("builtin"), [str(files / name) for name in names]))
    found = client.post("/predict", files=parts(files, *names)).json()
    assert len(own) == 4 and own[1]["Face"] == 1 and own[-1]["Face"] is None
    assert found["rows"] == [{**row, "Image Name": Path(row["Image Name"]).name} for row in own]
    assert found["columns"] == list(own[0])
    assert (found["images"], found["faces"], found["skipped"]) == (3, 3, 0)
    assert empty(service)


def test_the_rest_is_the_summary_of_infer(client, files):
    settings = resolve(InferSettings, flags={"paths": [str(files / "two.png")], "device": "cpu"}).settings
    out = io.StringIO()
    summary = infer(settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
    found = client.post("/predict?csv=1", files=parts(files, "two.png")).json()
    apart = {"paths", "recursive", "checkpoint"}
    assert summary.keys() - found.keys() <= apart
    assert {key: found[key] for key in summary.keys() - apart} == {key: summary[key] for key in summary.keys() - apart}
    written = out.getvalue().replace(str(files / "two.png"), "two.png")
    assert found["csv_header"] + found["csv"] == written


def test_a_file_that_cannot_be_read_is_named_beside_those_that_can(client, files):
    answer = client.post("/predict", files=parts(files, "torn.png", "one.png"))
    found = answer.json()
    assert answer.status_code == 200
    assert (found["images"], found["skipped"], len(found["rows"])) == (1, 1, 1)
    assert found["skipped_first"][0]["image"] == "torn.png"


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xe0 no jpeg", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_bad_files_are_refused_in_the_words_of_the_command(client, service, tmp_path, data):
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(DataError) as told:
        list(affectkit.predict(affectkit.load("builtin"), str(path)))
    answer = client.post("/predict", files={"file": ("bad.png", data)})
    assert answer.status_code == 422
    assert answer.json()["error"] in told.value.message.replace(str(path), "bad.png")
    assert str(service.folder) not in answer.text
    assert empty(service)


def test_an_annotated_picture_is_that_of_infer(client, service, files, tmp_path):
    flags = {"paths": [str(files / "two.png")], "device": "cpu", "annotate": str(tmp_path / "drawn")}
    infer(resolve(InferSettings, flags=flags).settings, reporter=Silent(), listed=io.StringIO(), stdout=io.StringIO())
    (own,) = (path for path in (tmp_path / "drawn").rglob("*") if path.is_file())
    answer = client.post("/annotate", files=parts(files, "two.png", shown="../<b>two.png"))
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%3Cb%3Etwo-annotated.png"
    assert answer.content == own.read_bytes() != (files / "two.png").read_bytes()
    assert client.post("/annotate", files=parts(files, "torn.png")).status_code == 422
    assert client.post("/annotate", files=parts(files, "one.png", "two.png")).status_code == 400
    assert empty(service)


# --- limits ---


def test_limits(client, service, files):
    many = client.post("/predict", files=[("file", (f"{n}.png", png(face(size=48)))) for n in range(5)])
    large = client.post("/predict", files={"file": ("a.png", bytes(4_200_000))})

    def pieces():
        begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        yield begin
        for _ in range(50):
            yield bytes(100_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    streamed = client.post("/predict", content=pieces(), headers=kind)
    with pixels_up_to(10_000):
        pixels = client.post("/predict", files=parts(files, "two.png"))
    long = film(files / "long.mp4", 25, fps=1)
    length = client.post("/jobs", files=parts(files, long.name))
    assert [one.status_code for one in (many, large, streamed, pixels, length)] == [413, 413, 413, 422, 422]
    assert "--max-files" in many.text and "--max-size" in large.text and "--max-size" in streamed.text
    assert "more than the limit of 10,000" in pixels.text
    assert "lasts 25.0 s" in length.text and "--max-seconds" in length.text
    assert empty(service)


def test_a_full_queue_says_when_to_come_again(client, service, files):
    gate, places = threading.Event(), []
    for _ in range(3):
        place = service.queue.place()
        places.append(place)
        place.__enter__().do(gate.wait)
    try:
        answer = client.post("/predict", files=parts(files, "one.png"))
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert client.post("/jobs", files=parts(files, "one.png")).status_code == 503
        assert client.get("/health").json()["waiting"] == 3
    finally:
        gate.set()
        for place in places:
            place.__exit__(None, None, None)
    assert client.post("/predict", files=parts(files, "one.png")).status_code == 200


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=x", b"no form", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\n1\r\n--x--\r\n',
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"b" * 9000 + b"\r\n\r\n1\r\n--x--\r\n", 400),
    ],
)
def test_what_is_no_form_with_files_is_refused(client, service, kind, body, status):
    answer = client.post("/predict", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] and answer.json()["hint"]
    assert empty(service)


# --- names ---


def test_names_are_labels_and_never_paths(client, service, files):
    sent = ["../../evil.png", "<script>alert(1)</script>.png", "a.png", "a.png"]
    found = client.post("/predict", files=[("file", (name, (files / "one.png").read_bytes())) for name in sent])
    names = [row["Image Name"] for row in found.json()["rows"]]
    assert names == ["evil.png", "script>.png", "a.png", "a (2).png"]  # behind the last slash
    assert not (service.folder.parent / "evil.png").exists()
    assert empty(service)


# --- jobs ---


def test_a_film_becomes_the_rows_of_predict(client, service, files):
    job = client.post("/jobs", files=parts(files, "film.mp4"))
    assert job.status_code == 202 and job.headers["location"] == f"/jobs/{job.json()['job']}"
    found = ended(client, job.json())
    own = list(affectkit.predict(affectkit.load("builtin"), str(files / "film.mp4")))
    assert len(own) >= 10 and {row["Face"] for row in own} >= {1, 2}
    assert found["state"] == "done" and found["progress"] == 1.0
    assert found["rows"] == [{**row, "Video Name": "film.mp4"} for row in own]
    assert found["videos"][0]["faces"] == len({row["Face"] for row in own})
    rest = client.get(f"/jobs/{found['job']}?rows_from={len(own) - 1}").json()
    assert rest["rows"] == found["rows"][-1:] and rest["rows_total"] == len(own)
    assert client.get(f"/jobs/{found['job']}?rows_from={len(own) + 1}").status_code == 400
    assert client.get(f"/jobs/{found['job']}?rows_from=-1").status_code == 400
    settings = resolve(InferSettings, flags={"paths": [str(files / "film.mp4")], "device": "cpu"}).settings
    out = io.StringIO()
    infer(settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
    table = client.get(f"/jobs/{found['job']}/table.csv")
    assert table.text == out.getvalue().replace(str(files / "film.mp4"), "film.mp4")
    assert [one["job"] for one in client.get("/jobs").json()["jobs"]] == [found["job"]]
    assert client.delete(f"/jobs/{found['job']}").json()["state"] == "done"
    assert client.get(f"/jobs/{found['job']}").status_code == 404
    assert empty(service)


def test_options_of_a_film(client, files):
    job = client.post("/jobs", files=parts(files, "film.mp4"), data={"every": "10", "smooth": "1"}).json()
    found = ended(client, job)
    own = affectkit.predict(affectkit.load("builtin"), str(files / "film.mp4"), every="10", smooth=1.0)
    assert found["rows"] == [{**row, "Video Name": "film.mp4"} for row in own]
    client.delete(f"/jobs/{found['job']}")
    for data in ({"every": "often"}, {"smooth": "-1"}, {"smooth": "nan"}, {"faces": "none"}):
        assert client.post("/jobs", files=parts(files, "film.mp4"), data=data).status_code == 400


def test_a_job_of_pictures(client, service, files):
    found = ended(client, client.post("/jobs", files=parts(files, "two.png", "torn.png", "one.png")).json())
    assert (found["state"], found["kind"], found["skipped"]) == ("done", "pictures", 1)
    assert found["rows"] == client.post("/predict", files=parts(files, "two.png", "one.png")).json()["rows"]
    client.delete(f"/jobs/{found['job']}")
    assert empty(service)


def test_films_and_pictures_have_their_places(client, service, files):
    film_at_predict = client.post("/predict", files=parts(files, "film.mp4"))
    assert film_at_predict.status_code == 422 and "/jobs" in film_at_predict.json()["hint"]
    assert client.post("/jobs", files=parts(files, "film.mp4", "one.png")).status_code == 422
    bad = client.post("/jobs", files={"file": ("bad.mp4", b"no film")})
    assert bad.status_code == 422 and "bad.mp4" in bad.json()["error"]
    assert empty(service)


def test_a_film_that_breaks_keeps_its_rows(client, files):
    whole = (files / "film.mp4").read_bytes()
    job = client.post("/jobs", files={"file": ("torn.mp4", whole[: len(whole) - 3000])})
    if job.status_code == 202:  # where the index stands at the begin of the file
        found = ended(client, job.json())
        assert found["skipped"] == 1 and "torn.mp4" in found["skipped_first"][0]["reason"]
    else:
        assert job.status_code == 422 and "torn.mp4" in job.json()["error"]


def test_a_job_is_cancelled_while_it_runs(client, service, files, monkeypatch):
    from affectkit.serve.jobs import Job

    reached, gate, report = threading.Event(), threading.Event(), Job.report

    def slowly(job, share):
        if share > 0.3:
            reached.set()
            assert gate.wait(20)
        report(job, share)

    monkeypatch.setattr(Job, "report", slowly)
    job = client.post("/jobs", files=parts(files, "film.mp4")).json()
    waiting = client.post("/jobs", files=parts(files, "film.mp4")).json()
    assert reached.wait(20)
    assert client.get(f"/jobs/{waiting['job']}").json()["state"] == "waiting"
    assert client.get(f"/jobs/{job['job']}/report.html").status_code == 409
    taken = service.queue.taken
    assert client.delete(f"/jobs/{waiting['job']}").json()["state"] == "cancelled"
    assert service.queue.taken == taken - 1
    assert client.delete(f"/jobs/{job['job']}").json()["state"] == "cancelled"
    gate.set()
    assert empty(service)
    assert client.get(f"/jobs/{job['job']}").status_code == 404
    assert client.post("/predict", files=parts(files, "one.png")).status_code == 200
    assert service.queue.taken == 0


def test_pictures_do_not_wait_for_the_end_of_a_film(files):
    """A picture that comes while a film is predicted is answered before the film ends."""
    with service_of(serve_settings(batch_size=1)) as service:
        client = client_of(service)
        job = client.post("/jobs", files=parts(files, "film.mp4"), data={"every": "1"}).json()
        assert client.post("/predict", files=parts(files, "one.png")).status_code == 200
        assert client.get(f"/jobs/{job['job']}").json()["state"] in ("waiting", "running")
        folder = service.folder
    assert not folder.exists()  # though a job was running


def test_old_jobs_are_forgotten(client, service, files, monkeypatch):
    found = ended(client, client.post("/jobs", files=parts(files, "one.png")).json())
    monkeypatch.setattr("affectkit.serve.jobs.KEPT_SECONDS", -1.0)
    assert client.get(f"/jobs/{found['job']}").status_code == 404
    assert empty(service)


def test_jobs_are_kept_where_that_is_asked_for(files, tmp_path):
    with service_of(serve_settings(keep=str(tmp_path / "kept"))) as service:
        client = client_of(service)
        for names in (("film.mp4",), ("two.png", "torn.png")):
            ended(client, client.post("/jobs", files=parts(files, *names)).json())
        assert client.post("/predict", files=parts(files, "one.png")).status_code == 200
        table = client.get(f"/jobs/{client.get('/jobs').json()['jobs'][0]['job']}/table.csv").text
    folders = sorted((tmp_path / "kept").iterdir())
    assert len(folders) == 2
    by_film = {(folder / "files" / "film.mp4").exists(): folder for folder in folders}
    assert (by_film[True] / "results" / "inference_results.csv").read_text() == table
    names = {path.name for path in (by_film[False] / "results").iterdir()}
    assert {"inference_results.csv", "inference.json", "skipped.csv", "inputs.csv"} <= names


def test_reports(client, service, files):
    """Of films and of pictures, with the names that were sent, and small pictures of what was sent."""
    for sent in (parts(files, "film.mp4", shown="<b>film.mp4"), parts(files, "two.png", "torn.png")):
        found = ended(client, client.post("/jobs", files=sent).json())
        answer = client.get(f"/jobs/{found['job']}/report.html")
        assert answer.status_code == 200 and answer.headers["content-disposition"].startswith("attachment")
        name = sent[0][1][0]
        assert name.replace("<", "\\u003c").replace(">", "\\u003e") in answer.text
        assert "<b>film" not in answer.text
        assert "data:image/" in answer.text and "not where the record says" not in answer.text
        assert client.get(f"/jobs/{found['job']}/report.html").content == answer.content
        client.delete(f"/jobs/{found['job']}")
    assert empty(service)


# --- the description ---


def test_the_api_is_described(client, service):
    api = client.get("/openapi.json").json()
    described = {(path, method.upper()) for path, one in api["paths"].items() for method in one}
    routes = {
        (route.path.replace("{key}", "{id}"), method)
        for route in service._routes()
        for method in route.methods - {"HEAD"}
    }
    assert routes - described == {("/openapi.json", "GET"), ("/docs", "GET")}
    assert described <= routes
    row = api["components"]["schemas"]["Row"]["properties"]
    health = client.get("/health").json()
    assert list(row) == health["columns"]["pictures"]
    assert row["Predicted Label"]["type"] == ["string", "null"] and row["Face"]["type"] == ["integer", "null"]
    docs = client.get("/docs").text
    assert all(path in docs for path in api["paths"]) and "<script" not in docs
    assert not {ref for ref in _references(api)} - {
        f"#/components/schemas/{name}" for name in api["components"]["schemas"]
    }


def _references(value):
    if isinstance(value, dict):
        yield from (one for key, one in value.items() if key == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    seen = [page.text]
    for path in ("main.js", "api.js", "view.js", "pictures.js", "films.js", "camera.js", "style.css", "icon.svg"):
        answer = client.get(f"/static/{path}")
        assert answer.status_code == 200, path
        seen.append(answer.text)
    text = "".join(seen).replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1", "")
    assert "http:" not in text and "https:" not in text
    assert "innerHTML" not in text and "eval(" not in text and "onclick" not in text
    for path in ("/static/docs.html", "/static/../app.py", "/static/%2e%2e/app.py", "/nothing"):
        assert client.get(path).status_code == 404
    assert client.put("/predict").status_code == 405


def test_a_fault_of_ours_is_an_answer(client, service, files, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(service.predictions, "pictures", broken)
    answer = client.post("/predict", files=parts(files, "one.png"))
    assert answer.status_code == 500 and "broken" in answer.json()["error"]
    assert empty(service) and service.queue.taken == 0
