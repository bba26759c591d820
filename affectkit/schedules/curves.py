"""Learning-rate schedules: the rate as a function of where the run stands, so that resuming needs no hidden state."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

ROUNDING = 1e-9
"""Of a cycle: what its beginning may be missed by, where lengths are fractions."""


@dataclass(frozen=True)
class Shape:
    """Parameters of the schedules.

    Attributes:
        base: learning rate asked for.
        minimum: where cosine ends.
        epochs: length of the run.
        warmup: epochs of linear growth from 0 in front of any schedule.
        step_size, milestones, gamma: of ``step`` and ``multistep``.
        patience: epochs without progress that ``plateau`` bears.
        cycles, cycle_decay: of ``cosine``: how often it falls, and the factor of its height from one fall to the next.
        peak, cycle_end: epochs at which the cyclic ones stand at ``base``, and reach ``minimum``.
    """

    base: float
    epochs: int
    minimum: float = 0.0
    warmup: float = 0.0
    step_size: int = 40
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    patience: int = 3
    peak: float = 5.0
    cycle_end: float = 30.0
    cycles: int = 1
    cycle_decay: float = 1.0


@dataclass
class Plateau:
    """State of a plateau schedule: reductions so far, and the values they were decided on.

    As ReduceLROnPlateau in torch: an epoch counts as progress when the observed value is lower than the best by a
    relative 1e-4; after more than ``patience`` epochs without, the rate is multiplied by gamma.
    """

    best: float = math.inf
    waited: int = 0
    reductions: int = 0

    def observe(self, value: float, patience: int) -> None:
        """Record one epoch's value (lower is better; NaN is no progress)."""
        threshold = self.best - abs(self.best) * 1e-4 if math.isfinite(self.best) else self.best
        if value < threshold:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > patience:
            self.reductions, self.waited = self.reductions + 1, 0


def constant(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return ``base`` throughout."""
    return shape.base


def step(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return ``base * gamma ** floor(epoch / step_size)``."""
    return shape.base * shape.gamma ** (int(epoch) // shape.step_size)


def multistep(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return ``base * gamma ** (number of milestones reached)``."""
    return shape.base * shape.gamma ** sum(int(epoch) >= milestone for milestone in shape.milestones)


def cosine(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return a rate that falls from ``base`` after the warm-up to ``minimum`` at the end, half a cosine.

    With ``cycles`` it falls so often, in equal lengths, and starts anew after each (SGDR, Loshchilov and Hutter 2017):
    the k-th time, from 0, at ``base * cycle_decay ** k``. A cycle that begins at an epoch begins with its first step.
    """
    length = max(shape.epochs - shape.warmup, 1e-12)
    position = max((epoch - shape.warmup) * shape.cycles / length, 0.0)
    cycle = min(int(position + ROUNDING), shape.cycles - 1)
    within = min(max(position - cycle, 0.0), 1.0)
    height = shape.base * shape.cycle_decay**cycle - shape.minimum
    return shape.minimum + 0.5 * height * (1 + math.cos(math.pi * within))


def plateau(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return ``base * gamma ** reductions``, never below ``minimum``."""
    return max(shape.base * shape.gamma**observed.reductions, shape.minimum)


def cyclic(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return a rate that rises linearly from ``1e-4 * base`` at the start to ``base`` at ``peak``, and to 0 at the end
    of the last epoch (VCA).
    """
    return _along(epoch, (0.0, 1e-4 * shape.base), (shape.peak, shape.base), (shape.epochs, 0.0))


def cyclic_plateau(shape: Shape, epoch: float, observed: Plateau) -> float:
    """Return a rate that rises linearly from ``1e-4 * base`` to ``base`` at ``peak``, falls linearly to ``minimum`` at
    ``cycle_end``, then is flat (VCA).
    """
    return _along(epoch, (0.0, 1e-4 * shape.base), (shape.peak, shape.base), (shape.cycle_end, shape.minimum))


def _along(epoch: float, *points: tuple[float, float]) -> float:
    """Return the value at ``epoch`` of straight lines between ``points`` (epoch, value), flat beyond them."""
    for (start, low), (end, high) in itertools.pairwise(points):
        if epoch < end:
            return low + (high - low) * (max(epoch, start) - start) / (end - start)
    return points[-1][1]


@dataclass
class Schedule:
    """A named schedule bound to its shape, with the one thing that must be remembered (the plateau's observations).

    Attributes:
        name: in ``schedules.SCHEDULES``.
        shape: its parameters.
        observed: what the plateau has seen.
        closed: whether the last optimizer step of an epoch has the value of the epoch's end. Else that is the first
            step of the next epoch, and the last one is a step before it.

    >>> Schedule("step", Shape(base=1.0, epochs=4, step_size=2)).rate(3.5)
    0.1
    """

    name: str
    shape: Shape
    observed: Plateau = field(default_factory=Plateau)
    closed: bool = False

    def rate(self, epoch: float) -> float:
        """Return the learning rate at ``epoch``, fractions counting iterations within it.

        During the warm-up the schedule's own value is scaled from 0 to 1, linearly.
        """
        from affectkit.schedules import SCHEDULES

        value = SCHEDULES.resolve(self.name)(self.shape, epoch, self.observed)
        if epoch < self.shape.warmup:
            value *= epoch / self.shape.warmup
        return value

    def observe(self, value: float) -> None:
        """Record an epoch's monitored value (lower is better)."""
        self.observed.observe(value, self.shape.patience)
