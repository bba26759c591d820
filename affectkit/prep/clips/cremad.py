"""CREMA-D: 7,442 clips of 91 actors who say twelve sentences in six emotions, and the votes of those who watched.

Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset" (IEEE Trans. Affective Computing 2014).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from affectkit.core.clipspec import CREMAD, with_sound_level
from affectkit.core.csv_tables import read_csv
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some
from affectkit.data.media.media_file import check_clip_file
from affectkit.data.media.spectrograms import mel_decibels, to_store
from affectkit.data.media.video_clip import read_clip
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, SkippedClip
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.split import assign_splits
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource, StoredInput

EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}  # fmt: skip
_RESTORE = "Restore it: git checkout, in the clone."
LETTERS = dict(zip("ADFHNS", EMOTIONS.values(), strict=True))
"""The columns of votes."""
SENTENCES = {
    "IEO": "It's eleven o'clock", "TIE": "That is exactly what happened", "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about", "TAI": "The airplane is almost full", "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock", "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket", "ITS": "I think I've seen this before", "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}  # fmt: skip
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
SHOWN = {"1": "voice", "2": "face", "3": "both"}
"""The leading digit of a row's number in the table of votes. With it, the class with most votes is that of the columns
VoiceVote, FaceVote and MultiModalVote of summaryTable.csv for all 7,442 clips; with another one for 5,359 at most."""
KNOWN_FAULTY = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
"""Clips that the published code passes over as unusable."""
LONGEST = 15.0
"""Seconds; the longest clip of CREMA-D takes about five."""
PUBLISHED_SIZES = (5954, 744, 744)
READER = "affectkit.prep.cremad.read_av"
"""Names the reader in the marks of stores: literal, so that stores stay good wherever the function stands."""
FOLDER, PEOPLE, LIST, VOTES = "VideoFlash", "VideoDemographics.csv", "SentenceFilenames.csv", "tabulatedVotes.csv"
DESCRIBED = ("emotion", "sentence", "level", "age", "sex", "race", "ethnicity")


@dataclass(frozen=True, kw_only=True)
class CremadOptions(PrepareOptions):
    """Choose what is made of CREMA-D.

    Attributes:
        split: ``actor`` (no actor in two splits), ``random`` (80, 10, 10%), ``published-sizes``, or a CSV file with
            the columns filename and split.
        sizes: of the three splits, for ``published-sizes``; empty: those of the paper.
        seed: the split follows from it.
        keep_faulty: also take the four clips that are known to be faulty.
        frames: ``window``: the 31 around the middle, one of which a training draws; ``middle``: that one alone.
        labels: ``intended``, or ``votes``: shares of the votes of those who saw and heard a clip; clips without such
            votes are left out.
        sound_level: ``published``: as moviepy reads the sound, two channels of 16 bits, averaged, which takes 3.01 dB
            from a single channel; ``unit``: channels averaged, full scale 1; see ``core.clipspec.LEVELS``.
        size: height and width of the stored frames in pixels.
    """

    split: str = "actor"
    sizes: tuple[int, ...] = ()
    seed: int = 0
    keep_faulty: bool = False
    frames: str = "window"
    labels: str = "intended"
    sound_level: str = "published"
    size: int = 128


@dataclass(frozen=True)
class Clone:
    """Hold what the tables of a clone say.

    Attributes:
        root: the folder of the clone.
        rows: by clip, in the order of the list: its columns in the prepared tables.
        votes: whether there are votes.
    """

    root: Path
    rows: dict[str, dict[str, str]]
    votes: bool


def prepare_cremad(
    source: Path,
    output: Path,
    options: CremadOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Decode the clips of a clone of CREMA-D once and write store (``data.layouts.clip_store``), tables and statistics.

    Args:
        source: the clone.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: tables are missing or damaged, or clips cannot be used and ``options.on_error`` is ``fail``.
        UsageError: options do not go together.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or CremadOptions()
    clone = read_clone(source)
    if options.labels == "votes" and not clone.votes:
        raise DataError(
            f"--target votes needs processedResults/{VOTES}, which is not in {source}.", "Use --target intended."
        )
    reach = CREMAD.reach if options.frames == "window" else 0
    recipe = ClipRecipe(
        read=read_av,
        reader=READER,
        clip=with_sound_level(replace(CREMAD, reach=reach), options.sound_level),
        size=options.size,
        frames=2 * reach + 1,
        longest=LONGEST,
    )
    report = prepare_clips(
        _dataset(clone, options),
        output,
        recipe,
        assign=lambda rows: assign_splits(
            rows,
            options.split,
            group="actor",
            strata="sex",
            sizes=options.sizes or None,
            published=PUBLISHED_SIZES,
            seed=options.seed,
        ),
        options=options,
        reporter=reporter,
        stopping=stopping,
    )
    if not clone.votes:
        report.notes.append(f"no processedResults/{VOTES}: raters' votes are not known")
    return report


def _dataset(clone: Clone, options: CremadOptions) -> ClipDataset:
    """Describe a clone in the terms of all preparations."""
    # The sounds, which lie beside the clips once more, are not needed.
    lfs = f"git lfs install && git lfs pull --include '{FOLDER}/*', in the clone."
    return ClipDataset(
        name="cremad",
        classes=tuple(EMOTIONS.values()),
        rows=clone.rows,
        files=clip_files(clone),
        check=check_clip_file,
        described=DESCRIBED,
        people="actor",
        labels=options.labels,
        settings={**options.record(), "sizes": list(options.sizes)},
        left_out=_left_out(clone.rows, keep_faulty=options.keep_faulty, voted=options.labels == "votes"),
        next_steps={"pointer": f"Fetch the clips: {lfs}", "missing": f"Restore them: git checkout . && {lfs}"},
    )


def read_av(source: ClipSource, recipe: ClipRecipe) -> StoredInput:
    """Read frames and spectrogram of a clip as a store holds them."""
    clip = read_clip(source.path, recipe.clip, size=recipe.size, longest=recipe.longest)
    return StoredInput(clip.frames, to_store(mel_decibels(clip.sound, recipe.clip.sound)), clip.notes)


# --- tables ----------------------------------------------------------------------------------------------------------


def read_clone(root: Path) -> Clone:
    """Read the tables of a clone of CREMA-D.

    Raises:
        DataError: one is missing or damaged, or names do not go together.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder.", "Name the folder of the cloned repository of CREMA-D.")
    people = {row["ActorID"]: row for _, row in _table(root / PEOPLE, ("ActorID", "Age", "Sex", "Race", "Ethnicity"))}
    names = [row["Filename"] for _, row in _table(root / LIST, ("Filename",))]
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) != len(names) else []
    if repeated:
        raise DataError(f"{root / LIST} names clips twice: {list_some(repeated, 5)}.")
    found = next((path for path in (root / "processedResults" / VOTES, root / VOTES) if path.is_file()), None)
    votes = read_votes(found, set(names)) if found else {}
    return Clone(root, {name: _row(root, name, people, votes) for name in names}, bool(votes))


