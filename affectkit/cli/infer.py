"""``affectkit infer``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import results_and_annotations
from affectkit.cli.rendering import render_test
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved
from affectkit.core.files import to_json
from affectkit.core.openmp import one_linear_algebra_thread
from affectkit.core.process import importing
from affectkit.core.text import count_text
from affectkit.data.faces.selection import LIMITS
from affectkit.errors import EXIT_PARTIAL, UsageError
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.inference import InferSettings
from affectkit.slurm.job_policy import INFER

MOST_FACES = 6
"""Faces of a video that have a line of their own."""
BRIEF = Brief(
    options={
        "Input": "paths recursive camera",
        "Model": "checkpoint device",
        "Faces and videos": "faces every annotate",
        "Output": "results format valence_arousal resume force report json",
    },
    required=("paths",),
    unless={"paths": "--camera"},
)

FEW, FIRST = 5, 3
"""Up to how many images without a face are named, and how many of more."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "infer", InferSettings, writes=results_and_annotations, slurm=INFER, extra=REPORT, brief=BRIEF)
    def infer(resolved: Resolved[InferSettings], console: Console) -> None:
        """Predict pictures, videos or a camera: files, folders, glob patterns, or a list on standard input (-).

        Rows (image name, label, confidence, a column a class, margin and entropy of these) stream to standard output,
        or with --results to inference_results.csv there; with --json alone one object has them, as predictions. Images
        that cannot be read are skipped, named, and make the exit code 4. With --shard I/N every N-th image alone is
        predicted, into a folder of its own in --results.

        Videos are sampled every half second (--every), each face tracked; --camera N predicts a camera. Time is a
        player's: 0 is where the file begins, with its picture or its sound.

        With --labels TABLE the images of a folder that stand in it are compared with their labels, as by test.

        Examples:
            affectkit infer photos --results results/photos
            affectkit infer talk.mp4 --results results/talk --annotate talk-annotated.mp4
            affectkit infer photos --checkpoint runs/first --results results/first
        """
        settings = resolved.settings
        if console.json and settings.results is None and settings.camera is not None:
            raise UsageError(
                "--json and --camera need --results: what a camera shows has no end, and one object would have none.",
                "For rows as they come use --format jsonl without --json.",
            )
        check_report(console, settings.results)
        if settings.shard is not None and console.extra["report"] is not None:
            raise UsageError(
                "--report and --shard exclude each other.", "Once affectkit merge is done: affectkit report."
            )
        if settings.labels is not None:
            _test(settings, console)
            return
        one_linear_algebra_thread()
        with importing():
            from affectkit.inference.infer import infer as run

        if console.json and settings.results is None:
            summary = _with_rows(run, settings, console)
        else:
            summary = run(settings, reporter=console, listed=sys.stdin, stdout=console.rows())
            console.result(summary)
        if "videos" in summary:
            _videos(summary, console)
        else:
            _images(summary, settings, console)
        if "video_results" in summary:
            console.note("videos:")
            limits = {
                name: value for name, value in summary.items() if name in (*LIMITS, "abstain", "prior", "prior_from")
            }
            _videos({**limits, **summary["video_results"]}, console)
        if settings.results is None and not console.json and sys.stdout.isatty():
            console.note("table not saved; --results DIR keeps it")
        report_asked(console, settings.results)
        for item in summary["skipped_first"]:
            console.warn(f"skipped: {item['reason']}")
        if summary["skipped"]:
            listed = f"; see {summary['skipped_list']}" if "skipped_list" in summary else ""
            console.warn(f"{_skipped(summary)}{listed}")
            raise typer.Exit(EXIT_PARTIAL)


