"""The record of an inference, ``inference.json``, which may come from others: its form, begun and complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from affectkit.core.files import read_json
from affectkit.core.forms import Count

HINT = "Add --force to predict everything anew."
RECORD_FORM = {
    "format?": Literal["csv", "jsonl", "parquet"], "checkpoint_sha256?": str, "engine?": str, "classes?": list[str],
    "results?": str, "faces_by?": str, "face_detector?": str, "face_detector_sha256?": str | None,
    "min_score?": float | None, "min_face?": Count | None, "max_faces?": Count | None,
    "abstain?": float | None, "abstain_from?": str, "prior?": dict[str, float], "prior_from?": str,
    "training_prior?": dict[str, float], "training_prior_from?": str,
    "valence_arousal?": dict[str, str], "valence_arousal_from?": str,
    "skipped_list?": str, "timelines?": str, "videos_table?": str, "video_results?": dict[str, Any],
}  # fmt: skip
"""What a run that began has recorded."""
MEANS = dict[str, float | None]
FACE_FORM = {
    "face": Count, "sampled_frames": Count, "seconds_seen": float | None, "from?": float | None, "to": float | None,
    "mean": MEANS, "time?": MEANS, "abstained?": Count,
}  # fmt: skip
LEFT_OUT = {"below_min_score": Count, "below_min_face": Count, "beyond_max_faces": Count}
"""Faces that limits left out, by reason."""
VIDEO_FORM = {
    "video": str, "sampled_frames": Count, "frames_without_face": Count, "faces": Count, "seconds": float | None,
    "seconds_seen": float | None, "mean": MEANS, "time?": MEANS, "by_face": list[FACE_FORM],
    "faces_left_out?": LEFT_OUT, "abstained?": Count,
    "picture_start?": float | None, "sound_start?": float | None, "cuts?": list[float], "notes?": list[str],
    "reason?": str,
}  # fmt: skip
"""What is known of one video."""
_REASON = {"image": str, "reason": str}
_SKIPPED = {"skipped": Count, "skipped_first": list[_REASON]}
VIDEOS_FORM = {
    **RECORD_FORM, **_SKIPPED, "videos": Count, "sampled_frames": Count, "faces": Count, "rows": Count,
    "videos_first": list[VIDEO_FORM], "frames_without_face?": Count, "faces_left_out?": LEFT_OUT,
    "abstained?": Count,
}  # fmt: skip
"""What a complete run of videos has recorded."""
IMAGES_FORM = {
    **RECORD_FORM, **_SKIPPED, "images": Count, "faces?": Count, "images_without_face?": Count,
    "images_without_face_first?": list[str], "abstained?": Count,
    "faces_left_out?": LEFT_OUT, "results": str, "shard?": str, "listed?": Count,
    "more_frames?": {"images": Count, "frames_not_looked_at": Count},
}  # fmt: skip
"""What a complete run of images has recorded."""


def read_run_record(path: Path, form: Any = None) -> dict[str, Any]:
    """Return the record of a run; an empty one where there is none.

    Args:
        path: the file.
        form: what it must be; ``RECORD_FORM`` unless named.

    Raises:
        DataError: it is damaged; names file and place.
    """
    return read_json(path, form or RECORD_FORM, hint=HINT) if path.exists() else {}
