"""Pictures show the numbers they were given, all text is inside and none is read as mathematics."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from affectkit.errors import DataError
from affectkit.reports import bars, plots, style

LONG = [f"a rather long $class_{k}$ name, number {k}" for k in range(40)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, in order."""
    figures = []

    def save(figure, path):
        figures.append(figure)
        return style.save_figure(figure, path)

    monkeypatch.setattr(plots, "save_figure", save)
    monkeypatch.setattr(bars, "save_figure", save)
    return figures


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def words(figure):
    return " | ".join(text.get_text() for text in texts(figure))


def check_texts(figure):
    """All that is drawn lies inside the figure, no text has an unescaped dollar; returns the number of texts."""
    box = figure.get_tightbbox(figure.canvas.get_renderer())  # in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01, box
    found = texts(figure)
    assert not [text.get_text() for text in found if re.search(r"(?<!\\)\$", text.get_text())]
    return len(found)


def check_headings(figure):
    """The name of a panel does not run into the value at its right."""
    count = 0
    for axes in figure.axes:
        left, right = axes.get_title(loc="left"), axes.get_title(loc="right")
        if axes.get_visible() and right:
            boxes = {text.get_text(): text.get_window_extent() for text in axes.findobj(Text)}
            assert boxes[left].x1 < boxes[right].x0, left
            count += 1
    return count


