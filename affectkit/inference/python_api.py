"""``affectkit.predict``: what a program holds, files, folders, videos, arrays, to rows like those of ``infer``."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.core.missing_paths import at_home
from affectkit.core.spec import InputSpec
from affectkit.data.faces import SEARCH_SIDE, SEARCH_SIDES, TRACK_GAP
from affectkit.data.faces.selection import Selection
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, is_video_name
from affectkit.data.media.images_in_memory import given_images, is_image
from affectkit.engines.load import engine_of
from affectkit.errors import DataError, UsageError
from affectkit.inference.decisions import decide
from affectkit.inference.images import predict_images
from affectkit.inference.inputs import Item, find_inputs
from affectkit.inference.predictor import Predictor
from affectkit.settings.abstention import HeldBack, Prior, parse_abstain, parse_stated_prior
from affectkit.settings.values import Every, parse_every, parse_faces

X = "x"
SKIPPING = 'Fix them or leave them out, or pass on_error="skip", which warns of each.'


def predict_rows(
    model: Any,
    x: Any,
    *,
    batch_size: int = 32,
    faces: str | None = None,
    every: str = "0.5s",
    smooth: float = 0.0,
    search_side: int = SEARCH_SIDE,
    track_gap: float = TRACK_GAP,
    min_score: float | None = None,
    min_face: int | None = None,
    max_faces: int | None = None,
    on_error: str = "fail",
    exact: bool = True,
    abstain: float | str | None = None,
    min_confidence: float | None = None,
    prior: Mapping[str, float] | str | None = None,
    training_prior: Mapping[str, float] | str | None = None,
    valence_arousal: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``affectkit.predict``; faulty arguments are raised at once, faulty files as they are met."""
    spec = getattr(model, "spec", None)
    if not isinstance(spec, InputSpec):
        raise UsageError(
            f"model: {type(model).__name__} is not what affectkit.load gives.", 'For example affectkit.load("builtin").'
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"batch_size must be a whole number from 1 on, got {batch_size!r}.")
    if on_error not in ("fail", "skip"):
        raise UsageError(f'on_error must be "fail" or "skip", got {on_error!r}.')
    for name, value in (("smooth", smooth), ("track_gap", track_gap)):
        if not 0 <= value < float("inf"):
            raise UsageError(f"{name} must be seconds, 0 or more, got {value!r}.")
    low, high = SEARCH_SIDES
    if isinstance(search_side, bool) or not isinstance(search_side, int) or not low <= search_side <= high:
        raise UsageError(f"search_side must be a whole number of pixels in [{low}, {high:,}], got {search_side!r}.")
    try:
        interval = parse_every(every)
    except UsageError as error:
        raise UsageError(f"every {error.message}") from error
    selection = _selection(min_score, min_face, max_faces)
    try:
        parsed = parse_faces(faces) if faces is not None else None
    except UsageError as error:
        raise UsageError(f"faces {error.message}") from error
    predictor = Predictor.of(engine_of(model), faces=parsed, selection=selection)
    held = _held_back(abstain, min_confidence)
    given = {name: _prior(name, value) for name, value in (("prior", prior), ("training", training_prior))}
    decide(predictor, held_back=held, valence_arousal=valence_arousal, **given)
    options = {"every": interval, "smooth": smooth, "search_side": search_side, "track_gap": track_gap}
    call = _Call(predictor, batch_size=batch_size, on_error=on_error, exact=exact, **options)
    return call.rows(numbered(items_of(x, spec)))


def _held_back(abstain: float | str | None, min_confidence: Any) -> HeldBack:
    """Return below which confidence no label is given; a UsageError where it is none, or named twice."""
    if min_confidence is None:
        return HeldBack(
            abstain is not None, None if abstain is None else _stated("abstain", parse_abstain, str(abstain))
        )
    if abstain is not None:
        raise UsageError("abstain and min_confidence exclude each other: either is the least confidence of a label.")
    number = isinstance(min_confidence, int | float) and not isinstance(min_confidence, bool)
    if not (number and 0 <= min_confidence <= 1):
        raise UsageError(f"min_confidence must be a number in [0, 1], got {min_confidence!r}.")
    return HeldBack(True, float(min_confidence))


