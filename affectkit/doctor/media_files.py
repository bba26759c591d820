"""Examine the media files that a user names: one report for each, as it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from affectkit.core.text import count_text, list_some, written_name
from affectkit.data.media.animations import may_be_animated
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, file_kind, is_video_name
from affectkit.data.media.report.media_report import report_animation, report_media, report_unread
from affectkit.errors import DataError
from affectkit.inference.inputs import Inputs, Item, find_inputs


class MediaSurvey:
    """The videos, animations and sounds among what a user names, as ``infer`` looks for them.

    Iterating examines one after the other and yields the report of each (see ``report_media``), ``file`` first.

    Args:
        paths: files, folders, glob patterns, or ``-`` for the list ``listed``.
        recursive: whether sub-folders are searched.
        listed: where ``-`` reads paths from.
        decode: whether every frame is decoded.
        levels: whether sound is.

    Attributes:
        passed_over: what was found and is not examined, in words; empty: nothing.

    Raises:
        DataError: a path does not exist, a pattern matches nothing, or there is nothing to examine.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        recursive: bool = False,
        listed: IO[str] | None = None,
        decode: bool = False,
        levels: bool = True,
    ) -> None:
        self._decode, self._levels = decode, levels
        inputs = find_inputs(paths, recursive=recursive, listed=listed, moving=may_be_animated)
        self._items = list(inputs.items(VIDEO_FILE))
        images = []
        for item in inputs.items(IMAGE_FILE):
            still = not item.fault and file_kind(item.path.parent, item.path.name) == IMAGE_FILE
            (images if still else self._items).append(item)
        self.passed_over = _passed_over(images, inputs)
        if not self._items:
            raise DataError(
                f"there is no video, animation or sound file: {self.passed_over or 'nothing was listed'}.",
                "Name the files: in folders, those are found whose names end like a video's.",
            )

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for item in self._items:
            yield {"file": str(item.path), **self._report(item)}

    def _report(self, item: Item) -> dict[str, Any]:
        if item.fault:
            return report_unread(item.path, item.fault)
        folder, name = item.path.parent, item.path.name
        if not is_video_name(name) and file_kind(folder, name) == IMAGE_FILE:
            return report_animation(item.path)
        return report_media(item.path, decode=self._decode, levels=self._levels)


def _passed_over(images: list[Item], inputs: Inputs) -> str:
    """Describe the still images and other files that are not examined."""
    parts = []
    if images:
        named = list_some([written_name(item.name) for item in images], 3)
        parts.append(f"{count_text(len(images), 'still image')} ({named})")
    if inputs.passed.count:
        parts.append(f"neither images nor videos: {inputs.passed.described}")
    return "; ".join(parts)
