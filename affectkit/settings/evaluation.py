"""Settings of the commands that take a checkpoint: ``test``, ``infer``, and what all that test share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from affectkit.config import setting
from affectkit.core.assets import BUILTIN, BUILTIN_MODEL, PREFIX
from affectkit.corruptions import parse_corruption
from affectkit.errors import UsageError
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.label_tables import chosen_classes, followed_links, ignored_columns
from affectkit.settings.training import (
    DATA,
    RUN,
    Runtime,
    check_shard,
    clip_file,
    fitting,
    rating_range,
)


@dataclass(frozen=True, kw_only=True)
class Tested(Runtime):
    """What is tested on what, for every command that tests."""

    checkpoint: Path | None = setting(None, "Checkpoint file, a run folder (its best model), or builtin.", group=DATA)
    data: Path | None = setting(None, "Folder with the dataset; its layout is found by looking.", group=DATA)
    labels: Path | None = setting(
        None, "Table of labels or ratings of the images in --data, if it does not lie there.", group=DATA
    )
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: str | None = rating_range("the model's")
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    split: str = setting(
        "test",
        "Split to test on; all takes a --labels table whole, as is one without a split column.",
        choices=("train", "valid", "test", "all"),
        group=DATA,
    )
    on_error: str = setting("fail", "What a bad image does.", choices=("fail", "skip"), group=DATA)

    def rules(self) -> list[str]:
        """Faults between settings."""
        return [f"--{name} is needed." for name in ("checkpoint", "data") if getattr(self, name) is None]

    def of_file(self) -> dict[str, str | None]:
        """What the checkpoint file leaves open, for ``load_model``."""
        return {"clip_weights": self.clip_weights, "mode": self.mode, "mask": self.mask}


@dataclass(frozen=True, kw_only=True)
class TestSettings(Tested):
    """Settings of ``affectkit test``."""

    __test__ = False  # not a test class, whatever its name makes pytest think

    alter: str | None = setting(
        None,
        "Corrupt the images first: any name of affectkit corruptions, as fog:3 (severity) or noise=0.01 (strength).",
        check=parse_corruption,
        group=DATA,
        metavar="NAME[:SEVERITY|=STRENGTH]",
    )
    fit: str | None = fitting()
    drop_copies: bool = setting(
        False, "Leave images out that are exact copies of images in an earlier split of --data.", group=DATA
    )
    results: Path | None = setting(None, "Folder for tables and pictures.", group=DATA)
    force: bool = setting(False, "Write into a --results that is not empty.", group=DATA)
    fail_under: str | None = setting(
        None, "Exit 3 where a metric is worse: metric=value,metric=value.", group=RUN, metavar="METRIC=VALUE"
    )

    def rules(self) -> list[str]:
        """Faults between settings."""
        return super().rules() + (["--force needs --results."] if self.force and self.results is None else [])


FACES = "Faces and films"


def parse_faces(text: str) -> tuple[str, Path | None]:
    """``"yunet:FILE"`` as ("yunet", FILE); ``auto``, ``haar`` and ``none`` with None."""
    if text in ("auto", "none", "haar"):
        return text, None
    kind, _, file = text.partition(":")
    if kind != "yunet" or not file:
        raise UsageError(f"must be auto, none, haar or yunet:FILE.onnx; got {text!r}.")
    return kind, Path(file).expanduser()


def parse_every(text: str) -> tuple[float, int]:
    """``"0.5s"`` as (0.5 seconds, 0), ``"15"`` as (0.0, 15 frames)."""
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)s", text.strip())
    if match is None or not float(match[1] or match[2]):
        raise UsageError(f"must be seconds, as 0.5s, or a number of frames, as 15; got {text!r}.")
    return (0.0, int(match[1])) if match[1] else (float(match[2]), 0)


@dataclass(frozen=True, kw_only=True)
class InferSettings(Runtime):
    """Settings of ``affectkit infer``."""

    paths: tuple[str, ...] = setting(
        (),
        "Images, films, folders, glob patterns, or - for a list of paths on standard input.",
        argument=True,
        metavar="PATH...",
    )
    checkpoint: Path = setting(
        Path(f"{PREFIX}{BUILTIN_MODEL}"),
        "Checkpoint file, a run folder (its best model), or builtin.",
        group=DATA,
        default_text=BUILTIN,
    )
    results: Path | None = setting(
        None, "Folder for the result table.", group=DATA, default_text="rows go to standard output"
    )
    labels: Path | None = setting(
        None, "Table of labels or ratings of the images of one folder: they are tested, too.", group=DATA
    )
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: str | None = rating_range("the model's")
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    fit: str | None = fitting()
    faces: str | None = setting(
        None,
        "Find faces and predict each: auto (a picture that is a face crop is taken whole), haar (OpenCV's cascade), "
        "yunet:FILE.onnx; none: each picture whole.",
        check=parse_faces,
        group=FACES,
        metavar="auto|none|haar|yunet:FILE",
        default_text="auto for the built-in model, else none",
    )
    annotate: Path | None = setting(
        None,
        "Draw faces and predictions: into this folder, for a film into this file or folder.",
        group=FACES,
        metavar="DIR|FILE",
    )
    every: str | None = setting(
        None,
        "How often a film is looked at: seconds, as 0.5s, or frames, as 15; given, animations and pages too.",
        check=parse_every,
        group=FACES,
        metavar="SECONDS|FRAMES",
        default_text="0.5s; of animations the first frame",
    )
    smooth: float = setting(
        0.0, "Seconds over which the outputs of a face in a film are averaged; 0: not at all.", low=0, group=FACES
    )
    camera: int | None = setting(None, "Look at this camera, until Ctrl-C.", low=0, group=FACES, metavar="N")
    seconds: float | None = setting(
        None, "End after so long, of a camera or of each film.", above=0, group=FACES, default_text="all"
    )
    format: str = setting("csv", "Format of the rows.", choices=("csv", "jsonl", "parquet"), group=DATA)
    recursive: bool = setting(False, "Look into sub-folders too.", group=DATA)
    shard: str | None = setting(
        None,
        "Predict every N-th image alone, as the I-th of N runs; affectkit merge puts the parts together.",
        check=check_shard,
        group=DATA,
        metavar="I/N",
    )
    resume: bool = setting(False, "Continue the table in --results, or bring a finished one up to date.", group=DATA)
    force: bool = setting(False, "Replace the table in --results.", group=DATA)
    on_error: str = setting("skip", "What a bad image does.", choices=("fail", "skip"), group=DATA)

    def of_file(self) -> dict[str, str | None]:
        """What the checkpoint file leaves open, for ``load_model``."""
        return {"clip_weights": self.clip_weights, "mode": self.mode, "mask": self.mask}

    def of_films_alone(self) -> list[str]:
        """The options of films that are not at their defaults."""
        default = InferSettings()
        names = ("every", "smooth", "seconds")
        return [f"--{name}" for name in names if getattr(self, name) != getattr(default, name)]

    def rules(self) -> list[str]:
        """Faults between settings."""
        faults = []
        if not self.paths and self.camera is None:
            faults.append("PATHS is needed: images, films, folders, glob patterns, or - for a list on standard input.")
        if self.camera is not None:
            others = [name for name in ("labels", "shard", "resume") if getattr(self, name)]
            faults += [f"--camera and --{name} exclude each other." for name in others]
            faults += ["--camera and PATHS exclude each other."] if self.paths else []
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
            if self.faces not in (None, "none"):
                faults.append(f"--labels and --faces {self.faces} exclude each other: labels are of whole images.")
            if len(self.paths) != 1 or not Path(self.paths[0]).is_dir():
                faults.append("--labels needs one folder of images.")
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