def _prior(name: str, value: Mapping[str, float] | str | None) -> Prior | None:
    """Return class shares, or the table that holds them; a UsageError where they are neither."""
    if value is None or isinstance(value, Mapping):
        return None if value is None else Prior(None, {str(key): float(share) for key, share in value.items()})
    return _stated(name, parse_stated_prior, str(value))


def _stated(name: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{name} {error.message}") from error


def _selection(min_score: Any, min_face: Any, max_faces: Any) -> Selection:
    """Return the limits of faces; a UsageError where one is no limit."""
    number = isinstance(min_score, int | float) and not isinstance(min_score, bool)
    if min_score is not None and not (number and math.isfinite(min_score)):
        raise UsageError(f"min_score must be a finite number, got {min_score!r}.")
    for name, value in (("min_face", min_face), ("max_faces", max_faces)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"{name} must be a whole number from 1 on, got {value!r}.")
    return Selection(min_score, min_face, max_faces)


@dataclass(frozen=True)
class _Call:
    """Hold the arguments of a call of ``predict``, once they have been checked."""

    predictor: Predictor
    batch_size: int
    on_error: str
    exact: bool
    every: Every
    smooth: float
    search_side: int
    track_gap: float

    def rows(self, items: Iterator[Item]) -> Iterator[dict[str, Any]]:
        """Yield the rows of all ``items``, in their order."""
        first = next(items, None)
        if first is None:
            raise DataError(f"{X} holds no image.", "Give a path, a list of paths, an array, a tensor or an image.")
        # Lazily: an iterator may go on for ever, and what comes before a video is predicted before it.
        for videos, own in itertools.groupby(itertools.chain([first], items), self._is_video):
            yield from (self._video_rows if videos else self._image_rows)(own)

    def _is_video(self, item: Item) -> bool:
        clips = self.predictor.spec.clip is not None
        return not clips and isinstance(item.path, Path) and is_video_name(item.path.name)

    def _image_rows(self, items: Iterable[Item]) -> Iterator[dict[str, Any]]:
        header = self.predictor.image_columns
        batches = predict_images(self.predictor, items, batch_size=self.batch_size, exact=self.exact)
        with contextlib.closing(batches):
            for batch in self._evaluating(batches):
                refuse_failures(batch.failures, self.on_error, hint=SKIPPING)
                for failure in batch.failures:
                    warnings.warn(f"left out: {failure.reason}", stacklevel=2)
                for _, *row in batch.rows:
                    yield dict(zip(header, row, strict=True))

    def _video_rows(self, items: Iterable[Item]) -> Iterator[dict[str, Any]]:
        """Yield the rows of videos; of one that breaks, the rows so far come before the error, or the warning."""
        from affectkit.data.media.animation_stream import open_stream
        from affectkit.inference.video.sampled_frames import frame_rows, predict_frames

        header, width = self.predictor.video_columns, len(self.predictor.task.columns())
        for item in items:
            frames = open_stream(item.path, every=self.every)
            options = {"smooth": self.smooth, "batch_size": self.batch_size, "search_side": self.search_side}
            options |= {"track_gap": self.track_gap}
            batches = predict_frames(self.predictor, frames, **options)
            try:
                with contextlib.closing(batches):
                    for batch in self._evaluating(batches):
                        for row in (
                            row for frame, faces in batch for row in frame_rows(item.name, frame, faces, width)
                        ):
                            yield dict(zip(header, row, strict=True))
            except DataError as error:
                if self.on_error == "fail":
                    raise
                warnings.warn(f"broken off: {error.message}", stacklevel=2)

    def _evaluating(self, steps: Iterator[Any]) -> Iterator[Any]:
        """Yield ``steps``, each made with the model in evaluation mode, which is then as it was, whoever stops when."""
        done = object()
        while True:
            with self.predictor.engine.isolated():
                step = next(steps, done)
            if step is done:
                return
            yield step


# --- inputs ----------------------------------------------------------------------------------------------------------


def items_of(x: Any, spec: InputSpec) -> Iterator[Item]:
    """Yield the images, videos or clips that ``x`` names or holds.

    A path stands for a file, for a folder's files, or for what matches a pattern; these are named as ``infer`` names
    them. Images in memory are named by their index: ``"0"``, ``"1"``; those of a batch in a list ``"3[0]"``, ...

    Raises:
        UsageError: ``x`` is of another type.
        DataError: a path does not exist, an array is no image.
    """
    if isinstance(x, str | os.PathLike):
        return _of_path(x, spec, alone=True)
    if is_image(x):
        _refuse_picture(X, spec)
        return (Item(str(index), given) for index, given in enumerate(list(given_images(x, X))))
    if (
        isinstance(x, bytes | bytearray | Mapping | set | frozenset)
        or not isinstance(x, Iterable)
        or hasattr(x, "read")
    ):
        raise _no_picture(x, X)
    return itertools.chain.from_iterable(_of_element(one, index, spec) for index, one in enumerate(x))


def numbered(items: Iterator[Item]) -> Iterator[Item]:
    """Yield ``items`` with their positions in the whole."""
    return (Item(item.name, item.path, position, item.fault) for position, item in enumerate(items))


def _of_element(one: Any, index: int, spec: InputSpec) -> Iterator[Item]:
    name = f"{X}[{index}]"
    if isinstance(one, str | os.PathLike):
        yield from _of_path(one, spec, alone=False)
    elif is_image(one):
        _refuse_picture(name, spec)
        for given in given_images(one, name):
            yield Item(f"{index}{given.name.removeprefix(name)}", given)
    else:
        raise _no_picture(one, name)


def _of_path(path: str | os.PathLike[str], spec: InputSpec, *, alone: bool) -> Iterator[Item]:
    text = str(os.fsdecode(path))  # NumPy's strings are a kind of their own
    if not text:
        raise UsageError(f"{X}: an empty path.", "Name a file, a folder or a pattern.")
    text = "./-" if text == "-" else text  # no standard input here
    inputs = find_inputs([text], recursive=False)
    kinds = (IMAGE_FILE, VIDEO_FILE) if spec.clip is None else (VIDEO_FILE,)
    if not any(map(inputs.count, kinds)):
        raise DataError(f"{text} holds no clip.", "This model takes clips, picture and sound together.")
    items = itertools.chain.from_iterable(map(inputs.items, kinds))
    if alone or not at_home(text).is_dir():
        return items
    return (Item((Path(text) / item.name).as_posix(), item.path, fault=item.fault) for item in items)


def _refuse_picture(name: str, spec: InputSpec) -> None:
    if spec.clip is not None:
        raise UsageError(
            f"{name}: an image, and this model takes clips, picture and sound together.", "Give paths of video files."
        )


def _no_picture(value: Any, name: str) -> UsageError:
    rest = "or a Pillow image" if name != X else "a Pillow image, or a list"
    return UsageError(
        f"{name} is of type {type(value).__name__}; it must be a path, an array, a tensor, {rest}.",
        "Open what is no file with PIL.Image.open, and give that.",
    )


def to_pandas(rows: Iterable[Mapping[str, Any]]) -> Any:
    """Return a ``pandas.DataFrame`` of ``rows``; see ``affectkit.to_pandas``."""
    try:
        import pandas as pd
    except ImportError as error:
        raise UsageError("to_pandas needs pandas, which is not installed.", "pip install pandas") from error
    if isinstance(rows, Mapping | str) or not isinstance(rows, Iterable):
        raise UsageError(
            f"rows is of type {type(rows).__name__}; it must be the rows that affectkit.predict gives.",
            "affectkit.to_pandas(affectkit.predict(model, x)).",
        )
    return pd.DataFrame(list(rows))
