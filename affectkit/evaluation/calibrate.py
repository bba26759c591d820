"""Fit the threshold and the temperature of a finished checkpoint: the run behind ``affectkit calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.checkpoints.abstention import KEY, describe_promise, fit_threshold, no_promise, threshold_record
from affectkit.checkpoints.checkpoint import Header, read_tensors, save_tensors
from affectkit.checkpoints.class_priors import KEY as PRIOR
from affectkit.checkpoints.class_priors import read_prior, shares_record
from affectkit.checkpoints.convert import check_output
from affectkit.checkpoints.find import find_checkpoint
from affectkit.config import value_of
from affectkit.core.assets import training_prior_file
from affectkit.core.files import sha256
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.data.halves import half_record
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.errors import ThresholdError, UsageError
from affectkit.evaluation.evaluate import evaluate_split
from affectkit.evaluation.load_model import TestedModel, load_tested
from affectkit.evaluation.load_split import load_split, wanted_labels, without_copies
from affectkit.models.external.restricted_pickle import is_pickled
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.abstention import Prior, Wish
from affectkit.settings.calibration import CalibrateSettings
from affectkit.tasks.base import Results

MODES = {"targets": "auto", "labels": "labels", "none": "none"}
"""Of ``--temperature``, as ``Task.calibrate`` calls them."""


def calibrate(settings: CalibrateSettings, *, reporter: Reporter) -> dict[str, Any]:
    """Fit what ``settings`` ask for on a split, and write the same weights with it as a new checkpoint.

    Returns:
        what was fitted, paths and hashes.

    Raises:
        UsageError: the output exists or has another ending, the file is a published one, or the model predicts ratings.
        ThresholdError: no threshold can promise what is wished; nothing is written.
    """
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        source = find_checkpoint(settings.checkpoint)
        check_output(settings.output, source, force=settings.force)
        if is_pickled(source):
            raise UsageError(
                f"{source} is a published checkpoint.", f"affectkit convert {source} OUT.safetensors makes one of ours."
            )
        tested = load_tested(settings, reporter=reporter)
        if tested.task.predicts_ratings:
            raise UsageError("the model predicts ratings: there is no confidence to fit a temperature or threshold on.")
        with set_up_backends(tested.context.device, tested.context.precision):
            results, seen = _results(tested, settings, reporter)
        return _fit(tested, results, source, settings, reporter, seen=seen)


def _results(tested: TestedModel, settings: CalibrateSettings, reporter: Reporter) -> tuple[Results, frozenset[str]]:
    """Return the outputs on the split that is fitted on, and the fingerprints of what has items in common with it."""
    task, context = tested.task, tested.context
    labels = wanted_labels(settings, task)
    data = load_split(
        settings.data,
        settings.split,
        labels=labels,
        task=task,
        group=context.group,
        half=settings.half,
        reporter=reporter,
    )
    data, _ = context.group.run_main_first(
        lambda: without_copies(data, drop=settings.drop_copies, noun=item_name(task.spec), reporter=reporter)
    )
    given = {"batch_size": settings.batch_size, "workers": settings.workers}
    results, failures = evaluate_split(
        tested.network, task, data.split, in_colour=False, context=context, reporter=reporter, **given
    )
    refuse_failures(failures, settings.on_error)
    return results, data.overlapping() | {results.split.fingerprint()}


def _fit(
    tested: TestedModel,
    results: Results,
    source: Path,
    settings: CalibrateSettings,
    reporter: Reporter,
    *,
    seen: frozenset[str],
) -> dict[str, Any]:
    """Fit, and write the checkpoint; returns the summary."""
    task, header = tested.task, tested.model.header
    training, fingerprint = dict(header.training), results.split.fingerprint()
    if training.get("data_fingerprint") in seen:
        reporter.warn(
            "the weights were trained on these very items: what is fitted on them promises nothing of others."
        )
    elif "fold" in training and results.split.name != "test":
        reporter.warn(
            f"the weights are of fold {training['fold']} of a cross-validation, which pools train and valid: where "
            f"these items of {results.split.name} are of that data, most were trained on, and what is fitted on them "
            "promises nothing of others."
        )
    chose = training["valid_fingerprint"] in seen if "valid_fingerprint" in training else None
    if settings.temperature != "keep":
        task.spec = task.spec.with_(temperature=1.0)
        task.spec, training["calibration"] = task.calibrate(results, MODES[settings.temperature])
        if task.spec.temperature == 1 and training["calibration"]["reason"] and settings.temperature != "none":
            reporter.warn(f"temperature 1, not fitted: {training['calibration']['reason']}")
        if training.pop(KEY, None) is not None and settings.abstain is None:
            reporter.warn("the threshold of the checkpoint is left out: it was fitted at another temperature.")
    wish: Wish | None = value_of(settings.abstain)
    if wish is not None:
        training[KEY] = _threshold(tested, results, wish, chose, reporter)
    training |= _prior_of_built_in(tested)
    training["calibrated"] = {
        "of": sha256(source),
        "split": results.split.name,
        **half_record(settings.half),
        "data_fingerprint": fingerprint,
    }

    def write() -> str:
        written = Header(header.model, header.options, task.spec, training, header.version)
        save_tensors(settings.output, read_tensors(source, header), written)
        return sha256(settings.output)

    found = tested.context.group.run_on_main(write)
    return {
        "source": str(source),
        "source_sha256": training["calibrated"]["of"],
        "output": str(settings.output),
        "output_sha256": found,
        "split": results.split.name,
        "images": len(results.split),
        "temperature": task.spec.temperature,
        **({"calibration": training["calibration"]} if settings.temperature != "keep" else {}),
        "abstention": training.get(KEY),
    }


def _threshold(
    tested: TestedModel, results: Results, wish: Wish, chose: bool | None, reporter: Reporter
) -> dict[str, Any]:
    """Return the record of the threshold that ``wish`` asks for.

    Raises:
        ThresholdError: there is none.
    """
    found = fit_threshold(tested.task, results, wish)
    record = threshold_record(found, tested.task, results, chose_epoch=chose)
    if found.threshold is None:
        raise ThresholdError(f"{no_promise(record)} Nothing is written.")
    reporter.note(describe_promise(record))
    if chose:
        reporter.warn("these items chose the epoch of the weights, too: the promise is a little better than it may be.")
    return record


def _prior_of_built_in(tested: TestedModel) -> dict[str, Any]:
    """Return the training prior of a built-in model for the new file, which has another hash."""
    file = training_prior_file([tested.model.checkpoint_hash])
    if file is None or PRIOR in tested.model.header.training:
        return {}
    classes = tested.task.spec.classes
    return {PRIOR: shares_record(read_prior(Prior(file, None), classes, str(file)), classes)}
