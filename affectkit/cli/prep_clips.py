"""``affectkit prep cremad`` and the preparations of other audio-visual datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.pixels import pixels_up_to
from affectkit.errors import EXIT_PARTIAL, UsageError
from affectkit.settings.common import pixel_limit
from affectkit.slurm.job_policy import PREP

if TYPE_CHECKING:
    from affectkit.prep.clips.dataset import PrepareOptions
    from affectkit.prep.clips.manifest import ClipReport

Options = TypeVar("Options")

SOUND_LEVEL = "As the published code reads the sound, or unit: full scale 1, for models trained before there was this."
OTHER_LEVEL = "unit: full scale 1; moviepy, counts: as prep cremad, prep rml store it, for models trained on these."
FRAMES = "window: the 31 frames around the middle; middle: that one alone."
SPLIT_FILE = "or a CSV file with the columns filename and split."


CLIPS = "Clips: pictures and sound"


def parse_sizes(text: str) -> tuple[int, ...]:
    """Read ``"5954,744,744"`` as three whole numbers above 0."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdigit() and int(part) for part in parts):
        raise UsageError(f"must be three sizes above 0, of train, valid and test, as 5954,744,744; got {text!r}.")
    return tuple(map(int, parts))


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """Settings that the preparations of clips share."""

    source: Path | None = setting(None, "Folder with the dataset as it was downloaded.", argument=True)
    output: Path | None = setting(None, "Folder to make: tables, statistics and the store of clips.", metavar="FOLDER")
    seed: int = setting(0, "The split follows from it.", low=0)
    workers: int | None = setting(None, "Processes that decode clips.", low=1, high=256, default_text="one a processor")
    on_error: str = setting("fail", "What a clip that cannot be used does.", choices=("fail", "skip"))
    drop_copies: bool = setting(
        False, "Leave clips out of validation and test that are exact copies of clips in an earlier split."
    )

    def rules(self) -> list[str]:
        """List the faults between settings."""
        missing = [] if self.source is not None else ["SOURCE is needed: the folder with the dataset."]
        return missing + ([] if self.output is not None else ["--output is needed: the folder to make."])


@dataclass(frozen=True, kw_only=True)
class CremadSettings(ClipSettings):
    """Settings of ``affectkit prep cremad``."""

    split: str = setting(
        "actor",
        "actor: no actor in two parts; random; published-sizes: 5954, 744 and 744 at random; " + SPLIT_FILE,
        metavar="actor|random|published-sizes|FILE",
        renamed="split_by",
    )
    sizes: Parsed[tuple[int, ...]] | None = setting(
        None, "Sizes of the parts for published-sizes.", parse=parse_sizes, metavar="TRAIN,VALID,TEST"
    )
    keep_faulty: bool = setting(False, "Also take the four clips that are known to be faulty.")
    frames: str = setting("window", FRAMES, choices=("window", "middle"))
    labels: str = setting(
        "intended",
        "intended: the emotion that was acted; votes: shares of the votes of those who saw and heard it.",
        choices=("intended", "votes"),
        renamed="target",
    )
    sound_level: str = setting("published", SOUND_LEVEL, choices=("published", "unit"))
    size: int = setting(128, "Height and width of the stored frames in pixels.", low=8, high=1024, metavar="PIXELS")


@dataclass(frozen=True, kw_only=True)
class RmlSettings(ClipSettings):
    """Settings of ``affectkit prep rml``."""

    split: str = setting(
        "user", "user: nobody in two parts; random; " + SPLIT_FILE, metavar="user|random|FILE", renamed="split_by"
    )
    modify: str = setting(
        "none",
        "Give each clip a skin hue, a pitch, or both, drawn by its name: features that say nothing of the emotion.",
        choices=("none", "skin", "pitch", "both"),
    )
    label: str = setting(
        "emotion", "What is to be predicted.", choices=("emotion", "skin", "pitch", "user"), renamed="target"
    )
    sound: str = setting(
        "rml",
        "rml: 256x256 of the central 2.5 s; pretrained: 512x512 and whole frames, as of models of EmoVoxCeleb.",
        choices=("rml", "pretrained"),
        renamed="spectrogram",
    )
    sound_level: str = setting("published", SOUND_LEVEL, choices=("published", "unit"))
    size: int = setting(128, "Height and width of the stored frames in pixels.", low=8, high=1024, metavar="PIXELS")


