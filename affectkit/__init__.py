"""affectkit: train, test and run emotion models.

Importing this package loads nothing heavy; ``load`` and ``predict`` import what they need when they are called: torch,
or ONNX Runtime for the built-in model and .onnx files. Errors are those of the command line, under
``affectkit.errors``.

>>> import affectkit
>>> import numpy as np
>>> from affectkit.prep.images.schematic_face import PARAMETERS, draw_face, draw_appearance
>>> smile = [name in ("mouth_curve", "cheek_raise") for name in PARAMETERS]
>>> image = draw_face(smile, draw_appearance(np.random.default_rng(1)), size=96)
>>> image.shape, image.dtype
((96, 96, 3), dtype('uint8'))
>>> model = affectkit.load("builtin")
>>> (row,) = affectkit.predict(model, image)
>>> row["Image Name"], row["Predicted Label"]
('0', 'happiness')
>>> affectkit.predict(model, image * 1.0)
Traceback (most recent call last):
affectkit.errors.DataError: x: holds values from 38 to 254; floats must lie in [0, 1].
Divide by 255.
"""

from __future__ import annotations

from affectkit import errors
from affectkit.core.version import VERSION as __version__

TYPE_CHECKING = False  # as type checkers know it; typing itself takes longer to import than all that stands here
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    import pandas
    from torch import nn

    from affectkit.engines.onnx_model import OnnxModel

__all__ = ["__version__", "errors", "load", "predict", "to_pandas"]


def load(
    checkpoint: str | Path,
    *,
    device: str = "cpu",
    clip_weights: str | None = None,
    mode: str | None = None,
    mask: str | None = None,
    fit: str | None = None,
    verify: bool = True,
    engine: str = "auto",
) -> nn.Module | OnnxModel:
    """Load the model of a checkpoint, in evaluation mode, with its ``spec`` (task, input size, mean, std, classes).

    It is a module of torch, or of .onnx files and, unless ``engine`` says otherwise, of the built-in model a model on
    ONNX Runtime, which needs no torch: called with images, uint8 at the input size, (B, H, W, C) as an array or
    (B, C, H, W) as a tensor, it gives their outputs as the same. ``predict`` takes both alike.

    Args:
        checkpoint: ``"builtin"``, a ``.safetensors`` file written by ``affectkit train``, a run folder (its best
            model), an ``.onnx`` file of ``affectkit export``, or a published checkpoint of VCA, of a V1 network, of a
            CM-VQVAE or of emotion distributions.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"auto"``.
        clip_weights: file with the weights of the CLIP that a ``vca`` checkpoint names.
        mode, mask: of a published CM-VQVAE, whose file does not hold them; ``"multimodal"``, ``"binarizer"`` unless
            given.
        fit: how images are brought to the input size: ``"stretch"``, ``"crop"``, ``"imagenet"`` or ``"pad"``; None: as
            the checkpoint says.
        verify: compare header and weights with the checksums in the file, where it has any; False spares 0.3 s a
            gigabyte, and loads a file that changed as it is.
        engine: ``"onnx"``, ``"torch"``, or ``"auto"``, as the option of ``infer``: the numbers of ``predict`` are then
            those of ``infer`` to the last digit. ``"torch"`` gives the built-in model as a module, to be trained or
            taken apart; its outputs differ by less than 1e-5.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, or not one of affectkit's, or
            CLIP's weights are others.
        DeviceError: the device is not there.
        UsageError: the engine does not run this file.
    """
    from affectkit.engines.choice import choose_engine
    from affectkit.engines.load import load_engine

    choice = choose_engine(checkpoint, engine, device=device)
    found = load_engine(choice, clip_weights=clip_weights, mode=mode, mask=mask, fit=fit, verify=verify)
    return found if choice.engine == "onnx" else found.model


