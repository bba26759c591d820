"""Schematic faces whose emotion distribution, class, valence and arousal follow from how they are drawn.

The generative model, image by image:

1. Parameters. An emotion a, another one b and a share s are drawn, and the ten expression parameters are
   ``(1 - s) * PROTOTYPES[a] + s * PROTOTYPES[b] + noise``, clipped to their ranges. The prototypes are ours, after the
   action units that Ekman and Friesen (Facial Action Coding System, 1978) find in each emotion.
2. Distribution. ``softmax(-d^2 / TEMPERATURE)`` with d the distances of the drawn parameters to the prototypes: it
   follows from the image's parameters exactly, noise and clipping included.
3. Votes. Ten raters vote, each drawn from that distribution.
4. Valence and arousal. The distribution's mean of ``CIRCUMPLEX``, places on the circle of affect (Russell 1980).
5. Appearance. Head, skin, hair, pose, light and line width are drawn independently of all that: see
   ``schematic_face.FaceAppearance``.

Everything is addressed by (seed, split, index), so a face does not depend on how many others are drawn.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from affectkit.core.progress import Reporter, Silent
from affectkit.core.randomness import numpy_generator
from affectkit.core.shards import Shard
from affectkit.errors import UsageError
from affectkit.prep.images.output_folder import OutputFolder
from affectkit.prep.images.schematic_face import PARAMETERS, FaceAppearance, draw_appearance, draw_face

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
RATERS = 10
TEMPERATURE = 0.55
NOISE = 0.10
PHOTOS = 12
PHOTO_SIZE = 256
"""Photos without labels are drawn at this size, or at that of the dataset where it is larger."""
VERSION = 1
"""Raised when the same settings give other bytes, so that an old folder is not taken for a complete new one."""

_SHAPES: dict[str, dict[str, float]] = {
    "neutral": {},
    # AU 6, 12, 25
    "happiness": {"brow_raise": 0.2, "cheek_raise": 0.85, "mouth_curve": 1.0, "mouth_open": 0.5, "mouth_width": 0.6},
    # AU 1+2, 5, 26
    "surprise": {"brow_raise": 1.0, "eye_open": 0.95, "mouth_open": 1.0, "mouth_width": -0.8},
    # AU 1+4, 15, drooping lids
    "sadness": {"brow_tilt": 1.0, "eye_open": -0.45, "mouth_curve": -1.0, "mouth_width": -0.2},
    # AU 4, 7, 23 with bared teeth
    "anger": {
        "brow_raise": -0.9, "brow_tilt": -1.0, "eye_open": -0.15, "mouth_curve": -0.4, "mouth_open": 0.4,
        "mouth_width": 0.3, "lip_tension": 1.0,
    },
    # AU 9, 10, 15, 25
    "disgust": {
        "brow_raise": -0.6, "brow_tilt": -0.5, "eye_open": -0.6, "cheek_raise": 0.4, "nose_wrinkle": 1.0,
        "mouth_curve": -0.7, "mouth_open": 0.3,
    },
    # AU 1+2+4, 5, 20, 25
    "fear": {
        "brow_raise": 0.8, "brow_tilt": 0.9, "eye_open": 0.9, "mouth_curve": -0.5, "mouth_open": 0.55,
        "mouth_width": 0.7, "lip_tension": 0.45,
    },
    # AU 14 on one side, lids low
    "contempt": {"brow_tilt": -0.2, "eye_open": -0.5, "smirk": 1.0},
}  # fmt: skip

PROTOTYPES: NDArray[np.float64] = np.array([[_SHAPES[c].get(p, 0.0) for p in PARAMETERS] for c in CLASSES])
"""(8, 10): the parameters of each emotion at its clearest."""

CIRCUMPLEX: NDArray[np.float64] = np.array(
    [
        [0.0, 0.0],  # neutral
        [0.9, 0.3],  # happiness
        [0.25, 0.85],  # surprise
        [-0.8, -0.45],  # sadness
        [-0.55, 0.75],  # anger
        [-0.75, 0.35],  # disgust
        [-0.35, 0.9],  # fear
        [-0.6, -0.1],  # contempt
    ]
)
"""(8, 2): valence and arousal in [-1, 1]; our own rounded places in the order of Russell's circle. Disgust and contempt
are not among his words and are put between their neighbours."""


@dataclass(frozen=True, eq=False)
class Face:
    """Describe one face before it is drawn.

    Attributes:
        parameters: (10,) in the order of ``schematic_face.PARAMETERS``.
        distribution: (8,) over ``CLASSES``, sums to 1.
        votes: (8,) int64, sums to ``RATERS``.
        valence, arousal: in [-1, 1].
        appearance: what says nothing about the emotion.
    """

    parameters: NDArray[np.float64]
    distribution: NDArray[np.float64]
    votes: NDArray[np.int64]
    valence: float
    arousal: float
    appearance: FaceAppearance


def emotion_distribution(parameters: ArrayLike) -> NDArray[np.float64]:
    """Compute softmax(-d^2 / TEMPERATURE), (..., 8) over ``CLASSES``, of expression parameters (..., 10)."""
    points = np.asarray(parameters, dtype=np.float64)
    logits = -np.square(points[..., None, :] - PROTOTYPES).sum(-1) / TEMPERATURE
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def describe_face(seed: int, split: str, index: int) -> Face:
    """Return the face at an address. Of any eight in a row from a multiple of eight, each emotion leads one.

    >>> int(describe_face(0, "train", 3).votes.sum())
    10
    """
    block = numpy_generator(seed, "schematic", split, "block", index // len(CLASSES))
    first = int(block.permutation(len(CLASSES))[index % len(CLASSES)])
    rng = numpy_generator(seed, "schematic", split, index)
    second = int((first + rng.integers(1, len(CLASSES))) % len(CLASSES))
    share = 0.5 * rng.beta(1.0, 1.6)
    noise = rng.normal(0, NOISE, len(PARAMETERS))
    low, high = np.array(list(PARAMETERS.values())).T
    parameters = np.clip((1 - share) * PROTOTYPES[first] + share * PROTOTYPES[second] + noise, low, high)
    distribution = emotion_distribution(parameters)
    valence, arousal = (float(value) for value in distribution @ CIRCUMPLEX)
    return Face(parameters, distribution, rng.multinomial(RATERS, distribution), valence, arousal, draw_appearance(rng))


@dataclass(frozen=True, kw_only=True)
class SchematicOptions:
    """Choose which faces are drawn.

    Attributes:
        train, valid, test: number of faces, at least 1 each.
        size: height and width in pixels, 16 to 2048.
        seed: at least 0; everything random follows from it.
        shard: draw this share of the faces and write a part; ``merge.merge`` makes the tables of all parts.
    """

    train: int = 800
    valid: int = 160
    test: int = 160
    size: int = 64
    seed: int = 0
    shard: Shard | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Count faces by split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


def prepare_schematic(
    output: Path, options: SchematicOptions | None = None, *, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Draw a dataset of schematic faces into ``output``.

    Written are ``images/<split>/face00000.png`` (RGB); ``train.csv``, ``valid.csv`` and ``test.csv`` with the columns
    filename, valence, arousal and the votes of ``CLASSES``; ``photos/``, twelve faces without labels; and at last
    ``manifest.json`` with the settings. What was interrupted is finished by the same call, with the same bytes.

    Args:
        output: folder, missing or empty, or one that an earlier call with the same options wrote.
        options: which faces; None: the defaults.
        reporter: gets progress and notes.

    Returns:
        the manifest, with ``"already_done"`` True where nothing had to be done, and ``"shard"`` where a share alone
        was to be drawn.

    Raises:
        UsageError: an option is out of range, or ``output`` is a file or holds something else.
    """
    reporter, options = reporter or Silent(), options or SchematicOptions()
    settings = {**options.counts, "size": options.size, "seed": options.seed, "version": VERSION}
    _check_settings(settings)
    files = {f"images/{split}": count for split, count in options.counts.items()} | {"photos": PHOTOS}
    folder = OutputFolder(Path(output), "prep schematic", settings, shard=options.shard, key="settings", counts=files)
    if (done := folder.begin(reporter)) is not None:
        return {"already_done": True, **done}
    _draw(folder, options.counts, size=options.size, seed=options.seed, reporter=reporter)
    manifest = {
        "dataset": "schematic",
        "settings": settings,
        "photos": PHOTOS,
        "classes": list(CLASSES),
        "raters": RATERS,
        "temperature": TEMPERATURE,
        "noise": NOISE,
        "parameters": list(PARAMETERS),
        "prototypes": PROTOTYPES.tolist(),
        "circumplex": CIRCUMPLEX.tolist(),
    }
    folder.finish(manifest, inner=("photos",))
    return {"already_done": False, **manifest, **({"shard": str(options.shard)} if options.shard else {})}


