"""Set up the data of a training run: splits, task, input, and the metric that says which epoch is best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from affectkit.config import plain, value_of
from affectkit.core.progress import Reporter, Silent
from affectkit.core.registry import did_you_mean
from affectkit.core.spec import InputSpec
from affectkit.core.text import count_text
from affectkit.data.halves import take_half
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.discovery import Labels, Source, find_dataset
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.loaders import InMemoryImages, choose_cache, hold_in_memory, needs_full_size
from affectkit.data.loading.presets import Augmentation
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.split import Split, split_off
from affectkit.errors import DataError, UsageError
from affectkit.metrics.same import known_as
from affectkit.models.family import Family
from affectkit.models.registry import family as family_of
from affectkit.models.registry import recipe
from affectkit.runtime.distributed import ProcessGroup
from affectkit.settings.training import TrainSettings
from affectkit.tasks import TASKS, choose_task
from affectkit.tasks.base import Task
from affectkit.training.fold_plan import FoldPlan, plan_folds, pooled_split
from affectkit.training.fold_units import find_units


@dataclass
class DataSetup:
    """The inputs and the targets of training.

    Attributes:
        family: of the model.
        options: with which it builds the model.
        source: the dataset.
        task: what is predicted.
        train: the training split, with what the task can use.
        valid: the validation split, likewise.
        monitor: the validation metric that says which epoch is best.
        held_out: the fold that the run is tested on; None outside cross-validation.
    """

    family: Family
    options: dict[str, Any]
    source: Source
    task: Task
    train: Split
    valid: Split
    monitor: str
    held_out: Split | None = None


@dataclass
class DataFound:
    """The data set, before its items are trained on or held out, and the task on it.

    Attributes:
        family, options, source, task: see ``DataSetup``.
        base: the training split; for cross-validation all items that are folded.
        valid: the validation split; None for cross-validation.
    """

    family: Family
    options: dict[str, Any]
    source: Source
    task: Task
    base: Split
    valid: Split | None


def set_up_data(settings: TrainSettings, *, group: ProcessGroup, reporter: Reporter) -> DataSetup:
    """Find the data that ``settings`` name and the task on it; nothing is built or decoded."""
    found = find_data(settings, group=group, reporter=reporter)
    task, train, valid, held_out = found.task, found.base, found.valid, None
    if valid is None:
        plan = set_up_folds(found, settings, group=group, reporter=Silent())
        train, valid, held_out = plan.parts(settings.fold or 1, settings.val_fraction)
    train = usable(task, train, reporter, training=True)
    for text in task.fit(train):
        reporter.note(text)
    valid = usable(task, valid, reporter)
    monitor = choose_monitor(settings.monitor, settings.model, task, valid, reporter)
    return DataSetup(found.family, found.options, found.source, task, train, valid, monitor, held_out)


def find_data(settings: TrainSettings, *, group: ProcessGroup, reporter: Reporter) -> DataFound:
    """Find the data set that ``settings`` name, its training and validation splits or what is folded, and the task."""
    family = family_of(settings.model)
    source = group.run_main_first(
        lambda: find_dataset(settings.data, labels=wanted_labels(settings), reporter=reporter)
    )
    if settings.fold is not None:  # all that is said of the data was said of all folds
        reporter = Silent()
    for text in source.notes:
        reporter.note(text)
    valid = None
    if settings.folds is None:
        if settings.valid_half != "both" and "valid" not in source.splits:
            raise UsageError(
                f"--valid-half {settings.valid_half}: {source.root} has no validation split, and of training images "
                "that are held out the other half could not be tested on.",
                "Make a validation split (affectkit datasplit makes one of class folders), or leave --valid-half out.",
            )
        base, valid = training_splits(source, settings.val_fraction, settings.seed, reporter=reporter)
        if settings.valid_half != "both":
            of = len(valid)
            valid = take_half(valid, settings.valid_half, option="--valid-half")
            reporter.note(
                f"validation on its {settings.valid_half} half, {len(valid):,} of {of:,}; the other chooses nothing"
            )
    else:
        base = pooled_split(source.splits, source.root, reporter=reporter)
    options = family.build_options(plain(settings))
    name = choose_task(base) if settings.task == "auto" else settings.task
    spec = input_spec(settings, family, options, name, source.classes)
    spec = clip_spec(spec, settings, family, options, base)
    task = TASKS.resolve(name).from_options(spec, plain(settings))
    return DataFound(family, options, source, task, base, valid)


def set_up_folds(found: DataFound, settings: TrainSettings, *, group: ProcessGroup, reporter: Reporter) -> FoldPlan:
    """Plan the folds of what was found: all items that the task can measure, for each is held out once."""
    noun = item_name(found.task.spec)
    split = usable(found.task, found.base, reporter)
    units = group.run_main_first(
        lambda: find_units(
            split,
            root=found.source.root,
            labels=settings.labels,
            group_by=settings.group_by,
            groups=settings.groups,
            noun=noun,
            reporter=reporter,
        )
    )
    ratings = found.task.predicts_ratings
    return plan_folds(split, units, folds=settings.folds.value, seed=settings.seed, ratings=ratings, noun=noun)


def wanted_labels(settings: TrainSettings) -> Labels:
    """Return the targets that the settings ask for."""
    return Labels(
        settings.labels,
        ratings=None if settings.task == "auto" else TASKS.resolve(settings.task).predicts_ratings,
        scale=value_of(settings.rating_range),
        choice=Choice(settings.classes, settings.ignore_columns),
        follow_links=settings.follow_links,
    )


def test_split(settings: TrainSettings, source: Source, task: Task, reporter: Reporter) -> Split | None:
    """Find what is tested on at the end: ``--test-data``, ``--test-labels``, or the test rows of ``--labels``."""
    if settings.test_data is None and settings.test_labels is None:
        test = source.splits.get("test") if settings.labels is not None else None
    else:
        wanted = wanted_labels(settings)
        choice = replace(wanted.choice, known=task.spec.classes, strict=False)
        labels = replace(
            wanted, file=settings.test_labels, alone="test", scale=wanted.scale or task.scale, choice=choice
        )
        found = find_dataset(settings.test_data or settings.data, labels=labels, reporter=reporter)
        test = found.splits.get("test") or found.splits.get("all")
        if test is None:
            raise DataError(
                f"{found.root} has neither a test split nor a single one; it has {', '.join(found.splits)}."
            )
    return usable(task, test.with_name("test"), reporter) if test is not None else None


def training_splits(source: Source, val_fraction: float, seed: int, *, reporter: Reporter) -> tuple[Split, Split]:
    """Return the training and validation splits; part of the former is held out where there is no latter.

    Args:
        source: the dataset.
        val_fraction: share of the training images that is held out, where it has no validation split.
        seed: of the choice.
        reporter: of what was done.
    """
    train = source.splits.get("train") or source.splits.get("all")
    if train is None:
        raise DataError(f"{source.root} has no train split; it has {', '.join(source.splits)}.")
    valid = source.splits.get("valid")
    if valid is not None and val_fraction != TrainSettings.val_fraction:
        reporter.warn(f"--val-fraction {val_fraction:g} has no effect: {source.root} has a validation split.")
    if valid is None:
        train, valid = split_off(train, val_fraction, seed)
        reporter.note(
            f"no validation split: {len(valid):,} of {count_text(len(train) + len(valid), 'training image')} held out "
            f"(--val-fraction {val_fraction:g}, by seed and file name"
            + (", copies of an image on one side)" if train.sources is not None else ")")
        )
    return train, valid


def input_spec(
    settings: TrainSettings, family: Family, options: dict[str, Any], task: str, classes: tuple[str, ...]
) -> InputSpec:
    """Make the input specification: the model's own size, mean and std, unless settings say otherwise."""
    own = family.default_input(settings.model, options, plain(settings))
    if TASKS.resolve(task).predicts_ratings:
        classes = RATINGS if settings.outputs == "both" else (settings.outputs,)
    mean, std = own["mean"], own["std"]
    if settings.channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    size = settings.image_size
    spec = InputSpec(
        task=task,
        height=size or own["height"],
        width=size or own["width"],
        channels=settings.channels,
        mean=mean,
        std=std,
        fit=settings.fit,
        classes=tuple(classes),
    )
    spec.check()
    return spec


