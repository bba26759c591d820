"""AFEW-VA (Kossaifi et al. 2017, Image and Vision Computing 65), brought into tables and images: a frame a row.

A clip's JSON file has ``actor``, ``video_id`` and ``frames``: by number, ``valence`` and ``arousal``, whole numbers
from -10 to 10, and ``landmarks``, 68 points. Source: the README that comes with the data, which repositories on GitHub
keep, and readers that are independent of it, as gdl/datasets/AfewVaDataModule.py in radekd91/emoca.

There is no published split: papers cross-validate. Here actors are divided, so that none stands on two sides; which one
goes where depends on the seed and the names alone. Frames of a clip are nearly alike: count clips or actors, not
frames, when you judge a difference.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.archives import unpack_or
from affectkit.core.files import digest_bytes, read_json
from affectkit.core.forms import check_form
from affectkit.core.progress import Reporter, Silent
from affectkit.core.randomness import address_seed
from affectkit.core.shards import Shard
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.afew_va import video_folders
from affectkit.data.layouts.left_out import LeftOut
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.crops import Box, clip_box, cut, picture_sizes
from affectkit.prep.images.output_folder import OutputFolder, PrepReport
from affectkit.prep.source_folder import check_source_folder

SCALE = (-10.0, 10.0)
SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}
"""Of the frames, as nearly as whole groups allow."""
CROPS = ("face", "none")
SPLITS_BY = ("actor", "video")
SCALES = ("10", "1")
MARGIN = 0.25
"""How much the box around the landmarks is widened on each side, as a share of its width or height."""
MISSING = "frame not there"
NO_PICTURE = "frame cannot be decoded"
NO_ANNOTATION = "frame without annotation"
OUT_OF_RANGE = "valence or arousal outside -10 to 10"
NO_BOX = "no landmarks in the picture"
_FORM = {"frames": dict[str, Any]}
_FRAME = {"valence": float, "arousal": float}


@dataclass(frozen=True, kw_only=True)
class AfewVaOptions:
    """Choose what is made of AFEW-VA.

    Attributes:
        link: "copy", or "hardlink" to save space where frames are whole.
        shard: write this share of the images and a part; ``merge.merge`` makes the tables of all parts.
        crop: "face", cut around the landmarks; or "none", whole frames.
        split_by: "actor", so that none is on two sides; or "video".
        scale: "10", ratings from -10 to 10 as given; or "1", divided by ten, as AffectNet's.
        seed: of the division.
    """

    link: str = "copy"
    shard: Shard | None = None
    crop: str = "face"
    split_by: str = "actor"
    scale: str = "10"
    seed: int = 0


@dataclass
class Frame:
    """A frame: its file and place, ratings as given, and the box; None for the whole frame."""

    path: Path
    video: str
    valence: float
    arousal: float
    box: Box | tuple[float, ...] | None

    def place(self, split: str) -> str:
        """Return where the image goes, relative to the output."""
        return f"images/{split}/{self.video}_{self.path.stem}{self.path.suffix if self.box is None else '.jpg'}"


@dataclass
class Clip:
    """A clip: its name, the actor ("" where none is given), and the frames that are kept."""

    name: str
    actor: str
    frames: list[Frame] = field(default_factory=list)


def prepare_afew_va(
    source: Path, output: Path, options: AfewVaOptions | None = None, *, reporter: Reporter | None = None
) -> PrepReport:
    """Write AFEW-VA as train.csv, valid.csv, test.csv and images/<split>/<clip>_<frame>.

    The tables hold ``filename``, ``valence``, ``arousal`` and ``subject``, the actor; the manifest states the scale.

    Args:
        source: folder with the clips' folders, in it or in ``data`` or its groups.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults. Cut faces are written, never linked.
        reporter: gets progress and notes.

    Raises:
        UsageError: the options are wrong, or ``output`` holds something else.
        DataError: there are no clips, annotations are malformed, or there are fewer than three groups to divide.
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or AfewVaOptions()
    _check_options(options)
    check_source_folder(source)
    folders = video_folders(source)
    if not folders:
        raise DataError(
            f"{source} holds no clips of AFEW-VA: folders 001 to 600, each with its frames and a .json file.",
            unpack_or(source, "Name the folder that holds them."),
        )
    clips, left_out, annotations = _read_clips(folders, crop=options.crop, reporter=reporter)
    chosen = {"crop": options.crop, "split_by": options.split_by, "scale": options.scale, "seed": options.seed}
    identity = {"preparation": "afew-va", "target": "ratings", **chosen, "annotations": annotations}
    folder = OutputFolder(output, "prep afew-va", identity, link=options.link, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    _look_at_frames(clips, left_out, reporter)
    clips = [clip for clip in clips if clip.frames]
    splits = divide(clips, by=options.split_by, seed=options.seed)
    _write(folder, clips, splits, divisor=10.0 if options.scale == "1" else 1.0, reporter=reporter)
    low, high = (value / 10 if options.scale == "1" else value for value in SCALE)
    about = {"source": str(source.resolve()), "target": "ratings", "rating_scale": [low, high], **chosen}
    return folder.end(_report(output, clips, splits, left_out, options), about=about)


def divide(clips: Sequence[Clip], *, by: str, seed: int) -> dict[str, str]:
    """Return the split of each clip, by name: whole actors or clips, as near to ``SHARES`` of the frames as they come.

    Groups are taken in an order drawn from the seed and their names, each to the split that lacks most.

    Raises:
        DataError: there are fewer than three groups.
    """
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[f"actor {clip.actor}" if by == "actor" and clip.actor else f"video {clip.name}"].append(clip)
    if len(groups) < len(SHARES):
        raise DataError(
            f"{count_text(len(groups), 'group')} ({by}) cannot be divided into {', '.join(SHARES)}.",
            "Were all clips unpacked?",
        )
    total = sum(len(clip.frames) for clip in clips)
    lacking = {split: share * total for split, share in SHARES.items()}
    found: dict[str, str] = {}
    order = sorted(groups, key=lambda group: (address_seed(seed, "afew-va", group), group))
    for number, group in enumerate(order):
        empty = [split for split in SHARES if split not in found.values()]
        must = len(order) - number <= len(empty)
        split = max(empty if must else SHARES, key=lambda name: lacking[name])
        lacking[split] -= sum(len(clip.frames) for clip in groups[group])
        found |= {clip.name: split for clip in groups[group]}
    return found


def _check_options(options: AfewVaOptions) -> None:
    for name, value, allowed in (
        ("crop", options.crop, CROPS), ("split_by", options.split_by, SPLITS_BY), ("scale", options.scale, SCALES),
    ):  # fmt: skip
        if value not in allowed:
            raise UsageError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")


def _read_clips(folders: Sequence[Path], *, crop: str, reporter: Reporter) -> tuple[list[Clip], LeftOut, str]:
    """Read all annotations; returns the clips, what is left out by them, and a hash of them."""
    clips, left_out, digests = [], LeftOut(), []
    names = [folder.name for folder in folders]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"clips that are there twice: {list_some(twice)}.", "Keep one folder a clip.")
    reporter.start("reading annotations", len(folders), "clips")
    for folder in folders:
        path = folder / f"{folder.name}.json"
        about = read_json(path, hint="Unpack the download again.")
        check_form({"frames": about.get("frames")} if isinstance(about, dict) else about, _FORM, f"{path}")
        actor = about.get("actor")
        clip = Clip(folder.name, actor.strip() if isinstance(actor, str) else "")
        digests.append(f"{clip.name} {clip.actor} {digest_bytes(path.read_bytes())}")
        there = {path.stem: path for ending in ("*.jpg", "*.png") for path in folder.glob(ending)}
        for number, frame in sorted(about["frames"].items()):
            values = {key: frame.get(key) for key in _FRAME} if isinstance(frame, dict) else frame
            check_form(values, _FRAME, f"{path}: frame {number[:20]!r}", hint="Unpack the download again.")
            found, why = _frame(frame, there.get(number), video=clip.name, crop=crop)
            if found is None:
                left_out.add(clip.name, why, f"{clip.name}/{number[:20]}")
            else:
                clip.frames.append(found)
        for number in sorted(there.keys() - about["frames"].keys()):
            left_out.add(clip.name, NO_ANNOTATION, f"{clip.name}/{there[number].name}")
        clips.append(clip)
        reporter.advance()
    reporter.finish()
    return clips, left_out, digest_bytes("\n".join(digests).encode())


