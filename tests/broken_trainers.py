"""Trainers with faults that ``verify-resume`` must find: it imports them by name in its processes."""

from __future__ import annotations

import os
import time
from unittest import mock

import numpy as np
import torch

from affectkit.training import mixup
from affectkit.training.resume_check.killed_run import KilledRun


class StreamedDropout(KilledRun):
    """Dropout is drawn from the global stream, which begins anew in a resumed process."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        step = self.learner.training_step

        def streamed(*args, **kwargs):
            with mock.patch.object(torch, "manual_seed"):
                return step(*args, **kwargs)

        self.learner.training_step = streamed


class StreamedMixup(KilledRun):
    """Mixup is drawn from one generator, whose state is not saved."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        rng = np.random.default_rng(0)
        mixup.numpy_generator = lambda *address: rng


class StreamedBoth(StreamedDropout, StreamedMixup):
    """Two faults at once."""


class UnseededMixup(KilledRun):
    """Mixup is drawn from the entropy of the machine: the run does not even repeat."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        mixup.numpy_generator = lambda *address: np.random.default_rng()


class Forgetful(KilledRun):
    """Resuming forgets something that no option has to do with."""

    def restore(self, tree):
        super().restore(tree)
        with torch.no_grad():
            first = next(self.learner.model.parameters())
            first[(0,) * first.ndim] += 1e-3


class ForgetfulAverage(KilledRun):
    """The averaged weights are not restored."""

    def restore(self, tree):
        super().restore({**tree, "ema": tree["ema"] and tree["model"]})


class UnseededNamed(UnseededMixup):
    """A run that does not repeat, and an operation of which torch knows it."""

    def fit(self, *args):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))
        super().fit(*args)


class Short(KilledRun):
    """A run that ends before it can be killed a second time."""

    @property
    def finished(self):
        return self.state.epoch > 0


class Silent99(KilledRun):
    """The process ends without a word."""

    def __init__(self, *args, **kwargs):
        os._exit(99)


class Sleeper(KilledRun):
    """The process takes long."""

    def fit(self, *args):
        time.sleep(60)
