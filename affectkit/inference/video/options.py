"""Options of sampling and predicting videos and cameras."""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.data.faces import SEARCH_SIDE, TRACK_GAP
from affectkit.data.media.video_stream import Every


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
