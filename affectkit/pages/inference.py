"""The page of what ``infer`` has predicted: photographs, videos, or both."""

from __future__ import annotations

from typing import Any

from affectkit.core.assets import called
from affectkit.core.forms import Count
from affectkit.core.text import count_text
from affectkit.errors import DataError
from affectkit.inference.table_layout import NAME, RECORD, ROWS, VIDEO_NAME, VIDEOS_FOLDER
from affectkit.inference.video.legacy_names import FOLDER as EARLIER
from affectkit.pages.page import Page, Source
from affectkit.pages.photographs import read_photographs
from affectkit.pages.tables import find_table, read_record

FORM = {
    "classes?": list[str], "paths?": list[str], "skipped?": Count, "video_results?": dict[str, Any],
    "passed_over?": dict[str, Count], "faces_left_out?": dict[str, Count],
    "more_frames?": {"images": Count, "frames_not_looked_at": Count},
}  # fmt: skip
"""What the page takes from the record."""
RECORD_SHOWN = {
    "checkpoint": "model", "checkpoint_sha256": "SHA-256 of the model", "task": "task", "engine": "computed by",
    "faces_by": "faces found by", "face_detector": "face detector",
    "face_detector_sha256": "SHA-256 of the face detector", "min_score": "least score of a face (--min-score)",
    "min_face": "least side of a face in pixels (--min-face)", "max_faces": "most faces of a picture (--max-faces)",
    "fit": "whole pictures brought to the input size by", "paths": "inputs",
    "abstain": "no label below a confidence of (--min-confidence, --abstain)", "abstain_from": "that confidence is",
    "abstained": "rows without a label", "prior": "predictions re-weighted to the class prior (--prior)",
    "prior_from": "that prior is", "training_prior": "from the class prior of training",
    "training_prior_from": "known from", "prior_estimate": "estimate of the prior",
    "valence_arousal": "classes and words, by whose norms valence and arousal follow (--valence-arousal)",
    "valence_arousal_from": "these norms are",
    "every": "videos sampled every", "smooth": "outputs averaged over (s)", "seconds": "videos read up to (s)",
    "search_side": "longest side searched for faces (pixels)",
    "track_gap": "a face keeps its number out of sight for (s)", "read_by": "pictures read by",
    "affectkit": "affectkit", "shard": "shard",
}  # fmt: skip
"""What the page repeats of the record, in this order; what else stands there follows."""
COUNTS = {
    "images", "faces", "skipped", "skipped_first", "format", "results", "classes", "videos", "sampled_frames", "rows",
    "videos_first", "video_results", "skipped_list", "videos_table", "timelines", "more_frames", "listed", "recursive",
    "passed_over", "faces_left_out", "abstain_promise", "images_without_face",
    "images_without_face_first", "frames_without_face",
}  # fmt: skip
"""What stands elsewhere on the page, or says where files are."""


def build(source: Source) -> Page:
    """Return the page of a folder with ``inference.json``."""
    folder, record = source.folder, read_record(source.folder / RECORD, FORM)
    table = find_table(folder, ROWS)
    columns = table.columns if table is not None else []
    photographs = videos = None
    if NAME in columns:
        photographs = read_photographs(source, record, table)
    beside = next((folder / name for name in (VIDEOS_FOLDER, EARLIER) if (folder / name).is_dir()), folder)
    if VIDEO_NAME in columns or (beside != folder and find_table(beside, ROWS) is not None):
        from affectkit.pages.videos import read_videos

        videos = read_videos(source, record, folder if VIDEO_NAME in columns else beside)
    if photographs is None and videos is None:
        where = table.path if table is not None else folder
        raise DataError(
            f"{where} holds no row of predictions: there is nothing to report yet.",
            "Was the run stopped at once? The same command with --resume continues it.",
        )
    parts = [part for part in (photographs, videos) if part is not None]
    title = " and ".join(part.title for part in parts)
    return Page(
        template="inference.html",
        title=f"{title[:1].upper()}{title[1:]}: {folder.absolute().name}",
        values={
            "photographs": None if photographs is None else photographs.values,
            "videos": None if videos is None else videos.values,
            "record": shown_record(record),
        },
        data={
            **({"grid": photographs.data} if photographs is not None else {}),
            **({"videos": videos.data} if videos is not None else {}),
        },
        scripts=tuple(script for part in parts for script in part.scripts),
        counts={
            "pictures": sum(part.pictures for part in parts),
            "without_picture": sum(part.without for part in parts),
        },
    )


def shown_record(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the page repeats of ``inference.json``, as names and texts."""
    found = []
    for key in (*RECORD_SHOWN, *(key for key in record if key not in RECORD_SHOWN and key not in COUNTS)):
        value = record.get(key)
        if value in (None, "", [], {}):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, dict):
            text = ", ".join(f"{name}: {number}" for name, number in value.items())
        found.append((RECORD_SHOWN.get(key, key.replace("_", " ")), called(text)))
    if isinstance(promise := record.get("abstain_promise"), dict) and isinstance(promise.get("wished"), dict):
        wished = ", ".join(f"{name} of at least {value}" for name, value in promise["wished"].items())
        text = f"{wished}, with {promise.get('confidence')} confidence, fitted on {promise.get('n')} items"
        found.append(("what the threshold promises", text))
    if left_out := record.get("faces_left_out"):
        text = ", ".join(f"{reason.replace('_', ' ')}: {count:,}" for reason, count in left_out.items())
        found.append(("faces found and left out by these limits", text))
    if more := record.get("more_frames"):
        text = f"{more['images']:,}: the first frame was predicted, {more['frames_not_looked_at']:,} others were not"
        found.append(("images with more than one frame", text))
    passed = record.get("passed_over")
    if isinstance(passed, dict) and passed:
        text = ", ".join(f"{ending} ({count_text(count, 'file')})" for ending, count in passed.items())
        found.append(("passed over, neither images nor videos", text))
    return found
