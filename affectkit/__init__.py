"""affectkit: train, test and run emotion models.

Importing this package loads nothing heavy; ``load`` and ``predict`` import torch when they are called.

>>> import affectkit
>>> model = affectkit.load("run/best.safetensors")          # doctest: +SKIP
>>> for row in affectkit.predict(model, ["face.jpg"]):      # doctest: +SKIP
...     print(row["Predicted Label"], row["Confidence"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from torch import nn

__version__ = "0.1.0"
__all__ = ["__version__", "load", "predict"]


def load(
    checkpoint: str | Path,
    *,
    device: str = "cpu",
    clip_weights: str | None = None,
    mode: str | None = None,
    mask: str | None = None,
) -> nn.Module:
    """The model of a checkpoint, in evaluation mode, with its ``spec`` (task, input size, mean, std, classes).

    Args:
        checkpoint: a ``.safetensors`` file written by ``affectkit train``, a run folder (its best model), or a
            published checkpoint of VCA, of a V1 network or of a CM-VQVAE.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"auto"``.
        clip_weights: file with the weights of the CLIP that a ``vca`` checkpoint names.
        mode, mask: of a published CM-VQVAE, whose file does not hold them; ``"multimodal"``, ``"binarizer"`` unless
            given.

    Raises:
        CheckpointError: the file is missing, damaged or not one of affectkit's, or CLIP's weights are others.
        DeviceError: the device is not there.
    """
    from affectkit.runners.checkpoint import load_model

    return load_model(checkpoint, device=device, clip_weights=clip_weights, mode=mode, mask=mask)


def predict(
    model: nn.Module, paths: Iterable[str | Path], *, batch_size: int = 32, faces: str | None = None
) -> Iterator[dict[str, Any]]:
    """The rows that ``affectkit infer`` writes, in the order of ``paths``: one an image, or one a face where faces are
    looked for.

    Args:
        model: what ``affectkit.load`` gave.
        paths: image files; video files for a model of clips.
        batch_size: images in one forward pass.
        faces: as ``infer --faces``: ``"auto"``, ``"haar"``, ``"none"``, ``"yunet:FILE.onnx"``; None: ``"auto"`` for a
            model of face crops, as the built-in one, else ``"none"``.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    from affectkit.runners.infer import predict_rows

    return predict_rows(model, paths, batch_size=batch_size, faces=faces)
