"""What records and users are told of a loaded model, whatever it computes with. Importing this loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from affectkit.core.spec import FITS, InputSpec
from affectkit.errors import UsageError


class HeaderFacts(Protocol):
    """What is read of a header: that of a checkpoint, or of an ONNX file.

    Attributes:
        model: registry name.
        spec: input, task and classes as the file has them.
        training: summary of the run that made it.
    """

    model: str
    spec: InputSpec
    training: Mapping[str, Any]


class Described(Protocol):
    """A loaded model: with ``spec``, as it is used, and ``header``, as its file has it."""

    spec: InputSpec
    header: HeaderFacts


def fitted(spec: InputSpec, fit: str | None) -> InputSpec:
    """Return ``spec`` with images fitted as ``--fit`` asks; itself for None.

    Raises:
        UsageError: there is no such fit, or the model takes clips, which are framed as its study did.
    """
    if fit is None:
        return spec
    if fit not in FITS:
        raise UsageError(f"--fit must be one of {', '.join(FITS)}; got {fit!r}.")
    if spec.clip is not None:
        raise UsageError(
            f"--fit {fit} has no effect: this model takes clips, which are framed as its study did.", "Leave it out."
        )
    return spec.with_(fit=fit)


def fit_record(model: Described) -> dict[str, str]:
    """Return how images are fitted to the input of a loaded ``model``, for a record; also the fit of its checkpoint,
    where that is another. Empty where it takes clips."""
    if model.spec.clip is not None:
        return {}
    own = model.header.spec.fit
    return {"fit": model.spec.fit, **({"checkpoint_fit": own} if own != model.spec.fit else {})}


def checkpoint_notes(model: Described) -> list[str]:
    """Return notes for the user on how a checkpoint was read."""
    fit, published = fit_record(model), model.header.training.get("published", {})
    notes = [str(note) for note in published.get("notes", ())]
    if "checkpoint_fit" in fit:
        notes.append(f"images are fitted by --fit {fit['fit']}; the checkpoint has {fit['checkpoint_fit']}")
    return notes
