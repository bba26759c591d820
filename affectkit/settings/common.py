"""Options and groups of options that several commands share."""

from __future__ import annotations

import functools
from dataclasses import fields
from typing import Any

from affectkit.config import Parsed, option_group, option_name, setting
from affectkit.core.pixels import parse_pixels
from affectkit.core.shards import Shard
from affectkit.core.spec import FITS
from affectkit.data.layouts.rating_scale import parse_scale
from affectkit.runtime.precision import PRECISIONS
from affectkit.settings.values import parse_thresholds

DATA = "Data"
MODEL = "Model"
LEARNING = "Learning"
REGULAR = "Regularisation"
RUN = "Run"
CLIP = "CLIP and VCA"
V1 = "V1 networks"


def chosen_classes() -> Any:
    """Declare the option ``--classes``, which all commands that read tables have."""
    return setting(
        (),
        "The classes, of a table whose content does not show them: its columns of votes or shares, or its labels.",
        group=DATA,
        metavar="NAME,...",
        default_text="columns that hold votes or shares, or the labels",
    )


def ignored_columns() -> Any:
    """Declare the option ``--ignore-columns``."""
    return setting((), "Columns of a table that are passed over.", group=DATA, metavar="NAME,...", default_text="none")


def followed_links() -> Any:
    """Declare the option ``--follow-links``."""
    return setting(
        False,
        "Read files of a table through links that lead out of its folder; those of datasplit, git-annex and DVC need "
        "it not.",
        group=DATA,
    )


def label_map_file() -> Any:
    """Declare the option ``--label-map`` of commands that test checkpoints."""
    return setting(
        None,
        "File of lines 'happy = happiness': classes that are one; 'DATASET:happy = happiness' of one dataset; 'calm =' "
        "leaves a class out. Items of classes that the model lacks are then left out and counted.",
        group=DATA,
        metavar="FILE",
    )


def rating_range(default_text: str) -> Any:
    """Declare the option ``--rating-range``, which several commands have."""
    return setting(
        None,
        "Least and greatest rating that can be given, as 1,9; others are refused.",
        parse=parse_scale,
        group=DATA,
        metavar="LOW,HIGH",
        default_text=default_text,
    )


def chosen_engine() -> Any:
    """Declare the option ``--engine`` of commands that run a checkpoint."""
    return setting(
        "auto",
        "What computes: onnx, ONNX Runtime, which loads no torch; torch. auto: onnx for the built-in model and .onnx "
        "files, else torch.",
        choices=("auto", "onnx", "torch"),
        group=RUN,
    )


def fitting() -> Any:
    """Declare the option ``--fit`` of commands that take a checkpoint."""
    return setting(
        None,
        "How an image is brought to the input size.",
        choices=tuple(FITS),
        group=DATA,
        default_text="the checkpoint's",
    )


def clip_file() -> Any:
    """Declare the option ``--clip-weights`` of commands that take a checkpoint."""
    return setting(
        None,
        "File with the CLIP weights of a vca checkpoint; they must be the ones that it was trained with.",
        group=CLIP,
        metavar="FILE",
        default_text="those that the checkpoint names",
    )


def verified(group: str = DATA) -> Any:
    """Declare the option ``--no-verify`` of commands that take a checkpoint."""
    return setting(
        True, "Compare a checkpoint with the checksums in it, where it has any: 0.3 s a gigabyte.", group=group
    )


def pixel_limit(group: str = DATA) -> Any:
    """Declare the option ``--max-pixels`` of commands that decode pictures."""
    return setting(
        None,
        "Largest width x height of a picture, as 200M. Of a JPEG that is decoded smaller, the smaller size counts.",
        parse=parse_pixels,
        group=group,
        metavar="N",
        default_text="89M, as Pillow",
    )


def shard_option(help: str, *, group: str = "Options") -> Any:
    """Declare the option ``--shard`` of commands whose work several runs can share."""
    return setting(None, help, parse=Shard.parse, group=group, metavar="I/N")


def fail_under(
    help: str, *, group: str = "Options", metavar: str = "METRIC=VALUE", example: str = "accuracy=0.8"
) -> Any:
    """Declare the option ``--fail-under`` of commands that compute metrics; messages show ``example``."""
    parse = functools.partial(parse_thresholds, example=example)
    return setting(None, help, parse=parse, group=group, metavar=metavar)


NEEDED = {
    "checkpoint": "a run folder of affectkit train, a checkpoint file, or builtin",
    "data": "the folder with the dataset",
    "output": "the folder for the run, as runs/first",
    "results": "a folder for tables and pictures",
}
"""What an option that a command needs is, for the message that it was not given."""


def needed(settings: Any, *names: str, **words: str) -> list[str]:
    """Return a fault for each option of ``names`` and of ``words`` that was not given, and what it is.

    Args:
        settings: of a command.
        names: options that are the same in all commands.
        words: what an option is in this command.
    """
    what = {name: NEEDED[name] for name in names} | words
    missing = [
        entry for entry in fields(settings) if entry.name in what and getattr(settings, entry.name) in (None, ())
    ]
    return [f"{option_name(entry)} is needed: {what[entry.name]}." for entry in missing]


@option_group
class Runtime:
    """Settings that every run on a device shares."""

    device: str = setting(
        "auto", "auto, cpu, cuda, cuda:N or mps. One that is absent is an error.", group=RUN, metavar="DEVICE"
    )
    precision: str = setting("auto", "Number format of the forward pass.", choices=PRECISIONS, group=RUN)
    compile: bool = setting(False, "Compile the model with torch's compiler before the first batch.", group=RUN)
    batch_size: int = setting(32, "Images in a batch, over all processes.", low=1, group=RUN)
    workers: int | None = setting(
        None,
        "Workers that decode images, for each process.",
        low=0,
        high=256,
        group=RUN,
        default_text="chosen by the data",
    )
    max_pixels: Parsed[int] | None = pixel_limit(RUN)

    def computing(self) -> dict[str, Any]:
        """Return where and how a model computes, for ``engines.choice.choose_engine``."""
        return {"device": self.device, "precision": self.precision, "compiled": self.compile}