def clip_spec(
    spec: InputSpec, settings: TrainSettings, family: Family, options: dict[str, Any], train: Split
) -> InputSpec:
    """Add to ``spec`` what the store of ``train`` says of clips, where the model takes those; else return it as it is.

    Raises:
        UsageError: the model takes clips and the data holds images, or the augmentation crops from whole images.
    """
    store = train.store
    if store is not None and needs_full_size(settings.augmentation):
        raise UsageError(
            f"--augment {' and '.join(settings.augmentation.presets)}: imagenet crops from whole images; clips are "
            f"stored at {store.width}x{store.height}.",
            "Choose another --augment.",
        )
    needs = family.clip_needs(options)
    if needs is None:
        if store is not None and store.spec.features is not None:
            raise UsageError(
                f"{settings.model} takes images, and {settings.data} holds features.", "Use --model cmvqvae-features."
            )
        return spec
    if store is None:
        raise UsageError(
            f"{settings.model} takes clips, and {settings.data} holds images.",
            "Prepare clips first: affectkit prep cremad CLONE --output DIR, then --data DIR.",
        )
    if settings.image_size not in (None, store.height):
        raise UsageError(
            f"--image-size {settings.image_size}: the clips are stored at {store.width}x{store.height}.",
            "Leave it out, or prepare them again with another --size.",
        )
    return spec.with_(height=store.height, width=store.width, clip=replace(store.spec, needs=needs))