def _draw(folder: OutputFolder, counts: dict[str, int], *, size: int, seed: int, reporter: Reporter) -> None:
    """Draw images and write tables of all splits, and the photos, which a part alone lists."""
    names = {
        split: [f"images/{split}/face{index:05d}.png" for index in range(count)] for split, count in counts.items()
    }
    names["photos"] = [f"photos/photo{index:02d}.png" for index in range(PHOTOS)]
    own = {split: folder.share(split, files) for split, files in names.items()}
    reporter.start("drawing faces", sum(map(len, own.values())), "faces")
    for split, indices in own.items():
        side = max(size, PHOTO_SIZE) if split == "photos" else size
        rows = []
        for index in indices:
            face = describe_face(seed, split, index)
            folder.place(names[split][index], _png(face, side))
            rows.append([names[split][index], f"{face.valence:.6f}", f"{face.arousal:.6f}", *face.votes.tolist()])
            reporter.advance()
        if split != "photos":
            folder.table(split, ["filename", "valence", "arousal", *CLASSES], rows)
        elif folder.shard is not None:
            folder.table(split, ["filename"], [row[:1] for row in rows])
    reporter.finish()


def _png(face: Face, size: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(draw_face(face.parameters, face.appearance, size=size)).save(stream, format="PNG")
    return stream.getvalue()


def _check_settings(settings: dict[str, int]) -> None:
    ranges = {"train": (1, None), "valid": (1, None), "test": (1, None), "size": (16, 2048), "seed": (0, None)}
    faults = []
    for name, (low, high) in ranges.items():
        value = settings[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            rule = f"at least {low}" if high is None else f"in [{low}, {high}]"
            faults.append(f"{name!r} must be a whole number {rule}; got {value!r}.")
    if faults:
        raise UsageError.from_faults(faults)
