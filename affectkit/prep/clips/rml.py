"""RML: acted emotions of eight people in several languages, and copies with another skin hue or another pitch.

Wang and Guan, "Recognizing Human Emotional State from Audiovisual Signals" (IEEE Trans. Multimedia 2008). The changed
copies carry a feature that says nothing of the emotion, for studies of what a model takes for shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from affectkit.core.archives import unpack_or
from affectkit.core.clipspec import RML, RML_PRETRAINED, with_sound_level
from affectkit.core.folders import list_files
from affectkit.core.libraries import load_library
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address_seed
from affectkit.core.stopping import Stopping
from affectkit.core.text import list_some
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.media_file import check_clip_file
from affectkit.data.media.spectrograms import mel_decibels, to_store
from affectkit.data.media.video_clip import read_clip
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions
from affectkit.prep.clips.manifest import ClipReport
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.split import assign_splits
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource, StoredInput
from affectkit.prep.source_folder import check_source_folder

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
LONGEST = 60.0
READER = "affectkit.prep.rml.read_changed 2"
"""Names the reader in the marks of stores: literal, so that stores stay good wherever the function stands."""
SKIN = {"original": 0, "green": 120, "blue": 240}
"""Degrees by which the hue of skin, itself at about 20, is turned."""
PITCH = {"low": (50, 63), "original": (1, 1), "high": (63, 50)}
"""Factors of a voice's pitch: 63/50 is four semitones and a tenth of a cent."""
MODIFY = {"none": (False, False), "skin": (True, False), "pitch": (False, True), "both": (True, True)}
LABELS = {"emotion": EMOTIONS, "skin": tuple(SKIN), "pitch": tuple(PITCH), "user": ()}


@dataclass(frozen=True, kw_only=True)
class RmlOptions(PrepareOptions):
    """Choose what is made of RML.

    Attributes:
        split: ``user`` (nobody in two splits), ``random``, or a table with the columns filename and split.
        seed: split and variants follow from it.
        modify: ``none``, ``skin``, ``pitch`` or ``both``: what is changed, each clip to a variant drawn by its name and
            ``seed``; the columns skin and pitch say which.
        label: what a model is to predict: ``emotion``, ``skin``, ``pitch`` or ``user``.
        sound: ``rml``: 256x256 of the central 2.5 s; ``pretrained``: 512x512 of all, and whole frames, for models that
            were trained on EmoVoxCeleb.
        sound_level: ``published``: 16-bit samples as they are counted, as torchvision's ``read_video`` gives them,
            90.31 dB above ``unit``: channels averaged, full scale 1, the level of EmoVoxCeleb. (The published code
            takes channels in turn for one of twice the rate, which also dampens high tones, 1.5 dB at 16 kHz of
            44.1 kHz; that is not repeated.)
        size: height and width of the stored frames in pixels.
    """

    split: str = "user"
    seed: int = 0
    modify: str = "none"
    label: str = "emotion"
    sound: str = "rml"
    sound_level: str = "published"
    size: int = 128


