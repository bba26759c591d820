"""Recipes of datasets of clips whose publications come with no reader of their own."""

from __future__ import annotations

from dataclasses import replace

from affectkit.core.clipspec import ClipSpec
from affectkit.prep.clips.cremad import READER, read_av
from affectkit.prep.clips.store_writer import ClipRecipe

LEVELS_OF = ("unit", "moviepy", "counts")
"""Levels of sound that a store may be made at, see ``core.clipspec.LEVELS``."""


def make_recipe(spec: ClipSpec, *, frames: str, sound_level: str, size: int, longest: float) -> ClipRecipe:
    """Return how clips are read that any reader of clips can read.

    Args:
        spec: which part of a frame, and which spectrogram; ``reach`` and the level follow from the next two.
        frames: ``window``: those around the middle, ``spec.reach`` either side; ``middle``: that one alone.
        sound_level: one of ``LEVELS_OF``.
        size: height and width of the stored frames in pixels.
        longest: seconds above which a clip is refused.
    """
    reach = spec.reach if frames == "window" else 0
    clip = replace(spec, reach=reach, sound=replace(spec.sound, level=sound_level))
    return ClipRecipe(read=read_av, reader=READER, clip=clip, size=size, frames=2 * reach + 1, longest=longest)