def _frame(about: Any, image: Path | None, *, video: str, crop: str) -> tuple[Frame | None, str]:
    """Return a frame with the annotations ``about``, checked for form, or why it is left out."""
    valence, arousal = float(about["valence"]), float(about["arousal"])
    low, high = SCALE
    box = _face_box(about.get("landmarks")) if crop == "face" else None
    if image is None:
        return None, MISSING
    if not (low <= valence <= high and low <= arousal <= high):
        return None, OUT_OF_RANGE
    if crop == "face" and box is None:
        return None, NO_BOX
    return Frame(image, video, valence, arousal, box), ""


def _face_box(landmarks: Any) -> tuple[float, ...] | None:
    """Return the box around landmarks, widened by ``MARGIN``; None where they are no points."""
    try:
        points = [(float(x), float(y)) for x, y in landmarks]
    except (TypeError, ValueError, OverflowError):
        return None
    if not points or not all(math.isfinite(value) for point in points for value in point):
        return None
    xs, ys = zip(*points, strict=True)
    wide, high = MARGIN * (max(xs) - min(xs)), MARGIN * (max(ys) - min(ys))
    return min(xs) - wide, min(ys) - high, max(xs) + wide, max(ys) + high


def _look_at_frames(clips: Sequence[Clip], left_out: LeftOut, reporter: Reporter) -> None:
    """Leave out frames that cannot be decoded, or whose box is not in the picture; boxes become whole pixels."""
    frames = [frame for clip in clips for frame in clip.frames]
    sizes = iter(picture_sizes([frame.path for frame in frames], reporter=reporter))
    for clip in clips:
        kept = []
        for frame in clip.frames:
            size = next(sizes)
            cropped = frame.box is not None
            frame.box = clip_box(frame.box, size) if size and cropped else None
            why = NO_PICTURE if size is None else NO_BOX if cropped and frame.box is None else ""
            if why:
                left_out.add(clip.name, why, f"{clip.name}/{frame.path.name}")
            else:
                kept.append(frame)
        clip.frames = kept


