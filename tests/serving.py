"""What the tests of ``affectkit serve`` share: faces, films, and the service of the built-in model in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from films import write_film
from PIL import Image

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.settings.serve import ServeSettings

SMILE = ("mouth_curve", "cheek_raise")
TOKEN, PORT = "a-token-of-the-tests", 8000
BASE = f"http://127.0.0.1:{PORT}"


def face(seed: int = 1, size: int = 96, active: Sequence[str] = SMILE) -> np.ndarray:
    """A schematic face, uint8 (size, size, 3)."""
    values = np.array([float(name in active) for name in PARAMETERS])
    return draw_face(values, draw_appearance(np.random.default_rng(seed)), size=size)


def scene(shift: int = 0) -> np.ndarray:
    """Two faces on gray, uint8 (300, 460, 3)."""
    picture = np.full((300, 460, 3), 120, np.uint8)
    picture[20:180, 10 + shift : 170 + shift] = face(6, 160)
    picture[60:240, 240:420] = face(20, 180, ())
    return picture


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def film(path: Path, count: int = 30, fps: int = 10) -> Path:
    """A film of the scene, in which one face moves."""
    return write_film(path, count, fps=fps, draw=lambda number: scene(number % 60))


def serve_settings(**flags: object) -> ServeSettings:
    """Settings of ``affectkit serve``, as its options give them."""
    return resolve(ServeSettings, flags={"device": "cpu", **flags}).settings


@contextlib.contextmanager
def service_of(settings: ServeSettings) -> Iterator[object]:
    """The service of the model that ``settings`` name."""
    from affectkit.serve.server import load_predictions, open_service

    with open_service(settings, load_predictions(settings, Silent()), Silent()) as service:
        yield service


def client_of(service: object, *, token: str = TOKEN, **more: object):
    """A client of a service, behind the checks of access."""
    from starlette.testclient import TestClient

    from affectkit.serve.access import Access

    app = Access(service.app(), token=TOKEN, host="127.0.0.1", port=PORT)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, base_url=BASE, headers=headers, raise_server_exceptions=False, **more)


@contextlib.contextmanager
def served(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen, dict, object]]:
    """A server whose temporary files go to ``folder``: the process, what it printed, a client with its token."""
    import httpx

    environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "affectkit", "serve", "--json", "--device", "cpu", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        told = json.loads("".join(lines))
        headers = {"Authorization": f"Bearer {told['token']}"}
        with httpx.Client(base_url=told["url"], headers=headers, timeout=120, trust_env=False) as client:
            yield process, told, client
    finally:
        process.kill()
        process.wait()
