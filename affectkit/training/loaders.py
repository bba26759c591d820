"""What a run is fed with: images, or features that a frozen encoder made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.utils.data import DataLoader

from affectkit.core.progress import Reporter
from affectkit.data.loading.loaders import SplitImages, TrainingKeys, evaluation_keys, make_loader
from affectkit.data.loading.modality import collate_of, items_of
from affectkit.evaluation.evaluate import evaluation_loader
from affectkit.features.extraction import FeatureExtractor, FeatureLoader, Features, frozen_encoder, open_store
from affectkit.runtime.shutdown import StopFlag
from affectkit.training.setup import Training

if TYPE_CHECKING:
    from affectkit.data.loading.clips import SplitClips

Loader = DataLoader | FeatureLoader


@dataclass
class Feed:
    """The features of a run's splits; none where its model has no frozen encoder.

    Attributes:
        train: None where training images are augmented afresh each epoch.
    """

    train: Features | None = None
    valid: Features | None = None
    test: Features | None = None


def no_features(training: Training) -> Feed:
    """Images as they are."""
    return Feed()


def feed(training: Training, *, stopping: StopFlag | None, reporter: Reporter) -> Feed:
    """The features that ``training`` needs, from the cache or computed.

    Raises:
        Stopped: a signal came; what was computed is kept.
    """
    encoder = frozen_encoder(training.model)
    if encoder is None:
        return Feed()
    settings, spec = training.settings, training.task.spec
    store = open_store(encoder, spec, training.context)
    encoding = FeatureExtractor(encoder, store, spec, training.context, training.workers, reporter, stopping)
    found = Feed(valid=encoding.features(training.valid))
    if training.test is not None:
        found.test = encoding.features(training.test)
    if settings.views:
        found.train = encoding.features(training.train, augment=settings.augment, views=settings.views)
    return found


def training_loader(training: Training, fed: Feed, keys: TrainingKeys) -> Loader:
    """Batches of ``keys`` from the training split."""
    settings = training.settings
    if fed.train is not None:
        return FeatureLoader(fed.train, keys, seed=settings.seed)
    items = items_of(
        training.train, training.task.spec, augment=settings.augment, seed=settings.seed, held=training.held[0]
    )
    return make_loader(
        items,
        keys,
        workers=training.workers,
        pin=training.context.pin_memory,
        seed=settings.seed,
        collate_fn=collate_of(training.train),
    )


def validation_loader(training: Training, fed: Feed) -> Loader:
    """One pass over this process's share of the validation split."""
    items = items_of(training.valid, training.task.spec, held=training.held[1])
    return _once(training, items, fed.valid)


def test_loader(training: Training, fed: Feed) -> Loader:
    """One pass over this process's share of the test split."""
    return _once(training, items_of(training.test, training.task.spec), fed.test)


def _once(training: Training, items: SplitImages | SplitClips, features: Features | None) -> Loader:
    size, context = training.settings.batch_size, training.context
    if features is None:
        return evaluation_loader(items, context=context, batch_size=size, workers=training.workers)
    first, step = context.group.rank, context.group.world_size
    return FeatureLoader(features, evaluation_keys(len(items), context.batch_per_process(size), first=first, step=step))
