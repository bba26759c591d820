"""MELD: 13,708 utterances of a sitcom, cut from its episodes, each with one of seven emotions and a sentiment.

Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations" (ACL 2019). A split is a
table (train_sent_emo.csv, dev_..., test_...) and a folder of clips dia<Dialogue_ID>_utt<Utterance_ID>.mp4; dialogues
are numbered anew in each split. Tables, columns and names of clips: README and data/MELD of declare-lab/MELD on GitHub.
Names of the folders: issues 22 and 39 there, and many readers in public code.

What the README does not say:

- train dia125_utt3 cannot be opened (issues 39 and 52, and readers that pass over it); dev dia110_utt7 is not there
  (issues 22 and 27, likewise).
- test dia38_utt4 and dia220_utt0 are cut wrongly, minutes long (issue 20; the table's own times give them 305 and
  235 s). By these times no other utterance takes more than 42 s.
- 132 clips of test are there twice, dia... and final_videos_testdia...: three independent readers in public code (found
  by search, which does not name their repositories) say that the latter put the former right; these are taken here. A
  few clips have no row (issue 22).
- The tables of the repository are UTF-8; other copies go round (issue 60 of NVIDIA/audio-flamingo shows one without
  its apostrophes). What is not UTF-8 is read as Windows-1252, with a note.
- Speakers stand on several sides of the published split, 82 of 304 names, the six of the main cast among them. Names
  are not always persons: All, Guy, Doctor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from affectkit.core.archives import unpack_or
from affectkit.core.clipspec import ClipSpec
from affectkit.core.csv_tables import read_csv
from affectkit.core.folders import list_files
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text, list_some
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.media_file import check_clip_file
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, Row, SkippedClip, SplitAssignment
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.recipes import make_recipe
from affectkit.prep.clips.split import assign_splits, warn_of_mixed
from affectkit.prep.source_folder import check_source_folder

EMOTIONS = {
    "neutral": "neutral", "surprise": "surprise", "fear": "fear", "sadness": "sadness", "joy": "happiness",
    "disgust": "disgust", "anger": "anger",
}  # fmt: skip
"""In the README's order; joy is called as the other preparations of clips call it."""
SENTIMENTS = ("neutral", "positive", "negative")
PARTS = {"train": "train", "dev": "valid", "test": "test"}
"""The published splits, and what they are called here."""
TABLES = {part: f"{part}_sent_emo.csv" for part in PARTS}
FOLDERS = {
    "train_splits": "train", "dev_splits_complete": "dev", "dev_splits": "dev", "output_repeated_splits_test": "test",
    "test_splits": "test",
}  # fmt: skip
KNOWN_FAULTY = ("train/dia125_utt3", "dev/dia110_utt7")
CUT_WRONGLY = ("test/dia38_utt4", "test/dia220_utt0")
"""Faulty where there is no new cut of them."""
AGAIN = "final_videos_test"
"""Begins the names of clips that were cut anew."""
LONGEST = 60.0
"""Seconds."""
SPEC = ClipSpec(crop=None)
"""The whole picture, brought to a square: who speaks may be anywhere in it, and faces are not searched."""
UTF8 = "utf-8-sig"
COLUMNS = ("Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
DOWNLOAD = "https://github.com/declare-lab/MELD (data/MELD has the tables; the README names MELD.Raw.tar.gz)"
_CLIP = re.compile(rf"({AGAIN})?(dia\d+_utt\d+)")


@dataclass(frozen=True, kw_only=True)
class MeldOptions(PrepareOptions):
    """Choose what is made of MELD.

    Attributes:
        split: ``published``, in which speakers stand on several sides; ``speaker`` (nobody in two splits), ``random``,
            or a table with the columns filename and split.
        seed: splits other than the published follow from it.
        label: what a model is to predict: ``emotion`` or ``sentiment``.
        keep_faulty: also take clips that are known to be faulty, as where they were mended.
        frames: ``window``: the 31 around the middle, one of which a training draws; ``middle``: that one alone.
        sound_level: ``unit``, or that of another dataset whose models are to hear these clips; see ``recipes``.
        size: height and width of the stored frames in pixels.
    """

    split: str = "published"
    seed: int = 0
    label: str = "emotion"
    keep_faulty: bool = False
    frames: str = "window"
    sound_level: str = "unit"
    size: int = 128


@dataclass
class Found:
    """Files of a download.

    Attributes:
        tables: by published split.
        folders: of the clips, by published split.
        clips: by name, as ``train/dia0_utt0``.
        left_out: clips that gave way to others, and other videos.
    """

    tables: dict[str, Path] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    clips: dict[str, Path] = field(default_factory=dict)
    left_out: list[SkippedClip] = field(default_factory=list)


def prepare_meld(
    source: Path,
    output: Path,
    options: MeldOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Decode the clips once and write store, tables and statistics.

    The tables hold label, emotion (as published), sentiment, speaker, dialogue, season and episode; not what is said.

    Args:
        source: the folder with the three tables and the three folders of clips, at any depth.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: tables are missing or damaged, or clips cannot be used and ``options.on_error`` is ``fail``.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or MeldOptions()
    found = find_files(source)
    rows = {name: row for part, path in found.tables.items() for name, row in read_table(path, part).items()}
    for row in rows.values():
        row["label"] = EMOTIONS[row["emotion"]] if options.label == "emotion" else row["sentiment"]
    recipe = make_recipe(
        SPEC, frames=options.frames, sound_level=options.sound_level, size=options.size, longest=LONGEST
    )
    report = prepare_clips(
        describe(source, found, rows, options),
        output,
        recipe,
        assign=lambda chosen: assign(chosen, options.split, options.seed),
        options=options,
        reporter=reporter,
        stopping=stopping,
    )
    if odd := [path.name for path in found.tables.values() if encoding_of(path) != UTF8]:
        report.notes.append(f"not UTF-8, read as Windows-1252: {', '.join(odd)}")
    if lacking := [path for part, path in TABLES.items() if part not in found.tables]:
        report.notes.append(f"{source} has no {' and no '.join(lacking)}: these splits are not there")
    return report


def assign(rows: Mapping[str, Row], split: str, seed: int) -> SplitAssignment:
    """Assign clips as ``--split-by`` says."""
    if split != "published":
        return assign_splits(rows, split, group="speaker", seed=seed)
    split_of = {name: PARTS[name.split("/")[0]] for name in rows}
    return SplitAssignment(split_of, warnings=warn_of_mixed(rows, split_of, "speaker"))


def find_files(root: Path) -> Found:
    """Find tables and clips below ``root``.

    Raises:
        DataError: there is no table, there are two different ones of a name, or no folder of clips.
    """
    check_source_folder(root)
    found, other = Found(), []
    names = {name: part for part, name in TABLES.items()}
    for path in list_files(root, lambda name: name in names or is_video_name(name), recursive=True):
        if path.name in names:
            _add_table(found, names[path.name], path)
        elif (part := FOLDERS.get(path.parent.name)) is None:
            other.append(path)
        else:
            _add_clip(found, root, part, path)
    if not found.tables:
        raise DataError(f"{root} holds none of {', '.join(names)}.", unpack_or(root, _where(root, names)))
    if not found.folders:
        raise DataError(
            f"{root} holds no folder of clips: {', '.join(FOLDERS)}.",
            unpack_or(root, "They are in train.tar.gz, dev.tar.gz and test.tar.gz of the download."),
        )
    for path in other:
        name = path.relative_to(root).as_posix()
        found.left_out.append(SkippedClip(name, "not-listed", f"{name} lies in no folder of MELD's clips."))
    return found


def _where(root: Path, names: Mapping[str, str]) -> str:
    above = [folder for folder in root.resolve().parents[:3] if any((folder / name).is_file() for name in names)]
    return f"Name the folder that has them: {above[0]}?" if above else f"Get them from {DOWNLOAD}."


def _add_table(found: Found, part: str, path: Path) -> None:
    first = found.tables.setdefault(part, path)
    if first != path and first.read_bytes() != path.read_bytes():
        raise DataError(f"{first} and {path} are two tables of one name, and differ.", "Leave one of them.")


def _add_clip(found: Found, root: Path, part: str, path: Path) -> None:
    """Add a clip; of two cuts of one utterance the new one, of two files of one name the first."""
    found.folders.setdefault(part, path.parent)
    match, own = _CLIP.fullmatch(path.stem), path.relative_to(root).as_posix()
    if match is None:
        found.left_out.append(SkippedClip(own, "not-listed", f"{own} is not named as a clip, dia0_utt0.mp4."))
        return
    name = f"{part}/{match[2]}"
    there = found.clips.setdefault(name, path)
    if there == path:
        return
    kept, gone = (path, there) if path.name.startswith(AGAIN) > there.name.startswith(AGAIN) else (there, path)
    found.clips[name] = kept
    why = "replaced" if kept.name.startswith(AGAIN) > gone.name.startswith(AGAIN) else "again"
    left, taken = (one.relative_to(root).as_posix() for one in (gone, kept))
    found.left_out.append(SkippedClip(left, why, f"{left} gives way to {taken}."))


def read_table(path: Path, part: str) -> dict[str, Row]:
    """Read the rows of a table of MELD by the names of the clips, ``part/dia0_utt0``; ``label`` is still empty.

    Raises:
        DataError: it is damaged, or has unknown emotions or sentiments, numbers that are none, or an utterance twice.
    """
    found: dict[str, Row] = {}
    errors = TableErrors(path)
    again = f"Get it again from {DOWNLOAD}."
    for line, row in read_csv(path, *COLUMNS, hint=again, encoding=encoding_of(path)):
        cells = {name: row[name].strip() for name in COLUMNS}
        dialogue, utterance = cells["Dialogue_ID"], cells["Utterance_ID"]
        name = f"{part}/dia{dialogue}_utt{utterance}"
        emotion, sentiment = cells["Emotion"].lower(), cells["Sentiment"].lower()
        if not _CLIP.fullmatch(name.split("/")[1]):
            errors.add("Dialogue_ID and Utterance_ID must be whole numbers", line, f"{dialogue!r}, {utterance!r}")
        elif emotion not in EMOTIONS:
            errors.add(f"Emotion must be one of {', '.join(EMOTIONS)}", line, repr(cells["Emotion"]))
        elif sentiment not in SENTIMENTS:
            errors.add(f"Sentiment must be one of {', '.join(SENTIMENTS)}", line, repr(cells["Sentiment"]))
        elif name in found:
            errors.add("an utterance must have one row", line, name)
        else:
            found[name] = {
                "label": "",
                "speaker": cells["Speaker"],
                "emotion": emotion,
                "sentiment": sentiment,
                "dialogue": f"{part}/dia{dialogue}",
                "season": cells["Season"],
                "episode": f"{cells['Season']}x{cells['Episode']}",
            }
    errors.check(again)
    return found


def encoding_of(path: Path) -> str:
    """Return the encoding of a table: UTF-8, with or without a byte order mark, or else Windows-1252."""
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    except OSError as error:
        raise DataError(f"cannot read table {path}: {error.strerror or error}.") from error
    return UTF8


def describe(root: Path, found: Found, rows: Mapping[str, Row], options: MeldOptions) -> ClipDataset:
    """Describe a download in the terms of all preparations.

    Raises:
        DataError: there are clips of a published split, and no table of it.
    """
    if lacking := [part for part in found.folders if part not in found.tables]:
        raise DataError(
            f"{root} has clips of {' and '.join(lacking)}, and no {list_some([TABLES[part] for part in lacking])}.",
            f"Get it from {DOWNLOAD}.",
        )
    unlisted = [
        SkippedClip(own, "not-listed", f"{own} has no row in {TABLES[name.split('/')[0]]}.")
        for name, path in found.clips.items()
        if name not in rows and (own := path.relative_to(root).as_posix())
    ]
    files = {name: found.clips.get(name) or _expected(root, found, *name.split("/")) for name in rows}
    return ClipDataset(
        name="meld",
        classes=tuple(EMOTIONS.values()) if options.label == "emotion" else SENTIMENTS,
        rows=rows,
        files=files,
        check=check_clip_file,
        described=("emotion", "sentiment", "season"),
        people="speaker",
        settings=options.record(),
        left_out=[*found.left_out, *unlisted, *_faulty(rows, files, keep=options.keep_faulty)],
        next_steps={
            "missing": "Unpack train.tar.gz, dev.tar.gz and test.tar.gz of MELD.Raw to their ends; "
            f"{count_text(len(found.clips), 'clip')} are there."
        },
    )


def _expected(root: Path, found: Found, part: str, name: str) -> Path:
    """Return where a clip would be."""
    folder = found.folders.get(part) or root / next(one for one, of in FOLDERS.items() if of == part)
    return folder / f"{name}.mp4"


def _faulty(rows: Mapping[str, Row], files: Mapping[str, Path], *, keep: bool) -> list[SkippedClip]:
    wrong = [name for name in CUT_WRONGLY if name in rows and not files[name].name.startswith(AGAIN)]
    return [
        SkippedClip(name, "known-faulty", f"clip {name}: is known to be faulty; --keep-faulty takes it.")
        for name in (*KNOWN_FAULTY, *wrong)
        if name in rows and not keep
    ]
