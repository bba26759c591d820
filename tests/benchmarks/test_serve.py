"""What ``affectkit serve`` adds to ``affectkit.predict``: the time of a request, under load, and memory."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

import numpy as np
from PIL import Image
from serving import face, png, scene, served

import affectkit

pytestmark = pytest.mark.benchmark
REQUESTS, CLIENTS = 200, 8
ROUNDS = 40
GOAL = 1.5
"""The median of a request over that of ``affectkit.predict`` in a warm process, for a photograph."""


def form(name: str, data: bytes) -> tuple[bytes, dict[str, str]]:
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


class Caller:
    """A client that keeps its connection."""

    def __init__(self, told: dict) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", told["port"], timeout=60)
        self.own = {"Authorization": f"Bearer {told['token']}"}

    def __call__(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self.connection.request("POST", "/predict", body, headers | self.own)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def pictures(folder: Path) -> dict[str, Path]:
    """A face crop and photographs, as files."""
    (folder / "face, 48 x 48.png").write_bytes(png(face(size=48)))
    for side in (640, 1920):
        large = Image.fromarray(scene()).resize((side, side * 300 // 460), Image.BICUBIC)
        noise = np.random.default_rng(0).normal(0, 4, (large.height, large.width, 1))
        pixels = (np.asarray(large) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"photograph, {side} wide.jpg", quality=90)
    return {path.stem: path for path in sorted(folder.iterdir())}


def test_a_request_beside_predict(tmp_path):
    (tmp_path / "pictures").mkdir()
    found = pictures(tmp_path / "pictures")
    model = affectkit.load("builtin")
    print(
        f"\n{'picture':24}{'predict ms':>12}{'request ms':>12}{'ratio':>8}{'fastest':>9}   medians of {ROUNDS}, in turn"
    )
    ratios = {}
    with served(tmp_path) as (_, told, _):
        call = Caller(told)
        for name, path in found.items():
            sent = form(path.name, path.read_bytes())
            times: dict[str, list[float]] = {"predict": [], "request": []}
            for _ in range(ROUNDS + 3):
                began = time.perf_counter()
                rows = list(affectkit.predict(model, str(path)))
                middle = time.perf_counter()
                status, answer = call(*sent)
                times["predict"].append(middle - began)
                times["request"].append(time.perf_counter() - middle)
                assert status == 200
            assert [{**row, "Image Name": path.name} for row in rows] == json.loads(answer)["rows"]
            own, other = (1000 * statistics.median(times[key][3:]) for key in ("predict", "request"))
            ratios[name] = other / own
            fastest = min(times["request"]) / min(times["predict"])
            print(f"{name:24}{own:12.2f}{other:12.2f}{other / own:8.2f}{fastest:9.2f}")
    assert all(ratio < GOAL for name, ratio in ratios.items() if name.startswith("photograph"))


def test_many_requests_at_once_and_memory(tmp_path):
    """None is lost, each has its own answer, and memory stays as it was."""
    (tmp_path / "pictures").mkdir()
    path = pictures(tmp_path / "pictures")["photograph, 640 wide"]
    local, again = threading.local(), []

    with served(tmp_path, "--queue", str(CLIENTS // 2)) as (process, told, _):

        def one(number: int) -> tuple[int, str, float]:
            call = local.call = getattr(local, "call", None) or Caller(told)
            began = time.perf_counter()
            while (answer := call(*form(f"{number}.jpg", path.read_bytes())))[0] == 503:
                again.append(number)
                time.sleep(0.05)
            return answer[0], json.loads(answer[1])["rows"][0]["Image Name"], time.perf_counter() - began

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(one, range(REQUESTS // 2)))
            memory = [psutil.Process(process.pid).memory_info().rss]
            for _ in range(2):
                began = time.perf_counter()
                answers = list(pool.map(one, range(REQUESTS)))
                took = time.perf_counter() - began
                assert [(status, name) for status, name, _ in answers] == [(200, f"{n}.jpg") for n in range(REQUESTS)]
                memory.append(psutil.Process(process.pid).memory_info().rss)
    grown = (memory[-1] - memory[0]) / 1e6
    median = 1000 * statistics.median(seconds for _, _, seconds in answers)
    print(f"\n{REQUESTS} requests of {CLIENTS} clients: {REQUESTS / took:.0f}/s, median {median:.0f} ms, none lost")
    print(
        f"{len(again)} were told to come again; RSS {memory[0] / 1e6:.0f} MB, {grown:+.1f} MB after {2 * REQUESTS} more"
    )
    assert again, "the queue was never full"
    assert grown < 20
