"""A small web server of tests: Zenodo's interface, Range requests, and faults."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """What a server answers, and what it was asked.

    Attributes:
        files: bytes by name; served at ``/files/NAME``.
        record: what ``/api/records/7`` answers; made from ``files`` where None. status: of that answer.
        asked: the path and the Range header of each request.
        cuts: after how many bytes each of the next transfers is cut. ranges: whether Range is heard.
        stall: after how many bytes a transfer stands still, until this is None again.
        length: whether sizes are sent. claim: Content-Length and total in place of the true ones.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.record: object = None
        self.status = 200
        self.file_status = 200
        self.asked: list[tuple[str, str | None]] = []
        self.cuts: list[int] = []
        self.ranges, self.length, self.claim = True, True, None
        self.stall: int | None = None
        self.url = ""

    def described(self, layout: str = "now") -> dict:
        """The record of ``files`` as Zenodo has written it: ``now`` and before 2023, in between, or InvenioRDM's."""
        entries = []
        for name, body in self.files.items():
            digest, link = hashlib.md5(body).hexdigest(), f"{self.url}/files/{name}"
            if layout == "between":
                links = {"self": f"{self.url}/nothing", "download": link}
                entries.append({"filename": name, "filesize": len(body), "checksum": digest, "links": links})
            else:
                links = {"self": link} if layout == "now" else {"self": f"{self.url}/nothing", "content": link}
                entries.append({"key": name, "size": len(body), "checksum": f"md5:{digest}", "links": links})
        files = {"enabled": True, "entries": {one["key"]: one for one in entries}} if layout == "rdm" else entries
        return {"id": 7, "metadata": {"title": "Weights of\n a study", "access_right": "open"}, "files": files}


@contextlib.contextmanager
def serving() -> Iterator[Web]:
    """A ``Web`` on a free port of this machine."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

        def do_GET(self) -> None:
            web.asked.append((self.path, self.headers.get("Range")))
            if self.path.startswith("/api/records/"):
                body = web.described() if web.record is None else web.record
                self._send(web.status, body if isinstance(body, bytes) else json.dumps(body).encode())
            elif (name := self.path.removeprefix("/files/").partition("?")[0]) in web.files:
                self._file(web.files[name])
            else:
                self._send(404, b"{}")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, body: bytes) -> None:
            if web.file_status != 200:
                self._send(web.file_status, b"no")
                return
            total, asked = web.claim or len(body), self.headers.get("Range")
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and web.ranges else 0
            if begin and begin >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
            if web.length:
                self.send_header("Content-Length", str(total - begin))
            self.end_headers()
            rest = body[begin:]
            if web.stall is not None:
                self.wfile.write(rest[: web.stall])
                while web.stall is not None:
                    time.sleep(0.02)
                return
            self.wfile.write(rest[: web.cuts.pop(0)] if web.cuts else rest)
            self.close_connection = True

    class Server(ThreadingHTTPServer):
        def handle_error(self, *arguments: object) -> None: ...  # clients of these tests hang up

    server = Server(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
