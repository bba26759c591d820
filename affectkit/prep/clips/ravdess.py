"""RAVDESS: 24 actors who speak and sing two sentences in eight emotions, at two intensities.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)" (PLoS ONE 13, 2018,
e0196391); files: https://zenodo.org/record/1188976.

A name has seven fields of two digits, 01-01-06-01-02-01-12.mp4: modality, vocal channel, emotion, intensity, statement,
repetition, actor. Actors of odd numbers are men, of even ones women. Of speech each actor has 60 clips (neutral has one
intensity: 4 and 7 times 8), of song 44 (four and 5 times 8, without disgust and surprise), actor 18 none. The record at
Zenodo, table 3 of a paper that used the data (J. Ambient Intell. Humaniz. Comput. 13, 2022,
doi:10.1007/s12652-021-02979-3), the record of the facial tracking (https://zenodo.org/record/3255102, which counts the
clips as here) and repositories of users on GitHub, as MikhailRogachev/speech_project, agree in this. The tracking has
tables and videos with landmarks drawn in, .avi, of the same names: only .mp4 is taken.
Folders are named in several ways (``Video_Speech_Actor_01``, ``Actor_01``, one in the other), so names of files alone
decide what a clip is.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from affectkit.core.archives import unpack_or
from affectkit.core.clipspec import ClipSpec
from affectkit.core.folders import list_files
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.clip_store import SPLITS
from affectkit.data.media.file_kinds import PassedOver, file_suffix, is_video_name
from affectkit.data.media.media_file import check_clip_file
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, Row, SkippedClip
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.recipes import make_recipe
from affectkit.prep.clips.split import assign_splits
from affectkit.prep.source_folder import check_source_folder

EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happiness", "04": "sadness", "05": "anger", "06": "fear", "07": "disgust",
    "08": "surprise",
}  # fmt: skip
"""Names as ``prep cremad`` and ``prep rml`` have them; the dataset calls them happy, sad, angry, fearful, surprised."""
SUNG = ("01", "02", "03", "04", "05", "06")
MODALITIES = {"01": "", "02": "video-only", "03": "audio-only"}
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
REPETITIONS = ("01", "02")
ACTORS = tuple(f"{number:02}" for number in range(1, 25))
NOT_SUNG = "18"
"""The actor who did not sing."""
LONGEST = 15.0
"""Seconds; clips take about four."""
SPEC = ClipSpec(crop=720, anchor="centre")
"""The middle square of pictures of 1280x720, where the head is."""
DESCRIBED = ("emotion", "channel", "intensity", "statement", "sex")
_CODES = (MODALITIES, CHANNELS, EMOTIONS, INTENSITIES, STATEMENTS, REPETITIONS, ACTORS)
_WHY = {
    "video-only": "with pictures alone (02-...)",
    "audio-only": "with sound alone",
    "no-mp4": "no .mp4, as videos with landmarks drawn in",
    "channel": "of the other channel",
    "calm": "calm, which --calm drop leaves out",
}
"""Why recordings are not taken, by the reason."""
_SOUNDS = (".wav", ".mp3", ".flac", ".m4a", ".ogg")
_FORM = re.compile(r"\d\d(?:-\d\d){6}")
_FOLDER = re.compile(r"(?:^|_)Actor_?(\d\d)$", re.IGNORECASE)


class Fields(NamedTuple):
    """The fields of a file name, as codes of two digits."""

    modality: str
    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: str

    @property
    def stem(self) -> str:
        """Return the name that they make, without an ending."""
        return "-".join(self)


@dataclass(frozen=True, kw_only=True)
class RavdessOptions(PrepareOptions):
    """Choose what is made of RAVDESS.

    Attributes:
        split: ``actor`` (no actor in two splits, balanced over sex), ``random``, or a table with the columns filename
            and split.
        seed: the split follows from it.
        channel: ``speech``, ``song`` or ``both``.
        calm: ``keep`` it as a class, call it ``neutral``, or ``drop`` its clips.
        frames: ``window``: the 31 around the middle, one of which a training draws; ``middle``: that one alone.
        sound_level: ``unit``, or that of another dataset whose models are to hear these clips; see ``recipes``.
        size: height and width of the stored frames in pixels.
    """

    split: str = "actor"
    seed: int = 0
    channel: str = "speech"
    calm: str = "keep"
    frames: str = "window"
    sound_level: str = "unit"
    size: int = 128


@dataclass
class Found:
    """Files of a download.

    Attributes:
        clips: pictures with sound, by name.
        left_out: all other recordings.
        passed: files that are no recordings.
    """

    clips: dict[str, Path] = field(default_factory=dict)
    left_out: list[SkippedClip] = field(default_factory=list)
    passed: PassedOver = field(default_factory=PassedOver)


def prepare_ravdess(
    source: Path,
    output: Path,
    options: RavdessOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Decode the clips with picture and sound once and write store, tables and statistics.

    The tables hold label, actor, sex, emotion, channel, intensity, statement and repetition. Of an actor of whom there
    is a clip all are expected: those that are not there are faults, as damaged ones are.

    Args:
        source: the folder with the unpacked folders of the actors, at any depth.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: there are no such clips, or some cannot be used and ``options.on_error`` is ``fail``.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or RavdessOptions()
    found = find_clips(source, channel=options.channel, calm=options.calm)
    if not found.clips:
        raise _nothing(source, options.channel, found)
    if options.split == "actor":
        _check_actors(source, found)
    dataset = describe(found, options)
    recipe = make_recipe(
        SPEC, frames=options.frames, sound_level=options.sound_level, size=options.size, longest=LONGEST
    )
    report = prepare_clips(
        dataset,
        output,
        recipe,
        assign=lambda rows: assign_splits(rows, options.split, group="actor", strata="sex", seed=options.seed),
        options=options,
        reporter=reporter,
        stopping=stopping,
    )
    report.notes += _notes(found, options.channel)
    return report


def parse_name(stem: str) -> Fields | None:
    """Read the fields of a name without its ending; None where it is no name of RAVDESS.

    >>> parse_name("01-01-06-01-02-01-12").emotion, parse_name("01-01-09-01-02-01-12"), parse_name("clip")
    ('06', None, None)
    """
    if not _FORM.fullmatch(stem):
        return None
    parts = stem.split("-")
    known = all(part in codes for part, codes in zip(parts, _CODES, strict=True))
    return Fields(*parts) if known else None


def expected_clips(actor: str, channel: str, *, calm: bool = True) -> list[Fields]:
    """Return the clips with picture and sound that the dataset has of ``actor`` in a channel, by its code.

    >>> [len(expected_clips("01", channel)) for channel in ("01", "02")], expected_clips("18", "02")
    ([60, 44], [])
    """
    if channel == "02" and actor == NOT_SUNG:
        return []
    emotions = EMOTIONS if channel == "01" else SUNG
    every = itertools.product(emotions, INTENSITIES, STATEMENTS, REPETITIONS)
    return [
        Fields("01", channel, emotion, intensity, statement, repetition, actor)
        for emotion, intensity, statement, repetition in every
        if (emotion, intensity) != ("01", "02") and (calm or EMOTIONS[emotion] != "calm")
    ]


def find_clips(root: Path, *, channel: str, calm: str) -> Found:
    """Find the recordings below ``root``: those that are taken, and those that are not, each with its reason.

    Raises:
        DataError: ``root`` is no folder, or there are videos that are named otherwise or lie in another actor's folder.
    """
    check_source_folder(root)
    found, strange = Found(), []
    for path in list_files(root, lambda name: True, recursive=True):
        fields, name = parse_name(path.stem), path.relative_to(root).as_posix()
        video = is_video_name(path.name)
        if not video and (fields is None or file_suffix(path.name) not in _SOUNDS):
            found.passed.add(path.name)
        elif fields is None or (_folder_actor(path, root) or fields.actor) != fields.actor:
            strange.append(name)
        elif why := _reason(path, fields, channel, calm):
            found.left_out.append(SkippedClip(name, why, f"{name} is not taken: {_WHY[why]}."))
        elif fields.stem in found.clips:
            first = found.clips[fields.stem].relative_to(root).as_posix()
            found.left_out.append(SkippedClip(name, "again", f"{name} has the name of {first}, which is taken."))
        else:
            found.clips[fields.stem] = path
    if strange:
        raise DataError(
            f"{root}: {count_text(len(strange), 'file')} not named as RAVDESS's are, or in the folder of another "
            f"actor: {list_some(strange, 5)}.",
            "Names have seven fields of two digits, as 01-01-06-01-02-01-12.mp4. Move other videos elsewhere.",
        )
    return found


def _folder_actor(path: Path, root: Path) -> str:
    """Return the actor whose folder a file lies in, by the nearest folder that names one; empty without."""
    for name in reversed(path.relative_to(root).parts[:-1]):
        if match := _FOLDER.search(name):
            return match[1]
    return ""


def _reason(path: Path, fields: Fields, channel: str, calm: str) -> str:
    if not is_video_name(path.name):
        return "audio-only"
    if why := MODALITIES[fields.modality]:
        return why
    if file_suffix(path.name) != ".mp4":
        return "no-mp4"
    if channel not in ("both", CHANNELS[fields.channel]):
        return "channel"
    return "calm" if calm == "drop" and EMOTIONS[fields.emotion] == "calm" else ""


def describe(found: Found, options: RavdessOptions) -> ClipDataset:
    """Describe a download in the terms of all preparations."""
    keep = options.calm != "drop"
    there = sorted({(name[-2:], name[3:5]) for name in found.clips})
    names = sorted(fields for actor, channel in there for fields in expected_clips(actor, channel, calm=keep))
    folders = {(name[-2:], name[3:5]): path.parent for name, path in found.clips.items()}
    files = {
        fields.stem: found.clips.get(fields.stem, folders[fields.actor, fields.channel] / f"{fields.stem}.mp4")
        for fields in names
    }
    used = {_label(fields, options.calm) for fields in names}
    return ClipDataset(
        name="ravdess",
        classes=tuple(name for name in EMOTIONS.values() if name in used),
        rows={fields.stem: _row(fields, options.calm) for fields in names},
        files=files,
        check=check_clip_file,
        described=DESCRIBED,
        people="actor",
        settings=options.record(),
        left_out=found.left_out,
        next_steps={"missing": "Unpack or download again the folders of these actors, the last field of the names."},
    )


def _label(fields: Fields, calm: str) -> str:
    emotion = EMOTIONS[fields.emotion]
    return "neutral" if emotion == "calm" and calm == "neutral" else emotion


def _row(fields: Fields, calm: str) -> Row:
    return {
        "label": _label(fields, calm),
        "actor": fields.actor,
        "sex": "male" if int(fields.actor) % 2 else "female",
        "emotion": EMOTIONS[fields.emotion],
        "channel": CHANNELS[fields.channel],
        "intensity": INTENSITIES[fields.intensity],
        "statement": STATEMENTS[fields.statement],
        "repetition": fields.repetition,
    }


def _notes(found: Found, channel: str) -> list[str]:
    notes = []
    for code, name in CHANNELS.items():
        if channel in ("both", name):
            wanted = [actor for actor in ACTORS if expected_clips(actor, code)]
            there = {clip[-2:] for clip in found.clips if clip[3:5] == code}
            if lacking := [actor for actor in wanted if actor not in there]:
                notes.append(
                    f"{name}: clips of {len(there)} of {len(wanted)} actors; none of {list_some(lacking, len(wanted))}"
                )
    if found.passed.count:
        notes.append(f"files that are no recordings were passed over: {found.passed.described}")
    return notes


def _check_actors(root: Path, found: Found) -> None:
    """Refuse clips of too few actors to divide before anything is decoded."""
    actors = {name[-2:] for name in found.clips}
    if len(actors) >= len(SPLITS):
        return
    whole = root.resolve()
    above = whole.parent.parent if _FOLDER.search(whole.parent.name) else whole.parent
    hint = f"Name the folder that holds those of all actors: {above}?" if _FOLDER.search(whole.name) else ""
    raise DataError(
        f"{root}: clips of {count_text(len(actors), 'actor')} cannot be divided into training, validation and test.",
        hint or "Download more actors, or use --split-by random, or a table of your own.",
    )


def _nothing(root: Path, channel: str, found: Found) -> DataError:
    """Return the fault of a folder without a clip that is taken, with what it has in place of these."""
    counts = Counter(clip.reason for clip in found.left_out)
    there = [f"{counts[why]:,} {what}" for why, what in _WHY.items() if counts[why]]
    there += [found.passed.described] if found.passed.count else []
    wanted = "speech or song" if channel == "both" else channel
    step = unpack_or(root) or "Download Video_Speech_Actor_01.zip to 24 (or Video_Song_...) and unpack them."
    if counts["channel"]:
        step = f"--channel {'song' if channel == 'speech' else 'speech'} takes the other channel."
    return DataError(
        f"{root} holds no clip of RAVDESS with picture and sound ({wanted}, names 01-...)"
        + (f"; it has {', '.join(there)}." if there else "; it is empty."),
        f"{step} Name the folder that holds the folders of the actors.",
    )
