"""Specification of the clips of an audio-visual model: which frames, what part of them, which spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from affectkit.core.forms import check_form
from affectkit.core.limits import MAX_INPUT_SIDE, MAX_RATE, MAX_SECONDS, MAX_WINDOW
from affectkit.errors import CheckpointError

ANCHORS = ("top", "centre")
FITS = ("crop", "resize")
NEEDS = ("both", "image", "audio")
LEVELS = {
    "unit": "channels averaged, full scale 1",
    "moviepy": "two channels of 16 bits as moviepy reads them, averaged: one channel is 3.01 dB quieter than at unit",
    "counts": "channels averaged, full scale 32768 as 16-bit samples are counted: 90.31 dB louder than at unit",
}
"""How sound becomes one channel, and its scale: by the readers of CM-VQVAE's code, where they are not ``unit``."""
COUNTS = 32768
"""Full scale at the level ``counts``."""
DECIBELS = 256
"""Steps a decibel in which stored spectrograms are rounded (16-bit integers, so from -128 to 128 dB)."""
SOUND_FORM = {
    "rate?": int, "n_fft?": int, "window?": int, "hop?": int, "mels?": int, "seconds?": float | None, "fit?": str,
    "height?": int, "width?": int, "top_db?": float, "level?": str,
}  # fmt: skip
FORM = {
    "crop?": int | None, "crop_low?": int | None, "anchor?": str, "reach?": int, "sound?": dict[str, Any] | None,
    "features?": list[list[int]] | None, "needs?": str,
}  # fmt: skip
"""What a clip specification is in a file; see ``core.forms``."""


