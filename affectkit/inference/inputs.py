"""List the images and videos that a user names: files, folders, patterns, a list; once, in a fixed order."""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from affectkit.core.archives import unpack_or
from affectkit.core.folders import Fault, is_folder, visible_names, walk
from affectkit.core.missing_paths import at_home, instead_of, several_paths
from affectkit.core.progress import Reporter, Silent
from affectkit.core.shards import Listing, Shard
from affectkit.core.text import count_text, list_some, readable, written_name
from affectkit.data.media.animations import may_be_animated
from affectkit.data.media.file_kinds import IMAGE_FILE, OTHER_FILE, VIDEO_FILE, PassedOver, file_kind
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.errors import DataError
from affectkit.inference.path_lists import read_list
from affectkit.runtime.distributed import ProcessGroup

TEXTS = (".txt", ".csv", ".tsv", ".xlsx", ".jsonl", ".parquet")
"""Endings of lists and tables, which are named for what they list."""


@dataclass(frozen=True)
class Item:
    """Name a file to predict.

    Attributes:
        name: in the result table, as ``core.text.written_name`` writes it.
        path: of the file, or an image that a program holds.
        position: among those of its kind, from 0.
        fault: why it cannot be read, where that is known already.
    """

    name: str
    path: Path | GivenImage
    position: int = 0
    fault: str = ""


