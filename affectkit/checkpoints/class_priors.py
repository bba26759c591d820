"""Class priors that predictions are re-weighted by: stated ones, and those that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.checkpoints.description import Described
from affectkit.core.assets import training_prior_file
from affectkit.core.csv_tables import read_csv
from affectkit.core.forms import check_form
from affectkit.core.text import list_some
from affectkit.errors import CheckpointError, DataError, UsageError
from affectkit.metrics.distribution import TOLERANCE
from affectkit.metrics.prior_shift import prior_shift
from affectkit.settings.abstention import Prior

KEY = "training_prior"
COLUMNS = ("class", "share")
DIGITS = 12
"""Decimals of shares, as records hold them: a prior that is read from a record is the same again."""


def read_prior(stated: Prior, classes: Sequence[str], option: str) -> np.ndarray:
    """Return the shares (C,) of ``classes`` that an option states.

    Args:
        stated: shares, or a CSV table with ``class`` and ``share``.
        classes: of the model; each must be named, and no other.
        option: its name, for messages.

    Raises:
        UsageError: classes are missing or unknown, or shares are out of [0, 1] or do not sum to 1.
        DataError: the table cannot be read, or a share in it is no number.
    """
    shares = _from_table(stated.file, option) if stated.file is not None else dict(stated.shares or {})
    faults = []
    if unknown := [name for name in shares if name not in classes]:
        faults.append(f"{option}: {list_some(unknown)}: no class of the model, which has {list_some(classes, 12)}.")
    if missing := [name for name in classes if name not in shares]:
        faults.append(f"{option} names no share of {list_some(missing)}; 0 says that a class does not occur.")
    if out := [f"{name} {value:g}" for name, value in shares.items() if not 0 <= value <= 1]:
        faults.append(f"{option}: shares must be from 0 to 1; got {list_some(out)}.")
    total = sum(shares.values())
    if not faults and abs(total - 1) > TOLERANCE:
        faults.append(f"{option}: shares must sum to 1 within {TOLERANCE:g}; they sum to {total:.6g}.")
    if faults:
        raise UsageError.from_faults(faults)
    return np.array([shares[name] for name in classes], np.float64)


def prior_of_training(model: Described, stated: Prior | None) -> tuple[np.ndarray, str]:
    """Return the class shares (C,) that a model was trained on, and where they are from.

    Args:
        model: a loaded model.
        stated: shares to take in place of those that its file records.

    Raises:
        UsageError: none are stated, and none recorded.
        CheckpointError: those recorded are damaged.
    """
    classes = model.spec.classes
    if stated is not None:
        shares, where = read_prior(stated, classes, "--training-prior"), str(stated.file or "stated")
    elif (recorded := model.header.training.get(KEY)) is not None:
        check_form(recorded, dict[str, float], "the training prior in the header is damaged", error=CheckpointError)
        if set(recorded) != set(classes) or abs(sum(recorded.values()) - 1) > TOLERANCE or min(recorded.values()) < 0:
            raise CheckpointError("the training prior in the header is damaged: it is no share of each class.")
        shares, where = np.array([recorded[name] for name in classes]), "the checkpoint"
    elif (file := training_prior_file([model.checkpoint_hash, getattr(model.header, "source_sha256", "")])) is not None:
        shares, where = read_prior(Prior(file, None), classes, str(file)), "affectkit, for its built-in model"
    else:
        raise UsageError(
            "--prior needs the class shares of the training data, and the checkpoint does not record them: it was "
            "written by an earlier version, or elsewhere.",
            "State them: --training-prior TABLE, with the columns class and share.",
        )
    return shares, where


def stated_shift(model: Described, prior: Prior, training: Prior | None) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the shift of outputs (C,) by which predictions of ``model`` are of the stated prior, see
    ``metrics.prior_shift``, and what records say of it.

    Raises:
        UsageError, DataError, CheckpointError: as of ``read_prior`` and ``prior_of_training``.
    """
    before, where = prior_of_training(model, training)
    now = read_prior(prior, model.spec.classes, "--prior")
    return shift_record(model, now, str(prior.file or "stated"), before, where)


def shift_record(
    model: Described, now: np.ndarray, source: str, before: np.ndarray, where: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the shift of outputs from the prior ``before``, of training, to ``now``, and what records say of it."""
    classes, spec = model.spec.classes, model.spec
    if absent := [name for name, old, new in zip(classes, before, now, strict=True) if old == 0 and new > 0]:
        raise UsageError(
            f"--prior gives a share to {list_some(absent)}, of which the model was trained on nothing: its predictions "
            "cannot be re-weighted to that.",
            "Give these classes 0.",
        )
    record = {
        "prior": shares_record(now, classes),
        "prior_from": source,
        "training_prior": shares_record(before, classes),
        "training_prior_from": where,
    }
    return prior_shift(now, before, spec.temperature), record


def described_shift(record: Mapping[str, Any]) -> str:
    """Describe in a line by which priors predictions are re-weighted."""
    return (
        f"predictions re-weighted to the class prior {shares_text(record['prior'])} ({record['prior_from']}) from that "
        f"of training, {shares_text(record['training_prior'])} ({record['training_prior_from']})"
    )


def shares_record(shares: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return shares by class, as records hold them."""
    return {name: round(float(value), DIGITS) for name, value in zip(classes, shares, strict=True)}


def shares_text(shares: Mapping[str, Any]) -> str:
    """Return shares by class as ``--prior`` reads them."""
    return ",".join(f"{name}={value:.4g}" for name, value in shares.items())


def _from_table(path: Path, option: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line, row in read_csv(path, *COLUMNS, title=f"{option} {path}", hint="It is a CSV with class,share."):
        name = row["class"].strip()
        try:
            value = float(row["share"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{option} {path}, line {line}: share must be a number; got {row['share']!r}.")
        if name in found:
            raise DataError(f"{option} {path}, line {line}: the class {name!r} stands there twice.")
        found[name] = value
    return found
