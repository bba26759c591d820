"""Figures of ``affectkit describe``: what stands at the ticks is where they are."""

from __future__ import annotations

import numpy as np
import pytest

from affectkit.reports import exploration


def drawn(monkeypatch, draw, **values):
    kept = []
    monkeypatch.setattr(exploration, "save_figure", lambda figure, path: kept.append(figure))
    draw(None, **values)
    return kept[0].axes


def ticks(axis):
    """Places of the ticks, and the shares that their labels state."""
    places = axis.get_ticklocs()
    return places, [float(text.rstrip("%")) / 100 for text in axis.get_major_formatter().format_ticks(places)]


@pytest.mark.parametrize("counts", [[29, 24, 24, 25, 25, 24, 25, 24], [3, 1], [100, 1, 1], [1, 1, 1, 1, 1] * 8])
def test_ticks_of_class_shares_say_where_they_are(monkeypatch, counts):
    names = [f"class {number}" for number in range(len(counts))]
    splits = {"train": dict(zip(names, counts, strict=True))}
    (axes,) = drawn(monkeypatch, exploration.class_bars, classes=names, counts=splits)
    places, said = ticks(axes.xaxis)
    assert said == pytest.approx(places, abs=1e-9)


def test_ticks_of_histograms_say_where_they_are(monkeypatch):
    rng = np.random.default_rng(0)
    values = {"train": rng.normal(0.7, 0.08, 200).clip(0, 1)}
    for axes in drawn(
        monkeypatch, exploration.light_histograms, brightness=values, contrast={"train": rng.uniform(0.1, 0.3, 200)}
    ):
        places, said = ticks(axes.yaxis)
        assert said == pytest.approx(places, abs=1e-9)
