"""Settings of ``affectkit train``: what is trained on."""

from __future__ import annotations

from pathlib import Path

from affectkit.config import Parsed, option_group, setting
from affectkit.core.spec import FITS
from affectkit.data.halves import HALVES
from affectkit.data.layouts.rating_scale import Scale
from affectkit.data.loading.presets import PRESETS
from affectkit.settings.common import DATA, chosen_classes, followed_links, ignored_columns, rating_range


@option_group
class DataOptions:
    """Settings of images, labels and the run folder, and of how images are brought to the model."""

    data: Path | None = setting(
        None, "Folder with the dataset; its layout is found by looking.", group=DATA, metavar="FOLDER"
    )
    labels: Path | None = setting(
        None,
        "Table of labels or ratings of the images in --data, if it does not lie there.",
        group=DATA,
        metavar="TABLE",
    )
    test_data: Path | None = setting(
        None,
        "Images to test on after training.",
        group=DATA,
        default_text="--data, with --test-labels",
        metavar="FOLDER",
    )
    test_labels: Path | None = setting(
        None, "Table of the labels or ratings of --test-data.", group=DATA, metavar="TABLE"
    )
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: Parsed[Scale] | None = rating_range("1,9 where the median is above 1, else -1,1")
    output: Path | None = setting(None, "Run folder to make.", group=DATA, metavar="FOLDER")
    resume: Path | None = setting(None, "Continue this run folder; needs nothing else.", group=DATA, metavar="FOLDER")
    force: bool = setting(False, "Write into an --output that is not empty.", group=DATA)
    val_fraction: float = setting(
        0.1,
        "Share of the training images held out where the data has no validation split.",
        above=0,
        below=1,
        group=DATA,
        metavar="SHARE",
    )
    valid_half: str = setting(
        "both",
        "Half of the validation split that chooses the epoch and the temperature, by a fixed hash of the items' "
        "names; test --split valid --half tests on the other.",
        choices=HALVES,
        group=DATA,
    )
    drop_copies: bool = setting(
        False,
        "Leave images out of validation and test that are exact copies of images in an earlier split.",
        group=DATA,
    )
    augment: str = setting("face", "Augmentation preset.", choices=tuple(PRESETS), group=DATA)
    fit: str = setting("crop", "How an image is brought to the input size.", choices=tuple(FITS), group=DATA)
    cache: str = setting(
        "auto",
        "Hold decoded images in memory; auto: where they fit in a quarter of what is free.",
        choices=("auto", "ram", "none"),
        group=DATA,
    )
    on_error: str = setting("fail", "What a bad image does.", choices=("fail", "skip"), group=DATA)