@dataclass(frozen=True, kw_only=True)
class RavdessSettings(ClipSettings):
    """Settings of ``affectkit prep ravdess``."""

    split: str = setting(
        "actor",
        "actor: no actor in two parts, balanced over sex; random; " + SPLIT_FILE,
        metavar="actor|random|FILE",
        renamed="split_by",
    )
    channel: str = setting("speech", "Spoken clips, sung ones, or both.", choices=("speech", "song", "both"))
    calm: str = setting(
        "keep",
        "keep calm as a class of its own, take it for neutral, or drop its clips.",
        choices=("keep", "neutral", "drop"),
    )
    frames: str = setting("window", FRAMES, choices=("window", "middle"))
    sound_level: str = setting("unit", OTHER_LEVEL, choices=("unit", "moviepy", "counts"))
    size: int = setting(128, "Height and width of the stored frames in pixels.", low=8, high=1024, metavar="PIXELS")


@dataclass(frozen=True, kw_only=True)
class MeldSettings(ClipSettings):
    """Settings of ``affectkit prep meld``."""

    split: str = setting(
        "published",
        "published: speakers stand on several sides; speaker: nobody in two parts; random; " + SPLIT_FILE,
        metavar="published|speaker|random|FILE",
        renamed="split_by",
    )
    label: str = setting("emotion", "What is to be predicted.", choices=("emotion", "sentiment"), renamed="target")
    keep_faulty: bool = setting(False, "Also take the clips that are known to be faulty, as where they were mended.")
    frames: str = setting("window", FRAMES, choices=("window", "middle"))
    sound_level: str = setting("unit", OTHER_LEVEL, choices=("unit", "moviepy", "counts"))
    size: int = setting(128, "Height and width of the stored frames in pixels.", low=8, high=1024, metavar="PIXELS")


@dataclass(frozen=True, kw_only=True)
class EmoVoxCelebSettings(ClipSettings):
    """Settings of ``affectkit prep emovoxceleb``."""

    split: str = setting(
        "speaker",
        "speaker: nobody in two parts; random; " + SPLIT_FILE,
        metavar="speaker|random|FILE",
        renamed="split_by",
    )
    values: str = setting(
        "auto", "What labels.csv holds; auto: shares where all rows are such.", choices=("auto", "logits", "shares")
    )
    follow_links: bool = setting(
        False, "Read files through links that lead out of the folder; those of git-annex and DVC need it not."
    )
    size: int = setting(128, "Height and width of the stored frames in pixels.", low=8, high=1024, metavar="PIXELS")
    max_pixels: Parsed[int] | None = pixel_limit("Options")


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(ClipSettings):
    """Settings of ``affectkit prep av-features``."""

    split: str = setting(
        "table",
        "table: the column split of features.csv; user: nobody in two parts; random; " + SPLIT_FILE,
        metavar="table|user|random|FILE",
        renamed="split_by",
    )
    follow_links: bool = setting(
        False, "Read files through links that lead out of the folder; those of git-annex and DVC need it not."
    )
    layer: int = setting(7, "Layer of the audio features, from 1, where a file holds several.", low=1, high=1000)


def _brief(names: str) -> Brief:
    """Return what the help of a preparation shows: ``names`` beside what all have."""
    options = {"Data": "source output", "Labels and splits": names, "Run": "on_error drop_copies workers seed"}
    return Brief(options=options, required=("source", "output"), paragraphs=2)


