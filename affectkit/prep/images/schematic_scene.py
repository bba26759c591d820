"""A picture of three schematic faces, and a film of one whose expression changes: what the demo shows a model."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affectkit.core.files import whole_file
from affectkit.prep.images.schematic_dataset import CLASSES, PROTOTYPES
from affectkit.prep.images.schematic_face import PARAMETERS, FaceAppearance, draw_appearance, draw_face

SIDE = 320
"""Height of the picture and the film, and width of a face with what is around it, in pixels."""
WIDTH = 480
"""Of the film."""
RATE = 12
"""Frames per second of the film."""
SCENE = ((5, "happiness"), (3, "surprise"), (6, "anger"))
"""Seed of each appearance, and expression."""
ACTOR = 0
"""Seed of the appearance in the film."""
KEYS = ((0.0, "rest"), (1.2, "happiness"), (2.4, "happiness"), (3.0, "surprise"), (4.2, "surprise"), (4.8, "anger"),
        (6.0, "anger"))  # fmt: skip
"""Seconds and expressions of the film; between two of them the face goes from the one to the other."""


def expression(name: str) -> NDArray[np.float64]:
    """Return the parameters (10,) of an emotion at its clearest, or of ``rest``: neutral, lids a little lowered."""
    if name != "rest":
        return PROTOTYPES[CLASSES.index(name)]
    found = PROTOTYPES[CLASSES.index("neutral")].copy()
    found[list(PARAMETERS).index("eye_open")] = -0.45
    return found


def draw_scene() -> NDArray[np.uint8]:
    """Draw three people side by side, uint8 (H, W, 3)."""
    people = [draw_face(expression(name), _upright(seed), size=SIDE) for seed, name in SCENE]
    return np.concatenate(people, axis=1)


def expression_at(seconds: float) -> NDArray[np.float64]:
    """Return the parameters (10,) of the face in the film at a time."""
    times = [time for time, _ in KEYS]
    after = int(np.clip(np.searchsorted(times, seconds), 1, len(KEYS) - 1))
    (begin, one), (end, other) = KEYS[after - 1], KEYS[after]
    share = np.clip((seconds - begin) / (end - begin), 0, 1)
    share = share * share * (3 - 2 * share)  # slow at both ends
    return (1 - share) * expression(one) + share * expression(other)


def draw_frame(seconds: float) -> NDArray[np.uint8]:
    """Draw the film at a time, uint8 (H, W, 3): the face sways a little."""
    actor = _upright(ACTOR)
    actor = replace(actor, angle=3 * np.sin(1.7 * seconds), shift=(0.05 * np.sin(1.1 * seconds), 0.0))
    face = draw_face(expression_at(seconds), actor, size=SIDE)
    spare = WIDTH - SIDE
    return np.pad(face, ((0, 0), (spare // 2, spare - spare // 2), (0, 0)), mode="edge")


def write_scene(path: Path) -> None:
    """Write the picture as PNG."""
    with whole_file(path) as part:
        Image.fromarray(draw_scene()).save(part, format="PNG")


def write_film(path: Path) -> None:
    """Write the film as MP4 (H.264), without sound."""
    import av

    with whole_file(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, SIDE, "yuv420p"
        for number in range(round(KEYS[-1][0] * RATE)):
            frame = av.VideoFrame.from_ndarray(draw_frame(number / RATE), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _upright(seed: int) -> FaceAppearance:
    return replace(draw_appearance(np.random.default_rng(seed)), angle=0.0, shift=(0.0, 0.0), glasses=False)
