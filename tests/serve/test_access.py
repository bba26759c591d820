"""Who may ask: the token, Host and Origin; the headers of each answer."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from serving import BASE, PORT, TOKEN
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from affectkit.serve.access import Access

HOST = f"127.0.0.1:{PORT}"


def client(host: str = "127.0.0.1") -> TestClient:
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("in"), methods=["GET", "POST"])])
    return TestClient(Access(app, token=TOKEN, host=host, port=PORT), base_url=BASE)


def status(headers: dict[str, str], *, path: str = "/", method: str = "GET", host: str = "127.0.0.1") -> int:
    return client(host).request(method, path, headers={"Host": HOST, **headers}).status_code


def test_a_token_is_needed():
    assert status({}) == 401
    assert status({"Authorization": f"Bearer {TOKEN}"}) == 200
    assert status({"Authorization": f"bearer {TOKEN}"}) == 200
    assert status({"Cookie": f"affectkit-{PORT}={TOKEN}"}) == 200
    assert status({}, path=f"/?token={TOKEN}") == 200


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü", "a" * 10_000])
def test_another_token_is_none(token):
    assert status({"Authorization": f"Bearer {token}".encode()}) == 401
    assert status({"Authorization": f"Basic {TOKEN}"}) == 401
    assert status({"Cookie": f"affectkit-{PORT}={token}".encode()}) == 401
    assert status({"Cookie": f"affectkit-{PORT + 1}={TOKEN}"}) == 401
    assert status({}, path=f"/?token={token}") == 401
    assert status({}, path="/nothing") == 401  # what is there is nobody's business


def test_the_first_visit_sets_a_cookie_that_no_script_and_no_other_site_gets():
    visitor = client()
    answer = visitor.get(f"/?token={TOKEN}")
    assert answer.headers["set-cookie"] == f"affectkit-{PORT}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert visitor.get("/").status_code == 200  # by the cookie
    assert "set-cookie" not in visitor.get("/").headers
    assert "set-cookie" not in client().get("/?token=x").headers


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1:{PORT}0",
             f"127.0.0.2:{PORT}", f"127.0.0.1.evil.example:{PORT}", f"evil.example@127.0.0.1:{PORT}",
             f"192.168.0.7:{PORT}", ":", ""],
)  # fmt: skip
def test_another_host_is_refused_though_the_token_is_right(host):
    assert status({"Authorization": f"Bearer {TOKEN}", "Host": host}) == 421


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_own_names(host):
    assert status({"Authorization": f"Bearer {TOKEN}", "Host": host}) == 200


def test_a_server_on_all_addresses_takes_addresses_and_no_names():
    for name, wanted in (("192.168.0.7", 200), ("[fe80::1]", 200), ("evil.example", 421), ("localhost", 200)):
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": f"{name}:{PORT}"}
        assert status(headers, host="0.0.0.0") == wanted, name
    assert status({"Authorization": f"Bearer {TOKEN}", "Host": f"10.0.0.1:{PORT}"}, host="10.0.0.1") == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_other_origins_are_refused(method):
    own = {"Authorization": f"Bearer {TOKEN}"}
    assert status({**own, "Origin": BASE}, method=method) == 200
    for origin in (
        "http://evil.example",
        "null",
        f"https://{HOST}",
        f"http://localhost:{PORT}",
        f"http://127.0.0.1:{PORT}0",
    ):
        assert status({**own, "Origin": origin}, method=method) == 403, origin


def test_headers_of_each_answer():
    for headers, path in (({}, "/"), ({"Authorization": f"Bearer {TOKEN}"}, "/"), ({"Host": "evil.example"}, "/")):
        answer = client().get(path, headers=headers)
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
        assert TOKEN not in answer.text