@dataclass
class Inputs:
    """Hold what was named, by kind; of a folder names alone are held.

    Args:
        moving: returns whether an image's frames are to be predicted as a video's.
        reporter: hears of files as they are added.

    Attributes:
        passed: files of folders that are neither images nor videos.
    """

    moving: Callable[[Path, str], bool] | None = None
    reporter: Reporter = field(default_factory=Silent)
    passed: PassedOver = field(default_factory=PassedOver)
    _runs: dict[str, list[tuple[str, Path, list[str]]]] = field(
        default_factory=lambda: {IMAGE_FILE: [], VIDEO_FILE: []}
    )
    _faults: dict[tuple[str, str], str] = field(default_factory=dict)

    def items(self, kind: str) -> Iterator[Item]:
        """Yield the inputs of ``kind`` (``IMAGE_FILE`` or ``VIDEO_FILE``), numbered; each call starts at the first."""
        position = 0
        for prefix, folder, names in self._runs[kind]:
            for name in names:
                fault = self._faults.get((prefix, name), "") if self._faults else ""
                yield Item(written_name(prefix + name), folder / name, position, fault)
                position += 1

    def count(self, kind: str) -> int:
        """Return how many are of ``kind``."""
        return sum(len(names) for _, _, names in self._runs[kind])

    def own(self, kind: str, shard: Shard | None) -> Iterator[Item]:
        """Yield ``items``, of a ``shard`` its own alone."""
        return (item for item in self.items(kind) if shard is None or shard.mine(item.position))

    def listing(self, kind: str) -> Listing:
        """Return what all shards must see alike."""
        found = Listing()
        for item in self.items(kind):
            found.add(item.name)
        return found

    def some(self, kind: str, most: int) -> list[Path]:
        """Return the files of at most so many inputs of ``kind``, spread evenly over the list."""
        count = self.count(kind)
        wanted = {index * count // most for index in range(most)} if count else set()
        found, first = [], 0
        for _, folder, names in self._runs[kind]:
            found += [folder / names[place - first] for place in sorted(wanted) if first <= place < first + len(names)]
            first += len(names)
        return found

    def refuse(self, kind: str, reason: str) -> None:
        """Make all of ``kind`` items of the other kind, behind those that it has, that cannot be read."""
        for prefix, folder, names in self._runs[kind]:
            for name in names:
                self._faults.setdefault((prefix, name), readable(f"{kind} {folder / name}: {reason}."))
        self._runs[IMAGE_FILE if kind == VIDEO_FILE else VIDEO_FILE] += self._runs[kind]
        self._runs[kind] = []

    def add(self, kind: str, prefix: str, folder: Path, names: list[str]) -> None:
        """Add files of a folder, which are called ``prefix`` and their own names."""
        runs = self._runs[kind]
        self.reporter.advance(len(names))
        if runs and runs[-1][0] == prefix:
            runs[-1][2].extend(names)
        elif names:
            runs.append((prefix, folder, names))

    def kind(self, folder: Path, name: str) -> str:
        """Return the kind that a file is taken as: an animation is a video where its frames are wanted."""
        kind = file_kind(folder, name)
        return VIDEO_FILE if kind == IMAGE_FILE and self.moving is not None and self.moving(folder, name) else kind

    def add_file(self, text: str, path: Path) -> None:
        """Add a file that was named by itself: whatever it is, it is to be predicted."""
        kind = VIDEO_FILE if self.kind(path.parent, path.name) == VIDEO_FILE else IMAGE_FILE
        # The name is what was written; only its end is that of the path.
        self.add(kind, text[: len(text) - len(path.name)], path.parent, [path.name])

    def add_fault(self, prefix: str, fault: Fault) -> None:
        """Add what could not be reached below a folder that is called ``prefix``."""
        self._faults[prefix, fault.path.name] = readable(f"{fault.path}: {fault.reason}.")
        self.add(IMAGE_FILE, prefix, fault.path.parent, [fault.path.name])


def find_inputs(
    paths: Iterable[str],
    *,
    recursive: bool,
    listed: IO[str] | None = None,
    moving: Callable[[Path, str], bool] | None = None,
    reporter: Reporter | None = None,
) -> Inputs:
    """List the images and videos that ``paths`` name, in a fixed order.

    A single folder's files are named relative to it; all others as they were written, joined with what was found. What
    exists as it is written is no pattern. Of folders, files that are neither images nor videos are counted; what is
    named by itself, by a pattern or in a list is taken for an image where its name does not say that it is a video.

    Args:
        paths: files, folders, glob patterns, or ``-`` for the list ``listed`` (see ``path_lists.read_list``).
        recursive: whether sub-folders are searched.
        listed: where ``-`` reads paths from.
        moving: as of ``Inputs``.
        reporter: hears of files as they are found.

    Raises:
        DataError: a path does not exist, a pattern matches nothing, or a folder holds neither images nor videos.
    """
    paths = list(paths)
    inputs = Inputs(moving, reporter or Silent())
    # The files of one folder cannot repeat; of a list, a number for each name is kept.
    once = None if len(paths) == 1 and paths[0] != "-" else _Once()
    inputs.reporter.start("listing", None, "files")
    for text in paths:
        path = at_home(text)
        if text == "-":
            for name in read_list(listed) if listed is not None else ():
                _add_file(inputs, name, once)
        elif path.is_dir():
            if not _add_folder(inputs, path, "" if len(paths) == 1 else text, recursive, once):
                raise _nothing_in(text, path, recursive, inputs)
        elif os.path.lexists(path):
            if len(paths) == 1 and path.suffix.lower() in TEXTS:
                raise _no_picture(text, path)
            _add_file(inputs, text, once)
        elif not glob.has_magic(text):
            raise _missing(text)
        elif not _add_matches(inputs, text, recursive, once):
            raise DataError(f"nothing matches {text}.", "Patterns are *, ? and [abc]; ** looks into sub-folders.")
    inputs.reporter.finish()
    return inputs


class _Once:
    """Return whether a name comes for the first time: a table has one row per name."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __call__(self, name: str) -> bool:
        # Of the bytes, which need not be text.
        key = int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
        new = key not in self._seen
        self._seen.add(key)
        return new


def _add_file(inputs: Inputs, text: str, once: _Once | None) -> None:
    path = at_home(text)
    if not path.name or not text.endswith(path.name):  # "a/." and the like: named as it is looked up
        text = path.as_posix()
    if once is None or once(text):
        inputs.add_file(text, path)


def _add_folder(inputs: Inputs, top: Path, called: str, recursive: bool, once: _Once | None) -> int:
    """Add ``top``, whose files are named below ``called`` ("": relative to it); return how many there were."""
    faults: list[Fault] = []
    found = 0

    def prefix_of(folder: Path) -> str:
        begin = (Path(called) / folder.relative_to(top)).as_posix()
        return "" if begin == "." else begin.rstrip("/") + "/"

    for folder, names in walk(top, recursive=recursive, faults=faults):
        prefix = prefix_of(folder)
        kinds: dict[str, list[str]] = {IMAGE_FILE: [], VIDEO_FILE: []}
        for name in names:
            kind = inputs.kind(folder, name)
            if kind == OTHER_FILE:
                inputs.passed.add(name)
            elif once is None or once(prefix + name):
                kinds[kind].append(name)
                found += 1
            else:
                found += 1
        for kind, own in kinds.items():
            inputs.add(kind, prefix, folder, own)
        for fault in faults:
            inputs.add_fault(prefix_of(fault.path.parent), fault)
            found += 1
        faults.clear()
    for fault in faults:
        inputs.add_fault(prefix_of(fault.path.parent), fault)
        found += 1
    return found


def _add_matches(inputs: Inputs, text: str, recursive: bool, once: _Once | None) -> int:
    found = 0
    for match in sorted(glob.glob(_pattern(os.path.expanduser(text)), recursive=True)):
        path = Path(match)
        if path.is_dir():
            found += max(_add_folder(inputs, path, match, recursive, once), 1)
        else:
            _add_file(inputs, match, once)
            found += 1
    return found


def _pattern(text: str) -> str:
    """Return ``text`` as a pattern in which folders that exist as they are written stand for themselves."""
    parts = Path(text).parts
    for count in range(len(parts), 0, -1):
        literal = Path(*parts[:count])
        if os.path.lexists(literal):
            return os.path.join(glob.escape(str(literal)), *parts[count:])
    return text


def _beside(inputs: Inputs) -> str:
    return f" ({inputs.passed.described})" if inputs.passed.count else ""


def _nothing_in(text: str, folder: Path, recursive: bool, inputs: Inputs) -> DataError:
    """Return the error that a folder holds nothing to predict, with what it holds instead."""
    below = visible_names(folder, is_folder)
    if below and not recursive:
        hint = f"Add --recursive to look into its sub-folders too: {list_some(below, 3)}."
    else:
        hint = unpack_or(folder, "Name the folder that holds the photographs or films, or files of them.")
    return DataError(f"{text} holds no image or video{_beside(inputs)}.", hint)


def _no_picture(text: str, path: Path) -> DataError:
    """Return the error that a text or table alone is to be predicted."""
    if path.suffix.lower() == ".txt":
        return DataError(
            f"{text} is a text, and no picture or video.", f"A list of paths is read from standard input: - < {text}"
        )
    step = "Name the pictures, or the folder that holds them; a table of labels goes with --labels."
    return DataError(f"{text} is a table, and no picture or video.", step)


def _missing(text: str) -> DataError:
    """Return the error that what ``text`` names is not there, with what may have been meant."""
    if several := several_paths(text):
        return DataError(f"{text} does not exist.", f"Write blanks between paths: {shlex.join(several)}")
    return DataError(readable(f"{text} does not exist."), instead_of(text))


class InputSelection:
    """Hold what the paths of a command name, listed by the first process alone.

    Args:
        paths: as of ``inputs.find_inputs``.
        recursive: whether sub-folders are searched.
        listed: where ``-`` reads paths from.
        with_frames: whether animations and pages are predicted frame by frame, as videos are.
        shard: which images are this run's own; None: all.
        group: the processes of this run.
        reporter: hears of files as they are found.

    Attributes:
        inputs: empty in the other processes.
        counts: how many there are by kind, of all shards; known to all processes.
        kind: of what is predicted as images are; for a model of clips these are videos.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        recursive: bool,
        listed: IO[str],
        with_frames: bool,
        shard: Shard | None,
        group: ProcessGroup,
        reporter: Reporter,
    ) -> None:
        self.inputs, self.kind, self.shard = Inputs(), IMAGE_FILE, shard
        self.images_alone = ""
        if shard is not None:
            self.images_alone = "is a video, which --shard does not share out: predict videos in a command of their own"
        elif group.is_distributed:
            self.images_alone = (
                f"is a video, which one process predicts, and there are {group.world_size}: start without torchrun"
            )
        moving: Callable[[Path, str], bool] | None = may_be_animated if with_frames else None

        def find() -> list[int]:
            given = {"listed": listed, "moving": moving, "reporter": reporter}
            self.inputs = find_inputs(paths, recursive=recursive, **given)
            return [self.inputs.count(kind) for kind in (IMAGE_FILE, VIDEO_FILE)]

        self.counts = dict(zip((IMAGE_FILE, VIDEO_FILE), group.run_on_main(find), strict=True))

    def settle(self, *, takes_clips: bool) -> None:
        """Settle what is predicted how, once it is known whether the model takes clips."""
        if takes_clips:
            self.kind = VIDEO_FILE
            self._refuse(IMAGE_FILE, "is an image, and this model takes clips, picture and sound together")
        elif self.has_images and self.has_videos and self.images_alone:
            self._refuse(VIDEO_FILE, self.images_alone)

    def _refuse(self, kind: str, reason: str) -> None:
        self.inputs.refuse(kind, reason)
        other = IMAGE_FILE if kind == VIDEO_FILE else VIDEO_FILE
        self.counts = {kind: 0, other: sum(self.counts.values())}

    @property
    def has_images(self) -> bool:
        """Return whether there is something to be predicted as images are."""
        return self.counts[self.kind] > 0

    @property
    def has_videos(self) -> bool:
        """Return whether there is something to be predicted as videos are, frame by frame."""
        return self.kind != VIDEO_FILE and self.counts[VIDEO_FILE] > 0

    @property
    def count(self) -> int:
        """Return how many of the inputs this run predicts as images."""
        return self.counts[self.kind] if self.shard is None else self.shard.share(self.counts[self.kind])

    @property
    def described(self) -> str:
        """Return how many images and videos there are, in words; of a shard with its own."""
        kinds = [count_text(number, kind) for kind, number in self.counts.items() if number]
        found = " and ".join(kinds)
        return found if self.shard is None else f"{found}, of which shard {self.shard} takes {self.count:,}"

    @property
    def are_videos(self) -> bool:
        """Return whether there are videos alone."""
        return self.has_videos and not self.has_images

    @property
    def passed(self) -> PassedOver:
        """Return the files of folders that are neither images nor videos."""
        return self.inputs.passed

    def images(self) -> Iterator[Item]:
        """Yield the inputs that this run predicts as images."""
        return self.inputs.own(self.kind, self.shard)

    def listing(self) -> Listing:
        """Return the names of what all shards predict as images."""
        return self.inputs.listing(self.kind)

    def videos(self) -> list[Item]:
        """Return the inputs that are predicted as videos."""
        return list(self.inputs.items(VIDEO_FILE))