def register(prep: typer.Typer) -> None:
    """Add the commands to ``prep``."""

    @command(
        prep,
        "cremad",
        CremadSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split labels keep_faulty"),
        section=CLIPS,
    )
    def cremad(resolved: Resolved[CremadSettings], console: Console) -> None:
        """CREMA-D: acted clips, with votes of those who watched them. Each has the emotion acted.

        SOURCE is the clone as it comes (git lfs pull downloads the clips). Every clip is checked and decoded once; what
        is kept lies in a store that train reads at the speed of memory. The same command resumes after an
        interruption; with another --split-by, --seed or --target it does not decode again.

        Examples:
            affectkit prep cremad CREMA-D --output data/cremad
            affectkit prep cremad CREMA-D --output data/cremad --target votes
            affectkit prep cremad CREMA-D --output data/cremad --split-by published-sizes
        """
        from affectkit.prep.clips.cremad import CremadOptions, prepare_cremad

        sizes = value_of(resolved.settings.sizes, ())
        _run(prepare_cremad, resolved.settings, options_from(CremadOptions, resolved.settings, sizes=sizes), console)

    @command(
        prep,
        "rml",
        RmlSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split modify label"),
        section=CLIPS,
    )
    def rml(resolved: Resolved[RmlSettings], console: Console) -> None:
        """RML: acted emotions of eight people in several languages.

        SOURCE holds <user>/<language>/<emotion>N.avi. With --modify each clip gets another skin hue or pitch, for
        studies of what a model takes for shared; the columns skin and pitch of the tables say which.

        Examples:
            affectkit prep rml RML --output data/rml
            affectkit prep rml RML --output data/rml --split-by random
            affectkit prep rml RML --output data/rml --modify skin --target skin
        """
        from affectkit.prep.clips.rml import RmlOptions, prepare_rml

        _run(prepare_rml, resolved.settings, options_from(RmlOptions, resolved.settings), console)

    @command(
        prep,
        "ravdess",
        RavdessSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split channel calm"),
        section=CLIPS,
    )
    def ravdess(resolved: Resolved[RavdessSettings], console: Console) -> None:
        """RAVDESS: 24 actors speak and sing in eight emotions.

        SOURCE holds the unpacked folders of the actors, at any depth; the names of files say what they are. Clips with
        picture and sound are taken; those with one alone, and the other channel, are counted and named in report.csv.
        The tables hold actor, sex, emotion, channel, intensity, statement and repetition.

        Examples:
            affectkit prep ravdess RAVDESS --output data/ravdess
            affectkit prep ravdess RAVDESS --output data/ravdess --channel both
            affectkit prep ravdess RAVDESS --output data/ravdess --calm neutral
        """
        from affectkit.prep.clips.ravdess import RavdessOptions, prepare_ravdess

        _run(prepare_ravdess, resolved.settings, options_from(RavdessOptions, resolved.settings), console)

    @command(
        prep,
        "meld",
        MeldSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split label keep_faulty"),
        section=CLIPS,
    )
    def meld(resolved: Resolved[MeldSettings], console: Console) -> None:
        """MELD: utterances of a sitcom, with emotion and sentiment.

        SOURCE holds the three tables (train_sent_emo.csv and so on) and the folders of clips (train_splits,
        dev_splits_complete, output_repeated_splits_test), at any depth. Whole pictures are stored: faces are not
        searched. The tables hold speaker, emotion, sentiment, dialogue, season and episode.

        Examples:
            affectkit prep meld MELD.Raw --output data/meld
            affectkit prep meld MELD.Raw --output data/meld --on-error skip
            affectkit prep meld MELD.Raw --output data/meld --target sentiment --split-by speaker
        """
        from affectkit.prep.clips.meld import MeldOptions, prepare_meld

        _run(prepare_meld, resolved.settings, options_from(MeldOptions, resolved.settings), console)

    _register_extracted(prep)


