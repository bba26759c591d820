"""Frames of a video to predicted faces: sampled, searched and cropped ahead of the network, tracked and predicted."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.faces import SEARCH_SIDE, TRACK_GAP
from affectkit.data.faces.detection import Face, FaceDetector, crop_face
from affectkit.data.faces.geometry import share_outside
from affectkit.data.faces.tracking import FrameLook, Smoother, Tracker
from affectkit.data.faces.video_search import faces_in_frames, live_faces
from affectkit.data.loading.face_crops import stack_crops
from affectkit.data.media.video_stream import Frame
from affectkit.errors import AffectkitError
from affectkit.inference.face_columns import NO_FACE, face_values
from affectkit.inference.predictor import Predictor

T = TypeVar("T")
DEPTH = 64
"""Sampled frames, without their pixels, that the thread may be ahead of the network."""
POLL = 0.1
"""Seconds after which a thread that waits checks whether it is still wanted."""


@dataclass(frozen=True)
class SampledFrame:
    """Hold a frame of a video and the faces in it.

    Attributes:
        number: of the frame, from 0.
        time: seconds since the first frame.
        faces: the largest first.
        crops: uint8 (F, H, W, C).
        look: how frame and faces look, by which tracks go on; None: by their places alone.
        pixels: the frame itself, where it is wanted later.
        left_out: how many faces were found and not taken, by reason, see ``data.faces.selection``.
        cut: whether there was a cut since the frame before, once it is tracked; None: not known.
    """

    number: int
    time: float
    faces: tuple[Face, ...]
    crops: np.ndarray
    look: FrameLook | None = None
    pixels: np.ndarray | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    cut: bool | None = None


@dataclass(frozen=True)
class TrackedFace:
    """Hold a face of a sampled frame: the number of its track, where it is, and the task's columns."""

    number: int
    face: Face
    row: list[Any]


Predicted = list[tuple[SampledFrame, list[TrackedFace]]]
"""A batch of frames, each with its faces."""


def predict_frames(
    predictor: Predictor,
    frames: Iterable[Frame],
    *,
    smooth: float,
    batch_size: int,
    search_side: int = SEARCH_SIDE,
    track_gap: float = TRACK_GAP,
    reporter: Reporter | None = None,
) -> Iterator[Predicted]:
    """Yield the frames of one video with their faces, tracked and predicted, batch by batch; close it when done.

    Args:
        predictor: the model, and what finds faces.
        frames: of one video, in order.
        smooth: seconds over which the outputs of a face are averaged.
        batch_size: faces of a forward pass.
        search_side: pixels of the longer side at which frames are searched.
        track_gap: seconds for which a face may be out of sight and keep its number.
        reporter: hears of a batch that did not fit into memory.

    Raises:
        DataError: what ``frames`` raises, after the frames before it.
    """
    track = FaceTrackPredictor(predictor, smooth=smooth, track_gap=track_gap, reporter=reporter)
    sampled = sample_faces(iter(frames), predictor.face_detector, predictor.spec, search_side=search_side)
    with contextlib.closing(prefetch(sampled, DEPTH)) as stream:
        for batch in batch_frames(stream, batch_size):
            yield track(batch)


def frame_rows(
    name: str, frame: SampledFrame, faces: Sequence[TrackedFace], width: int, *, timed: bool = True
) -> list[list[Any]]:
    """Return the rows of a frame (``VIDEO_COLUMNS``, the task's columns): one a face, or one without values.

    Args:
        name: of the video.
        frame: the sampled frame.
        faces: in it.
        width: number of the task's columns.
        timed: whether the frame has a time, which pages have not.
    """
    begin = [name, frame.number, float(frame.time) if timed else None]
    rows = [[*begin, *face_values(one.number, one.face), *one.row] for one in faces]
    return rows or [[*begin, *NO_FACE, *[None] * width]]


