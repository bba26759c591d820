"""A model ready to predict: its engine, its task, and what finds faces; shared by ``infer`` and ``predict``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import FaceDetector
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
    def of(cls, engine: Engine, *, faces: Faces | None) -> Predictor:
        """Return the predictor of a loaded model; see ``make_face_detector`` for ``faces``."""
        return cls(engine, make_task(engine.spec), make_face_detector(faces, engine.spec, engine.takes_faces))

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


def make_face_detector(faces: Faces | None, spec: InputSpec, takes_faces: bool) -> FaceDetector | None:
    """Make the face detector of ``--faces``; None where images are taken whole.

    Args:
        faces: what finds them; None: what the model wants.
        spec: what it takes.
        takes_faces: whether these are face crops.

    Raises:
        UsageError: faces are asked for, and the model takes clips.
    """
    if spec.clip is not None:
        if faces is not None and faces.detector != "none":
            raise UsageError(f"--faces {faces.detector}: this model takes clips, which are framed as its study did.")
        return None
    how, file = faces or Faces("auto" if takes_faces else "none", None)
    return None if how == "none" else FaceDetector(how, file)
