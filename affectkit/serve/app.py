"""The routes: each takes a request apart, hands the work to the queue, and puts the answer together."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from affectkit.config import Parsed
from affectkit.core.files import to_json
from affectkit.data.media.file_kinds import VIDEO_EXTENSIONS
from affectkit.errors import AffectkitError, DataError, UsageError
from affectkit.inference.table_writer import csv_line
from affectkit.serve.jobs import DONE, Job, Jobs, describe_job, describe_shortly
from affectkit.serve.openapi import describe_api
from affectkit.serve.pages import Pages
from affectkit.serve.predictions import FilmOptions, Predictions
from affectkit.serve.refusal import Refusal, refusal_of
from affectkit.serve.results_folder import report_of, table_text
from affectkit.serve.uploads import Form, RequestFiles, RequestFolder, receive_form
from affectkit.serve.work_queue import STOPPING, WorkQueue
from affectkit.settings.values import parse_every

MOST_ROWS = 5000
"""Rows of a job in one answer."""
GONE = 499
"""The status, as nginx has it, of an answer that nobody reads any more."""


class Service:
    """Answer the requests.

    Args:
        predictions: what predicts.
        queue: whose thread may use ``predictions``.
        jobs: all of them.
        folder: where files stand while they are needed.
        limits: ``max_size``, ``max_files``, ``max_seconds`` and ``queue``.
    """

    def __init__(
        self, predictions: Predictions, queue: WorkQueue, jobs: Jobs, folder: Path, limits: dict[str, Any]
    ) -> None:
        self.predictions, self.queue, self.jobs = predictions, queue, jobs
        self.folder, self.limits = folder, limits
        self.pages = Pages()

    def app(self) -> Starlette:
        """Return the application of ASGI; ``access.Access`` stands before it."""
        handlers = {AffectkitError: _answer_error, HTTPException: _answer_status, Exception: _answer_fault}
        handlers |= {ClientDisconnect: _answer_nobody}
        files = [Route(path, self.pages.answer) for path in self.pages.paths]
        return Starlette(routes=[*self._routes(), *files], exception_handlers=handlers)

    def _routes(self) -> Iterable[Route]:
        yield Route("/predict", self.predict, methods=["POST"])
        yield Route("/annotate", self.annotate, methods=["POST"])
        yield Route("/jobs", self.start_job, methods=["POST"])
        yield Route("/jobs", self.list_jobs, methods=["GET"])
        yield Route("/jobs/{key}", self.show_job, methods=["GET"])
        yield Route("/jobs/{key}", self.remove_job, methods=["DELETE"])
        yield Route("/jobs/{key}/table.csv", self.job_table, methods=["GET"])
        yield Route("/jobs/{key}/report.html", self.job_report, methods=["GET"])
        yield Route("/health", self.health, methods=["GET"])
        yield Route("/openapi.json", self.openapi, methods=["GET"])
        yield Route("/docs", self.docs, methods=["GET"])

    # --- pictures ---

    async def predict(self, request: Request) -> Response:
        """Predict pictures: the summary of ``infer --json``, with the rows."""
        predictions = self.predictions
        with self.queue.place() as place, RequestFiles(self.folder) as files:
            form = await self._receive(request, files)
            for one in form.files:
                if predictions.is_film(one):
                    raise Refusal(422, f"{one.name} is a film.", "Send it to /jobs, which tells how far it is.")
            found = await _result(request, place.do(lambda: predictions.pictures(form.files)))
        if found.failures and not found.rows:
            raise DataError("\n".join(one.reason for one in found.failures))
        columns = predictions.columns(films=False)
        record, table = predictions.record(found)
        answer = {**record, "columns": columns}
        answer["rows"] = [dict(zip(columns, row[1:], strict=True)) for row in found.rows]
        if request.query_params.get("csv", "0") != "0":
            answer["csv_header"] = csv_line(columns)
            answer["csv"] = table.removeprefix(answer["csv_header"])
        return _json(answer)

    async def annotate(self, request: Request) -> Response:
        """Draw faces and predictions on a picture."""
        with self.queue.place() as place, RequestFolder(self.folder) as folder:
            form = await self._receive(request, folder)
            if len(form.files) != 1:
                raise Refusal(400, f"one picture is needed, got {len(form.files):,} files.")
            (upload,) = form.files
            if self.predictions.is_film(upload):
                raise Refusal(422, f"{upload.name} is a film; /annotate takes a picture.")
            target = folder.path / "drawn"
            drawn = await _result(request, place.do(lambda: self.predictions.annotate(upload, target)))
            data = drawn.read_bytes()
        stem = upload.name.rpartition(".")[0] or upload.name
        kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}.get(drawn.suffix.lower(), "png")
        return Response(data, media_type=f"image/{kind}", headers=_attached(f"{stem}-annotated{drawn.suffix}"))

    # --- jobs ---

    async def start_job(self, request: Request) -> Response:
        """Begin to predict films, or pictures."""
        predictions = self.predictions
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(self.queue.place(long=True))
            folder = stack.enter_context(RequestFolder(self.folder))
            form = await self._receive(request, folder)
            films = [predictions.is_film(one) for one in form.files]
            if any(films) and not all(films):
                raise Refusal(422, "pictures and films stand in one job.", "Send them in jobs of their own.")
            options = _film_options(form, predictions.films)
            lengths = [await asyncio.to_thread(predictions.check_film, one) for one in form.files] if films[0] else []
            job = Job(form.files, films[0], folder, options, lengths)
            if job.films:
                given = {"options": options, "lengths": lengths}
                steps = predictions.film_steps(job.files, job.found, job.report, **given)
            else:
                steps = predictions.picture_steps(job.files, job.found, job.report, marks=True)
            self.jobs.start(job, place, steps)
            stack.pop_all()  # the job has taken over folder and place
        return _json(self._described(job), 202, {"Location": f"/jobs/{job.id}"})

    async def list_jobs(self, request: Request) -> Response:
        """List jobs."""
        return _json({"jobs": [describe_shortly(job) for job in self.jobs.list()]})

    async def show_job(self, request: Request) -> Response:
        """Tell how far a job is, with its rows so far."""
        job = self.jobs.get(request.path_params["key"])
        text = request.query_params.get("rows_from", "0")
        if not text.isascii() or not text.isdecimal():
            raise Refusal(400, f"rows_from must be a whole number, got {text[:50]!r}.")
        return _json(self._described(job, rows_from=int(text[:18])))

    async def remove_job(self, request: Request) -> Response:
        """Cancel and forget a job."""
        job = self.jobs.get(request.path_params["key"])
        self.jobs.remove(job)
        return _json({"job": job.id, "state": job.state})

    async def job_table(self, request: Request) -> Response:
        """Return the rows of a job so far as the CSV of ``infer``."""
        job = self.jobs.get(request.path_params["key"])
        rows, columns = list(job.found.rows), self.predictions.columns(films=job.films)
        text = await asyncio.to_thread(table_text, rows, columns, films=job.films)
        return Response(text, media_type="text/csv", headers=_attached("inference_results.csv"))

    async def job_report(self, request: Request) -> Response:
        """Return the report of a job that is done."""
        job = self.jobs.get(request.path_params["key"])
        if job.state != DONE:
            raise Refusal(409, f"the job is {job.state}; a report is made of one that is done.", "Ask again later.")
        path = await asyncio.to_thread(report_of, job, self.predictions)
        return FileResponse(path, media_type="text/html", headers=_attached("report.html"))

    # --- about ---

    async def health(self, request: Request) -> Response:
        """Tell that the server works, and with what."""
        predictions = self.predictions
        columns = {kind: predictions.columns(films=kind == "films") for kind in ("pictures", "films")}
        found = {"status": "ok", **predictions.described(), "columns": columns, "limits": self.limits}
        found |= {"takes_clips": predictions.takes_clips, "every": str(predictions.films.every)}
        found |= {"roles": predictions.roles(), "film_endings": VIDEO_EXTENSIONS}
        return _json({**found, "waiting": self.queue.taken})

    async def openapi(self, request: Request) -> Response:
        """Describe the API."""
        return _json(self._api())

    async def docs(self, request: Request) -> Response:
        """Show the description of the API as a page."""
        return self.pages.docs(self._api())

    # --- parts ---

    def _api(self) -> dict[str, Any]:
        columns = {kind: self.predictions.columns(films=kind == "films") for kind in ("pictures", "films")}
        return describe_api(**columns, texts=self.predictions.texts, limits=self.limits)

    def _described(self, job: Job, *, rows_from: int = 0) -> dict[str, Any]:
        columns = self.predictions.columns(films=job.films)
        told = describe_job(job, columns, rows_from=rows_from, most=MOST_ROWS)
        return {**self.predictions.described(), **told}

    async def _receive(self, request: Request, place: RequestFiles) -> Form:
        limits = {name: self.limits[name] for name in ("max_size", "max_files")}
        return await receive_form(request.headers, request.stream(), place, **limits)


def _film_options(form: Form, options: FilmOptions) -> FilmOptions:
    """Return ``options`` with what the fields of ``form`` ask for.

    Raises:
        UsageError: a field is unknown, or its value wrong.
    """
    if unknown := form.fields.keys() - {"every", "smooth"}:
        raise UsageError(f"unknown field {min(unknown)!r}; there are every and smooth.")
    changes: dict[str, Any] = {}
    if text := form.fields.get("every"):
        try:
            changes["every"] = Parsed(text, parse_every(text))
        except UsageError as error:
            raise UsageError(f"every {error.message}") from error
    if text := form.fields.get("smooth"):
        try:
            changes["smooth"] = float(text)
        except ValueError:
            changes["smooth"] = -1.0
        if not 0 <= changes["smooth"] < float("inf"):
            raise UsageError(f"smooth must be seconds, 0 or more, got {text!r}.")
    return dataclasses.replace(options, **changes)


async def _result(request: Request, future: Future[Any]) -> Any:
    """Return the result of work in the queue; give it up where the client has gone.

    Raises:
        Refusal: the client has gone, or the server stops.
    """
    waiting = asyncio.ensure_future(asyncio.wrap_future(future))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done() and future.cancel():
            raise Refusal(GONE, "the client has gone.")
        return await waiting  # also of a client that has gone: its files are being read
    except asyncio.CancelledError:
        if future.cancelled():
            raise Refusal(503, STOPPING) from None
        raise
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# --- answers ---------------------------------------------------------------------------------------------------------


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(value, indent=None), status, headers, "application/json")


def _attached(name: str) -> dict[str, str]:
    """Return the header that has a browser save the answer under ``name``, whatever stands in it (RFC 6266)."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _refused(refusal: Refusal) -> Response:
    return _json({"error": refusal.message, "hint": refusal.hint}, refusal.status, refusal.headers)


async def _answer_error(request: Request, error: Exception) -> Response:
    return _refused(refusal_of(error))


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)


async def _answer_status(request: Request, error: Exception) -> Response:
    hint = "GET /docs describes the API."
    return _json({"error": f"{request.method} {request.url.path}: {error.detail}.", "hint": hint}, error.status_code)


async def _answer_fault(request: Request, error: Exception) -> Response:
    return _refused(
        Refusal(500, f"unexpected {type(error).__name__}: {error}".strip(), "This is a fault of affectkit.")
    )


async def forget_jobs(jobs: Jobs, every: float, until: Callable[[], bool]) -> None:
    """Forget old jobs from time to time, ``until`` says so."""
    asked = time.monotonic()
    while not until():
        await asyncio.sleep(0.2)
        if time.monotonic() - asked > every:
            asked = time.monotonic()
            jobs.forget_old()
