"""Prepared clips: frames and spectrograms of many clips in a few arrays on the disk, read at the speed of memory."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from affectkit.core.clipspec import ClipSpec
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import read_json
from affectkit.core.forms import Count, check_form
from affectkit.core.limits import MAX_VOTES
from affectkit.core.npy_files import load_npy
from affectkit.core.randomness import address_seed
from affectkit.core.text import list_some
from affectkit.data.split import Split
from affectkit.errors import AffectkitError, DataError

FORMAT = 1
KIND = "clips"
MANIFEST, STORE = "manifest.json", "store"
SPLITS = ("train", "valid", "test")
FRAME_LABELS = "frame_labels.npy"
"""Shares of the classes for each stored frame, float32 (clips, frames, C), where labels change within a clip."""
SHOWN_TO = ("voice", "face", "both")
"""What raters were shown, as the columns of their votes begin."""
MANIFEST_FORM = {
    "clip": dict[str, Any], "height": Count, "width": Count, "frames": Count, "classes": list[str],
    "variance": dict[str, float | None], "shards": dict[str, list[str]], "sources?": dict[str, str], "labels?": str,
}  # fmt: skip
"""What stands in the record; see ``core.forms``."""
SHARD = re.compile(r"[0-9]{4,}")
"""Names of shards, by which their files are found."""
STORED = re.compile(r"\d{4,}\.(frames\.npy|sound\.npy|json)")
"""Names of the files of a store; whatever else lies there is not ours."""
PARTIAL = re.compile(r"\.\d{4,}\..*\.part")
"""Names of such files while they are written."""
AGAIN = "Prepare the clips again: the same command goes on with what is there."


class ClipStore:
    """Frames and sounds of clips, by name. Opened arrays are mapped, not read, and travel to workers as paths.

    Attributes:
        root: the prepared folder.
        manifest: its record.
        spec: which frames, what part of them, which spectrogram.
        height, width: of a frame.
        frames: how many there are of a clip.
        classes: in the order of labels.
        variance: of the training split: ``image`` on [0, 1], ``audio`` in dB squared.
    """

    def __init__(self, root: Path, manifest: Mapping[str, Any]) -> None:
        self.root, self.manifest = Path(root), dict(manifest)
        self.spec = ClipSpec.from_dict(manifest["clip"])
        self.height, self.width, self.frames = (int(manifest[name]) for name in ("height", "width", "frames"))
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.variance: dict[str, float] = dict(manifest["variance"])
        self._place = {
            name: (shard, row) for shard, names in manifest["shards"].items() for row, name in enumerate(names)
        }
        self._open: dict[tuple[str, str], np.ndarray] = {}

    @classmethod
    def open(cls, root: Path) -> ClipStore:
        """Return the store in ``root``.

        Raises:
            DataError: it is not complete, damaged, or of a newer affectkit.
        """
        path = Path(root) / MANIFEST
        manifest = read_json(path)
        if not isinstance(manifest, Mapping) or manifest.get("kind") != KIND:
            raise DataError(f"{path} is not the record of prepared clips.", AGAIN)
        if manifest.get("format") != FORMAT:
            raise DataError(
                f"{path} has format {manifest.get('format')}; this affectkit reads format {FORMAT}.",
                "Upgrade with pip install -U affectkit.",
            )
        check_form(manifest, MANIFEST_FORM, f"{path} is damaged", hint=AGAIN)
        if odd := [shard for shard in manifest["shards"] if not SHARD.fullmatch(shard)]:
            raise DataError(f"{path} is damaged: shards: {odd[0][:60]!r} is no name of a file of its store.", AGAIN)
        try:
            return cls(Path(root), manifest)
        except AffectkitError as error:
            raise DataError(f"{path} is damaged: {error.message}", AGAIN) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of a frame (height, width) and of a spectrogram, or of the features, by modality."""
        if self.spec.features is not None:
            return dict(zip(("image", "audio"), self.spec.features, strict=True))
        sound = self.spec.sound
        return {"image": (self.height, self.width), "audio": (sound.height, sound.width)}

    def images(self, names: Sequence[str], frames: Sequence[int]) -> np.ndarray:
        """Return frame ``frames[i]`` of clip ``names[i]``: uint8 (B, height, width, 3); of features, half (B, ...)."""
        return self._taken(names, "frames", frames)

    def sounds(self, names: Sequence[str]) -> np.ndarray:
        """Return the spectrograms of ``names``: int16 (B, height, width) in 1/256 dB; of features, half (B, ...)."""
        return self._taken(names, "sound", None)

    def frame_labels(self, names: Sequence[str]) -> np.ndarray:
        """Return the shares of the classes for each frame of ``names``: float32 (B, frames, C)."""
        path = self.root / FRAME_LABELS
        try:
            whole = load_npy(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}.", AGAIN) from error
        if whole.shape != (len(self), self.frames, len(self.classes)):
            raise DataError(f"{path} holds {whole.shape}, and not a row a clip, a frame and a class.", AGAIN)
        order = {name: number for number, name in enumerate(self._place)}
        return whole[[order[name] for name in names]]

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return a hash over what the clips were made from and how, for ``names``."""
        digest = hashlib.sha256(self.spec.as_text().encode())
        digest.update(f"{self.height}x{self.width}x{self.frames}".encode())
        sources = self.manifest.get("sources", {})
        for name in names:
            digest.update(f"{name}\x1f{sources.get(name, '')}\x1e".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _taken(self, names: Sequence[str], kind: str, frames: Sequence[int] | None) -> np.ndarray:
        places = [self._place_of(name) for name in names]
        first = self._array(places[0][0] if places else next(iter(self.manifest["shards"])), kind)
        shape = first.shape[1:] if frames is None else first.shape[2:]
        found = np.empty((len(names), *shape), dtype=first.dtype)
        for position, (shard, row) in enumerate(places):
            array = self._array(shard, kind)
            found[position] = array[row] if frames is None else array[row, frames[position]]
        return found

    def _place_of(self, name: str) -> tuple[str, int]:
        if name not in self._place:
            raise DataError(f"{self.root} holds no clip {name}.", AGAIN)
        return self._place[name]

    def _array(self, shard: str, kind: str) -> np.ndarray:
        if (shard, kind) in self._open:
            return self._open[shard, kind]
        path = self.root / STORE / f"{shard}.{kind}.npy"
        try:
            array = load_npy(path, mapped=True)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}.", AGAIN) from error
        wanted = self._shape(shard, kind)
        if array.shape != wanted:
            raise DataError(f"{path} holds {array.shape}, not {wanted}.", AGAIN)
        # As a plain array: a memory map's own indexing is ten times slower.
        self._open[shard, kind] = np.asarray(array)
        return self._open[shard, kind]

    def _shape(self, shard: str, kind: str) -> tuple[int, ...]:
        count = len(self.manifest["shards"][shard])
        shapes = self.shapes()
        if kind == "sound":
            return (count, *shapes["audio"])
        return (count, self.frames, *shapes["image"], *(() if self.spec.features is not None else (3,)))


def drawn_frames(
    names: Sequence[str], count: int, *, seed: int, epoch: int | None, before: Sequence[Sequence[int]] = ()
) -> list[int]:
    """Return the number of the frame, of ``count``, that each clip shows: drawn by (seed, clip, epoch), or the middle
    one where that is None.

    Args:
        names: of the clips.
        count: frames of each.
        seed: of the run.
        epoch: from 0; None in evaluation.
        before: for each clip nothing, or where it has come before in the epoch how often; left out: for none.
    """
    if epoch is None:
        return [count // 2] * len(names)
    again = before or [()] * len(names)
    return [address_seed(seed, "frame", name, epoch, *more) % count for name, more in zip(names, again, strict=True)]


def is_prepared(root: Path) -> bool:
    """Return whether ``root`` holds prepared clips, complete or not."""
    if (root / STORE).is_dir():
        names = [path.name for path in (root / STORE).iterdir()]
        # Killed before its first file a store is empty; with files of others alone it is a folder of that name.
        if any(map(STORED.fullmatch, names)) or all(map(PARTIAL.fullmatch, names)):
            return True
    path = root / MANIFEST
    if not path.is_file():
        return False
    try:
        read_json(path, {"kind": Literal["clips"]})
    except DataError:
        return False
    return True


def read_prepared(root: Path) -> tuple[dict[str, Split], tuple[str, ...], list[str]]:
    """Return the splits of prepared clips, their classes, and notes.

    Labels are the intended emotions; where the clips were prepared with ``--target votes``, shares of the votes of
    those who saw and heard them. All votes are in ``Split.facts`` as ``votes_voice``, ``votes_face``, ``votes_both``.

    Raises:
        DataError: the preparation was not finished, or a table does not go with the store.
    """
    if not (root / MANIFEST).is_file():
        raise DataError(f"the clips in {root} are not completely prepared.", AGAIN)
    store = ClipStore.open(root)
    splits = {}
    for name in SPLITS:
        path = root / f"{name}.csv"
        if path.is_file():
            splits[name] = _split(name, path, store)
    if not splits:
        raise DataError(
            f"{root} holds prepared clips and none of {', '.join(f'{name}.csv' for name in SPLITS)}.", AGAIN
        )
    return splits, store.classes, []


def _split(name: str, path: Path, store: ClipStore) -> Split:
    header, *rows = _rows(path)
    lacking = [column for column in ("filename", "label") if column not in header]
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise DataError(f"{path} has two columns {list_some(twice)}.", AGAIN)
    if lacking:
        raise DataError(f"{path} has no column {' and '.join(lacking)}.", AGAIN)
    columns = {column: [row[place] for row in rows] for place, column in enumerate(header)}
    ids = columns["filename"]
    strange = [clip for clip in ids if clip not in store]
    unknown = sorted({label for label in columns["label"] if unicodedata.normalize("NFC", label) not in store.classes})
    if strange or unknown or len(set(ids)) != len(ids):
        why = (
            f"clips that are not in the store: {list_some(strange)}"
            if strange
            else f"unknown labels: {list_some(unknown)}"
        )
        raise DataError(f"{path} does not go with its store: {why if strange or unknown else 'clips repeat'}.", AGAIN)
    order = {label: number for number, label in enumerate(store.classes)}
    labels = np.array([order[unicodedata.normalize("NFC", label)] for label in columns["label"]], dtype=np.int64)
    facts = {
        f"votes_{shown}": _votes(
            path, {column: columns[column] for column in (f"{shown}_{one}" for one in store.classes)}
        )
        for shown in SHOWN_TO
        if all(f"{shown}_{label}" in columns for label in store.classes)
    }
    facts = {key: votes for key, votes in facts.items() if votes.any()}
    if (store.root / FRAME_LABELS).is_file():
        facts["frame_labels"] = store.frame_labels(ids)
        shares = facts["frame_labels"].mean(1, dtype=np.float64)
        shares = (shares / shares.sum(1, keepdims=True)).astype(np.float32)
        return Split(name, store.root, ids, store.classes, distribution=shares, store=store, facts=facts)
    both = facts.get("votes_both")
    voted = both is not None and bool(both.sum(1).all())
    split = Split(name, store.root, ids, store.classes, labels=labels, store=store, facts=facts)
    split = replace(split, votes=both) if voted else split
    if store.manifest.get("labels") != "votes":
        return split
    if not voted:
        raise DataError(f"{path} has clips without votes, and the clips were prepared with --target votes.", AGAIN)
    return replace(split, labels=None, distribution=both / both.sum(1, keepdims=True))


def _rows(path: Path) -> list[list[str]]:
    with csv_reader(path, hint=AGAIN) as reader:
        rows = list(reader)
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise DataError(f"{path} is empty, or its rows are of several lengths.", AGAIN)
    return rows


def _votes(path: Path, columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return float32 (N, C); empty cells are 0."""
    found = []
    for name, cells in columns.items():
        for line, cell in enumerate(cells, 2):
            try:
                value = float(cell or 0)
            except ValueError:
                value = -1.0
            if not 0 <= value <= MAX_VOTES:
                raise DataError(
                    f"{path} line {line}: {name} must be votes, from 0 to {MAX_VOTES:,}; got {cell[:60]!r}.",
                    AGAIN,
                )
            found.append(value)
    return np.array(found, dtype=np.float32).reshape(len(columns), -1).T