def prepare_rml(
    source: Path,
    output: Path,
    options: RmlOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Decode the clips ``<user>/<language>/<emotion>N.avi`` once and write store, tables and statistics.

    Args:
        source: the folder of the users.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: there are no such clips, or some cannot be used and ``options.on_error`` is ``fail``.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or RmlOptions()
    spec = with_sound_level(RML if options.sound == "rml" else RML_PRETRAINED, options.sound_level)
    files = clip_files(source)
    rows = {name: _row(name, options.modify, options.seed) for name in files}
    for row in rows.values():
        row["label"] = row[options.label]
    dataset = ClipDataset(
        name="rml",
        classes=LABELS[options.label] or tuple(sorted({row["user"] for row in rows.values()})),
        rows=rows,
        files=files,
        check=check_clip_file,
        described=("emotion", "language", "user", "skin", "pitch"),
        people="user",
        settings=options.record(),
    )
    recipe = ClipRecipe(
        read=read_changed,
        reader=READER,
        clip=spec,
        size=options.size,
        frames=2 * spec.reach + 1,
        longest=LONGEST,
        extra=(("modify", options.modify), ("seed", options.seed)),
    )
    return prepare_clips(
        dataset,
        output,
        recipe,
        assign=lambda chosen: assign_splits(chosen, options.split, group="user", seed=options.seed),
        options=options,
        reporter=reporter,
        stopping=stopping,
    )


def clip_files(root: Path) -> dict[str, Path]:
    """Find the clips below ``root`` by name, ``user/language/emotionN``, in order.

    Raises:
        DataError: there is none, or a name says no emotion.
    """
    check_source_folder(root)
    found = {}
    strange = []
    for path in list_files(root, is_video_name, recursive=True):
        parts = path.relative_to(root).with_suffix("").parts
        if len(parts) < 2 or emotion_from_name(parts[-1]) is None:
            strange.append(path.relative_to(root).as_posix())
        else:
            found["/".join(parts)] = path
    if strange:
        raise DataError(
            f"{root}: {len(strange):,} videos are not <user>/<language>/<emotion>N.avi: {list_some(strange, 5)}.",
            f"Names begin with {', '.join(EMOTIONS)}, or with two letters or more of one of these.",
        )
    if not found:
        raise DataError(f"{root} holds no videos.", unpack_or(root, "Name the folder whose sub-folders are the users."))
    return dict(sorted(found.items()))


def emotion_from_name(name: str) -> str | None:
    """Read the emotion that a file name begins with, by two letters of it or more; None where it says none.

    >>> emotion_from_name("happy3"), emotion_from_name("an1"), emotion_from_name("x2")
    ('happiness', 'anger', None)
    """
    letters = re.match(r"[a-z]*", name.lower())[0]
    if len(letters) < 2:
        return None
    found = [emotion for emotion in EMOTIONS if letters[:2] == emotion[:2]]
    return found[0] if found else None


def _row(name: str, modify: str, seed: int) -> dict[str, str]:
    parts = name.split("/")
    skin, pitch = draw_variants(name, modify, seed)
    return {
        "label": "",
        "emotion": emotion_from_name(parts[-1]) or "",
        "user": parts[0],
        "language": parts[1] if len(parts) > 2 else "",
        "skin": skin,
        "pitch": pitch,
    }


def draw_variants(name: str, modify: str, seed: int) -> tuple[str, str]:
    """Choose the skin hue and the pitch that a clip gets, drawn by (seed, name) where they are changed."""
    drawn = [
        list(kinds)[address_seed(seed, what, name) % len(kinds)] if changed else "original"
        for what, kinds, changed in zip(("skin", "pitch"), (SKIN, PITCH), MODIFY[modify], strict=True)
    ]
    return drawn[0], drawn[1]


def read_changed(source: ClipSource, recipe: ClipRecipe) -> StoredInput:
    """Read frames and spectrogram of a clip, changed as the recipe says."""
    extra = dict(recipe.extra)
    skin, pitch = draw_variants(source.name, extra["modify"], extra["seed"])
    clip = read_clip(source.path, recipe.clip, size=recipe.size, longest=recipe.longest)
    frames, sound = clip.frames, clip.sound
    if SKIN[skin]:
        frames = np.stack([turn_skin(frame, SKIN[skin]) for frame in frames])
    if pitch != "original":
        sound = move_pitch(sound, *PITCH[pitch])
    return StoredInput(frames, to_store(mel_decibels(sound, recipe.clip.sound)), clip.notes)


def turn_skin(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn the hue of skin in ``image``, uint8 (H, W, 3), by ``degrees``; other pixels stay.

    Skin is what lies in 133 <= Cr <= 173, 77 <= Cb <= 127 (Chai and Ngan, "Face segmentation using skin-color map in
    videophone applications", 1999).
    """
    ycrcb = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    skin = cv2.inRange(ycrcb, np.array([0, 133, 77]), np.array([255, 173, 127])) > 0
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(degrees / 360 * 256)) % 256
    turned = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return np.where(skin[..., None], turned, image)


def move_pitch(sound: np.ndarray, up: int, down: int) -> np.ndarray:
    """Multiply the pitch of ``sound`` (samples,) by ``up / down``; it stays as long as before.

    It is stretched by a phase vocoder (Flanagan and Golden 1966) and played faster by as much; whole numbers, since
    resampling by a ratio of large ones takes seconds.
    """
    functional = load_library("torchaudio.functional")
    size = 1024
    window = torch.hann_window(size)
    spectrum = torch.stft(torch.from_numpy(sound), size, size // 4, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * size // 4, size // 2 + 1)[:, None]
    stretched = functional.phase_vocoder(spectrum, down / up, advance)
    longer = torch.istft(stretched, size, size // 4, window=window, length=round(len(sound) * up / down))
    moved = functional.resample(longer, up, down)[: len(sound)]
    return torch.nn.functional.pad(moved, (0, len(sound) - len(moved))).numpy()
