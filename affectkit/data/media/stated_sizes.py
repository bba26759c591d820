"""What files state of themselves at their beginning: the size of a picture, the frames of a video; nothing is decoded.

It serves messages and estimates alone: why a file cannot be opened is told where it is read.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from affectkit.core.files import open_file
from affectkit.core.forms import Count
from affectkit.data.media.image_formats import open_image
from affectkit.data.media.images import decoding_errors
from affectkit.errors import DataError

NEARLY_SQUARE = 1.25
"""Longer to shorter side up to which a picture counts as square: crops of faces are."""
Size = tuple[int, int]
"""Width and height in pixels, as stored."""
PICTURES_FORM = {"looked_at": Count, "square": Count, "longer_side": Count}
"""What ``describe_pictures`` returns, as checkpoints hold it; see ``core.forms``."""


@dataclass(frozen=True)
class StatedVideo:
    """Hold what the head of a video file states.

    Attributes:
        size: of a frame.
        seconds: how long it is.
        frames: how many there are; None where neither their number nor their rate is stated.
    """

    size: Size
    seconds: float
    frames: int | None

    def taken(self, every: tuple[float, int], seconds: float | None = None) -> int | None:
        """Return how many frames are sampled, give or take one or two; None where it cannot be known.

        Args:
            every: seconds from one to the next, or where these are 0, frames.
            seconds: how much of the video is read; None: all.

        >>> video = StatedVideo((640, 480), 10.0, 250)
        >>> [video.taken(every, limit) for every, limit in (((0.5, 0), None), ((0.0, 10), None), ((0.01, 0), 2.0))]
        [20, 25, 50]
        """
        share = 1.0 if seconds is None else min(seconds / self.seconds, 1.0)
        frames = None if self.frames is None else math.ceil(self.frames * share)
        step, number = every
        if not step:
            return None if frames is None else -(-frames // number)
        samples = math.ceil(self.seconds * share / step - 1e-6)
        return samples if frames is None else min(samples, frames)


def picture_size(path: Path) -> Size | None:
    """Return the size that a picture file states; None where it is none, or not there."""
    try:
        with decoding_errors(path), open_file(path) as stream, open_image(stream) as image:
            return image.size
    except DataError:
        return None


def describe_pictures(paths: Iterable[Path]) -> dict[str, int] | None:
    """Return how many of these pictures state a size, how many are square, and the median of their longer sides."""
    sizes = [size for path in paths if (size := picture_size(path)) is not None]
    if not sizes:
        return None
    side = statistics.median_low(max(size) for size in sizes)
    return {"looked_at": len(sizes), "square": sum(map(is_square, sizes)), "longer_side": side}


def stated_video(path: Path) -> StatedVideo | None:
    """Return what the head of a video file states; None where it cannot be opened, or does not say how long it is."""
    from av.error import FFmpegError

    from affectkit.data.media.media_file import check_clip_file, choose_tracks, open_media, stated_seconds

    try:
        check_clip_file(path, "video")
        with open_media(path) as container:
            video = choose_tracks(container).video
            seconds = stated_seconds(container, (container.start_time or 0) / 1e6)
            if video is None or seconds <= 0:
                return None
            rate = float(video.average_rate or video.guessed_rate or 0)
            frames = video.frames or round(rate * seconds)
            return StatedVideo((video.width, video.height), seconds, frames or None)
    except (FFmpegError, DataError):
        return None


def is_square(size: Size) -> bool:
    """Return whether a picture is square, or nearly so: its sides differ by a quarter at most."""
    return max(size) <= NEARLY_SQUARE * min(size)
