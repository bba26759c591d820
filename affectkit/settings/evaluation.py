"""Settings of ``affectkit test``, and what all commands that test a checkpoint share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import Parsed, option_group, setting
from affectkit.corruptions import CorruptionChoice, parse_corruption
from affectkit.data.halves import HALVES
from affectkit.data.layouts.rating_scale import Scale
from affectkit.settings.abstention import (
    Prior,
    abstaining,
    class_prior,
    least_confidence,
    refuse_both,
    training_prior,
)
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.by import By, parse_groups
from affectkit.settings.common import (
    DATA,
    RUN,
    Runtime,
    chosen_classes,
    chosen_engine,
    clip_file,
    fail_under,
    fitting,
    followed_links,
    ignored_columns,
    label_map_file,
    needed,
    rating_range,
    verified,
)

GROUPS = "Groups"
WEIGHTS = (".safetensors", ".onnx", ".pth", ".pt", ".ckpt")


def swapped(checkpoint: Path, data: Path) -> list[str]:
    """Return the fault that a dataset and a checkpoint were named one for the other, where they seem to be."""
    is_model = (data / "best.safetensors").is_file() or (data.suffix in WEIGHTS and data.is_file())
    if is_model and checkpoint.is_dir() and not (checkpoint / "best.safetensors").is_file():
        return [f"--checkpoint {checkpoint} is no run folder, and --data {data} is a model: they seem to be swapped."]
    return []


@option_group
class TestedCheckpoint(Runtime):
    """Settings of the one model that a command tests."""

    checkpoint: Path | None = setting(
        None,
        "Checkpoint file, a run folder (its best model), an .onnx file, or builtin.",
        group=DATA,
        metavar="CHECKPOINT",
    )


@option_group
class TestedData(Runtime):
    """Settings of the data that models are tested on, and of how a checkpoint is read."""

    data: Path | None = setting(
        None, "Folder with the dataset; its layout is found by looking.", group=DATA, metavar="FOLDER"
    )
    labels: Path | None = setting(
        None,
        "Table of labels or ratings of the images in --data, if it does not lie there.",
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
    split: str = setting(
        "test",
        "Split to test on; all takes a --labels table whole, as is one without a split column.",
        choices=("train", "valid", "test", "all"),
        group=DATA,
    )
    half: str = setting(
        "both",
        "Half of the split, by a fixed hash of the items' names: the one that train --valid-half did not choose on "
        "says what to expect of other items.",
        choices=HALVES,
        group=DATA,
    )
    on_error: str = setting("fail", "What a bad image does.", choices=("fail", "skip"), group=DATA)


@option_group
class Tested(TestedData, TestedCheckpoint):
    """Settings of the model and the data that a command tests."""

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = needed(self, "checkpoint", "data")
        return faults or swapped(self.checkpoint, self.data)

    def of_file(self) -> dict[str, Any]:
        """Return how the checkpoint is read, for ``load_model``: the choices that its file leaves open, and more."""
        names = ("clip_weights", "mode", "mask", "verify")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class TestSettings(Tested):
    """Settings of ``affectkit test``."""

    __test__ = False  # not a test class, whatever its name makes pytest think

    corrupt: Parsed[CorruptionChoice] | None = setting(
        None,
        "Corrupt the images first: any name of affectkit corruptions, as fog:3 (severity) or noise=0.01 (strength).",
        parse=parse_corruption,
        group=DATA,
        metavar="NAME[:SEVERITY|=STRENGTH]",
        older="alter",
    )
    abstain: Parsed[float | None] | None = abstaining(
        "Also tell how many items get a label where the model abstains below a confidence, and how many of these are "
        "right: stored, the checkpoint's threshold, whose promise is checked; or a confidence."
    )
    min_confidence: float | None = least_confidence(
        "Also tell how many items get a label where those below this confidence get none, and how many of these are "
        "right; the same as --abstain CONFIDENCE."
    )
    prior: Parsed[Prior] | None = class_prior(
        "Re-weight predictions to these class shares (label shift): a CSV with class,share or NAME=SHARE,...",
        estimated=False,
    )
    training_prior: Parsed[Prior] | None = training_prior()
    engine: str = chosen_engine()
    fit: str | None = fitting()
    label_map: Path | None = label_map_file()
    drop_copies: bool = setting(
        False, "Leave images out that are exact copies of images in an earlier split of --data.", group=DATA
    )
    by: Parsed[tuple[By, ...]] | None = setting(
        None,
        "Also every metric by group: columns of the data's own table or of --groups, as sex,age=20-30-40,sex*race; "
        "image:brightness, image:contrast, image:sharpness, image:size.",
        parse=parse_groups,
        group=GROUPS,
        metavar="COLUMN,...",
    )
    groups: Path | None = setting(
        None,
        "Table of further columns, joined by filename, or by a column of the data's own table.",
        group=GROUPS,
        metavar="TABLE",
    )
    cluster: str | None = setting(
        None,
        "What items belong to, as actor: a column, or file:REGEX with one group, read off their names. Intervals and "
        "tests are then over these; none: over items.",
        group=GROUPS,
        metavar="COLUMN|file:REGEX",
        default_text="who is seen in prepared clips, else none",
    )
    min_group: int = setting(30, "Groups of fewer items are in no gap and no test.", low=2, group=GROUPS)
    results: Path | None = setting(
        None,
        "Folder for results.json, test_results.csv (a row an item), per_class.csv (recall and precision of each "
        "class with intervals), confusion_matrix.csv, plots/ and more; affectkit compare reads it.",
        group=DATA,
        metavar="FOLDER",
    )
    pictures: bool = setting(True, "Draw pictures into --results, too: most of a small test's time.", group=DATA)
    force: bool = setting(False, "Write into a --results that is not empty.", group=DATA)
    fail_under: Parsed[dict[str, float]] | None = fail_under(
        "Exit 3 where a metric is worse: metric=value,metric=value; with --by also gap:metric=value.", group=RUN
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = super().rules() + (["--force needs --results."] if self.force and self.results is None else [])
        faults += [] if self.pictures or self.results else ["--no-pictures needs --results."]
        if self.min_group != 30 and self.by is None:
            faults.append("--min-group: of groups; --by COLUMN,... names them.")
        if self.groups is not None and self.by is None and self.cluster is None:
            faults.append("--groups: a table of columns; --by COLUMN,... or --cluster COLUMN names them.")
        faults += ["--training-prior needs --prior."] if self.training_prior and not self.prior else []
        return faults + refuse_both(self.abstain, self.min_confidence)