def predict(
    model: nn.Module | OnnxModel,
    x: Any,
    *,
    batch_size: int = 32,
    faces: str | None = None,
    every: str = "0.5s",
    smooth: float = 0.0,
    search_side: int = 720,
    track_gap: float = 5.0,
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
    """Yield the rows that ``affectkit infer`` writes, as dictionaries, in the order of ``x``: one an image, or one a
    face where faces are detected; of a video one a face and sampled frame.

    Rows come as they are made, and ``x`` may be an iterator without end. A model in training mode is put into
    evaluation mode for each batch and back, whether or not all rows are taken.

    Args:
        model: what ``affectkit.load`` gave.
        x: one of these, or a list or iterator of them, in any mixture:

            - a path (text or ``Path``) of an image or a video; of a folder, whose images and videos are taken; or a
              pattern, as ``"faces/*.jpg"``. For a model of clips, of video files;
            - a NumPy array (H, W, 3), (H, W, 1) or (H, W), or N of them, (N, H, W, 3) or (N, H, W, 1): RGB or gray,
              uint8, or floats in [0, 1], which are rounded to 255ths;
            - a torch tensor (3, H, W), (1, H, W) or (H, W), or (N, 3, H, W) or (N, 1, H, W), of such values;
            - a Pillow image: turned as its EXIF says, transparency laid on white.
        batch_size: images in one forward pass.
        faces: as ``infer --faces``: ``"auto"``, ``"haar"``, ``"none"``, ``"yunet"``, ``"yunet:FILE.onnx"``, or a
            detector of an installed package; None: ``"auto"`` for a model of face crops, as the built-in one, else
            ``"none"``.
        every, smooth, search_side, track_gap: of videos, as the options of ``infer``.
        min_score, min_face, max_faces: which faces are taken, as the options of ``infer``; others have no row.
        on_error: what a file that cannot be read does: ``"fail"``, or ``"skip"``: it has no row, and is warned of.
        exact: on the CPU, numbers do not depend on the batch to the last bit, and are those of ``infer``, at the cost
            with torch of filling up batches of fewer than 16 or 32 images; False: a single image in a fraction of that.
        abstain: least confidence with which a label is given, or ``"stored"``, the checkpoint's threshold: other rows
            have an empty label, and ``"Abstained"`` is 1, as with ``infer --abstain``.
        min_confidence: the same as ``abstain`` with a number.
        prior, training_prior: class shares by name, or a table of them, as the options of ``infer``; not estimated.
        valence_arousal: whether rows have valence and arousal, as with ``infer --valence-arousal``: derived from the
            emotions' shares by norms of their words, see ``affectkit.metrics.emotion_norms.EmotionNorms.values``.

    Returns:
        Dictionaries whose ``"Image Name"`` is the path, in a folder given alone relative to it; of images in memory
        their place in ``x``: ``"0"``, ``"1"``, ... (``"3[0]"`` in a list for the first of a batch); of videos
        ``"Video Name"``. A path, an array and a Pillow image of the same pixels give the same numbers, except that a
        JPEG of more than twice the input size is decoded smaller where its path is given, which shows in the third
        digit.

    Raises:
        UsageError: an argument is of another type or out of range; at once.
        DataError: a path does not exist, or an array is no picture; at once where it is ``x`` itself. A file cannot be
            read; the message names it.
    """
    from affectkit.inference.python_api import predict_rows

    return predict_rows(
        model,
        x,
        batch_size=batch_size,
        faces=faces,
        every=every,
        smooth=smooth,
        search_side=search_side,
        track_gap=track_gap,
        min_score=min_score,
        min_face=min_face,
        max_faces=max_faces,
        on_error=on_error,
        exact=exact,
        abstain=abstain,
        min_confidence=min_confidence,
        prior=prior,
        training_prior=training_prior,
        valence_arousal=valence_arousal,
    )


def to_pandas(rows: Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return a table of the rows of ``predict``.

    Raises:
        UsageError: pandas is not installed, or ``rows`` are none.
    """
    from affectkit.inference.python_api import to_pandas as as_table

    return as_table(rows)
