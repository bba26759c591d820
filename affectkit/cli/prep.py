"""``affectkit prep``: datasets as they are downloaded, into the layouts that train reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli import prep_clips
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.prep_clips import options_from
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.shards import Shard
from affectkit.settings.common import shard_option
from affectkit.slurm.job_policy import PREP

LINKS = ("copy", "hardlink")
SHARD = "Write every N-th image alone, as the I-th of N runs; affectkit merge OUTPUT then makes the tables."


@dataclass(frozen=True, kw_only=True)
class PrepSettings:
    """Settings that the preparations of downloaded datasets share."""

    source: Path | None = setting(None, "Folder with the dataset as it was downloaded.", argument=True)
    output: Path | None = setting(None, "Folder to make: tables and images.")
    link: str = setting("copy", "How image files get there.", choices=LINKS)
    drop_copies: bool = setting(
        False, "Leave images out of validation and test that are exact copies of images in an earlier split."
    )
    shard: Parsed[Shard] | None = shard_option(SHARD)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        missing = [] if self.source is not None else ["SOURCE is needed: the folder with the dataset."]
        return missing + ([] if self.output is not None else ["--output is needed."])


@dataclass(frozen=True, kw_only=True)
class FerplusSettings(PrepSettings):
    """Settings of ``affectkit prep ferplus``."""

    target: str = setting(
        "distribution",
        "distribution: remaining votes of eight emotions; majority: images with a clear majority.",
        choices=("distribution", "majority"),
    )


@dataclass(frozen=True, kw_only=True)
class AffectnetSettings(PrepSettings):
    """Settings of ``affectkit prep affectnet``."""

    target: str = setting(
        "label", "label: eight expressions; ratings: images with valence and arousal.", choices=("label", "ratings")
    )
    crop: str = setting("face", "face: cut at the boxes in the tables; none: whole pictures.", choices=("face", "none"))


@dataclass(frozen=True, kw_only=True)
class AfewVaSettings:
    """Settings of ``affectkit prep afew-va``."""

    source: Path | None = setting(None, "Folder with the dataset as it was downloaded.", argument=True)
    output: Path | None = setting(None, "Folder to make: tables and images.")
    crop: str = setting("face", "face: cut around the landmarks; none: whole frames.", choices=("face", "none"))
    split_by: str = setting("actor", "What is never on two sides of the split.", choices=("actor", "video"))
    scale: str = setting("10", "10: ratings from -10 to 10, as given; 1: divided by ten.", choices=("10", "1"))
    seed: int = setting(0, "The split follows from it, and from the names.", low=0)
    link: str = setting("copy", "How image files get there.", choices=LINKS)
    shard: Parsed[Shard] | None = shard_option(SHARD)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        missing = [] if self.source is not None else ["SOURCE is needed: the folder with the dataset."]
        return missing + ([] if self.output is not None else ["--output is needed."])


@dataclass(frozen=True, kw_only=True)
class SchematicSettings:
    """Settings of ``affectkit prep schematic``."""

    output: Path | None = setting(None, "Folder to make: tables and images.", argument=True)
    train: int = setting(800, "Training faces.", low=8, high=1_000_000)
    valid: int = setting(160, "Validation faces.", low=8, high=1_000_000)
    test: int = setting(160, "Test faces.", low=8, high=1_000_000)
    size: int = setting(64, "Height and width in pixels.", low=24, high=1024)
    seed: int = setting(0, "Everything random follows from it.", low=0)
    shard: Parsed[Shard] | None = shard_option(SHARD)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.output is not None else ["OUTPUT is needed: the folder to make."]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    prep = typer.Typer(
        help="Bring a dataset as it is downloaded into the layout that train reads.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.add_typer(prep, name="prep")
    prep_clips.register(prep)

    @command(prep, "ferplus", FerplusSettings, writes=folders("output"), slurm=PREP)
    def ferplus(resolved: Resolved[FerplusSettings], console: Console) -> None:
        """FER+: ten raters' votes on the faces of FER-2013, by its authors' rules.

        SOURCE holds fer2013new.csv, and the pixels (fer2013.csv or icml_face_data.csv) or the fer#######.png files in
        any sub-folders.

        Example: affectkit prep ferplus downloads/ferplus --output data/ferplus --target majority
        """
        from affectkit.prep.images.ferplus import FerplusOptions, prepare_ferplus

        s = resolved.settings
        options = options_from(FerplusOptions, s, shard=value_of(s.shard))
        report = prepare_ferplus(s.source, s.output, options, reporter=console)
        _render(report, s.output, console)

    @command(prep, "fer2013", PrepSettings, writes=folders("output"), slurm=PREP)
    def fer2013(resolved: Resolved[PrepSettings], console: Console) -> None:
        """FER-2013 with the labels of its own table: seven emotions, without FER+'s votes.

        SOURCE holds fer2013.csv or icml_face_data.csv. PublicTest is the validation split, PrivateTest the test split.

        Example: affectkit prep fer2013 downloads/fer2013 --output data/fer2013 --drop-copies
        """
        from affectkit.prep.images.fer2013 import prepare_fer2013
        from affectkit.prep.images.output_folder import ImageOptions

        s = resolved.settings
        options = options_from(ImageOptions, s, shard=value_of(s.shard))
        report = prepare_fer2013(s.source, s.output, options, reporter=console)
        _render(report, s.output, console)

    @command(prep, "affectnet", AffectnetSettings, writes=folders("output"), slurm=PREP)
    def affectnet(resolved: Resolved[AffectnetSettings], console: Console) -> None:
        """AffectNet's first release: whole pictures and tables, into cut faces.

        SOURCE holds Manually_Annotated_file_lists (training.csv, validation.csv) and Manually_Annotated. The later
        release, train_set and val_set with .npy files, is read by train as it is.

        Example: affectkit prep affectnet downloads/AffectNet --output data/affectnet --target ratings
        """
        from affectkit.prep.images.affectnet import AffectnetOptions, prepare_affectnet

        s = resolved.settings
        options = options_from(AffectnetOptions, s, shard=value_of(s.shard))
        report = prepare_affectnet(s.source, s.output, options, reporter=console)
        _render(report, s.output, console)

    @command(prep, "affectnet-fused", PrepSettings, writes=folders("output"), slurm=PREP)
    def affectnet_fused(resolved: Resolved[PrepSettings], console: Console) -> None:
        """AffectNetFused: probabilities of thirteen emotions, a small text file an image.

        train reads the download as it is, too; the prepared copy holds the images and two tables alone.

        Example: affectkit prep affectnet-fused downloads/AffectNetFused --output data/affectnet --link hardlink
        """
        from affectkit.prep.images.affectnet_fused import prepare_affectnet_fused
        from affectkit.prep.images.output_folder import ImageOptions

        s = resolved.settings
        options = options_from(ImageOptions, s, shard=value_of(s.shard))
        report = prepare_affectnet_fused(s.source, s.output, options, reporter=console)
        _render(report, s.output, console)

    @command(prep, "afew-va", AfewVaSettings, writes=folders("output"), slurm=PREP)
    def afew_va(resolved: Resolved[AfewVaSettings], console: Console) -> None:
        """AFEW-VA: valence and arousal of each frame of 600 film clips, actors apart.

        SOURCE holds the clips' folders, 001 to 600. 60% of the frames are for training, 20% each for validation and
        test, as nearly as whole actors allow.

        Example: affectkit prep afew-va downloads/AFEW-VA --output data/afew-va
        """
        from affectkit.prep.images.afew_va import AfewVaOptions, prepare_afew_va

        s = resolved.settings
        options = options_from(AfewVaOptions, s, shard=value_of(s.shard))
        report = prepare_afew_va(s.source, s.output, options, reporter=console)
        _render(report, s.output, console)

    @command(prep, "schematic", SchematicSettings, writes=folders("output"), slurm=PREP)
    def schematic(resolved: Resolved[SchematicSettings], console: Console) -> None:
        """Schematic faces, drawn: a dataset for trying things out without a download.

        Emotion votes, valence and arousal follow from the brows, eyes and mouth of each face.

        Example: affectkit prep schematic data/schematic
        """
        from affectkit.prep.images.schematic_dataset import SchematicOptions, prepare_schematic

        s = resolved.settings
        report = prepare_schematic(
            s.output, options_from(SchematicOptions, s, shard=value_of(s.shard)), reporter=console
        )
        _render_faces(report, s, console)


def _nothing_to_do(output: Path, shard: str | None) -> str:
    return f"{f'shard {shard} in {output}' if shard else output} is complete; nothing to do."


def _render_faces(report: dict[str, Any], s: SchematicSettings, console: Console) -> None:
    """Print how many faces were drawn."""
    console.result(report)
    part = report.get("shard")
    if report["already_done"]:
        console.note(_nothing_to_do(s.output, part))
    elif part:
        console.note(f"shard {part} of the faces in {s.output}; once all are done: affectkit merge {s.output}")
    else:
        console.note(f"{s.train:,} training, {s.valid:,} validation and {s.test:,} test faces in {s.output}")


def _render(report: Any, output: Path, console: Console) -> None:
    """Show what was kept by split and class, and what was dropped and why."""
    console.result(report.to_dict())
    splits = list(report.kept)
    classes = list(next(iter(report.kept.values())))
    rows = [[name, *(f"{report.kept[split][name]:,}" for split in splits)] for name in classes]
    rows.append(["kept", *(f"{sum(report.kept[split].values()):,}" for split in splits)])
    if any(report.by_rule.get(split, 0) != sum(report.kept[split].values()) for split in splits):
        rows.append(["kept by the rule alone", *(f"{report.by_rule.get(split, 0):,}" for split in splits)])
    dropped = [report.dropped.get(split, {}) for split in splits]
    for why in dict.fromkeys(reason for reasons in dropped for reason in reasons):
        rows.append([f"dropped: {why}", *(f"{reasons.get(why, 0):,}" for reasons in dropped)])
    console.table(["images", *splits], rows)
    for text in report.notes:
        console.note(text)
    if report.already_done:
        console.note(_nothing_to_do(output, report.shard))
    elif report.shard is None:
        console.note(f"tables and images: {output}")
