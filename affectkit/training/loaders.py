"""Loaders of a training run: batches of images, or of features that a frozen encoder has made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.utils.data import DataLoader

from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import collate_function, make_dataset
from affectkit.data.loading.loaders import SplitImages, TrainingKeys, evaluation_keys, make_loader
from affectkit.evaluation.evaluate import evaluation_loader
from affectkit.features.extractor import FeatureExtractor, FeatureLoader, Features, open_store
from affectkit.models.family import frozen_encoder
from affectkit.runtime.shutdown import StopFlag
from affectkit.training.setup import TrainingSetup

if TYPE_CHECKING:
    from affectkit.data.loading.clips import SplitClips

Loader = DataLoader | FeatureLoader


@dataclass
class FeatureSplits:
    """The features of a run's splits; none where its model has no frozen encoder.

    Attributes:
        train: None where training images are augmented afresh each epoch.
    """

    train: Features | None = None
    valid: Features | None = None
    test: Features | None = None


def encode_splits(setup: TrainingSetup, *, stopping: StopFlag | None, reporter: Reporter) -> FeatureSplits:
    """Find the features that a run needs in the cache, or compute them; none where its model has no frozen encoder.

    Raises:
        Stopped: a signal came; what was computed is kept.
    """
    encoder = frozen_encoder(setup.model)
    if encoder is None:
        return FeatureSplits()
    settings, spec = setup.settings, setup.task.spec
    store = open_store(encoder, spec, setup.context)
    extractor = FeatureExtractor(encoder, store, spec, setup.context, setup.workers, reporter, stopping)
    found = FeatureSplits(valid=extractor.features(setup.valid))
    if setup.test is not None:
        found.test = extractor.features(setup.test)
    if settings.views:
        found.train = extractor.features(setup.train, augment=settings.augment, views=settings.views)
    return found


def training_loader(setup: TrainingSetup, features: FeatureSplits, keys: TrainingKeys) -> Loader:
    """Make the loader of batches of ``keys`` from the training split."""
    settings = setup.settings
    if features.train is not None:
        return FeatureLoader(features.train, keys, seed=settings.seed)
    items = make_dataset(
        setup.train, setup.task.spec, augment=settings.augmentation, seed=settings.seed, held=setup.in_memory[0]
    )
    return make_loader(
        items,
        keys,
        workers=setup.workers,
        pin=setup.context.pin_memory,
        seed=settings.seed,
        collate_fn=collate_function(setup.train),
    )


def validation_loader(setup: TrainingSetup, features: FeatureSplits) -> Loader:
    """Make a loader for one pass over this process's share of the validation split."""
    items = make_dataset(setup.valid, setup.task.spec, held=setup.in_memory[1])
    return _once(setup, items, features.valid)


def test_loader(setup: TrainingSetup, features: FeatureSplits) -> Loader:
    """Make a loader for one pass over this process's share of the test split."""
    return _once(setup, make_dataset(setup.test, setup.task.spec), features.test)


def _once(setup: TrainingSetup, items: SplitImages | SplitClips, features: Features | None) -> Loader:
    size, context = setup.settings.batch_size, setup.context
    if features is None:
        return evaluation_loader(items, context=context, batch_size=size, workers=setup.workers)
    first, step = context.group.rank, context.group.world_size
    return FeatureLoader(features, evaluation_keys(len(items), context.batch_per_process(size), first=first, step=step))
