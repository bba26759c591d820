"""Frames of files as a viewer sees them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from affectkit.data.media.frame_pixels import FrameConverter


class Track:
    """A track of video that states nothing."""

    class codec_context:
        name, sample_aspect_ratio = "h264", None

    metadata, sample_aspect_ratio = {}, None


def converted(path: Path) -> tuple[list[np.ndarray], FrameConverter]:
    """All pictures of a file, and what made them."""
    with av.open(str(path)) as container:
        converter = FrameConverter(container.streams.video[0])
        return [converter(frame) for frame in container.decode(video=0)], converter
