"""A model ready to predict: its task, where it runs, and what finds faces; shared by ``infer`` and ``predict``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.checkpoints.checkpoint import load_model, make_task
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import FaceDetector
from affectkit.errors import UsageError
from affectkit.inference.table_layout import FACE_COLUMNS, NAME, VIDEO_COLUMNS
from affectkit.models.registry import takes_faces
from affectkit.runtime.context import RunContext
from affectkit.settings.values import Faces
from affectkit.tasks.base import Task


@dataclass(frozen=True)
class Predictor:
    """Hold what every prediction needs.

    Attributes:
        model: on the device of ``context``, in evaluation mode for the time of a prediction.
        task: what the outputs of ``model`` are.
        context: device, number format and processes.
        face_detector: None takes images whole.
        network: what is called with batches in place of ``model``: its compiled forward pass; None: ``model``.
    """

    model: nn.Module
    task: Task
    context: RunContext
    face_detector: FaceDetector | None
    network: Callable[..., Any] | None = None

    @classmethod
    def load(cls, checkpoint: Path, context: RunContext, *, faces: Faces | None, **options: Any) -> Predictor:
        """Load a checkpoint.

        Args:
            checkpoint: the file.
            context: where the model runs.
            faces: as of ``make_face_detector``.
            options: as of ``checkpoints.checkpoint.load_model``.

        Raises:
            UsageError: the model was trained on no labels, or ``faces`` does not fit it.
        """
        model = load_model(checkpoint, device=context.device, **options)
        predictor = cls.of(model, context, faces=faces)
        predictor.task.check_can_predict(model.header.training.get("task_options") or {}, path=checkpoint)
        return predictor

    @classmethod
    def of(cls, model: nn.Module, context: RunContext, *, faces: Faces | None) -> Predictor:
        """Return the predictor of a loaded ``model``; see ``make_face_detector`` for ``faces``."""
        return cls(model, make_task(model.spec), context, make_face_detector(faces, model.header.model, model.spec))

    @property
    def spec(self) -> InputSpec:
        """Return the specification of the model's input."""
        return self.task.spec

    @property
    def image_columns(self) -> list[str]:
        """Return the columns of a row of an image, or of a face in it."""
        return [NAME, *(FACE_COLUMNS if self.face_detector is not None else ()), *self.task.columns()]

    @property
    def video_columns(self) -> list[str]:
        """Return the columns of a row of a face in a video."""
        return [*VIDEO_COLUMNS, *self.task.columns()]

    def forward(self, *inputs: Any) -> Any:
        """Return the outputs of a batch, as ``task.rows`` reads them."""
        return self.task.predict_step(self.model if self.network is None else self.network, *inputs)

    def with_network(self, compiled: bool, reporter: Reporter) -> Predictor:
        """Return this predictor, its forward pass ``compiled`` where that is asked for."""
        return replace(self, network=self.context.maybe_compile(self.model, enabled=compiled, reporter=reporter))


def make_face_detector(faces: Faces | None, model: str, spec: InputSpec) -> FaceDetector | None:
    """Make the face detector of ``--faces``; None where images are taken whole.

    Args:
        faces: what finds them; None: what ``model`` wants.
        model: registry name.
        spec: what the model takes.

    Raises:
        UsageError: faces are asked for, and the model takes clips.
    """
    if spec.clip is not None:
        if faces is not None and faces.detector != "none":
            raise UsageError(f"--faces {faces.detector}: this model takes clips, which are framed as its study did.")
        return None
    how, file = faces or Faces("auto" if takes_faces(model) else "none", None)
    return None if how == "none" else FaceDetector(how, file)
