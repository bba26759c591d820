"""Trainers with faults that ``verify-resume`` must find: it imports them by name in its processes."""

from __future__ import annotations

import os
import time
from unittest import mock

import numpy as np
import torch

from affectkit.training import training_step
from affectkit.training.resume_check.killed_run import Rehearsal


class StreamedDropout(Rehearsal):
    """Dropout is drawn from the global stream, which begins anew in a resumed process."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        loss = self.learner._loss

        def streamed(*args, **kwargs):
            with mock.patch.object(torch, "manual_seed"):
                return loss(*args, **kwargs)

        self.learner._loss = streamed


class StreamedMixup(Rehearsal):
    """Mixup is drawn from one generator, whose state is not saved."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        rng = np.random.default_rng(0)
        training_step.numpy_generator = lambda *address: rng


class StreamedBoth(StreamedDropout, StreamedMixup):
    """Two faults at once."""


class UnseededMixup(Rehearsal):
    """Mixup is drawn from the entropy of the machine: the run does not even repeat."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        training_step.numpy_generator = lambda *address: np.random.default_rng()


class Forgetful(Rehearsal):
    """Resuming forgets something that no option has to do with."""

    def restore(self, tree):
        super().restore(tree)
        with torch.no_grad():
            first = next(self.learner.model.parameters())
            first[(0,) * first.ndim] += 1e-3


class ForgetfulAverage(Rehearsal):
    """The averaged weights are not restored."""

    def restore(self, tree):
        super().restore({**tree, "ema": tree["ema"] and tree["model"]})


class UnseededNamed(UnseededMixup):
    """A run that does not repeat, and an operation of which torch knows it."""

    def fit(self, *args):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))
        super().fit(*args)


class Short(Rehearsal):
    """A run that ends before it can be killed a second time."""

    @property
    def _ended(self):
        return self.at.epoch > 0


class Silent99(Rehearsal):
    """The process ends without a word."""

    def __init__(self, *args, **kwargs):
        os._exit(99)


class Sleeper(Rehearsal):
    """The process takes long."""

    def fit(self, *args):
        time.sleep(60)