def history(epochs):
    return [
        {"epoch": e, "lr": 1e-3 / e, "train_loss": 1 / e, "valid_loss": 1.1 / e, "valid_kl": 0.9 / e,
         "valid_top1": 1 - 1 / (e + 1), "valid_kl_uncalibrated": 5.0, "valid_rater_agreement": 0.5,
         "valid_rater_ceiling": 0.8}
        for e in range(1, epochs + 1)
    ]  # fmt: skip


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def curve(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_curves_show_the_history(tmp_path, drawn):
    rows = history(9)
    path = plots.training_curves(tmp_path / "new" / "c.png", history=rows, monitor="kl", best_epoch=4)
    assert path == tmp_path / "new" / "c.png"
    assert Image.open(path).format == "PNG"
    assert [entry.name for entry in path.parent.iterdir()] == ["c.png"]
    shown = panels(drawn[0])
    assert list(shown) == ["Loss", "KL divergence ★", "Top-1 agreement", "Agreement with a rater", "Learning rate"]
    assert curve(shown["Loss"], "train").get_ydata() == pytest.approx([row["train_loss"] for row in rows])
    assert curve(shown["Loss"], "valid").get_ydata() == pytest.approx([row["valid_loss"] for row in rows])
    assert curve(shown["KL divergence ★"], "valid").get_xdata() == pytest.approx(range(1, 10))
    assert shown["KL divergence ★"].get_title(loc="right") == f"{0.9 / 4:.4g}"
    assert curve(shown["Agreement with a rater"], "ceiling").get_ydata()[0] == pytest.approx(0.8)
    for axes in shown.values():
        assert any(list(line.get_xdata()) == [4, 4] for line in axes.get_lines())
    assert "n = 9 epochs" in words(drawn[0]) and "epoch 4" in words(drawn[0])
    assert check_texts(drawn[0]) > 20
    assert check_headings(drawn[0]) == 4


def test_curves_with_gaps_one_epoch_and_no_best(tmp_path, drawn):
    rows = history(3)
    rows[1]["valid_loss"], rows[2]["valid_loss"] = float("nan"), float("inf")
    for row in rows:
        row["valid_kl"] = None
    del rows[0]["valid_top1"]
    plots.training_curves(tmp_path / "gaps.png", history=rows, monitor="valid_loss", best_epoch=0)
    shown = panels(drawn[0])
    assert np.isnan(curve(shown["Loss ★"], "valid").get_ydata()[1:]).all()
    assert np.isnan(curve(shown["Top-1 agreement"], "valid").get_ydata()).tolist() == [True, False, False]
    assert "no finite value" in words(drawn[0]) and "best" not in words(drawn[0])
    plots.training_curves(tmp_path / "one.png", history=history(1), monitor="kl", best_epoch=1)
    assert "n = 1 epoch " in words(drawn[1])
    assert check_texts(drawn[1]) > 10


def test_curves_keep_the_monitored_metric_when_there_are_many(tmp_path, drawn):
    row = {"lr": 0.1, "valid_loss": 1.0} | {f"valid_a_rather_long_metric_$x${k}": k + 1 / 3 for k in range(30)}
    plots.training_curves(tmp_path / "many.png", history=[row, row], monitor="a_rather_long_metric_$x$29", best_epoch=1)
    shown = panels(drawn[0])
    assert len(shown) == plots.MOST_PANELS
    assert any(name.endswith("29 ★") for name in shown) and "Learning rate" in shown
    assert check_texts(drawn[0]) > 30
    assert check_headings(drawn[0]) == plots.MOST_PANELS - 1


def test_curves_refuse_nothing_and_words(tmp_path):
    with pytest.raises(DataError, match="no epochs"):
        plots.training_curves(tmp_path / "x.png", history=[], monitor="loss", best_epoch=1)
    with pytest.raises(DataError, match="valid_loss"):
        plots.training_curves(tmp_path / "x.png", history=[{"valid_loss": "high"}], monitor="loss", best_epoch=1)
    assert not list(tmp_path.iterdir())


BINS = {
    "count": [0, 10, 30, 60],
    "confidence": [np.nan, 0.4, 0.6, 0.9],
    "agreement": [np.nan, 0.5, 0.4, 0.8],
    "edges": [0, 0.25, 0.5, 0.75, 1],
}


def test_reliability_shows_agreement_gaps_and_counts(tmp_path, drawn):
    second = {"confidence": BINS["agreement"], "agreement": BINS["confidence"], "ece": 0.25, "label": "before"}
    plots.reliability_diagram(tmp_path / "r.png", **BINS, ece=0.13, title="Reliability, n = 100", second=second)
    above, below = drawn[0].axes
    boxes = [patch for patch in above.patches if isinstance(patch, Rectangle)]
    assert [box.get_height() for box in boxes[:3]] == pytest.approx([0.5, 0.4, 0.8])
    assert [box.get_x() for box in boxes[:3]] == pytest.approx([0.25, 0.5, 0.75])
    gaps = boxes[3:]
    assert [gap.get_y() for gap in gaps] == pytest.approx([0.5, 0.4, 0.8])
    assert [gap.get_y() + gap.get_height() for gap in gaps] == pytest.approx([0.4, 0.6, 0.9])
    tops = next(c for c in above.collections if isinstance(c, LineCollection) and c.get_label() == "agreement")
    assert len(tops.get_segments()) == 3
    line = curve(above, "before (ECE = 0.2500)")
    assert line.get_ydata() == pytest.approx([0.4, 0.6, 0.9])
    assert [patch.get_height() for patch in below.patches] == pytest.approx(BINS["count"])
    shown = words(drawn[0])
    assert "ECE = 0.1300" in shown and "mean agreement 0.650" in shown and "mean confidence 0.760" in shown
    assert check_texts(drawn[0]) > 15


def test_reliability_without_samples_and_with_wrong_shapes(tmp_path):
    nothing = {**BINS, "count": [0] * 4, "confidence": [np.nan] * 4, "agreement": [np.nan] * 4}
    assert plots.reliability_diagram(tmp_path / "r.png", **nothing, ece=float("nan"), title="n = 0").is_file()
    with pytest.raises(DataError, match=r"count must have the shape \(4\)"):
        plots.reliability_diagram(tmp_path / "r.png", **{**BINS, "count": [1]}, ece=0.1, title="")
    with pytest.raises(DataError, match="second agreement"):
        second = {"confidence": BINS["confidence"], "agreement": [1]}
        plots.reliability_diagram(tmp_path / "r.png", **BINS, ece=0.1, title="", second=second)


@pytest.mark.parametrize("size", [2, 8, 15, 16, 40])
def test_confusion_matrix_is_normalised_by_row(tmp_path, drawn, size):
    counts = np.random.default_rng(size).integers(0, 50, (size, size))
    counts[1] = 0
    plots.confusion_matrix(tmp_path / "m.png", counts=counts, classes=LONG[:size])
    axes = drawn[0].axes[0]
    shown = np.asarray(axes.images[0].get_array().filled(np.nan) if np.ma.isMaskedArray(axes.images[0].get_array())
                       else axes.images[0].get_array())  # fmt: skip
    for row in range(size):
        expected = counts[row] / counts[row].sum() if row != 1 else np.full(size, np.nan)
        np.testing.assert_allclose(shown[row], expected)
    cells = len(axes.texts)
    assert cells == (2 * size * (size - 1) + size if size <= 15 else 0)
    if cells:
        assert f"{counts[0, 1]:,}" in [text.get_text() for text in axes.texts]
    assert f"n = {counts.sum():,}" in words(drawn[0])
    assert check_texts(drawn[0]) >= 2 * size + 3


def test_confusion_matrix_refuses_what_it_cannot_show(tmp_path):
    with pytest.raises(DataError, match=r"shape \(2, 2\)"):
        plots.confusion_matrix(tmp_path / "m.png", counts=np.ones((2, 3)), classes=["a", "b"])
    with pytest.raises(DataError, match="at least 0"):
        plots.confusion_matrix(tmp_path / "m.png", counts=[[1, -1], [0, 1]], classes=["a", "b"])
    with pytest.raises(DataError, match="classes is empty"):
        plots.confusion_matrix(tmp_path / "m.png", counts=np.zeros((0, 0)), classes=[])


def test_recall_bars_and_intervals(tmp_path, drawn):
    support = np.array([20, 5, 7, 0])
    recall = np.array([0.9, 0.0, 1.0, np.nan])
    bounds = np.array([[0.6, 0.95], [0.0, 0.5], [0.55, 1.0], [np.nan, np.nan]])
    given = {"recall": recall, "support": support, "classes": ["a", "b", "c", "$d$"]}
    plots.class_recall(tmp_path / "r.png", **given, bounds=bounds)
    axes = drawn[0].axes[0]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([0.9, 0.0, 1.0])
    checked = 0
    for k, line in enumerate(axes.get_lines()[:3]):
        assert line.get_xdata() == pytest.approx(bounds[k])
        assert list(line.get_ydata()) == [k, k]
        checked += 1
    assert checked == 3
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first class is at the top"
    shown = words(drawn[0])
    assert "mean 63.3%" in shown and "no samples" in shown and "n = 32" in shown and r"\$d\$" in shown


@pytest.mark.parametrize("size", [2, 40])
def test_recall_fits_its_names(tmp_path, drawn, size):
    plots.class_recall(
        tmp_path / "r.png", recall=np.full(size, 0.5), support=np.full(size, 123456), classes=LONG[:size]
    )
    assert check_texts(drawn[0]) > 2 * size


def page(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "images": [rng.integers(0, 256, (20 + k, 30, 3 if k % 2 else 1), dtype=np.uint8) for k in range(count)],
        "predicted": rng.dirichlet(np.ones(size), count),
        "target": rng.dirichlet(np.ones(size), count),
        "classes": LONG[:size],
        "names": [f"some_$folder$_{k}/and_a_long_file_name_that_goes_on.png" for k in range(count)],
        "captions": [f"KL {k / 10:.3f}" for k in range(count)],
    }


@pytest.mark.parametrize(("count", "size", "truth"), [(1, 2, True), (5, 8, True), (12, 13, False), (3, 40, True)])
def test_distribution_bars_show_both(tmp_path, drawn, count, size, truth):
    given = page(count, size)
    if not truth:
        given["target"] = None
    bars.draw_distribution_bars(tmp_path / "b.png", **given)
    panels = [axes for axes in drawn[0].axes if axes.patches]
    pictures = [axes for axes in drawn[0].axes if axes.images]
    assert len(panels) == len(pictures) == count
    for k, axes in enumerate(panels):
        widths = np.array([patch.get_width() for patch in axes.patches])
        both = [given["predicted"][k]] + ([given["target"][k]] if truth else [])
        np.testing.assert_allclose(widths, np.concatenate(both))
        assert axes.get_xlim() == (0, 1)
        colours = {patch.get_facecolor() for patch in axes.patches}
        assert len(colours) == 1 + truth
    shown = np.asarray(pictures[0].images[0].get_array())
    np.testing.assert_array_equal(shown, np.repeat(given["images"][0], 3, axis=2))
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == (["predicted", "true"] if truth else ["predicted"])
    assert f"n = {count}" in words(drawn[0]) and "KL 0.000" in words(drawn[0])
    bars.draw_distribution_bars(tmp_path / "b.png", **given, heading="Furthest from the truth")
    assert "Furthest from the truth, n = " in words(drawn[1])
    assert check_texts(drawn[0]) > count * size


def test_distribution_bars_refuse_what_does_not_fit(tmp_path):
    path, good = tmp_path / "b.png", page(2, 3)
    faults = [
        ({"images": []}, "1 to 12"), (page(13, 3), "1 to 12; got 13|got 13"), ({"names": ["a"]}, "names must be"),
        ({"captions": ["a"]}, "captions must be"), ({"predicted": np.ones((2, 4))}, "predicted must have"),
        ({"target": np.ones((3, 3))}, "target must have"), ({"images": [np.ones((4, 4, 3))] * 2}, "image 0 must be"),
        ({"images": [np.ones((4, 4), np.uint8)] * 2}, "image 0 must be"),
    ]  # fmt: skip
    for change, message in faults:
        with pytest.raises(DataError, match=message):
            bars.draw_distribution_bars(path, **{**good, **change})
    assert not path.exists()


def test_plain_text():
    assert style.plain_text("a\n$b$\tc") == r"a \$b\$ c"
    assert style.plain_text("x" * 50, 9) == "xxxx…xxxx"
    assert len(style.plain_text("0123456789" * 9, 20)) == 20
    assert style.plain_text("short", 5) == "short"


def test_same_picture_same_bytes_and_no_pyplot(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom affectkit.reports import bars, plots\n"
        "plots.class_recall(Path(sys.argv[1]), recall=[.5, 1], support=[2, 3], classes=['a', 'b'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    plots.class_recall(tmp_path / "b.png", recall=[0.5, 1], support=[2, 3], classes=["a", "b"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