def _write(
    folder: OutputFolder, clips: Sequence[Clip], splits: dict[str, str], *, divisor: float, reporter: Reporter
) -> None:
    """Write the images of all splits, then the tables; of a shard, its share."""
    rows: dict[str, list[tuple[Frame, str]]] = {split: [] for split in SHARES}
    for clip in clips:
        rows[splits[clip.name]] += [(frame, clip.actor) for frame in clip.frames]
    own = {
        split: [found[index] for index in folder.share(split, [frame.place(split) for frame, _ in found])]
        for split, found in rows.items()
    }
    for split, found in own.items():
        items = (
            (frame.place(split), frame.path if frame.box is None else cut(frame.path, frame.box)) for frame, _ in found
        )
        folder.place_all(split, items, len(found), reporter)
    for split, found in own.items():
        table = [
            [frame.place(split), f"{frame.valence / divisor:g}", f"{frame.arousal / divisor:g}", actor]
            for frame, actor in found
        ]
        folder.table(split, ["filename", "valence", "arousal", "subject"], table)


def _report(
    output: Path, clips: Sequence[Clip], splits: dict[str, str], left_out: LeftOut, options: AfewVaOptions
) -> PrepReport:
    own = {split: [clip for clip in clips if splits[clip.name] == split] for split in SHARES}
    kept = {split: {"frames": sum(len(clip.frames) for clip in found)} for split, found in own.items()}
    actors = {split: {clip.actor for clip in found} - {""} for split, found in own.items()}
    sizes = [
        f"{count_text(len(found), 'clip')} of {count_text(len(actors[split]), 'actor')} in {split}"
        for split, found in own.items()
    ]
    left_out = left_out.regrouped(splits)
    unknown = [clip.name for clip in clips if not clip.actor]
    notes = [f"no actor is given of {count_text(len(unknown), 'clip')}, each then its own: {list_some(unknown)}"]
    shared = actors["train"] & actors["test"]
    mixed = [f"{count_text(len(shared), 'actor')} in train and in test: --split-by actor keeps them apart"]
    return PrepReport(
        preparation="afew-va",
        output=output,
        target="ratings",
        kept=kept,
        by_rule={split: sum(counts.values()) for split, counts in kept.items()},
        dropped=left_out.counts(),
        images=sum(sum(counts.values()) for counts in kept.values()),
        notes=(", ".join(sizes), *left_out.notes(), *(notes if unknown else ()), *(mixed if shared else ())),
    )
