"""Settings of ``affectkit serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import Parsed, setting
from affectkit.core.assets import BUILTIN, BUILTIN_MODEL, PREFIX
from affectkit.data.faces import SEARCH_SIDE, SEARCH_SIDES
from affectkit.data.faces.selection import Selection
from affectkit.settings.abstention import least_confidence, question_margin, with_valence_arousal
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.common import DATA, RUN, Runtime, chosen_engine, clip_file, fitting, verified
from affectkit.settings.inference import FACES, VIDEOS, found_faces, least_face, least_score, longest_gap, most_faces
from affectkit.settings.values import Every, Faces, parse_bytes, parse_every

SERVER = "Server"
LIMITS = "Limits"
LOCAL = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Runtime):
    """Settings of ``affectkit serve``."""

    checkpoint: Path = setting(
        Path(f"{PREFIX}{BUILTIN_MODEL}"),
        "Checkpoint file, a run folder (its best model), an .onnx file, or builtin.",
        group=DATA,
        default_text=BUILTIN,
        metavar="CHECKPOINT",
    )
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    verify: bool = verified()
    engine: str = chosen_engine()
    fit: str | None = fitting()
    valence_arousal: bool = with_valence_arousal()
    faces: Parsed[Faces] | None = found_faces()
    min_score: float | None = least_score()
    min_face: int | None = least_face()
    max_faces: int | None = most_faces()
    every: Parsed[Every] = setting(
        "0.5s",
        "How often a film is sampled: seconds, as 0.5s, how many a second, as 2/s, or every how many frames, as 15.",
        parse=parse_every,
        group=VIDEOS,
        metavar="SECONDS|RATE|FRAMES",
    )
    smooth: float = setting(
        0.0,
        "Seconds over which the outputs of a face in a film are averaged; 0: not at all.",
        low=0,
        group=VIDEOS,
        metavar="SECONDS",
    )
    search_side: int = setting(
        SEARCH_SIDE,
        "Pixels of the longer side at which frames of films are searched, at most.",
        low=SEARCH_SIDES[0],
        high=SEARCH_SIDES[1],
        group=VIDEOS,
        metavar="PIXELS",
    )
    track_gap: float = longest_gap()
    min_confidence: float | None = least_confidence(
        "Give no label where the largest share is below this: the column stays empty, the others stay, Abstained is 1."
    )
    question_margin: float | None = question_margin(
        "On the page and in drawn pictures, a question mark stands behind a label whose margin, the largest share less "
        "the second largest, is below this.",
        group=FACES,
    )
    workers: int | None = setting(
        None,
        "Workers that decode the pictures of a request.",
        low=0,
        high=256,
        group=RUN,
        default_text="none: the thread that predicts decodes",
    )
    host: str = setting(
        LOCAL,
        "Address to listen on. Any other than this machine's own (127.0.0.1, ::1) lets all who reach it and hold the "
        "token use it, and neither token nor pictures are encrypted on the way.",
        group=SERVER,
        metavar="ADDRESS",
    )
    port: int = setting(0, "Port to listen on; 0: a free one.", low=0, high=65535, group=SERVER)
    keep: Path | None = setting(
        None,
        "Keep the files and results of jobs (films, reports) in this folder. Single pictures and frames of the camera "
        "are never kept.",
        group=SERVER,
        metavar="FOLDER",
        default_text="nothing is kept",
        renamed="results",
    )
    max_size: Parsed[int] = setting(
        "500M", "Largest request in bytes, as 500M.", parse=parse_bytes, group=LIMITS, metavar="BYTES"
    )
    max_files: int = setting(200, "Most files of a request.", low=1, high=10_000, group=LIMITS)
    max_seconds: float = setting(3600.0, "Longest film.", above=0, group=LIMITS, metavar="SECONDS")
    queue: int = setting(
        32, "Requests that may wait or be predicted at a time; others are answered 503.", low=1, group=LIMITS
    )

    def of_file(self) -> dict[str, Any]:
        """Return how the checkpoint is read, for ``load_engine``."""
        return {name: getattr(self, name) for name in ("clip_weights", "mode", "mask", "verify")}

    def selection(self) -> Selection:
        """Return which of the faces found are taken."""
        return Selection(self.min_score, self.min_face, self.max_faces)

    @property
    def is_local(self) -> bool:
        """Return whether no other machine reaches ``host``."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = [] if self.host.strip() else ["--host needs an address, as 127.0.0.1 or 0.0.0.0."]
        if self.keep is not None and self.keep.exists() and not self.keep.is_dir():
            faults.append(f"--results {self.keep} is a file; it must be a folder, or the name of a new one.")
        return faults
