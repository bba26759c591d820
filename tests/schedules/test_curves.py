from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from affectkit.schedules import SCHEDULES
from affectkit.schedules.curves import Plateau, Schedule, Shape
from affectkit.training.batch_position import BatchPosition


def torch_trace(kind, epochs, base=0.1, **options):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=base)
    scheduler = kind(optimizer, **options)
    trace = []
    for _ in range(epochs):
        trace.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return trace


def test_step_and_multistep_and_cosine_agree_with_torch():
    lr = torch.optim.lr_scheduler
    cases = [
        ("step", Shape(0.1, 12, step_size=5, gamma=0.3), torch_trace(lr.StepLR, 12, step_size=5, gamma=0.3)),
        ("multistep", Shape(0.1, 12, milestones=(3, 7)), torch_trace(lr.MultiStepLR, 12, milestones=[3, 7])),
        ("cosine", Shape(0.1, 12, minimum=0.01), torch_trace(lr.CosineAnnealingLR, 12, T_max=12, eta_min=0.01)),
        ("constant", Shape(0.1, 12), [0.1] * 12),
    ]
    for name, shape, expected in cases:
        assert [Schedule(name, shape).rate(epoch) for epoch in range(12)] == pytest.approx(expected, rel=1e-9)
    cyclic = {"cyclic", "cyclic_plateau"}  # below, against NumPy
    assert {name for name, *_ in cases} | {"plateau"} | cyclic == set(SCHEDULES)


def test_plateau_agrees_with_torch_on_a_bumpy_curve():
    values = [
        1.0,
        0.9,
        0.95,
        0.94,
        0.93,
        0.92,
        0.9,
        0.9,
        0.9,
        0.5,
        0.6,
        0.6,
        0.6,
        0.6,
        math.nan,
        0.6,
        0.6,
        0.49996,
        0.6,
    ]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3, factor=0.5)
    ours = Schedule("plateau", Shape(0.1, 20, gamma=0.5, patience=3))
    reductions = 0
    for value in values:
        scheduler.step(value)
        ours.observe(value)
        assert ours.rate(1) == pytest.approx(optimizer.param_groups[0]["lr"])
        reductions = ours.observed.reductions
    assert reductions >= 2


def test_plateau_has_a_floor_and_a_state_that_can_be_stored():
    schedule = Schedule("plateau", Shape(0.1, 9, minimum=0.04, gamma=0.5, patience=0), Plateau(best=0.0, reductions=5))
    assert schedule.rate(3) == 0.04


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_warmup_grows_linearly_in_front_of_any_schedule(name):
    shape = Shape(0.1, 10, warmup=2, step_size=1, milestones=(1,))
    plain = Shape(0.1, 10, step_size=1, milestones=(1,)) if name != "cosine" else shape
    schedule, reference = Schedule(name, shape), Schedule(name, plain)
    assert schedule.rate(0) == 0
    assert schedule.rate(0.5) == pytest.approx(0.25 * reference.rate(0.5) if name != "cosine" else 0.025)
    assert schedule.rate(5) == pytest.approx(reference.rate(5))


def test_cosine_moves_inside_an_epoch_and_ends_at_the_minimum():
    schedule = Schedule("cosine", Shape(0.1, 4, minimum=0.01))
    rates = [schedule.rate(step / 10) for step in range(41)]
    assert all(later < earlier for earlier, later in zip(rates, rates[1:], strict=False))
    assert rates[-1] == pytest.approx(0.01)
    assert rates[20] == pytest.approx(0.055)


@pytest.mark.parametrize(("cycles", "length"), [(3, 4), (5, 1), (49, 1)])
def test_restarts_agree_with_torch(cycles, length):
    lr, epochs = torch.optim.lr_scheduler, cycles * length
    expected = torch_trace(lr.CosineAnnealingWarmRestarts, epochs, T_0=length, eta_min=0.01)
    schedule = Schedule("cosine", Shape(0.1, epochs, minimum=0.01, cycles=cycles))
    assert [schedule.rate(epoch) for epoch in range(epochs)] == pytest.approx(expected, rel=1e-9)
    assert schedule.rate(epochs) == pytest.approx(0.01)


