"""``affectkit serve`` as a process of its own: what it prints, how it ends, and that nothing of it is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("httpx", reason="the extra web is not installed")

import httpx
from serving import face, film, png, scene, serve_settings, served

import affectkit

pytestmark = pytest.mark.slow


def ends(process: subprocess.Popen, number: int, *, seconds: float = 30) -> tuple[int, float, str]:
    began = time.monotonic()
    process.send_signal(number)
    code = process.wait(seconds)
    return code, time.monotonic() - began, process.stderr.read()


@pytest.fixture
def here(tmp_path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def test_requests_of_a_fresh_process(here, tmp_path):
    (tmp_path / "two.png").write_bytes(png(scene()))
    film(tmp_path / "film.mp4")
    with served(here) as (process, told, client):
        assert told["host"] == "127.0.0.1" and told["address"] == f"{told['url']}?token={told['token']}"
        assert len(told["token"]) >= 43
        assert httpx.get(told["url"], trust_env=False).status_code == 401
        assert httpx.get(told["address"], trust_env=False).status_code == 200
        own = list(affectkit.predict(affectkit.load("builtin"), str(tmp_path / "two.png")))
        found = client.post("/predict", files={"file": ("two.png", (tmp_path / "two.png").read_bytes())}).json()
        assert found["rows"] == [{**row, "Image Name": "two.png"} for row in own] and len(own) == 2
        job = client.post("/jobs", files={"file": ("film.mp4", (tmp_path / "film.mp4").read_bytes())}).json()
        while (answer := client.get(f"/jobs/{job['job']}").json())["state"] in ("waiting", "running"):
            time.sleep(0.05)
        rows = affectkit.predict(affectkit.load("builtin"), str(tmp_path / "film.mp4"))
        assert answer["rows"] == [{**row, "Video Name": "film.mp4"} for row in rows]
        code, _, errors = ends(process, signal.SIGINT)
    assert code == 130 and "stopped by SIGINT; nothing is kept." in errors and "Traceback" not in errors
    assert told["token"] not in errors
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_film_is_predicted_and_a_picture_comes(here, tmp_path, number, code):
    film(tmp_path / "film.mp4", 600, fps=10)
    with served(here, "--every", "1") as (process, _, client):
        job = client.post("/jobs", files={"file": ("film.mp4", (tmp_path / "film.mp4").read_bytes())}).json()
        while client.get(f"/jobs/{job['job']}").json()["progress"] < 0.05:
            time.sleep(0.02)
        found, took, errors = ends(process, number)
    assert found == code and took < 15 and "Traceback" not in errors, errors
    assert list(here.iterdir()) == []


def test_an_upload_that_never_ends_does_not_hold_the_server(here):
    import socket

    with served(here) as (process, told, client), socket.create_connection(("127.0.0.1", told["port"])) as slow:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{told['port']}\r\nAuthorization: Bearer {told['token']}\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n--x\r\n"
        slow.sendall(head.encode())
        assert client.post("/predict", files={"file": ("a.png", png(face()))}).status_code == 200
        code, took, errors = ends(process, signal.SIGINT)
    assert code == 130 and took < 15 and "Traceback" not in errors, errors
    assert list(here.iterdir()) == []


def test_a_client_that_goes_leaves_nothing(here):
    with served(here) as (process, _, client):
        for _ in range(3):
            with pytest.raises(httpx.ReadTimeout):
                client.post("/predict", files=[("file", ("a.png", png(scene())))] * 40, timeout=0.05)
        until = time.monotonic() + 30
        while client.get("/health").json()["waiting"] and time.monotonic() < until:
            time.sleep(0.05)
        assert client.get("/health").json()["waiting"] == 0
        (own,) = here.iterdir()
        assert [path.name for path in own.iterdir()] == [".lock"]
        assert ends(process, signal.SIGTERM)[0] == 143


def test_what_a_kill_leaves_goes_at_the_next_start(here, tmp_path):
    film(tmp_path / "film.mp4")
    with served(here) as (process, _, client):
        client.post("/jobs", files={"file": ("film.mp4", (tmp_path / "film.mp4").read_bytes())})
        process.kill()
        process.wait()
    (left,) = here.iterdir()
    assert len(list(left.iterdir())) >= 2
    with served(here) as (process, _, _):
        assert left.name not in [path.name for path in here.iterdir()]
        assert ends(process, signal.SIGINT)[0] == 130
    assert list(here.iterdir()) == []


def test_a_port_that_is_taken(here):
    with served(here) as (_, told, _):
        command = [sys.executable, "-m", "affectkit", "serve", "--port", str(told["port"])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert f"--port {told['port']}" in done.stderr and "--port 0" in done.stderr


def test_another_address_says_what_it_means(here):
    with served(here, "--host", "0.0.0.0") as (process, told, client):
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"Host": f"evil.example:{told['port']}"}).status_code == 421
        _, _, errors = ends(process, signal.SIGINT)
    assert "unencrypted" in errors


def test_without_the_extra_the_command_says_how_to_install_it(tmp_path):
    """With a module that stands for one that is not there."""
    blocker = "import sys; sys.modules['uvicorn'] = None; from affectkit.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", blocker, "serve"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stdout == ""
    assert 'pip install "affectkit[web]"' in done.stderr and "Traceback" not in done.stderr


def test_a_file_is_no_folder_to_keep_results_in(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(affectkit.errors.UsageError, match=r"--results .* is a file"):
        serve_settings(keep=str(tmp_path / "taken"))
    serve_settings(keep=str(tmp_path / "new"))
