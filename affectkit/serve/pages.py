"""The page and the files that it needs, read once; nothing is looked up by what a client asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

FOLDER = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
INDEX, DOCS = "index.html", "docs.html"


class Pages:
    """The files of ``page/`` by the path under which they are asked for."""

    def __init__(self) -> None:
        self._files = {
            "/" if path.name == INDEX else f"/static/{path.name}": (path.read_bytes(), KINDS[path.suffix])
            for path in sorted(FOLDER.iterdir())
            if path.suffix in KINDS and path.name != DOCS
        }
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self._docs = environment.from_string((FOLDER / DOCS).read_text(encoding="utf-8"))

    @property
    def paths(self) -> list[str]:
        """Return the paths that are served."""
        return list(self._files)

    async def answer(self, request: Request) -> Response:
        """Answer with the file of a path."""
        data, kind = self._files[request.url.path]
        return Response(data, media_type=kind)

    def docs(self, api: dict[str, Any]) -> Response:
        """Return the description of the API as a page."""
        return HTMLResponse(self._docs.render(api=api, schemas=api["components"]["schemas"]))