def test_cycles_shrink_and_follow_the_warm_up():
    """After 1 epoch of warm-up three cycles of 3 epochs, from 0.1, 0.05 and 0.025 down to 0.01."""
    schedule = Schedule("cosine", Shape(0.1, 10, minimum=0.01, warmup=1, cycles=3, cycle_decay=0.5))
    assert schedule.rate(0) == 0 and schedule.rate(0.5) == pytest.approx(0.05)
    for cycle, peak in enumerate((0.1, 0.05, 0.025)):
        first = 1 + 3 * cycle
        found = [schedule.rate(first + part) for part in (0, 0.5, 1.5, 3 - 1e-6)]
        share = 0.5 * (1 + np.cos(np.pi * np.array([0, 0.5, 1.5, 3]) / 3))
        assert found == pytest.approx(list(0.01 + (peak - 0.01) * share), rel=1e-6)
    for steps in (3, 7, 11):  # the first step of a cycle, of epochs of so many steps, has its full rate
        place = BatchPosition(4, 0, steps, 10)
        assert schedule.rate(place.epochs_done) == 0.05


def test_one_cycle_is_the_cosine_that_it_was_to_the_last_bit():
    for warmup, minimum in ((0.0, 0.0), (0.7, 0.003), (2.0, 1e-5)):
        shape = Shape(0.17, 9, minimum=minimum, warmup=warmup)
        schedule = Schedule("cosine", shape)
        for step in range(9 * 7 + 1):
            epoch = step // 7 + step % 7 / 7
            position = min(max((epoch - warmup) / (9 - warmup), 0.0), 1.0)
            expected = minimum + 0.5 * (0.17 - minimum) * (1 + math.cos(math.pi * position))
            assert schedule.rate(epoch) == (expected * (epoch / warmup) if epoch < warmup else expected)


def trace(schedule, *, epochs, batches, accumulate=1):
    """The rate of each optimizer step, as the training step sets it, epoch by epoch."""
    rates = []
    for epoch in range(epochs):
        places = [BatchPosition(epoch, k, batches, epochs, accumulate=accumulate) for k in range(batches)]
        places = [place for place in places if place.begins_step]
        rates.append([schedule.rate(place.epochs_closed if schedule.closed else place.epochs_done) for place in places])
    return rates


def test_cyclic_schedules_reach_the_end_of_an_epoch_at_its_last_batch():
    shape = Shape(base=1e-3, epochs=5, minimum=1e-5, peak=1, cycle_end=3)
    found = trace(Schedule("cyclic_plateau", shape, closed=True), epochs=5, batches=4)
    # As measured on the published code, four batches an epoch.
    assert found[0] == pytest.approx([1e-7, 3.3e-4, 6.7e-4, 1e-3], rel=0.02) and found[0][-1] == 1e-3
    # Its rule: from the value of an epoch to that of the next one, both included.
    values = np.interp(range(6), [0, 1, 3, 5], [1e-7, 1e-3, 1e-5, 1e-5])
    for epoch, rates in enumerate(found):
        np.testing.assert_allclose(rates, np.linspace(values[epoch], values[epoch + 1], 4), rtol=1e-12)
    assert trace(Schedule("cyclic", shape, closed=True), epochs=5, batches=4)[-1][-1] == 0
    before = trace(Schedule("cyclic_plateau", shape), epochs=5, batches=4)
    np.testing.assert_allclose(before[0], np.linspace(1e-7, 1e-3, 5)[:4], rtol=1e-12)


@pytest.mark.parametrize(("batches", "accumulate", "steps"), [(1, 1, 1), (2, 2, 1), (5, 2, 3), (4, 3, 2), (6, 1, 6)])
def test_steps_not_batches_close_an_epoch(batches, accumulate, steps):
    schedule = Schedule("cyclic", Shape(base=1.0, epochs=2, peak=1), closed=True)
    first, second = trace(schedule, epochs=2, batches=batches, accumulate=accumulate)
    assert len(first) == len(second) == steps
    np.testing.assert_allclose(first, np.linspace(1e-4, 1, steps))
    np.testing.assert_allclose(second, np.linspace(1, 0, steps), atol=1e-15)


@pytest.mark.parametrize(("epochs", "peak", "end"), [(50, 5, 30), (10, 1, 6), (7, 2.5, 4)])
def test_cyclic_schedules_are_straight_lines_through_their_points(epochs, peak, end):
    shape = Shape(base=1e-3, epochs=epochs, minimum=1e-5, peak=peak, cycle_end=end)
    cyclic, plateau = Schedule("cyclic", shape), Schedule("cyclic_plateau", shape)
    for epoch in np.linspace(0, epochs, 400):
        one = np.interp(epoch, [0, peak, epochs], [1e-7, 1e-3, 0])
        other = np.interp(epoch, [0, peak, end, epochs], [1e-7, 1e-3, 1e-5, 1e-5])
        assert cyclic.rate(epoch) == pytest.approx(one, rel=1e-9, abs=1e-15)
        assert plateau.rate(epoch) == pytest.approx(other, rel=1e-9)
    assert cyclic.rate(0) == pytest.approx(1e-7) and cyclic.rate(peak) == 1e-3
