"""Who may ask: the token, the Host and Origin headers; and what a browser may do with an answer.

A page of another site that a user has open can send requests to this machine, and with a name of its own that it
lets resolve to 127.0.0.1 (DNS rebinding) even read the answers. Against that stand the token, the check of Host, which
a browser fills with that name, and the check of Origin; see the OWASP Cheat Sheets on CSRF and on HTTP headers.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response

from affectkit.settings.serve import LOCAL

App = Callable[[Any, Any, Any], Awaitable[None]]
COOKIE = "affectkit-{port}"
"""Cookies know no ports: servers on several of a machine would overwrite each other's."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
LOCKED = (
    "<!doctype html><html lang=en><title>affectkit</title><h1>The token is missing</h1>"
    "<p>Open the address that <code>affectkit serve</code> printed, with the token in it.</p>"
)


class Access:
    """Let through requests that carry the token and were meant for this server; as a middleware of ASGI.

    Args:
        app: answers them.
        token: the secret.
        host: the address that the server listens on.
        port: the port.
    """

    def __init__(self, app: App, *, token: str, host: str, port: int) -> None:
        self.app, self.token, self.host, self.port = app, token.encode(), host, port
        self.cookie = COOKIE.format(port=port)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        by_query = self._asked(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0])

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                if by_query:
                    flags = "Path=/; HttpOnly; SameSite=Strict"
                    answer.append("Set-Cookie", f"{self.cookie}={self.token.decode()}; {flags}")
            await send(message)

        refused = self._refuse(headers, by_query=by_query)
        if refused is not None:
            by_query = False
        await (refused or self.app)(scope, receive, guarded)

    def _refuse(self, headers: Headers, *, by_query: bool) -> Response | None:
        """Return the answer to a request that is refused; None: it is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.is_own(hosts[0]):
            return _refused(421, "the Host header names no address of this server.", "Use the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            return _refused(403, "the request comes from a page of another origin.", "Send it from elsewhere.")
        if by_query or self._asked(_bearer(headers)) or self._asked(self._of_cookie(headers)):
            return None
        if "text/html" in headers.get("accept", ""):
            return HTMLResponse(LOCKED, 401, headers={"WWW-Authenticate": "Bearer"})
        hint = "Send the header Authorization: Bearer TOKEN; affectkit serve prints the token."
        return _refused(401, "the token is missing or wrong.", hint, {"WWW-Authenticate": "Bearer"})

    def is_own(self, host: str) -> bool:
        """Return whether the value of a Host header is an address of this server, and no name of somebody else's."""
        name, colon, port = host.rpartition(":")
        if not colon or not port.isascii() or not port.isdecimal():
            name, port = host, "80"
        if int(port[:6]) != self.port:
            return False
        name = name.removeprefix("[").removesuffix("]").lower()
        if name in ("localhost", LOCAL, "::1", self.host.lower()):
            return True
        if self.host not in ("0.0.0.0", "::", ""):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name == socket.gethostname().lower()
        return True

    def _asked(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self.token)

    def _of_cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""


def _bearer(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _refused(status: int, message: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message, "hint": hint}, status, headers=headers)
