"""Settings of ``affectkit infer``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import Parsed, setting, value_of
from affectkit.core.assets import BUILTIN, BUILTIN_MODEL, PREFIX
from affectkit.core.shards import Shard
from affectkit.data.faces import RESERVED, SEARCH_SIDE, SEARCH_SIDES, TRACK_GAP, installed_names, score_meanings
from affectkit.data.faces.selection import LIMITS, Selection
from affectkit.data.layouts.rating_scale import Scale
from affectkit.settings.abstention import (
    ESTIMATE,
    Prior,
    abstaining,
    class_prior,
    least_confidence,
    question_margin,
    refuse_both,
    training_prior,
    with_valence_arousal,
)
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.common import (
    DATA,
    Runtime,
    chosen_classes,
    chosen_engine,
    clip_file,
    fitting,
    followed_links,
    ignored_columns,
    rating_range,
    shard_option,
    verified,
)
from affectkit.settings.values import Every, Faces, parse_every, parse_faces

FACES = "Faces"
VIDEOS = "Videos and cameras"
NOWHERE = Faces("none", None)
VIDEO_OPTIONS = ("every", "smooth", "seconds", "search_side", "track_gap")
"""Options that mean nothing to images."""


def found_faces() -> Any:
    """Declare the option ``--faces`` of commands that predict."""
    return setting(
        None,
        "Find faces and predict each: auto (a picture that is a face crop is taken whole), haar (OpenCV's cascade), "
        f"yunet (its own file, or yunet:FILE.onnx){installed_names()}; none: each picture whole.",
        parse=parse_faces,
        group=FACES,
        metavar="|".join((*RESERVED, "NAME[:FILE]")),
        default_text="auto for models of face crops (the built-in one, and trained from it), else none",
    )


def least_score() -> Any:
    """Declare the option ``--min-score`` of commands that predict."""
    return setting(
        None,
        f"Leave out faces of a lower score of the detector ({score_meanings()}).",
        group=FACES,
        default_text="the detector's own",
    )


def least_face() -> Any:
    """Declare the option ``--min-face`` of commands that predict."""
    return setting(
        None,
        "Leave out faces that are smaller: pixels of the longer side of the box, in the picture as it is in its file.",
        low=1,
        group=FACES,
        metavar="PIXELS",
        default_text="all",
    )


def most_faces() -> Any:
    """Declare the option ``--max-faces`` of commands that predict."""
    return setting(
        None,
        "Take the N largest faces of each image or frame alone.",
        low=1,
        group=FACES,
        metavar="N",
        default_text="all",
    )


def longest_gap() -> Any:
    """Declare the option ``--track-gap`` of commands that predict."""
    return setting(
        TRACK_GAP,
        "Seconds for which a face in a video may be out of sight, hidden or behind a cut, and keep its number.",
        low=0,
        group=VIDEOS,
        metavar="SECONDS",
    )


@dataclass(frozen=True, kw_only=True)
class InferSettings(Runtime):
    """Settings of ``affectkit infer``."""

    paths: tuple[str, ...] = setting(
        (),
        "Images, videos, folders, glob patterns, or - for a list of paths on standard input.",
        argument=True,
        metavar="PATH...",
    )
    checkpoint: Path = setting(
        Path(f"{PREFIX}{BUILTIN_MODEL}"),
        "Checkpoint file, a run folder (its best model), an .onnx file, or builtin.",
        group=DATA,
        default_text=BUILTIN,
        metavar="CHECKPOINT",
    )
    results: Path | None = setting(
        None, "Folder for the result table.", group=DATA, default_text="rows go to standard output", metavar="FOLDER"
    )
    labels: Path | None = setting(
        None,
        "Table of labels or ratings of the images of one folder: they are tested, too.",
        group=DATA,
        metavar="TABLE",
    )
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: Parsed[Scale] | None = rating_range("the model's")
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    verify: bool = verified()
    abstain: Parsed[float | None] | None = abstaining(
        "Give no label below a confidence: the column stays empty, the shares stay, and Abstained is 1. stored: the "
        "checkpoint's threshold; or a confidence."
    )
    min_confidence: float | None = least_confidence(
        "Give no label where the largest share is below this: the same as --abstain CONFIDENCE. All other columns stay."
    )
    prior: Parsed[Prior] | None = class_prior(
        "Re-weight predictions to these class shares (label shift): a CSV with class,share, or NAME=SHARE,...; "
        "estimate: of all inputs, which are gone through twice.",
        estimated=True,
    )
    training_prior: Parsed[Prior] | None = training_prior()
    valence_arousal: bool = with_valence_arousal()
    engine: str = chosen_engine()
    fit: str | None = fitting()
    faces: Parsed[Faces] | None = found_faces()
    min_score: float | None = least_score()
    min_face: int | None = least_face()
    max_faces: int | None = most_faces()
    annotate: Path | None = setting(
        None,
        "Draw faces and predictions: into this folder, for a video into this file or folder.",
        group=FACES,
        metavar="DIR|FILE",
    )
    question_margin: float | None = question_margin(
        "In drawn pictures, a question mark stands behind a label whose margin, the largest share less the second "
        "largest, is below this.",
        group=FACES,
    )
    every: Parsed[Every] | None = setting(
        None,
        "How often a video is sampled: seconds, as 0.5s, how many a second, as 2/s, or every how many frames, as 15; "
        "given, animations and pages too.",
        parse=parse_every,
        group=VIDEOS,
        metavar="SECONDS|RATE|FRAMES",
        default_text="0.5s; of animations the first frame",
    )
    smooth: float = setting(
        0.0,
        "Seconds over which the outputs of a face in a video are averaged; 0: not at all.",
        low=0,
        group=VIDEOS,
        metavar="SECONDS",
    )
    search_side: int = setting(
        SEARCH_SIDE,
        "Pixels of the longer side at which frames of videos and cameras are searched, at most; the smallest face that "
        "is found there has about 24 of these. More finds smaller faces and takes longer.",
        low=SEARCH_SIDES[0],
        high=SEARCH_SIDES[1],
        group=VIDEOS,
        metavar="PIXELS",
    )
    track_gap: float = longest_gap()
    camera: int | None = setting(None, "Predict this camera, until Ctrl-C.", low=0, group=VIDEOS, metavar="N")
    seconds: float | None = setting(
        None,
        "End after so long, of a camera or of each video.",
        above=0,
        group=VIDEOS,
        default_text="all",
        metavar="SECONDS",
    )
    format: str = setting("csv", "Format of the rows.", choices=("csv", "jsonl", "parquet"), group=DATA)
    recursive: bool = setting(False, "Look into sub-folders too.", group=DATA)
    shard: Parsed[Shard] | None = shard_option(
        "Predict every N-th image alone, as the I-th of N runs; affectkit merge puts the shards together.", group=DATA
    )
    resume: bool = setting(False, "Continue the table in --results, or bring a finished one up to date.", group=DATA)
    force: bool = setting(False, "Replace the table in --results, and drawn files of the same names.", group=DATA)
    on_error: str = setting("skip", "What a bad image does.", choices=("fail", "skip"), group=DATA)

    def of_file(self) -> dict[str, Any]:
        """Return how the checkpoint is read, for ``load_model``: the choices that its file leaves open, and more."""
        names = ("clip_weights", "mode", "mask", "verify")
        return {name: getattr(self, name) for name in names}

    def selection(self) -> Selection:
        """Return which of the faces found are taken."""
        return Selection(self.min_score, self.min_face, self.max_faces)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = []
        limits = [f"--{name.replace('_', '-')}" for name in LIMITS if getattr(self, name) is not None]
        if limits and value_of(self.faces, None) == NOWHERE:
            faults.append(f"{', '.join(limits)} and --faces none exclude each other: images are taken whole.")
        if not self.paths and self.camera is None:
            faults.append("PATHS is needed: images, videos, folders, glob patterns, or - for a list on standard input.")
        if self.camera is not None:
            others = [name for name in ("labels", "shard", "resume") if getattr(self, name)]
            faults += [f"--camera and --{name} exclude each other." for name in others]
            faults += ["--camera and PATHS exclude each other."] if self.paths else []
        faults += self._prior_rules() + self._decision_rules()
        if self.labels is None:
            chosen = {
                "classes": self.classes, "ignore-columns": self.ignore_columns, "follow-links": self.follow_links,
            }  # fmt: skip
            faults += [f"--{name} needs --labels: it is for tables." for name, value in chosen.items() if value]
        else:
            faults += ["--labels needs --results."] if self.results is None else []
            faults += [
                f"--labels and --{name} exclude each other." for name in ("shard", "resume") if getattr(self, name)
            ]
            if value_of(self.faces, NOWHERE) != NOWHERE:
                faults.append(f"--labels and --faces {self.faces} exclude each other: labels are of whole images.")
            faults += [f"--labels and {name} exclude each other: labels are of whole images." for name in limits]
            if len(self.paths) != 1 or not Path(self.paths[0]).is_dir():
                faults.append("--labels needs one folder of images.")
            derived = "--labels and --valence-arousal exclude each other: labels are compared with what is predicted."
            faults += [derived] if self.valence_arousal else []
            if self.format != "csv":
                faults.append("--labels writes CSV; leave --format out.")
        if self.results is None:
            faults += [f"--{name} needs --results." for name in ("resume", "shard") if getattr(self, name)]
            if self.force and self.annotate is None:
                faults.append("--force needs --results or --annotate.")
            if self.format == "parquet":
                faults.append("--format parquet needs --results.")
        elif self.resume and self.force:
            faults.append("--resume and --force exclude each other.")
        return faults

    def _decision_rules(self) -> list[str]:
        """Name the faults of what is done with labels."""
        faults = refuse_both(self.abstain, self.min_confidence)
        if self.question_margin is not None and self.annotate is None:
            faults.append("--question-margin needs --annotate: it is for labels that are drawn.")
        return faults

    def _prior_rules(self) -> list[str]:
        """Name the faults of ``--prior``."""
        faults = ["--training-prior needs --prior."] if self.training_prior and not self.prior else []
        if self.prior is None or self.prior.text != ESTIMATE:
            return faults
        why = "the prior is estimated from all inputs of a run, and all rows depend on it"
        faults += [f"--prior {ESTIMATE} and --{name} exclude each other: {why}."
                   for name in ("resume", "shard") if getattr(self, name)]  # fmt: skip
        if faults and self.resume:
            faults[-1] += " The shares that an earlier run estimated stand in its inference.json; state them to go on."
        if self.camera is not None or "-" in self.paths:
            faults.append(f"--prior {ESTIMATE} needs files, which are gone through twice; a camera or - is not.")
        if self.labels is not None:
            faults.append(f"--labels and --prior {ESTIMATE} exclude each other: state the shares.")
        return faults
