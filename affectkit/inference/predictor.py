"""A model ready to predict: its engine, its task, and what finds faces; shared by ``infer`` and ``predict``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.faces.selection import Selection
from affectkit.engines.engine import Engine
from affectkit.errors import UsageError
from affectkit.inference.table_layout import FACE_COLUMNS, NAME, VIDEO_COLUMNS
from affectkit.runtime.context import RunContext
from affectkit.settings.values import Faces
from affectkit.tasks import make_task
from affectkit.tasks.base import Task


@dataclass(frozen=True)
class Predictor:
    """Hold what every prediction needs.

    Attributes:
        engine: the loaded model.
        task: what its outputs are.
        face_detector: None takes images whole.
    """

    engine: Engine
    task: Task
    face_detector: FaceDetector | None

    @classmethod
    def of(cls, engine: Engine, *, faces: Faces | None, selection: Selection = Selection()) -> Predictor:  # noqa: B008
        """Return the predictor of a loaded model; see ``make_face_detector`` for ``faces`` and ``selection``."""
        detector = make_face_detector(faces, engine.spec, engine.takes_faces, selection)
        return cls(engine, make_task(engine.spec), detector)

    def check(self, checkpoint: Path) -> None:
        """Refuse a model that was trained on no labels.

        Raises:
            UsageError: it was; the message names ``checkpoint``.
        """
        self.task.check_can_predict(self.engine.header.training.get("task_options") or {}, path=checkpoint)

    @property
    def spec(self) -> InputSpec:
        """Return the specification of the model's input."""
        return self.task.spec

    @property
    def context(self) -> RunContext:
        """Return device, number format and processes."""
        return self.engine.context

    @property
    def image_columns(self) -> list[str]:
        """Return the columns of a row of an image, or of a face in it."""
        return [NAME, *(FACE_COLUMNS if self.face_detector is not None else ()), *self.task.columns()]

    @property
    def video_columns(self) -> list[str]:
        """Return the columns of a row of a face in a video."""
        return [*VIDEO_COLUMNS, *self.task.columns()]

    def with_network(self, compiled: bool, reporter: Reporter) -> Predictor:
        """Return this predictor, its forward pass ``compiled`` where that is asked for."""
        return replace(self, engine=self.engine.with_network(compiled, reporter))


def make_face_detector(
    faces: Faces | None,
    spec: InputSpec,
    takes_faces: bool,
    selection: Selection = Selection(),  # noqa: B008 - frozen
) -> FaceDetector | None:
    """Make the face detector of ``--faces``; None where images are taken whole.

    Args:
        faces: what finds them; None: what the model wants.
        spec: what it takes.
        takes_faces: whether these are face crops.
        selection: which of the faces found are taken.

    Raises:
        UsageError: faces are asked for, and the model takes clips; or they are limited, and images are taken whole; or
            the least score is none of the detector.
    """
    if spec.clip is not None:
        if faces is not None and faces.detector != "none":
            raise UsageError(f"--faces {faces.detector}: this model takes clips, which are framed as its study did.")
        refuse_limits(selection, "this model takes clips, which are framed as its study did")
        return None
    how, file = faces or Faces("auto" if takes_faces else "none", None)
    if how == "none":
        refuse_limits(selection, "images are taken whole")
        return None
    found = FaceDetector(how, file, selection=selection)
    selection.check(found.name)
    return found


def refuse_limits(selection: Selection, why: str) -> None:
    """Raise a UsageError where ``selection`` limits faces that are not searched."""
    given = ", ".join(f"--{name.replace('_', '-')}" for name, value in selection.summary().items() if value is not None)
    if given:
        raise UsageError(
            f"{given}: no faces are searched here, {why}.", "Leave it out, or name a detector with --faces."
        )
