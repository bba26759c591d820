"""Datasets of clips and the options of their preparation, in the terms that all preparations of clips share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

Row = dict[str, str]
EXPECTED = {
    "known-faulty": "known to be faulty",
    "no-votes": "without votes",
    "not-listed": "not in a table",
    "copy": "copies of clips in an earlier split",
    "video-only": "pictures alone",
    "audio-only": "sound alone",
    "no-mp4": "of another kind than the dataset's clips",
    "channel": "of the channel that is not asked for",
    "calm": "calm, by --calm drop",
    "again": "once more by the same name",
    "replaced": "wrong cuts that the dataset has anew",
}
"""Reasons for which a clip is left out although it may be whole, in words."""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """Choose how clips are prepared, whatever the dataset.

    Attributes:
        workers: processes that decode clips; None: one a processor.
        on_error: ``fail`` where a clip cannot be used, or ``skip`` it.
        drop_copies: leave clips out of valid and test that are exact copies of clips in the splits before.
    """

    workers: int | None = None
    on_error: str = "fail"
    drop_copies: bool = False

    def record(self) -> dict[str, Any]:
        """Return the options that say what is made, for the manifest: not those that say how."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _NOT_RECORDED}


_NOT_RECORDED = ("workers", "on_error", "drop_copies", "follow_links")


@dataclass(frozen=True)
class SkippedClip:
    """Name a clip that is left out, and why.

    Attributes:
        name: the clip.
        reason: a key of ``data.media.video_clip.REASONS``, or of ``EXPECTED``.
        message: the reason as a sentence, with the file.
    """

    name: str
    reason: str
    message: str


@dataclass(frozen=True)
class SplitAssignment:
    """Assign clips to splits.

    Attributes:
        split_of: the split of each clip by its name; a clip that is not named is in none.
        notes: what a user should know of it.
        warnings: what makes results doubtful, such as people in two splits.
    """

    split_of: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ClipDataset:
    """Describe a dataset of clips.

    Attributes:
        name: as the command is called.
        classes: of the labels, in order.
        rows: of each clip, in the order in which they are stored: its columns in the tables, ``label`` among them.
        files: the file or folder of each clip.
        check: raises a ClipError for a file that can be seen to be no clip without decoding.
        described: columns that the statistics count.
        people: the column that names who is seen; empty: none.
        labels: ``intended`` or ``votes``.
        settings: what the user chose, for the manifest.
        left_out: clips that are not wanted, with the reason.
        sounds: files of the sounds, where these are not in ``files``.
        next_steps: the next step where files are no clips, by reason; of several that apply the last is shown.
        write_more: writes what else belongs to the stored clips, given the output folder and their names in the order
            of the store; where it changes anything it calls ``manifest.discard_manifest`` before.
    """

    name: str
    classes: tuple[str, ...]
    rows: Mapping[str, Row]
    files: Mapping[str, Path]
    check: Callable[[Path], None]
    described: tuple[str, ...]
    people: str = ""
    labels: str = "intended"
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: Sequence[SkippedClip] = ()
    sounds: Mapping[str, Path] = field(default_factory=dict)
    next_steps: Mapping[str, str] = field(default_factory=dict)
    write_more: Callable[[Path, list[str]], None] | None = None