def choose_monitor(name: str, model: str, task: Task, valid: Split, reporter: Reporter) -> str:
    """Return the metric of ``--monitor`` as the task names it; in place of a recipe's that the task does not have, its
    nearest, or the loss.

    Raises:
        UsageError: it is not the recipe's, and the task does not have it on the validation split.
    """
    known = task.monitors(valid)
    if (own := known_as(name, known)) in known:
        return own
    if name != recipe(model).get("monitor"):
        guess = did_you_mean(name, known, before=" ")
        raise UsageError(
            f"--monitor: the task {task.name} has no metric {name!r} here; it has {', '.join(known)}.{guess}"
        )
    other = task.accuracy_metric if task.accuracy_metric in known else "loss"
    reporter.note(f"best epoch by {other}: the recipe of {model} goes by {name}, which {task.name} has not")
    return other


def usable(task: Task, split: Split, reporter: Reporter, *, training: bool = False) -> Split:
    """Select what the task can use of ``split``; what is left out is noted, an empty rest is an error."""
    found, note = task.select_items(split, training=training)
    if note:
        reporter.note(note)
    if not len(found):
        raise DataError(f"the {split.name} split of {split.root} has no image with a target for {task.name}.")
    return found


def load_in_memory(
    splits: dict[str, Split],
    spec: InputSpec,
    *,
    cache: str,
    augment: str | Augmentation,
    on_error: str,
    group: ProcessGroup,
    reporter: Reporter,
) -> tuple[InMemoryImages | None, InMemoryImages | None]:
    """Decode the images of the splits ``train`` and ``valid`` once where they fit in memory.

    Args:
        splits: both, by name.
        spec: of the input, at whose size images are held.
        cache: ``auto``, ``ram`` or ``none``.
        augment: the augmentation preset, which may need whole images.
        on_error: ``fail`` or ``skip``, for images that cannot be read.
        group: whose processes of this machine hold a copy each.
        reporter: of progress.

    Returns:
        Those of each split, in this order; None for one that is decoded each time.
    """
    if splits["train"].store is not None:  # which is read at the speed of memory
        return None, None
    chosen = cacheable_splits(splits, augment)
    wanted = choose_cache(cache, sum(map(len, chosen.values())) * group.local_world_size, spec)
    if group.all_reduce_max([int(not wanted)])[0]:  # all or none, so that they meet bad images alike
        return None, None
    if cache == "ram" and "train" not in chosen:
        reporter.note(
            "--cache ram holds the validation images alone: the augmentation crops from whole training images, "
            "which are decoded each time"
        )
    return decode_splits(chosen, spec, on_error=on_error, reporter=reporter)


def cacheable_splits(splits: dict[str, Split], augment: str | Augmentation) -> dict[str, Split]:
    """Return the splits among ``train`` and ``valid`` whose images can be held at the input size: not what is
    cropped.
    """
    return {"valid": splits["valid"]} if needs_full_size(augment) else splits


def decode_splits(
    splits: dict[str, Split], spec: InputSpec, *, on_error: str, reporter: Reporter
) -> tuple[InMemoryImages | None, InMemoryImages | None]:
    """Decode the images of ``train`` and ``valid``; None for one that is not in ``splits``."""
    found = {name: hold_in_memory(split, spec, reporter=reporter) for name, split in splits.items()}
    refuse_failures([failure for held in found.values() for failure in held.failures.values()], on_error)
    return found.get("train"), found.get("valid")