def sample_faces(
    frames: Iterable[Frame],
    detector: FaceDetector | None,
    spec: InputSpec,
    *,
    search_side: int = SEARCH_SIDE,
    live: bool = False,
    keep_pixels: bool = False,
) -> Iterator[SampledFrame]:
    """Yield each of ``frames`` with its faces, cropped to the input of ``spec``.

    Args:
        frames: of one video.
        detector: None takes each frame whole, as one face.
        spec: what the model takes.
        search_side: pixels of the longer side at which frames are searched.
        live: whether each frame is searched as it comes; else a few are read ahead.
        keep_pixels: whether the frame itself is kept.
    """
    detector = detector or FaceDetector("none")
    searched = (live_faces if live else faces_in_frames)(frames, detector, longest=search_side)
    for frame, found in searched:
        taken, left_out = detector.selection.apply(found)
        size = frame.pixels.shape[:2]
        faces = tuple(replace(face, outside=share_outside(face.box, *size)) for face in taken)
        crops = stack_crops([crop_face(frame.pixels, face, spec) for face in faces], spec)
        # Frames taken whole are one face from beginning to end.
        look = FrameLook.of(frame.pixels, [face.box for face in faces]) if detector.how != "none" else None
        pixels = frame.pixels if keep_pixels else None
        yield SampledFrame(frame.number, frame.time, faces, crops, look, pixels, left_out)


def prefetch(items: Iterator[T], depth: int) -> Iterator[T]:
    """Yield ``items``, made in a thread that is at most ``depth`` of them ahead; what it raises is raised in its place.

    Close it, and the thread has ended.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> bool:
        while not unwanted.is_set():
            try:
                waiting.put((item, error), timeout=POLL)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
            else:
                put(None, StopIteration())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's
            put(None, error)
        finally:
            items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        unwanted.set()
        thread.join()


def batch_frames(stream: Iterable[SampledFrame], size: int) -> Iterator[list[SampledFrame]]:
    """Yield frames with ``size`` faces together, and at most as many frames; what is at hand comes before an error."""
    batch: list[SampledFrame] = []
    count, fault = 0, None
    try:
        for frame in stream:
            batch.append(frame)
            count += len(frame.faces)
            if count >= size or len(batch) >= size:
                yield batch
                batch, count = [], 0
    except AffectkitError as error:
        fault = error
    if batch:
        yield batch
    if fault is not None:
        raise fault


class FaceTrackPredictor:
    """Predict the faces of one video, frame by frame, and track them.

    Args:
        predictor: the model.
        smooth: seconds of ``data.faces.tracking.Smoother``.
        track_gap: seconds for which a face may be out of sight and keep its number.
        reporter: hears of a batch that did not fit into memory.
    """

    def __init__(
        self, predictor: Predictor, *, smooth: float, track_gap: float = TRACK_GAP, reporter: Reporter | None = None
    ) -> None:
        self.predictor, self.reporter = predictor, reporter
        self.tracker, self.smoother = Tracker(track_gap), Smoother(smooth)

    def __call__(self, batch: Sequence[SampledFrame]) -> Predicted:
        """Return the frames of ``batch``, each with its faces in the order of their numbers."""
        numbers, cuts = [], []
        smoothed = []
        outputs = iter(self._outputs(batch))
        for frame in batch:
            own = self.tracker.update(frame.time, [face.box for face in frame.faces], frame.look)
            smoothed += [self.smoother(number, frame.time, next(outputs)) for number in own]
            self.smoother.keep([track.number for track in self.tracker.tracks])
            numbers.append(own)
            cuts.append(self.tracker.cut)
        rows = iter(self.predictor.task.rows(np.stack(smoothed)) if smoothed else ())
        found = []
        for frame, own, cut in zip(batch, numbers, cuts, strict=True):
            faces = [TrackedFace(number, face, next(rows)) for number, face in zip(own, frame.faces, strict=True)]
            found.append((replace(frame, cut=cut), sorted(faces, key=lambda one: one.number)))
        return found

    def _outputs(self, batch: Sequence[SampledFrame]) -> np.ndarray:
        """Return the model's outputs for all faces of ``batch`` in turn, float32 (F, K)."""
        crops = np.concatenate([frame.crops for frame in batch])
        if not len(crops):
            return np.zeros((0, 1), np.float32)
        return self.predictor.engine.outputs({"image": crops}, reporter=self.reporter)
