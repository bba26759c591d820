"""Class-balanced sampling: rare classes are drawn more often, and the model keeps the true class prior.

An epoch draws pairs of an image and one of its labels, with probability proportional to t(c) f(c)^-power: t is the
image's target distribution, f the shares of the classes in the training split. In terms of images: one is drawn with
probability proportional to the expected f(c)^-power under its target, and trained towards t(c) f(c)^-power, normalised.
Where the target is one label, it is the label still, and the image is drawn by the frequency of its class to the power.

A model trained on these draws learns p(c | x) f(c)^-power, normalised: the posterior under the sampled prior q, which
is proportional to f(c)^(1 - power) (Saerens, Latinne and Decaestecker 2002). The prior is put back all along: the loss
is taken of the logits plus log(q / f), as in the logit adjustment of Menon et al. (ICLR 2021), and the logits alone,
which are those of the true prior, are validated, kept, converted and exported. That is the network whose last bias has
been shifted by log(f / q) after training; but each epoch is validated as it is kept, the last layer may have no bias,
and a network that was trained on the true prior (``--init``) goes on from there.

It is exact for losses that are least at the true distribution (kl, ce, mse) and targets as they are; smoothed targets
and class weights would not be put back, and are refused. Of l1 and js, which are least elsewhere, a user is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from affectkit.checkpoints.class_priors import shares_text
from affectkit.core.randomness import numpy_generator
from affectkit.data.loading.loaders import batch_count
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.metrics.prior_shift import prior_shift
from affectkit.tasks.base import Task

PROPER = ("kl", "ce", "mse")
"""Losses whose mean over targets is least where the prediction is the mean target."""


@dataclass(frozen=True, eq=False)
class ClassSampling:
    """How often an epoch draws the images of each class.

    Attributes:
        power: above 0; 1 draws all classes alike.
        classes: names, in the order of outputs.
        prior: (C,) shares of the classes in the training split; a class of share 0 is never drawn.
    """

    power: float
    classes: tuple[str, ...]
    prior: np.ndarray

    @property
    def factors(self) -> np.ndarray:
        """Return by how much each class is drawn more often: prior^-power (C,), 0 where the prior is."""
        there = self.prior > 0
        return np.where(there, np.where(there, self.prior, 1.0) ** -self.power, 0.0)

    @property
    def sampled_prior(self) -> np.ndarray:
        """Return the shares (C,) of the classes among what an epoch draws."""
        weighted = self.prior * self.factors
        return weighted / weighted.sum()

    @property
    def offset(self) -> np.ndarray:
        """Return what is added to logits (C,) of the true prior for those of the sampled one: log(sampled / true)."""
        return prior_shift(self.sampled_prior, self.prior)

    def expected_draws(self, target: np.ndarray) -> np.ndarray:
        """Return how often an epoch draws each image on average (N,), for targets (N, C); N in all."""
        weights = (np.asarray(target, np.float64) * self.factors).sum(1)
        return weights * (len(weights) / weights.sum())

    def draw(self, target: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
        """Draw as many images as there are, in random order, addressed by (seed, epoch).

        By systematic sampling over the images in a random order: one that is expected 2.3 times comes two or three
        times, so that chance adds little to what the weights say, and power 0 would draw each image once.

        Args:
            target: (N, C), of all training images in this epoch.
            seed: of the run.
            epoch: from 0.

        Returns:
            (N, 2) int64: the index of each image drawn, and its number among the draws of that image in this epoch,
            from 0, by which its augmentation is addressed.
        """
        rng = numpy_generator(seed, "class sampling", epoch)
        count = len(target)
        order = rng.permutation(count)
        edges = self.expected_draws(target)[order].cumsum()
        edges[-1] = np.inf  # so that rounding loses no point
        places = np.searchsorted(edges, rng.random() + np.arange(count), side="right")
        first = np.searchsorted(places, places, side="left")
        drawn = np.stack([order[places], np.arange(count) - first], axis=1)
        return drawn[rng.permutation(count)]

    def batches(self, target: torch.Tensor, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
        """Return the batches of an epoch, nearly equal parts of what ``draw`` gives."""
        return np.array_split(self.draw(target.numpy(), seed=seed, epoch=epoch), batch_count(len(target), batch_size))

    def sampled_targets(self, targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return ``targets`` with what an image is trained towards, once it has been drawn, as ``target`` (N, C)."""
        target = targets["target"]
        weighted = target.double() * torch.from_numpy(self.factors)
        return {**targets, "target": (weighted / weighted.sum(1, keepdim=True)).to(target)}

    def description(self, target: np.ndarray) -> str:
        """Describe in a line what is drawn, for targets (N, C)."""
        shares = (dict(zip(self.classes, map(float, one), strict=True)) for one in (self.prior, self.sampled_prior))
        before, after = map(shares_text, shares)
        most = self.expected_draws(target).max()
        return (
            f"classes drawn as {after}, an image up to {most:.1f} times an epoch; predictions are of the class shares "
            f"of the training split, {before}"
        )


def class_sampling(power: float, task: Task, train: Split) -> ClassSampling | None:
    """Return how an epoch draws from ``train``; None for power 0: each image once.

    Raises:
        UsageError: the task predicts something else than classes.
    """
    if not power:
        return None
    if not task.supports_distillation:
        what = "no classes" if task.predicts_ratings else "more than classes"
        raise UsageError(
            f"--sampling draws by the frequency of classes, and the task {task.name} predicts {what}.",
            "Leave it out: --sampling uniform.",
        )
    prior = task.training_prior(train, "auto")
    return ClassSampling(power, tuple(prior), np.array(list(prior.values())))


def sampling_caveat(losses: Iterable[str]) -> str:
    """Return what a user should know of class-balanced sampling with a sum of ``losses``; empty for proper ones."""
    others = [name for name in losses if name not in PROPER]
    if not others:
        return ""
    return (
        f"--sampling with --loss {'+'.join(others)}: the true class frequencies are put back exactly under "
        f"{', '.join(PROPER)} alone; other losses are least at other shares than the mean target's."
    )
