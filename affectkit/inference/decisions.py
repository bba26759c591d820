"""How rows are made of outputs in a run of ``infer``: the threshold of ``--abstain`` or ``--min-confidence``, the prior
of ``--prior``, the norms of ``--valence-arousal``; and how they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from affectkit.checkpoints.abstention import describe_promise, wanted_threshold
from affectkit.checkpoints.class_priors import described_shift, prior_of_training, shift_record, stated_shift
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, percent
from affectkit.errors import DataError, UsageError
from affectkit.inference.images import Batch
from affectkit.inference.predictor import Predictor
from affectkit.metrics.emotion_norms import OUT_OF, SOURCE, EmotionNorms
from affectkit.metrics.prior_shift import PriorEstimate, estimate_prior
from affectkit.settings.abstention import NOTHING_HELD_BACK, HeldBack, Prior
from affectkit.tasks.base import Task
from affectkit.tasks.decision import Decision

ASSUMED = (
    "the prior is estimated from these inputs: right where predictions are calibrated, each class looks as in "
    "training, and the items are independent of each other, which faces of one film, or copies, are not; none of it "
    "was checked."
)
FEW = 100
"""Items below which an estimate of the prior is hardly one."""


def is_estimate(prior: Prior | None) -> bool:
    """Return whether the class prior is to be estimated from the inputs."""
    return prior is not None and prior.file is None and prior.shares is None


def decide(
    predictor: Predictor,
    *,
    held_back: HeldBack = NOTHING_HELD_BACK,
    prior: Prior | None = None,
    training: Prior | None = None,
    valence_arousal: bool = False,
    question_margin: float | None = None,
) -> dict[str, Any]:
    """Set how the rows of ``predictor`` are made, and return what a record says of it.

    Args:
        predictor: whose task is changed.
        held_back: below which confidence no label is given.
        prior: class shares that predictions are re-weighted to; one that is estimated is not set here.
        training: class shares that the model was trained on, where its file does not record them.
        valence_arousal: whether rows have valence and arousal by the norms of the emotions.
        question_margin: least margin with which a label is drawn without a question mark; None: ``QUESTION_MARGIN``.

    Raises:
        UsageError: the model has no classes, or one without a norm, or its file lacks what is needed.
    """
    task, model = predictor.task, predictor.engine
    threshold, shift, record = None, None, {}
    norms = norms_of(task) if valence_arousal else None
    drawn = {} if question_margin is None else {"question_margin": question_margin}
    if held_back.asked or prior is not None or drawn:
        task.decide(Decision(**drawn))  # which a task without classes refuses
    if held_back.asked:
        threshold, record = wanted_threshold(model, held_back.least, with_prior=prior is not None)
    if prior is not None and not is_estimate(prior):
        shift, more = stated_shift(model, prior, training)
        record |= more
    if norms is not None:
        record |= {
            "valence_arousal": dict(zip(predictor.spec.classes, norms.words, strict=True)),
            "valence_arousal_from": f"{SOURCE}, low and high for {percent(OUT_OF)} of raters",
        }
    if record:
        task.decide(Decision(threshold, shift, norms, **drawn))
    return record


def norms_of(task: Task) -> EmotionNorms:
    """Return the norms of the classes of ``task``.

    Raises:
        UsageError: it predicts valence and arousal itself, or has a class without a norm.
    """
    if task.predicts_ratings:
        outputs = " and ".join(task.spec.classes)
        raise UsageError(
            f"--valence-arousal: this model predicts {outputs} itself; there are no emotions to map.", "Leave it out."
        )
    if not task.spec.named:
        raise UsageError("--valence-arousal: the names of this model's classes are not known.", "Leave it out.")
    try:
        return EmotionNorms.of(task.spec.classes)
    except UsageError as error:
        raise UsageError(f"--valence-arousal: {error.message}", error.hint) from error


def report_decision(record: dict[str, Any], predictor: Predictor, reporter: Reporter, *, drawn: bool = False) -> None:
    """Report what ``decide`` set, and where labels are ``drawn`` what a question mark means."""
    if "abstain_promise" in record:
        reporter.note(describe_promise(record["abstain_promise"]))
        precision = getattr(predictor.engine.header, "precision", "fp32")
        if precision != "fp32":
            reporter.warn(f"the threshold was fitted before the weights were rounded to {precision}: it promises less.")
    if "prior" in record:
        reporter.note(described_shift(record))
    if "valence_arousal" in record:
        reporter.note(
            f"valence and arousal on -1..1, derived from the emotions' shares by {record['valence_arousal_from']}; not "
            "measured on rated faces"
        )
    bound = predictor.task.decision.question_margin
    if drawn and bound and not predictor.task.predicts_ratings:
        reporter.note(
            f"labels of a margin (the largest share less the second) below {bound:g} are drawn with a question mark"
        )


def estimate(predictor: Predictor, batches: Iterable[Batch], training: Prior | None) -> dict[str, Any]:
    """Estimate the class prior of all ``batches``, set it, and return what a record says of it.

    Args:
        predictor: that predicted them, without a prior.
        batches: of all inputs.
        training: as of ``decide``.

    Raises:
        DataError: nothing was predicted.
    """
    task, classes = predictor.task, predictor.spec.classes
    before, where = prior_of_training(predictor.engine, training)
    if not (before > 0).all():
        raise UsageError("--prior estimate: the model was trained on nothing of a class, whose share cannot be found.")
    columns = predictor.image_columns  # without the position, which stands first in rows
    places = [1 + len(columns) - len(task.columns()) + task.columns().index(name) for name in classes]
    found = [[row[place] for place in places] for batch in batches for row in batch.rows if row[places[0]] is not None]
    if not found:
        raise DataError("--prior estimate: no input could be predicted.")
    result: PriorEstimate = estimate_prior(np.array(found, np.float64), before)
    shift, record = shift_record(predictor.engine, result.prior, "estimated", before, where)
    task.decide(replace(task.decision, shift=shift))
    return record | {
        "prior_estimate": {
            "items": len(found),
            "steps": result.steps,
            "converged": result.converged,
            "assumes": ASSUMED,
        }
    }


def report_estimate(record: dict[str, Any], reporter: Reporter) -> None:
    """Report an estimated prior, and what it rests on."""
    made = record["prior_estimate"]
    reporter.note(described_shift(record))
    reporter.note(f"estimated by EM over {count_text(made['items'], 'item')} in {count_text(made['steps'], 'step')}")
    if not made["converged"]:
        reporter.warn("the estimate of the prior had not come to rest after its last step.")
    if made["items"] < FEW:
        reporter.warn(f"{made['items']:,} items are few for an estimate of the prior.")
    reporter.warn(ASSUMED)
