"""The API with models of other kinds than the built-in one, and with limits of faces."""

from __future__ import annotations

import io
import time

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from clips import write_clip
from onnx_models import checkpoint, clips, ratings
from serving import client_of, film, png, scene, serve_settings, service_of

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.inference.infer import infer
from affectkit.settings.inference import InferSettings


def ended(client, job: dict) -> dict:
    while (found := client.get(f"/jobs/{job['job']}").json())["state"] in ("waiting", "running"):
        time.sleep(0.05)
    return found


def test_ratings_of_whole_pictures(tmp_path):
    path = checkpoint(tmp_path, "resnet18", ratings(32))
    (tmp_path / "two.png").write_bytes(png(scene()))
    film(tmp_path / "film.mp4", 10)
    with service_of(serve_settings(checkpoint=str(path))) as service:
        client = client_of(service)
        found = client.post("/predict", files={"file": ("two.png", png(scene()))}).json()
        job = client.post("/jobs", files={"file": ("film.mp4", (tmp_path / "film.mp4").read_bytes())}).json()
        rows = ended(client, job)["rows"]
        report = client.get(f"/jobs/{job['job']}/report.html")
        roles = client.get("/health").json()["roles"]
        row = client.get("/openapi.json").json()["components"]["schemas"]["Row"]["properties"]
    model = affectkit.load(path)
    (own,) = affectkit.predict(model, str(tmp_path / "two.png"))
    assert found["rows"] == [{**own, "Image Name": "two.png"}]
    assert rows == [{**one, "Video Name": "film.mp4"} for one in affectkit.predict(model, str(tmp_path / "film.mp4"))]
    assert roles["texts"] == [] and list(own) == ["Image Name", *roles["task"]]
    assert [row[name]["type"] for name in roles["task"]] == [["number", "null"]] * 2
    assert report.status_code == 200


def test_clips_with_their_sound(tmp_path):
    """A row a clip, from /predict as from /jobs; pictures and /annotate are refused in words."""
    path = checkpoint(tmp_path, "cmvqvae", clips(), hidden=16, residual_hidden=4, codes=16, code_size=8)
    write_clip(tmp_path / "clip.flv", 1)
    data = (tmp_path / "clip.flv").read_bytes()
    with service_of(serve_settings(checkpoint=str(path))) as service:
        client = client_of(service)
        found = client.post("/predict", files={"file": ("clip.flv", data)}).json()
        job = ended(client, client.post("/jobs", files={"file": ("clip.flv", data)}).json())
        picture = client.post("/predict", files={"file": ("a.png", png(scene()))})
        drawn = client.post("/annotate", files={"file": ("clip.flv", data)})
        health = client.get("/health").json()
    (own,) = affectkit.predict(affectkit.load(path), str(tmp_path / "clip.flv"))
    assert found["rows"] == job["rows"] == [{**own, "Image Name": "clip.flv"}]
    assert (picture.status_code, drawn.status_code) == (422, 400)
    assert "a.png" in picture.json()["error"] and "clips" in drawn.json()["error"]
    assert health["takes_clips"]


def test_limits_of_faces_are_those_of_infer(tmp_path):
    limits = {"min_face": 110, "max_faces": 1}
    (tmp_path / "two.png").write_bytes(png(scene()))
    film(tmp_path / "film.mp4", 10)
    with service_of(serve_settings(**limits)) as service:
        client = client_of(service)
        found = client.post("/predict?csv=1", files={"file": ("two.png", png(scene()))}).json()
        data = (tmp_path / "film.mp4").read_bytes()
        job = ended(client, client.post("/jobs", files={"file": ("film.mp4", data)}).json())
    for name, told in (("two.png", found), ("film.mp4", job)):
        flags = {"paths": [str(tmp_path / name)], "device": "cpu", **limits}
        out = io.StringIO()
        own = infer(resolve(InferSettings, flags=flags).settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
        if name == "two.png":
            assert told["csv_header"] + told["csv"] == out.getvalue().replace(str(tmp_path / name), name)
            assert told["faces_left_out"] == own["faces_left_out"] and sum(told["faces_left_out"].values()) == 1
        else:
            (video,) = own["videos_first"]
            assert told["videos"] == [{**video, "video": name}]
            assert sum(video["faces_left_out"].values()) >= 1