def _table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise DataError(
            f"{path} is not there.", "Clone the dataset: git clone https://github.com/CheyneyComputerScience/CREMA-D"
        )
    return read_csv(path, *columns, hint=_RESTORE)


def parse_name(name: str) -> tuple[str, str, str, str]:
    """Read actor, sentence, emotion and level from a clip's name, as codes.

    Raises:
        DataError: it is not ACTOR_SENTENCE_EMOTION_LEVEL with known codes.

    >>> parse_name("1001_DFA_ANG_XX")
    ('1001', 'DFA', 'ANG', 'XX')
    """
    match = re.fullmatch(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", name)
    if not match or match[2] not in SENTENCES or match[3] not in EMOTIONS or match[4] not in LEVELS:
        raise DataError(f"{name!r} is not the name of a clip of CREMA-D, as 1001_DFA_ANG_XX.")
    return match[1], match[2], match[3], match[4]


def _row(
    root: Path, name: str, people: Mapping[str, Mapping[str, str]], votes: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> dict[str, str]:
    actor, sentence, emotion, level = parse_name(name)
    if actor not in people:
        raise DataError(f"{root / LIST}: {name} is of actor {actor}, who is not in {PEOPLE}.")
    person = people[actor]
    row = {
        "label": EMOTIONS[emotion],
        "actor": actor,
        "sentence": sentence,
        "emotion": EMOTIONS[emotion],
        "level": LEVELS[level],
        "age": age_class(root, person),
        "sex": person["Sex"].strip().lower(),
        "race": person["Race"].strip(),
        "ethnicity": person["Ethnicity"].strip(),
    }
    for shown in SHOWN.values():
        given = votes.get(name, {}).get(shown)
        row |= {f"{shown}_{label}": given[letter] if given else "" for letter, label in LETTERS.items()}
    return row


def age_class(root: Path, person: Mapping[str, str]) -> str:
    """Return the decade of an actor's age, from its beginning: 46 is in the 40s; 60 and above are the 60s."""
    try:
        age = int(person["Age"])
    except ValueError:
        raise DataError(f"{root / PEOPLE}: the age of actor {person['ActorID']} is {person['Age']!r}.") from None
    return f"{min(age // 10 * 10, 60)}s"


def read_votes(path: Path, known: set[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Read counts of votes by clip, by what raters were shown, by letter of the emotion.

    Raises:
        DataError: a row has an unknown number, counts that do not sum to its responses, or comes twice.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    errors = TableErrors(path)
    for line, row in _table(path, ("", *LETTERS, "fileName", "numResponses")):
        name, shown = row["fileName"], SHOWN.get(row[""][:1])
        counts = [row[letter] for letter in LETTERS]
        if shown is None or len(row[""]) != len("100001"):
            errors.add(f"numbers must begin with one of {', '.join(SHOWN)}", line, repr(row[""]))
        elif not all(count.isdigit() for count in counts) or str(sum(map(int, counts))) != row["numResponses"]:
            errors.add("votes must sum to the responses", line, f"{'+'.join(counts)} are not {row['numResponses']}")
        elif shown in found.get(name, {}):
            errors.add("a clip must be rated once", line, name)
        elif name in known:
            found.setdefault(name, {})[shown] = {letter: row[letter] for letter in LETTERS}
    errors.check(_RESTORE)
    return found


# --- clips -----------------------------------------------------------------------------------------------------------


def clip_files(clone: Clone) -> dict[str, Path]:
    """Find the file of each clip; one is spelt _X where the list has _XX."""
    folder = clone.root / FOLDER
    if not folder.is_dir():
        raise DataError(f"{folder} is not there.", "Name the folder of the cloned repository of CREMA-D.")
    found = {}
    for name in clone.rows:
        path = folder / f"{name}.flv"
        shorter = folder / f"{name.removesuffix('X')}.flv"
        found[name] = shorter if name.endswith("_XX") and not path.exists() and shorter.exists() else path
    return found


def _left_out(rows: Mapping[str, Mapping[str, str]], *, keep_faulty: bool, voted: bool) -> list[SkippedClip]:
    """List clips that are not wanted: those known to be faulty, and where votes are the labels those without any."""
    faulty = "is known to be faulty; --keep-faulty takes it."
    found = [
        SkippedClip(name, "known-faulty", f"clip {name}: {faulty}")
        for name in KNOWN_FAULTY
        if name in rows and not keep_faulty
    ]
    known = {clip.name for clip in found}
    none = "nobody who saw and heard it voted; --target intended takes it."
    for name, row in rows.items():
        if voted and name not in known and not any(int(row[f"both_{label}"] or 0) for label in LETTERS.values()):
            found.append(SkippedClip(name, "no-votes", f"clip {name}: {none}"))
    return found
