"""Write annotated images: each again, with its faces and what was predicted of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from affectkit.core.boxes import Box
from affectkit.core.files import inner_path, whole_file
from affectkit.core.missing_paths import at_home
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.data.loading.face_crops import read_picture
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError, RunError, UsageError
from affectkit.inference.face_columns import placed_face
from affectkit.inference.images import Batch
from affectkit.inference.inputs import Item
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.table_layout import FACE_COLUMNS
from affectkit.reports.face_overlay import Mark, Point, draw_face_marks
from affectkit.tasks.base import Task

SAVED = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
"""Formats that an image keeps; others become PNG, under their whole name and ``.png``."""

MOST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Pixels of a side that a format can hold: libjpeg's JPEG_MAX_DIMENSION, libwebp's WEBP_MAX_DIMENSION."""


class ImageAnnotator:
    """Write an annotated image of each, under its name, into a folder.

    Args:
        options: ``annotate`` is the folder.
        task: what is predicted.
        with_faces: whether rows are of faces; they are of whole images otherwise.
        paths: what the images were named by.
        recursive: whether sub-folders were searched.

    Raises:
        UsageError: the folder holds files already, or the images themselves.
    """

    def __init__(
        self, options: OutputOptions, task: Task, *, with_faces: bool, paths: Iterable[str], recursive: bool
    ) -> None:
        folder = options.annotate
        self.folder, self.task, self.with_faces = folder, task, with_faces
        self._paths: dict[int, Path] = {}
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--annotate {folder} is a file; of images it is a folder.", "Name a folder.")
        for text in paths:
            given = at_home(text)
            if given.is_dir() and (
                folder.resolve() == given.resolve() or (recursive and given.resolve() in folder.resolve().parents)
            ):
                raise UsageError(f"--annotate {folder} lies among the images in {text}.", "Name a folder elsewhere.")
        options.refuse_annotated()

    def remember(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield ``items`` as they are, and remember their files until they are drawn."""
        for item in items:
            self._paths[item.position] = item.path
            yield item

    def annotate(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield ``batches`` as they are, each with its annotated images on disk."""
        for batch in batches:
            for failure in batch.failures:
                self._paths.pop(failure.index, None)
            by_image: dict[int, list[list[Any]]] = {}
            for row in batch.rows:
                by_image.setdefault(row[0], []).append(row)
            for position, own in by_image.items():
                self._draw(self._paths.pop(position), own)
            yield batch

    def warn_of_missing(self, items: Iterable[Item], skipped: int, reporter: Reporter) -> None:
        """Warn of ``items`` that are not drawn: their rows stand from an earlier run. ``skipped`` could not be read."""
        missing = sum(not self._target(item.name).exists() for item in items) - skipped
        if missing > 0:
            what = count_text(missing, "image is not drawn: its row stands", "images are not drawn: their rows stand")
            reporter.warn(f"{what} from an earlier run, and none is in {self.folder}. --force predicts and draws all.")

    def _target(self, name: str) -> Path:
        return self.folder / inner_path(name, SAVED, ".png")

    def _draw(self, path: Path, rows: Sequence[list[Any]]) -> None:
        target = self._target(rows[0][1])
        if target.exists() and target.samefile(path):
            raise DataError(f"the annotated image {target} is the image itself.", "Name another --annotate.")
        picture, extent = read_picture(path)
        marks = []
        for row in rows:
            if not self.with_faces:
                box, own = _shown((0, 0, extent.width, extent.height), extent), row[2:]
                title, bars = self.task.describe_row(own)
                marks.append(Mark(box, title, bars, note=self.task.describe_affect(own)))
            elif row[2] is not None:
                number, box, points = placed_face(row[2:])
                own = row[2 + len(FACE_COLUMNS) :]
                title, bars = self.task.describe_row(own)
                title = f"{number} · {title}" if len(rows) > 1 else title
                note, points = self.task.describe_affect(own), _points_shown(points, extent)
                marks.append(Mark(_shown(box, extent), title, bars, number - 1, points, note))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with whole_file(target) as part:
                form = SAVED.get(target.suffix.lower(), "PNG")
                made = Image.fromarray(draw_face_marks(picture, marks, strip=True))
                if max(made.size) > (most := MOST_SIDE.get(form, max(made.size))):
                    made.thumbnail((most, most))  # the strip went beyond
                made.save(part, format=form, quality=92)
        except OSError as error:
            reason = f"cannot write {target}: {error.strerror or error}."
            raise RunError(reason, "Check the disk and --annotate.") from error


def _points_shown(points: Sequence[Point], extent: Extent) -> tuple[Point, ...]:
    """Return points of the image in the file, in the pixels that are drawn on."""
    return tuple(extent.inner((x, y, x, y))[:2] for x, y in points)


def _shown(box: Sequence[float], extent: Extent) -> Box:
    """Return a box (left, top, width, height) of the image in the file, in the pixels that are drawn on."""
    left, top, width, height = box
    left, top, right, bottom = extent.inner((left, top, left + width, top + height))
    return left, top, right - left, bottom - top
