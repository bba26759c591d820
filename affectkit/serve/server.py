"""Start the server: model, queue, folder, address; and end it without leaving anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from affectkit.checkpoints.description import checkpoint_notes
from affectkit.config import value_of
from affectkit.core.assets import PREFIX, called
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.engines.choice import choose_engine
from affectkit.engines.load import load_engine
from affectkit.errors import LibraryError, UsageError
from affectkit.inference.decisions import decide, report_decision
from affectkit.inference.infer import faces_text
from affectkit.inference.predictor import Predictor
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.abstention import held_back
from affectkit.settings.serve import ServeSettings

try:
    import uvicorn

    from affectkit.serve.access import Access
    from affectkit.serve.app import Service, forget_jobs
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("uvicorn", "starlette", "python_multipart"):
        raise
    raise LibraryError(f"{error.name} is not installed, which serve needs.", 'pip install "affectkit[web]"') from error

from affectkit.serve.jobs import Job, Jobs
from affectkit.serve.predictions import FilmOptions, Predictions
from affectkit.serve.results_folder import write_results
from affectkit.serve.temporary_files import temporary_folder
from affectkit.serve.work_queue import WorkQueue

BACKLOG = 128
LAST_ANSWERS = 3
"""Seconds that answers under way have when the server stops."""
FORGET_EVERY = 30.0
POLL = 0.1


class _Log(logging.Handler):
    """Report in a line what Uvicorn logs with a traceback; nothing of the answers that the end cuts off."""

    def __init__(self, reporter: Reporter, stopping: StopFlag) -> None:
        super().__init__(logging.WARNING)
        self._reporter, self._stopping = reporter, stopping

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record."""
        if self._stopping.requested:
            return
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {type(error).__name__}: {error}" if error is not None else ""
        self._reporter.warn(" ".join(f"server: {record.getMessage()}{cause}".split()))


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals to ours."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def serve(settings: ServeSettings, *, reporter: Reporter, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until a signal comes; what was uploaded is removed then.

    Args:
        settings: of ``affectkit serve``.
        reporter: hears of the model, and of jobs.
        ready: called once requests are answered, with ``address`` (the token in it), ``url``, ``token``, ``host``,
            ``port``.

    Raises:
        Stopped: a signal came; every end but a fault is this one.
        UsageError: the address cannot be listened on.
    """
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(StopFlag(reporter))
        stack.enter_context(pixels_up_to(value_of(settings.max_pixels)))
        listening = stack.enter_context(_listen(settings.host, settings.port))
        port = listening.getsockname()[1]
        predictions = load_predictions(settings, reporter)
        service = stack.enter_context(open_service(settings, predictions, reporter))
        token = secrets.token_urlsafe(32)
        app = Access(service.app(), token=token, host=settings.host, port=port)
        if not settings.is_local:
            reporter.warn(
                f"--host {settings.host}: whoever reaches this machine there and holds the token can use it; "
                "token and pictures go over the network unencrypted."
            )
        told = _addresses(settings.host, port, token)
        stack.enter_context(_logged(_Log(reporter, stopping)))
        asyncio.run(_run(app, listening, service.jobs, stopping, lambda: ready(told)))
    kept = f"the results of jobs are in {settings.keep}." if settings.keep is not None else "nothing is kept."
    raise stopping.error(kept, "", resumable=False)


def load_predictions(settings: ServeSettings, reporter: Reporter) -> Predictions:
    """Load the model that ``settings`` name; ``reporter`` hears of it."""
    choice = choose_engine(settings.checkpoint, settings.engine, **settings.computing())
    engine = load_engine(choice, fit=settings.fit, **settings.of_file())
    predictor = Predictor.of(engine, faces=value_of(settings.faces), selection=settings.selection())
    predictor.check(choice.path)
    reporter.note(
        f"{called(choice.path)}: {engine.header.model}, task {predictor.task.name}, {predictor.task.description()}"
    )
    reporter.note(f"engine {engine.name}: {engine.described} ({choice.reason})")
    predictor.context.warn_if_slow(reporter)
    for text in checkpoint_notes(engine):
        reporter.note(text)
    asked = {"valence_arousal": settings.valence_arousal, "question_margin": settings.question_margin}
    decided = decide(predictor, held_back=held_back(None, settings.min_confidence), **asked)
    report_decision(decided, predictor, reporter)
    if predictor.face_detector is not None:
        reporter.note(f"faces: {faces_text(predictor.face_detector)}")
    films = FilmOptions(
        every=settings.every,
        smooth=settings.smooth,
        search_side=settings.search_side,
        track_gap=settings.track_gap,
        max_seconds=settings.max_seconds,
    )
    return Predictions(
        predictor.with_network(settings.compile, reporter),
        checkpoint=str(settings.checkpoint).removeprefix(PREFIX),
        batch_size=predictor.context.batch_per_process(settings.batch_size),
        workers=settings.workers or 0,
        films=films,
        decided=decided,
    )


@contextlib.contextmanager
def open_service(settings: ServeSettings, predictions: Predictions, reporter: Reporter) -> Iterator[Service]:
    """Open a block with the service of a loaded model; its files are gone at the end.

    Args:
        settings: limits, and what is kept.
        predictions: the model.
        reporter: hears of jobs.
    """

    def end(job: Job) -> None:
        done = count_text(len(job.found.rows), "row")
        kept = ""
        if settings.keep is not None:
            folder = _new_folder(settings.keep)
            write_results(job, predictions, folder)
            kept = f", kept in {folder}"
        reporter.note(f"a job of {count_text(len(job.files), 'file')} is done: {done}{kept}")

    with temporary_folder() as folder, WorkQueue(settings.queue, predictions.predictor.engine.computing) as queue:
        with queue.place() as place:
            place.do(predictions.warm_up).result()
        limits = {"max_size": settings.max_size.value, "max_files": settings.max_files}
        limits |= {"max_seconds": settings.max_seconds, "queue": settings.queue}
        jobs = Jobs(queue, end)
        try:
            yield Service(predictions, queue, jobs, folder, limits)
        finally:
            jobs.stop()


def _new_folder(keep: Path) -> Path:
    """Make a folder for a job in ``keep``, called by the time."""
    name = datetime.now().strftime("%Y-%m-%d_%H%M%S")
    for number in range(1, 1000):
        folder = keep / (name if number == 1 else f"{name}_{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise UsageError(f"--results {keep}: no new folder can be made in it.")


@contextlib.contextmanager
def _logged(handler: logging.Handler) -> Iterator[None]:
    """Open a block in which Uvicorn logs to ``handler`` alone."""
    logger = logging.getLogger("uvicorn")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # With its protocol: of a socket that names none asyncio leaves TCP_NODELAY off, and each answer takes 40 ms.
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror or error}.", "Name an address of this machine.") from error
    with made:
        try:
            if socket.SO_REUSEADDR and hasattr(socket, "SO_REUSEPORT"):  # on Windows it would share the port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        except OSError as error:
            raise UsageError(
                f"cannot listen on --host {host} --port {port}: {error.strerror or error}.",
                "--port 0 takes a free one.",
            ) from error
        yield made


def _addresses(host: str, port: int, token: str) -> dict[str, Any]:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
    return {"address": f"{url}?token={token}", "url": url, "token": token, "host": host, "port": port}


async def _run(app: Any, listening: socket.socket, jobs: Jobs, stopping: StopFlag, ready: Callable[[], None]) -> None:
    """Answer requests until a signal has come."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # addresses hold the token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    forgetting = asyncio.ensure_future(forget_jobs(jobs, FORGET_EVERY, lambda: server.should_exit))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if not serving.done():
        ready()
    while not stopping.requested and not serving.done():
        await asyncio.sleep(POLL)
    server.should_exit = True
    await serving
    forgetting.cancel()
