"""Pictures of ratings show the numbers they were given, and nothing lies outside."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.text import Text
from PIL import Image
from scipy import stats

from affectkit.errors import DataError
from affectkit.metrics.quantiles import quantile_means
from affectkit.metrics.ratings import agreement
from affectkit.reports import ratings as drawings
from affectkit.reports import style


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, in order."""
    figures = []

    def save(figure, path):
        figures.append(figure)
        return style.save_figure(figure, path)

    monkeypatch.setattr(drawings, "save_figure", save)
    return figures


def words(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text())


def check_inside(figure) -> None:
    """All that is drawn lies inside the figure, and no text has a dollar that starts mathematics."""
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01, box
    assert not re.search(r"(?<!\\)\$", words(figure))


def made(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    q = rng.uniform(1, 9, (n, 2))
    return q, 2 + 0.5 * q + rng.normal(0, 0.5, (n, 2))


@pytest.mark.parametrize("n", [1, 50, 5000])
def test_scatter_shows_items_line_and_measures(n, drawn, tmp_path):
    q, p = (values[:, 0] for values in made(n))
    measures = {"r": 0.87654, "ccc": math.nan, "rmse": 12.5, "r2": -0.25, "r2_fitted": 0.7683}
    facts = {"actual": q, "predicted": p, "name": "arousal", "measures": measures, "low": 1, "high": 9}
    path = drawings.draw_scatter(tmp_path / "s.png", part="validation", **facts)
    (figure,) = drawn
    check_inside(figure)
    text = words(figure)
    assert f"Arousal, validation, n = {n:,}" in text
    line, plain = re.search(r"fitted line\n(.*?)as predicted\n(.*?)(?: \||$)", text, re.DOTALL).groups()
    assert re.findall(r"(\S+) += +(\S+)", line) == [("r", "0.8765"), ("R²", "0.7683"), ("RMSE", "-")]
    assert re.findall(r"(\S+) += +(\S+)", plain) == [("CCC", "-"), ("R²", "-0.2500"), ("RMSE", "12.5000")]
    axes = figure.axes[0]
    assert axes.get_xlabel() == "predicted arousal (scale 1 to 9)"
    assert axes.get_ylabel() == "actual arousal (scale 1 to 9)"
    assert axes.get_xlim() == axes.get_ylim() and axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 9
    if n == 5000:
        (cells,) = [item for item in axes.collections if isinstance(item, PolyCollection)]
        assert cells.get_array().sum() == n and "items in a cell" in text
    else:
        (points,) = [item for item in axes.collections if isinstance(item, PathCollection)]
        np.testing.assert_array_equal(points.get_offsets(), np.stack([p, q], axis=1))
    fit = stats.linregress(p, q) if n > 1 else None
    if fit is not None:  # the line that is drawn is the one whose r, R² and RMSE are told
        sign = "-" if fit.slope < 0 else "+"
        assert f"fitted: actual = {fit.intercept:.2f} {sign} {abs(fit.slope):.2f} · predicted" in text
        left = q - (fit.intercept + fit.slope * p)
        found = agreement(p, q)
        assert found["r"] == pytest.approx(fit.rvalue) and found["r2_fitted"] == pytest.approx(fit.rvalue**2)
        assert found["rmse_fitted"] == pytest.approx(math.sqrt(np.mean(left**2)))
        drawn_line = next(one for one in axes.lines if "fitted" in str(one.get_label()))
        np.testing.assert_allclose(drawn_line.get_ydata(), fit.intercept + fit.slope * np.array([p.min(), p.max()]))
    else:
        assert "· predicted" not in text
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > 500


def test_scatter_keeps_values_beyond_the_scale_in_view(drawn, tmp_path):
    q, p = np.array([1.0, 5.0, 9.0]), np.array([-3.0, 5.0, 14.0])
    drawings.draw_scatter(tmp_path / "s.png", actual=q, predicted=p, name="v", measures=agreement(p, q), low=1, high=9)
    low, high = drawn[0].axes[0].get_ylim()
    assert low < -3 and high > 14
    drawings.draw_scatter(tmp_path / "c.png", actual=[5, 5, 5], predicted=p, name="v", measures={})
    assert "+ 0.00 · predicted" in words(drawn[1])
    drawings.draw_scatter(tmp_path / "d.png", actual=q, predicted=[5, 5, 5], name="v", measures={})
    assert "· predicted" not in words(drawn[2])


@pytest.mark.parametrize("n", [60, 61, 3000])
def test_plane_has_valence_across_and_predictions_in_red_on_top(n, drawn, tmp_path):
    q, p = made(n)
    drawings.draw_valence_arousal_plane(tmp_path / "p.png", actual=q, predicted=p, low=1, high=9)
    (figure,) = drawn
    check_inside(figure)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "valence (scale 1 to 9)" and axes.get_ylabel() == "arousal (scale 1 to 9)"
    assert axes.get_aspect() == 1 and f"Valence and arousal, n = {n:,}" in words(figure)
    gray, red = sorted(
        (item for item in axes.collections if isinstance(item, PathCollection)), key=lambda item: item.get_zorder()
    )
    np.testing.assert_array_equal(gray.get_offsets(), q[:, ::-1])
    np.testing.assert_array_equal(red.get_offsets(), p[:, ::-1])
    colour = red.get_facecolor()[0]
    assert colour[0] > 0.8 and max(colour[1:3]) < 0.2 and np.ptp(gray.get_facecolor()[0][:3]) < 0.1
    joins = [item for item in axes.collections if isinstance(item, LineCollection)]
    assert len(joins) == (n <= 60)
    if joins:
        np.testing.assert_array_equal(joins[0].get_segments()[7], [q[7, ::-1], p[7, ::-1]])
    assert "actual" in words(figure) and "predicted" in words(figure)


def test_quantile_figure_has_a_panel_a_name(drawn, tmp_path):
    q, p = made(400)
    found = {
        "valence": quantile_means(q[:, 1], p[:, 1]),
        "a_$x$_" + "long/" * 30 + "file.csv": quantile_means(np.round(q[:, 0]), p[:, 0]),
        "high.csv": quantile_means(q[:, 0], 40 + 3 * q[:, 0]),
    }
    drawings.quantile_figure(tmp_path / "q.png", quantiles=found)
    check_inside(drawn[0])
    text = words(drawn[0])
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert len(panels) == 3 and "Valence" in text
    assert "(25 bins, n = 400)" in text and "(8 of 25 bins, n = 400)" in text
    for axes, quantiles in zip(panels, found.values(), strict=True):
        np.testing.assert_array_equal(axes.lines[1].get_xydata().T, [quantiles.actual, quantiles.predicted])
        assert f"{quantiles.r:.4f}" in text and f"{quantiles.r2:.4f}" in text and f"{quantiles.rmse:.4f}" in text
    drawings.quantile_figure(tmp_path / "m.png", quantiles={str(k): found["valence"] for k in range(14)})
    assert "12 of 14 shown" in words(drawn[1])


def test_faults_are_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "x.png"
    good = {"name": "v", "measures": {}}
    with pytest.raises(DataError, match="no values"):
        drawings.draw_scatter(path, actual=[], predicted=[], **good)
    with pytest.raises(DataError, match="predicted must be finite; 1 of 2"):
        drawings.draw_scatter(path, actual=[1, 2], predicted=[1, math.nan], **good)
    with pytest.raises(DataError, match="shape"):
        drawings.draw_scatter(path, actual=[1, 2], predicted=[1], **good)
    with pytest.raises(DataError, match="shape"):
        drawings.draw_valence_arousal_plane(path, actual=[1, 2], predicted=[1, 2])
    with pytest.raises(DataError, match="empty"):
        drawings.quantile_figure(path, quantiles={})
    assert not path.exists()