def _register_extracted(prep: typer.Typer) -> None:
    """Add the commands for frames and features that were extracted before."""

    @command(
        prep,
        "emovoxceleb",
        EmoVoxCelebSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split values"),
        section=CLIPS,
    )
    def emovoxceleb(resolved: Resolved[EmoVoxCelebSettings], console: Console) -> None:
        """EmoVoxCeleb: frames and sounds, with a soft label a frame.

        SOURCE holds frames/<utterance>/000001.jpg, audio/<utterance>.wav and labels.csv (utterance, frame, and the
        eight emotions). Train with --loss mse, as published.

        Examples:
            affectkit prep emovoxceleb EmoVoxCeleb --output data/emovox
            affectkit prep emovoxceleb EmoVoxCeleb --output data/emovox --values logits
            affectkit prep emovoxceleb EmoVoxCeleb --output data/emovox --split-by random
        """
        from affectkit.prep.clips.emovoxceleb import EmoVoxCelebOptions, prepare_emovoxceleb

        _run(prepare_emovoxceleb, resolved.settings, options_from(EmoVoxCelebOptions, resolved.settings), console)

    @command(
        prep,
        "av-features",
        FeatureSettings,
        writes=folders("output"),
        slurm=PREP,
        brief=_brief("split layer"),
        section=CLIPS,
    )
    def av_features(resolved: Resolved[FeatureSettings], console: Console) -> None:
        """Features of pictures and speech, for cmvqvae-features. They were computed elsewhere.

        SOURCE holds features.csv (filename, label, and split or user) and for each filename a .safetensors or .npz
        file with image (16, 4096) and audio (64, 1024) or (layers, 64, 1024).

        Examples:
            affectkit prep av-features features --output data/features
            affectkit prep av-features features --output data/features --layer 7
            affectkit prep av-features features --output data/features --split-by user
        """
        from affectkit.prep.clips.precomputed_features import FeatureOptions, prepare_features

        _run(prepare_features, resolved.settings, options_from(FeatureOptions, resolved.settings), console)


def _run(prepare: Callable[..., ClipReport], settings: ClipSettings, options: PrepareOptions, console: Console) -> None:
    """Prepare until the end or a signal, and report."""
    from affectkit.runtime.shutdown import StopFlag

    with StopFlag(console) as stopping, pixels_up_to(value_of(getattr(settings, "max_pixels", None))):
        report = prepare(settings.source, settings.output, options, reporter=console, stopping=stopping)
    render(report, settings.output, console)


def options_from(kind: type[Options], settings: Any, **parsed: Any) -> Options:
    """Return the settings that a preparation takes, those that are ``parsed`` in their parsed form."""
    names = [entry.name for entry in fields(kind) if entry.name not in parsed]
    return kind(**{name: getattr(settings, name) for name in names}, **parsed)


def render(report: ClipReport, output: Path, console: Console) -> None:
    """Print clips by class and split, what was left out and why, and raise the exit code that follows."""
    from affectkit.data.media.media_file import REASONS
    from affectkit.prep.clips.dataset import EXPECTED

    console.result(report.to_dict())
    splits = list(report.counts)
    classes = list(next(iter(report.counts.values())))
    rows = [[name, *(f"{report.counts[split][name]:,}" for split in splits)] for name in classes]
    rows.append(["all", *(f"{sum(report.counts[split].values()):,}" for split in splits)])
    for name in ("actors", "users", "speakers"):
        if name in report.statistics[splits[0]]:
            rows.append([name, *(f"{report.statistics[split][name]:,}" for split in splits)])
    if "sex" in report.statistics[splits[0]]:
        kinds = report.statistics[splits[0]]["sex"]
        rows += [[kind, *(f"{report.statistics[s]['sex'][kind]['percent']:.1f}%" for s in splits)] for kind in kinds]
    console.table(["clips", *splits], rows)
    by_reason: dict[str, list[str]] = {}
    for clip in report.skipped:
        by_reason.setdefault(clip.reason, []).append(clip.name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        why = {**REASONS, **EXPECTED}.get(reason, reason)
        console.note(f"left out, {why}: {len(names):,} ({', '.join(names[:3])}{more})")
    for text in report.notes:
        console.note(text)
    for text in report.warnings:
        console.warn(text)
    count = sum(report.counts["train"].values())
    console.note(
        f"variance of the {count:,} training clips: image {report.variance['image']:.5f}, sound "
        f"{report.variance['audio']:.1f} dB^2; {report.bytes_per_clip / 1e6:.2f} MB a clip"
    )
    console.note(f"{output} is complete; nothing to do." if report.done else f"tables, statistics and store: {output}")
    if report.broken:
        console.warn(f"{len(report.broken):,} clip(s) left out; {output / 'report.csv'} names each with its reason.")
        raise typer.Exit(EXIT_PARTIAL)
