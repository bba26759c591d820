"""Options of sampling and predicting videos and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affectkit.core.text import ordinal
from affectkit.data.faces import SEARCH_SIDE, TRACK_GAP
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.stated_sizes import stated_video
from affectkit.data.media.video_stream import Every
from affectkit.inference.inputs import Item


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Say how videos are predicted; made once, by ``inference.infer``.

    Attributes:
        every: how often a frame is sampled: seconds, or where these are 0, frames.
        smooth: seconds over which the outputs of a face are averaged.
        seconds: how much of each video is predicted; None: all.
        batch_size: faces of a forward pass.
        search_side: pixels of the longer side at which frames are searched for faces.
        track_gap: seconds for which a face may be out of sight and keep its number.
        on_error: what a broken video does: ``skip`` or ``fail``.
        compiled: whether the forward pass is compiled.
    """

    every: Every
    smooth: float = 0.0
    seconds: float | None = None
    batch_size: int = 64
    search_side: int = SEARCH_SIDE
    track_gap: float = TRACK_GAP
    on_error: str = "skip"
    compiled: bool = False


def describe_sampling(every: Every, videos: Sequence[Item] = ()) -> str:
    """Describe how often a frame is sampled, by frames with how many a second these are in the first of ``videos``.

    >>> describe_sampling((0.5, 0)), describe_sampling((4.0, 0)), describe_sampling((0.0, 2))
    ('every 0.5 s: 2 frames a second', 'every 4 s: 15 frames a minute', 'every 2nd frame')
    """
    seconds, frames = every
    if seconds:
        rate, unit = (1 / seconds, "second") if seconds <= 1 else (60 / seconds, "minute")
        return f"every {seconds:.4g} s: {rate:.4g} frame{'' if rate == 1 else 's'} a {unit}"
    told = f"every {ordinal(frames) + ' ' if frames > 1 else ''}frame"
    first = next((video for video in videos if is_video_name(video.path.name)), None)
    stated = None if first is None else stated_video(first.path)
    if stated is None or not stated.frames:
        return told
    rate = stated.frames / stated.seconds
    return f"{told}: {rate / frames:.3g} a second ({first.name} has {rate:.3g})"
