"""The description of the API, by OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.core.version import VERSION
from affectkit.inference.table_layout import BOX_COLUMNS, FACE_COLUMNS, FRAME_COLUMNS, NAME, VIDEO_NAME
from affectkit.serve.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING

INTEGERS = (*BOX_COLUMNS[:5], FRAME_COLUMNS[0])
JSON = "application/json"
SKIPPED = {
    "type": "array",
    "items": {"type": "object", "properties": {"image": {"type": "string"}, "reason": {"type": "string"}}},
}
FAULTS = {
    400: "A value is wrong.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another origin.",
    404: "There is no such job, or none any more.",
    409: "The job is not done.",
    408: "Nothing of the request has come for half a minute.",
    413: "The request is too large, or has too many files.",
    415: "The request is no form with files.",
    422: "No file could be read; the message is that of infer.",
    503: "The queue is full; Retry-After says when to send it again.",
}


def describe_api(*, pictures: list[str], films: list[str], texts: set[str] | None, limits: Mapping[str, Any]) -> dict:
    """Return the document.

    Args:
        pictures, films: columns of rows of pictures and of films.
        texts: those of the task that hold text; None: that is not known.
        limits: by name, for the description.
    """
    asked = ", ".join(f"{name} {value:,}" for name, value in limits.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "affectkit serve",
            "version": VERSION,
            "description": f"Predicts faces in pictures and films with a model that is loaded. Limits: {asked}.",
        },
        "security": [{"token": []}, {"cookie": []}, {"query": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "affectkit-PORT"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
            "schemas": _schemas(pictures, films, texts),
        },
    }


def _paths() -> dict[str, Any]:
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {"file": files}
    film = {
        **form,
        "every": {"type": "string", "description": "How often a film is sampled: 0.5s, 2/s, or 15 (frames)."},
        "smooth": {"type": "number", "description": "Seconds over which outputs are averaged."},
    }
    job = _parameter("id", "path", {"type": "string"}, "Of the answer to POST /jobs.")
    rows_from = _parameter("rows_from", "query", {"type": "integer", "minimum": 0}, "Rows from this number on.")
    single = {"file": {"type": "string", "format": "binary"}}
    return {
        "/predict": {
            "post": _operation(
                "Predict pictures", "Prediction", form=form, faults=(400, 408, 413, 415, 422, 503),
                parameters=[_parameter("csv", "query", {"type": "integer", "enum": [0, 1]}, "1: the table, too.")],
            )
        },
        "/annotate": {
            "post": _operation(
                "Draw faces and predictions on a picture", None, form=single, faults=(408, 413, 415, 422, 503),
                content={"image/*": {"schema": {"type": "string", "format": "binary"}}},
            )
        },
        "/jobs": {
            "post": _operation(
                "Begin to predict films, or many pictures", "Job", form=film, status=202,
                faults=(400, 408, 413, 415, 422, 503),
            ),
            "get": _operation("List jobs", "Jobs"),
        },
        "/jobs/{id}": {
            "get": _operation("Ask how far a job is", "Job", parameters=[job, rows_from], faults=(400, 404)),
            "delete": _operation("Cancel and forget a job", "Ended", parameters=[job], faults=(404,)),
        },
        "/jobs/{id}/table.csv": {
            "get": _operation(
                "Download the table of a job", None, parameters=[job], faults=(404,),
                content={"text/csv": {"schema": {"type": "string"}}},
            )
        },
        "/jobs/{id}/report.html": {
            "get": _operation(
                "Download the report of a job", None, parameters=[job], faults=(404, 409),
                content={"text/html": {"schema": {"type": "string"}}},
            )
        },
        "/health": {"get": _operation("Ask whether the server works, with which model and limits", "Health")},
    }  # fmt: skip


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    found = {"name": name, "in": place, "schema": schema, "description": description}
    return {**found, "required": True} if place == "path" else found


def _operation(
    summary: str,
    answer: str | None,
    *,
    form: dict[str, Any] | None = None,
    status: int = 200,
    parameters: list[dict[str, Any]] | None = None,
    content: dict[str, Any] | None = None,
    faults: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Return an operation; ``answer`` names the schema of its JSON."""
    content = content or {JSON: {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
    responses = {str(status): {"description": "Done." if status == 200 else "Begun.", "content": content}}
    fault = {JSON: {"schema": {"$ref": "#/components/schemas/Fault"}}}
    for code in sorted({401, 403, *faults}):
        responses[str(code)] = {"description": FAULTS.get(code, "Not possible."), "content": fault}
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters:
        found["parameters"] = parameters
    if form is not None:
        schema = {"type": "object", "required": ["file"], "properties": form}
        found["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    return found


def _schemas(pictures: list[str], films: list[str], texts: set[str] | None) -> dict[str, Any]:
    strings = {"type": "array", "items": {"type": "string"}}
    model = {
        "checkpoint": {"type": "string"},
        "checkpoint_sha256": {"type": "string"},
        "affectkit": {"type": "string"},
        "engine": {"type": "string"},
        "task": {"type": "string"},
        "classes": strings,
        "faces_by": {"type": "string"},
        "abstain": {"type": "number"},
        "abstain_from": {"type": "string"},
        "valence_arousal": {"type": "object", "additionalProperties": {"type": "string"}},
        "valence_arousal_from": {"type": "string"},
    }
    count = {"type": "integer"}
    row, film_row = _row(pictures, texts), _row(films, texts)
    states = {"type": "string", "enum": [WAITING, RUNNING, DONE, FAILED, CANCELLED]}
    job = {
        "job": {"type": "string"},
        "state": states,
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "kind": {"type": "string", "enum": ["films", "pictures"]},
        "files": strings,
        "columns": strings,
        "rows_total": count,
        "rows_from": count,
        "rows": {"type": "array", "items": {"anyOf": [{"$ref": "#/components/schemas/FilmRow"}, _ref("Row")]}},
        "skipped": count,
        "skipped_first": SKIPPED,
        "videos": {"type": "array", "items": {"type": "object"}},
        "error": {"type": "string"},
        "hint": {"type": "string"},
    }
    shortly = {"job": {"type": "string"}, "state": states, "progress": {"type": "number"}, "files": {"type": "string"}}
    return {
        "Row": row,
        "FilmRow": film_row,
        "Prediction": _object(
            {
                **model,
                "images": count,
                "faces": count,
                "skipped": count,
                "skipped_first": SKIPPED,
                "columns": strings,
                "rows": {"type": "array", "items": _ref("Row")},
                "csv": {"type": "string"},
            }
        ),
        "Job": _object({**model, **job}),
        "Jobs": _object({"jobs": {"type": "array", "items": _object(shortly)}}),
        "Ended": _object({"job": {"type": "string"}, "state": states}),
        "Health": _object({"status": {"type": "string"}, **model, "limits": {"type": "object"}, "waiting": count}),
        "Fault": _object({"error": {"type": "string"}, "hint": {"type": "string"}}),
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _row(columns: list[str], texts: set[str] | None) -> dict[str, Any]:
    """Return the schema of a row; columns are null where no face was found."""
    found = {}
    for name in columns:
        if name in (NAME, VIDEO_NAME):
            found[name] = {"type": "string"}
        elif name in (*FRAME_COLUMNS, *FACE_COLUMNS):
            found[name] = {"type": ["integer" if name in INTEGERS else "number", "null"]}
        elif texts is None:
            found[name] = {"type": ["string", "number", "null"]}
        else:
            found[name] = {"type": ["string" if name in texts else "number", "null"]}
    return _object(found)