@dataclass(frozen=True)
class SoundSpec:
    """A mel power spectrogram in decibels; the numbers of CM-VQVAE on CREMA-D are the defaults.

    Attributes:
        rate: samples per second to which sound is brought, channels averaged before.
        n_fft, window, hop: in samples; the window is Hann's, centred in n_fft, edges padded with zeros.
        mels: bands, on Slaney's scale, each normalised to unit area.
        seconds: the central part of the sound that is used; None: all of it.
        fit: how columns are brought to ``width``: ``crop`` (the central ones, or reflected at both ends where there
            are too few; then ``mels`` is the height), or ``resize`` (bilinear, to ``height`` x ``width``).
        height, width: of what the model gets.
        top_db: decibels below the largest value at which small ones are cut off; 1e-10 is the least power.
        level: one of ``LEVELS``. The published code of CREMA-D reads sound through moviepy, that of RML through
            torchvision's ``read_video``, which leaves 16-bit samples as they are, that of EmoVoxCeleb through
            ``torchaudio.load`` (full scale 1). Stores and checkpoints from before there was this entry are ``unit``,
            and an odd column of reflected padding is on the right there, at the other levels on the left, as published.
    """

    rate: int = 44100
    n_fft: int = 2048
    window: int = 512
    hop: int = 353
    mels: int = 256
    seconds: float | None = None
    fit: str = "crop"
    height: int = 256
    width: int = 256
    top_db: float = 80.0
    level: str = "unit"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``unit`` is left out, as in files from before there were levels, which older versions
        read.
        """
        found = asdict(self)
        if self.level == "unit":
            del found["level"]
        return found


@dataclass(frozen=True)
class ClipSpec:
    """The frames and the sound of a clip.

    Attributes:
        crop: side of the square that is cut from a frame, in pixels; None: the whole frame.
        crop_low: the same where the frame is 240 pixels high; None: as ``crop``.
        anchor: ``top``: from the upper edge, in the middle from left to right; ``centre``: in the middle of both.
        reach: frames either side of the middle one of which a training draws one.
        sound: None where the model takes features, which were computed elsewhere.
        features: shape of the stored image features and of the sound features where there are no pixels and no
            spectrogram; None otherwise.
        needs: what of it a model uses; ``image`` and ``audio`` alone need not find the other in a clip.
    """

    crop: int | None = 280
    crop_low: int | None = None
    anchor: str = "top"
    reach: int = 15
    sound: SoundSpec | None = field(default_factory=SoundSpec)
    features: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    needs: str = "both"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and YAML."""
        found = asdict(self)
        if self.sound is not None:
            found["sound"] = self.sound.to_dict()
        if self.features is not None:
            found["features"] = [list(shape) for shape in self.features]
        return found

    def as_text(self) -> str:
        """Return the text that runs hash into the fingerprint of their data.

        The words before the brackets are literal, and ``unit`` is left out as in ``to_dict``, so that runs begun by an
        older version still find their data unchanged; ``repr`` would follow the names of the classes.
        """
        parts = {entry.name: repr(getattr(self, entry.name)) for entry in fields(self)}
        if self.sound is not None:
            heard = {entry.name: repr(getattr(self.sound, entry.name)) for entry in fields(self.sound)}
            if self.sound.level == "unit":
                del heard["level"]
            parts["sound"] = _listed("SoundSpec", heard)
        return _listed("ClipSpec", parts)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClipSpec:
        """Return the inverse of ``to_dict``; a CheckpointError names what is missing, unknown or out of range."""
        known = {entry.name for entry in fields(cls)}
        check_form(values, FORM, "the clip specification is damaged", error=CheckpointError)
        sound = values.get("sound")
        unknown = sorted(set(values) - known)
        if sound is not None:
            unknown += sorted(set(sound) - {entry.name for entry in fields(SoundSpec)})
        if unknown:
            raise CheckpointError(
                f"the clip specification has unknown entries: {', '.join(unknown)}.",
                "The file was probably written by a newer affectkit: upgrade with pip install -U affectkit.",
            )
        check_form(sound or {}, SOUND_FORM, "the clip specification is damaged, sound", error=CheckpointError)
        shapes = values.get("features")
        spec = cls(
            **{
                **values,
                "sound": None if sound is None else SoundSpec(**sound),
                "features": None if shapes is None else tuple(tuple(map(int, shape)) for shape in shapes),
            }
        )
        spec.check()
        return spec

    def check(self) -> None:
        """Raise a CheckpointError unless every entry is in range."""
        sound = self.sound or SoundSpec()
        rules = {
            f"anchor must be one of {', '.join(ANCHORS)}, got {self.anchor!r}": self.anchor in ANCHORS,
            f"fit of the sound must be one of {', '.join(FITS)}, got {sound.fit!r}": sound.fit in FITS,
            f"level of the sound must be one of {', '.join(LEVELS)}, got {sound.level!r}": sound.level in LEVELS,
            f"needs must be one of {', '.join(NEEDS)}, got {self.needs!r}": self.needs in NEEDS,
            f"reach must be at least 0, got {self.reach}": self.reach >= 0,
            f"crop must be at least 1, got {self.crop}": self.crop is None or self.crop >= 1,
            "a spectrogram whose columns are cropped is as high as it has mels": (
                sound.fit != "crop" or sound.height == sound.mels
            ),
            f"window must be at most n_fft ({sound.n_fft}), got {sound.window}": 1 <= sound.window <= sound.n_fft,
            "rate, hop, mels, height and width must be at least 1": (
                min(sound.rate, sound.hop, sound.mels, sound.height, sound.width) >= 1
            ),
            f"n_fft, hop and reach must be at most {MAX_WINDOW:,}, rate {MAX_RATE:,}, seconds {MAX_SECONDS:,}": (
                max(sound.n_fft, sound.hop, self.reach) <= MAX_WINDOW
                and sound.rate <= MAX_RATE
                and (sound.seconds is None or 0 < sound.seconds <= MAX_SECONDS)
            ),
            f"crop, mels, height and width must be at most {MAX_INPUT_SIDE}": (
                max(sound.mels, sound.height, sound.width, self.crop or 0, self.crop_low or 0) <= MAX_INPUT_SIDE
            ),
            f"features must be at most {MAX_INPUT_SIDE}x{MAX_INPUT_SIDE}": all(
                0 < side <= MAX_INPUT_SIDE for shape in self.features or () for side in shape
            ),
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise CheckpointError("the clip specification is wrong: " + "; ".join(broken) + ".")


def describe_levels(there: str, wanted: str) -> str:
    """Describe two levels of ``LEVELS`` for a message."""
    return f"{there!r} ({LEVELS[there]}), not {wanted!r} ({LEVELS[wanted]})"


def with_sound_level(spec: ClipSpec, name: str) -> ClipSpec:
    """Return ``spec``, whose sound is at the published level, for ``--sound-level``: itself for ``published``, else at
    ``unit``."""
    return spec if name == "published" else replace(spec, sound=replace(spec.sound, level="unit"))


CREMAD = ClipSpec(sound=SoundSpec(level="moviepy"))
RML = ClipSpec(
    crop=380, crop_low=190, anchor="centre", reach=22, sound=SoundSpec(rate=32000, seconds=2.5, level="counts")
)
RESIZED = SoundSpec(
    rate=32000, n_fft=512, window=400, hop=160, mels=128, fit="resize", height=512, width=512, level="counts"
)
"""The spectrogram of models that were trained on EmoVoxCeleb before."""
RML_PRETRAINED = ClipSpec(crop=None, anchor="centre", reach=22, sound=RESIZED)
EMOVOXCELEB = ClipSpec(
    crop=None,
    anchor="centre",
    sound=SoundSpec(rate=16000, n_fft=512, window=400, hop=160, mels=128, fit="resize", height=512, width=512),
)
FEATURES = ClipSpec(crop=None, reach=0, sound=None, features=((16, 4096), (64, 1024)))


def _listed(name: str, parts: Mapping[str, str]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in parts.items())})"
