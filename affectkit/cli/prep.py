"""``affectkit prep``: datasets as they are downloaded, into the layouts that train reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli import prep_clips, prep_published
from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.help_pages import command_group
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.prep_clips import options_from
from affectkit.cli.prep_images import BRIEF, PICTURES, SHARD, PrepSettings, nothing_to_do, run
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.shards import Shard
from affectkit.core.text import count_text
from affectkit.settings.common import shard_option
from affectkit.slurm.job_policy import PREP


@dataclass(frozen=True, kw_only=True)
class FerplusSettings(PrepSettings):
    """Settings of ``affectkit prep ferplus``."""

    target: str = setting(
        "distribution",
        "distribution: remaining votes of eight emotions; majority: images with a clear majority.",
        choices=("distribution", "majority"),
    )


@dataclass(frozen=True, kw_only=True)
class SchematicSettings:
    """Settings of ``affectkit prep schematic``."""

    output: Path | None = setting(None, "Folder to make: tables and images.", argument=True, also="output")
    train: int = setting(800, "Training faces.", low=8, high=1_000_000)
    valid: int = setting(160, "Validation faces.", low=8, high=1_000_000)
    test: int = setting(160, "Test faces.", low=8, high=1_000_000)
    size: int = setting(64, "Height and width in pixels.", low=24, high=1024, metavar="PIXELS")
    seed: int = setting(0, "Everything random follows from it.", low=0)
    shard: Parsed[Shard] | None = shard_option(SHARD)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.output is not None else ["OUTPUT is needed: the folder to make."]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    prep = command_group(app, "prep", "Bring a dataset as it is downloaded into the layout that train reads.")

    @command(
        prep,
        "ferplus",
        FerplusSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def ferplus(resolved: Resolved[FerplusSettings], console: Console) -> None:
        """FER+: ten raters' votes on the faces of FER-2013. Pictures are chosen by its authors' rules.

        SOURCE holds fer2013new.csv, and the pixels (fer2013.csv or icml_face_data.csv) or the fer#######.png files in
        any sub-folders.

        Examples:
            affectkit prep ferplus downloads/ferplus --output data/ferplus
            affectkit prep ferplus downloads/ferplus --output data/ferplus --drop-copies
            affectkit prep ferplus downloads/ferplus --output data/labels --target majority
        """
        from affectkit.prep.images.ferplus import FerplusOptions, prepare_ferplus

        run(prepare_ferplus, FerplusOptions, resolved.settings, console)

    @command(
        prep,
        "affectnet-fused",
        PrepSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def affectnet_fused(resolved: Resolved[PrepSettings], console: Console) -> None:
        """AffectNetFused: probabilities of thirteen emotions. The download has a small text file an image.

        train reads the download as it is, too; the prepared copy holds the images and two tables alone.

        Examples:
            affectkit prep affectnet-fused AffectNetFused --output data/affectnet
            affectkit prep affectnet-fused AffectNetFused --output data/fused --link hardlink
            affectkit prep affectnet-fused AffectNetFused --output data/fused --drop-copies
        """
        from affectkit.prep.images.affectnet_fused import prepare_affectnet_fused
        from affectkit.prep.images.output_folder import ImageOptions

        run(prepare_affectnet_fused, ImageOptions, resolved.settings, console)

    prep_published.register(prep)
    prep_clips.register(prep)
    _register_drawn(prep)


def _register_drawn(prep: typer.Typer) -> None:
    """Add the command for faces that are drawn."""

    @command(
        prep,
        "schematic",
        SchematicSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=Brief(required=("output",), paragraphs=2),
        section="Drawn",
    )
    def schematic(resolved: Resolved[SchematicSettings], console: Console) -> None:
        """Schematic faces, drawn: to try things without a download.

        Emotion votes, valence and arousal follow from the brows, eyes and mouth of each face.

        Examples:
            affectkit prep schematic data/schematic
            affectkit prep schematic data/small --train 100 --valid 20 --test 20
            affectkit prep schematic data/large --size 224 --seed 1
        """
        from affectkit.prep.images.schematic_dataset import SchematicOptions, prepare_schematic

        s = resolved.settings
        report = prepare_schematic(
            s.output, options_from(SchematicOptions, s, shard=value_of(s.shard)), reporter=console
        )
        _render_faces(report, s, console)


def _render_faces(report: dict[str, Any], s: SchematicSettings, console: Console) -> None:
    """Print how many faces were drawn."""
    console.result(report)
    part = report.get("shard")
    if report["already_done"]:
        console.note(nothing_to_do(s.output, part))
    elif part:
        console.note(f"shard {part} of the faces in {s.output}; once all are done: affectkit merge {s.output}")
    else:
        console.note(
            f"{s.train:,} training, {s.valid:,} validation and {count_text(s.test, 'test face')} in {s.output}"
        )