def _with_rows(run: Callable[..., dict[str, Any]], settings: InferSettings, console: Console) -> dict[str, Any]:
    """Predict, and print one object with the record and all rows, which wait in a temporary file until that is known.

    So a command that fails, or is stopped, has printed nothing, and memory does not grow with the number of rows.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape", newline="") as rows:
        summary = run(replace(settings, format="jsonl"), reporter=console, listed=sys.stdin, stdout=rows)
        rows.seek(0)
        console.result_with_rows(summary, "predictions", map(_finite, rows))
    return summary


def _finite(line: str) -> str:
    """Return a line of a table as JSON has it: null for what is not a finite number."""
    if "NaN" not in line and "Infinity" not in line:
        return line.rstrip("\n")
    return to_json(json.loads(line), indent=None)


def _images(summary: dict[str, Any], settings: InferSettings, console: Console) -> None:
    """Report what images came to."""
    where = f" in {summary['results']}" if "results" in summary else ""
    images = count_text(summary["images"], "image")
    faces = f"{count_text(summary['faces'], 'face')} in " if "faces" in summary else ""
    without = summary.get("images_without_face")
    empty = f"; {count_text(without, 'image')} without a face{_named(summary)}" if without is not None else ""
    of = count_text(summary["faces"], "face") if "faces" in summary else images
    if summary["images"]:
        console.note(f"{faces}{images} predicted{where}{empty}{_abstained(summary, of)}")
    else:
        console.note(f"no image could be predicted{where}")
    if summary.get("faces_by") == "auto" and without:
        console.note("Where no face is found a row is empty; --faces none takes every image whole.")
    _left_out(summary, console)
    if more := summary.get("more_frames"):
        console.note(
            f"{count_text(more['images'], 'of these has more than one frame', 'of these have more than one frame')}: "
            f"the first was predicted, {count_text(more['frames_not_looked_at'], 'other')} not; --every predicts them."
        )
    if "shard" in summary:
        console.note(
            f"shard {summary['shard']} of {count_text(summary['listed'], 'image')}; once all are done: "
            f"affectkit merge {settings.results}"
        )


def _named(summary: dict[str, Any]) -> str:
    """Return the names of images without a face, where they are few, else the first of them."""
    count = summary["images_without_face"]
    names = summary.get("images_without_face_first", [])  # results of earlier versions lack it
    if count <= FEW or not names:
        return f": {', '.join(names)}" if names else ""
    return f": {', '.join(names[:FIRST])} and {count - FIRST:,} more (rows with an empty Face)"


def _left_out(summary: dict[str, Any], console: Console) -> None:
    """Report the faces that were found and not taken, by reason, where there are limits."""
    if counts := summary.get("faces_left_out"):
        names = {
            "below_min_score": f"below --min-score {summary.get('min_score')}",
            "below_min_face": f"below --min-face {summary.get('min_face')}",
            "beyond_max_faces": f"beyond --max-faces {summary.get('max_faces')}",
        }
        limits = {key.split("_", 1)[1]: key for key in names}
        parts = [f"{counts[key]:,} {names[key]}" for name, key in limits.items() if summary.get(name) is not None]
        console.note(f"{count_text(sum(counts.values()), 'face')} left out: {', '.join(parts)}")


def _abstained(summary: dict[str, Any], of: str) -> str:
    """Return how many rows have no label, ``of`` how many, with ``--abstain`` or ``--min-confidence``, and which prior
    is in them, with ``--prior``."""
    prior = f"; re-weighted to the class prior ({summary['prior_from']})" if "prior" in summary else ""
    if "abstained" not in summary:
        return prior
    return f"; {summary['abstained']:,} of {of} without a label (confidence below {summary['abstain']:g}){prior}"


def _skipped(summary: dict[str, Any]) -> str:
    """Return how many were skipped, or not read to the end."""
    if "videos" in summary:
        return (
            f"{summary['skipped']:,} of {count_text(summary['videos'], 'video')} not read to the end; rows so far stand"
        )
    if "video_results" in summary:
        return f"{count_text(summary['skipped'], 'image or video', 'images or videos')} skipped, or not read to the end"
    return f"{count_text(summary['skipped'], 'image')} skipped"


def _videos(summary: dict[str, Any], console: Console) -> None:
    """Report what videos came to; with rows on standard output, as notes on standard error."""
    for video in summary["videos_first"]:
        frames = f"{count_text(video['sampled_frames'], 'frame')}, {video['frames_without_face']:,} without a face, "
        length = f"{video['seconds']:.1f} s" if video["seconds"] is not None else "pages"
        faces = count_text(video["faces"], "face")
        console.note(f"{video['video']}, {length}, {frames}{faces}{_predicted(video)}")
    if summary["videos"] == 1:
        _faces_of(summary["videos_first"][0], console)
    if summary["videos"] > len(summary["videos_first"]):
        console.note(f"and {count_text(summary['videos'] - len(summary['videos_first']), 'more video')}")
    where = f" in {summary['results']}" if "results" in summary else ""
    without = summary.get("frames_without_face")  # results of earlier versions lack it
    empty = f"; {count_text(without, 'sampled frame')} without a face" if without is not None else ""
    of = count_text(summary["rows"] - (without or 0), "prediction")
    console.note(f"{count_text(summary['rows'], 'row')}{where}{empty}{_abstained(summary, of)}")
    _left_out(summary, console)
    for name, what in (("videos_table", "summary of each video and face"), ("timelines", "timelines")):
        if name in summary:
            console.note(f"{what}: {summary[name]}")


def _predicted(one: dict[str, Any]) -> str:
    """Return what was predicted of a video or of one of its faces: the labels of most of its time, or means."""
    shares = [f"{name} {share:.0%}" for name, share in list(one.get("time", {}).items())[:3]]
    several = one.get("faces", 1) > 1
    if shares and one["seconds_seen"] is not None:
        shares[0] += " of their time together" if several else " of the time"
    held_back = one.get("abstained", 0)
    means = ", ".join(f"{name} {value:.2f}" for name, value in one["mean"].items())
    told = ", ".join(shares) or ("" if held_back else means)
    without = f"; {count_text(held_back, 'prediction')} without a label" if held_back else ""
    return (f": {told}" if told else "") + without


def _faces_of(video: dict[str, Any], console: Console) -> None:
    """Report the faces of a video, where there are several: their labels together are those of none of them."""
    faces = video["by_face"][:MOST_FACES] if video["faces"] > 1 else []
    for one in faces:
        seen = count_text(one["sampled_frames"], "frame")
        when = f"{one['from']:.1f} to {one['to']:.1f} s, " if one.get("from") is not None else ""
        console.note(f"face {one['face']}, {when}{seen}{_predicted(one)}")
    if faces and video["faces"] > len(faces):
        console.note(f"and {count_text(video['faces'] - len(faces), 'more face')}")


def _test(settings: InferSettings, console: Console) -> None:
    """Write, for ``--labels``, the tables and metrics of a test."""
    from affectkit.evaluation.test import test

    shared = {entry.name for entry in fields(TestSettings)} & {entry.name for entry in fields(InferSettings)}
    values = {name: getattr(settings, name) for name in shared}
    summary = test(TestSettings(**values, data=Path(settings.paths[0]), split="all"), reporter=console)
    report_asked(console, settings.results)
    render_test(summary, console, results=settings.results)
