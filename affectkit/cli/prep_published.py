"""``affectkit prep``: published datasets of images that must be cut or converted, which train then reads."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.prep_images import BRIEF, PICTURES, ImageSettings, PrepSettings, run
from affectkit.config import Resolved, setting
from affectkit.slurm.job_policy import PREP


@dataclass(frozen=True, kw_only=True)
class AffectnetSettings(PrepSettings):
    """Settings of ``affectkit prep affectnet``."""

    target: str = setting(
        "label", "label: eight expressions; ratings: images with valence and arousal.", choices=("label", "ratings")
    )
    crop: str = setting("face", "face: cut at the boxes in the tables; none: whole pictures.", choices=("face", "none"))


@dataclass(frozen=True, kw_only=True)
class AfewVaSettings(ImageSettings):
    """Settings of ``affectkit prep afew-va``."""

    crop: str = setting("face", "face: cut around the landmarks; none: whole frames.", choices=("face", "none"))
    split_by: str = setting("actor", "What is never on two sides of the split.", choices=("actor", "video"))
    scale: str = setting(
        "10", "10: ratings from -10 to 10, as given; 1: divided by ten.", choices=("10", "1"), renamed="rating_scale"
    )
    seed: int = setting(0, "The split follows from it, and from the names.", low=0)


@dataclass(frozen=True, kw_only=True)
class EmoticSettings(PrepSettings):
    """Settings of ``affectkit prep emotic``."""

    target: str = setting(
        "categories",
        "categories: the 26 of each person, as shares; ratings: valence and arousal.",
        choices=("categories", "ratings"),
    )


def register(prep: typer.Typer) -> None:
    """Add the commands to ``prep``."""

    @command(
        prep,
        "fer2013",
        PrepSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def fer2013(resolved: Resolved[PrepSettings], console: Console) -> None:
        """FER-2013 with the labels of its own table: seven emotions. FER+'s votes are left to prep ferplus.

        SOURCE holds fer2013.csv or icml_face_data.csv. PublicTest is the validation split, PrivateTest the test split.

        Examples:
            affectkit prep fer2013 downloads/fer2013 --output data/fer2013
            affectkit prep fer2013 downloads/fer2013 --output data/fer2013 --drop-copies
            affectkit prep fer2013 downloads/fer2013 --output data/fer2013 --shard 1/4
        """
        from affectkit.prep.images.fer2013 import prepare_fer2013
        from affectkit.prep.images.output_folder import ImageOptions

        run(prepare_fer2013, ImageOptions, resolved.settings, console)

    @command(
        prep,
        "affectnet",
        AffectnetSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def affectnet(resolved: Resolved[AffectnetSettings], console: Console) -> None:
        """AffectNet's first release: faces cut from whole pictures.

        SOURCE holds Manually_Annotated_file_lists (training.csv, validation.csv) and Manually_Annotated. The later
        release, train_set and val_set with .npy files, is read by train as it is.

        Examples:
            affectkit prep affectnet downloads/AffectNet --output data/affectnet
            affectkit prep affectnet downloads/AffectNet --output data/va --target ratings
            affectkit prep affectnet downloads/AffectNet --output data/whole --crop none
        """
        from affectkit.prep.images.affectnet import AffectnetOptions, prepare_affectnet

        run(prepare_affectnet, AffectnetOptions, resolved.settings, console)

    @command(
        prep,
        "afew-va",
        AfewVaSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def afew_va(resolved: Resolved[AfewVaSettings], console: Console) -> None:
        """AFEW-VA: valence and arousal of 600 film clips' frames. No actor is on two sides of the split.

        SOURCE holds the clips' folders, 001 to 600. 60% of the frames are for training, 20% each for validation and
        test, as nearly as whole actors allow.

        Examples:
            affectkit prep afew-va downloads/AFEW-VA --output data/afew-va
            affectkit prep afew-va downloads/AFEW-VA --output data/afew-va --rating-scale 1
            affectkit prep afew-va downloads/AFEW-VA --output data/frames --crop none
        """
        from affectkit.prep.images.afew_va import AfewVaOptions, prepare_afew_va

        run(prepare_afew_va, AfewVaOptions, resolved.settings, console)

    @command(
        prep,
        "emotic",
        EmoticSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=BRIEF,
        section=PICTURES,
    )
    def emotic(resolved: Resolved[EmoticSettings], console: Console) -> None:
        """EMOTIC: persons in pictures, with 26 categories or ratings. They are cut out; rated are valence and arousal.

        SOURCE holds Annotations.mat and the pictures (mscoco, framesdb, emodb_small, ade20k), or annots_arrs and
        img_arrs.

        Examples:
            affectkit prep emotic downloads/EMOTIC --output data/emotic
            affectkit prep emotic downloads/EMOTIC --output data/va --target ratings
            affectkit prep emotic downloads/EMOTIC --output data/emotic --drop-copies
        """
        from affectkit.prep.images.emotic import EmoticOptions, prepare_emotic

        run(prepare_emotic, EmoticOptions, resolved.settings, console)
