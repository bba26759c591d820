"""Notice that a model of face crops looks at whole photographs: its rows look as sure as any, and mean little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.core.forms import form_faults
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE
from affectkit.data.media.stated_sizes import PICTURES_FORM, Size, is_square, picture_size, stated_video
from affectkit.engines.engine import Engine
from affectkit.inference.inputs import Inputs

LOOKED_AT = 24
"""Pictures that are looked at, spread over the list; of videos the first alone."""
LARGE = 512
"""Pixels of a longer side up to which no crop is large, whatever the model takes."""
TIMES = 4
"""Times the longer side of the crops that a model was trained on, or takes, from which a picture is much larger."""
CROPS = 0.9
"""Share of square pictures among those a model was trained on, from which they count as crops."""


@dataclass(frozen=True)
class Crops:
    """What a model takes: crops with a longer side of ``side`` pixels; ``of_faces`` where that is known."""

    side: int
    of_faces: bool

    def is_one(self, size: Size) -> bool:
        """Return whether a picture may be such a crop: nearly square, and not much larger."""
        return is_square(size) and max(size) <= max(LARGE, TIMES * self.side)


def crops_of(engine: Engine) -> Crops | None:
    """Return the crops that a model takes: those of its family, or what it was trained on; None for any pictures."""
    spec = engine.spec
    if spec.clip is not None:
        return None
    if engine.takes_faces:
        return Crops(max(spec.height, spec.width), of_faces=True)
    seen = engine.header.training.get("pictures")
    if any(form_faults(seen, PICTURES_FORM)):  # made elsewhere, or before this was recorded
        return None
    return Crops(seen["longer_side"], of_faces=False) if seen["square"] >= CROPS * seen["looked_at"] else None


def note_on_whole_pictures(engine: Engine, inputs: Inputs) -> str:
    """Return what a user should know who predicts pictures whole; empty where nothing is to be said.

    The rule: the model takes face crops, or was trained on square pictures, and more than half of the pictures looked
    at are no such crops: their longer side is more than 1.25 times the shorter, or more than 4 times that of the crops
    (and more than 512 pixels). The heads of 24 files alone are read.
    """
    crops = crops_of(engine)
    if crops is None:
        return ""
    sizes = _sizes(inputs)
    odd = [(path, size) for path, size in sizes if not crops.is_one(size)]
    if 2 * len(odd) <= len(sizes):
        return ""
    path, (width, height) = odd[0]
    example = f"{path.name} ({width:,}x{height:,} pixels)"
    seen = f"which {len(odd):,} of the {len(sizes):,} looked at are not, such as {example}"
    seen = seen if len(sizes) > 1 else f"which {example} is not"
    if crops.of_faces:
        return f"pictures are taken whole, and the model takes face crops, {seen}. --faces auto finds the faces first."
    return (
        f"pictures are taken whole, and the model was trained on square ones of about {crops.side:,} pixels, {seen}. "
        "If these were face crops, --faces auto finds the faces first."
    )


def _sizes(inputs: Inputs) -> list[tuple[Path, Size]]:
    """Return the sizes of some images, or where there are none, of the first video."""
    images, videos = inputs.some(IMAGE_FILE, LOOKED_AT), inputs.some(VIDEO_FILE, 1)
    found = [(path, picture_size(path)) for path in images]
    if not images:
        found = [(path, video.size) for path in videos if (video := stated_video(path)) is not None]
    return [(path, size) for path, size in found if size is not None]
