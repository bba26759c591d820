"""Selection of the named files that are predicted as images, and as videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from affectkit.core.shards import Listing, Shard
from affectkit.data.media.animations import may_be_animated
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, PassedOver
from affectkit.inference.inputs import Inputs, Item, find_inputs
from affectkit.runtime.distributed import ProcessGroup


class InputSelection:
    """Hold what the paths of a command name, listed by the first process alone.

    Args:
        paths: as of ``inputs.find_inputs``.
        recursive: whether sub-folders are searched.
        listed: where ``-`` reads paths from.
        with_frames: whether animations and pages are predicted frame by frame, as videos are.
        shard: which images are this run's own; None: all.
        group: the processes of this run.

    Attributes:
        inputs: empty in the other processes.
        has_images, has_videos: whether there are any; known to all processes.
        kind: of what is predicted as images are; for a model of clips these are videos.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        recursive: bool,
        listed: IO[str],
        with_frames: bool,
        shard: Shard | None,
        group: ProcessGroup,
    ) -> None:
        self.inputs, self.kind, self.shard = Inputs(), IMAGE_FILE, shard
        self.images_alone = ""
        if shard is not None:
            self.images_alone = "is a video, which --shard does not share out: predict videos in a command of their own"
        elif group.is_distributed:
            self.images_alone = (
                f"is a video, which one process predicts, and there are {group.world_size}: start without torchrun"
            )
        moving: Callable[[Path, str], bool] | None = may_be_animated if with_frames else None

        def find() -> list[int]:
            self.inputs = find_inputs(paths, recursive=recursive, listed=listed, moving=moving)
            return [self.inputs.count(IMAGE_FILE), self.inputs.count(VIDEO_FILE)]

        images, videos = group.run_on_main(find)
        self.has_images, self.has_videos = images > 0, videos > 0

    def settle(self, *, takes_clips: bool) -> None:
        """Settle what is predicted how, once it is known whether the model takes clips."""
        if takes_clips:
            self.kind = VIDEO_FILE
            self.inputs.refuse(IMAGE_FILE, "is an image, and this model takes clips, picture and sound together")
            self.has_images, self.has_videos = True, False
        elif self.has_images and self.has_videos and self.images_alone:
            self.inputs.refuse(VIDEO_FILE, self.images_alone)
            self.has_videos = False

    @property
    def are_videos(self) -> bool:
        """Return whether there are videos alone."""
        return self.has_videos and not self.has_images

    @property
    def passed(self) -> PassedOver:
        """Return the files of folders that are neither images nor videos."""
        return self.inputs.passed

    def images(self) -> Iterator[Item]:
        """Yield what this run predicts as images."""
        return self.inputs.own(self.kind, self.shard)

    def listing(self) -> Listing:
        """Return the names of what all shards predict as images."""
        return self.inputs.listing(self.kind)

    def videos(self) -> list[Item]:
        """Return what is predicted as videos."""
        return list(self.inputs.items(VIDEO_FILE))
