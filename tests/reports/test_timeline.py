from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from affectkit.errors import DataError
from affectkit.reports.timeline import (
    MOST_BINS,
    PALETTE,
    Lane,
    binned_edges,
    binned_means,
    describe_video,
    draw_timeline,
    format_time,
    lane_name,
    true_runs,
)

CLASSES = ("neutral", "happiness", "fear")


def shares(rng, count):
    values = rng.random((count, len(CLASSES)))
    return values / values.sum(1, keepdims=True)


def test_short_films_are_drawn_look_by_look():
    edges = np.array([0.0, 0.5, 1.0, 1.6])
    assert binned_edges(edges) is edges
    values = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = binned_means(edges, edges, np.array([0, 2]), values)
    assert np.array_equal(found[[0, 2]], values) and np.isnan(found[1]).all()


def test_long_films_are_drawn_by_means():
    """Against a loop over the bins; uneven frames, a face that is away in between."""
    rng = np.random.default_rng(0)
    edges = np.cumsum(np.concatenate([[0.0], rng.uniform(0.2, 0.9, 3000)]))
    frames = np.sort(rng.choice(3000, 1500, replace=False))
    frames = frames[(frames < 800) | (frames > 1400)]
    values = rng.random((len(frames), 2))
    bins = binned_edges(edges)
    assert len(bins) == MOST_BINS + 1
    found = binned_means(edges, bins, frames, values)
    for k in range(MOST_BINS):
        inside = (edges[frames] >= bins[k]) & (edges[frames] < bins[k + 1])
        if inside.any():
            assert found[k] == pytest.approx(values[inside].mean(0))
        else:
            assert np.isnan(found[k]).all()
    assert np.isnan(found).any()


def test_runs_of_what_was_seen():
    assert true_runs(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert true_runs(np.zeros(3, bool)) == [] and true_runs(np.ones(3, bool)) == [(0, 3)]


def test_the_strip_has_the_colour_of_the_label(tmp_path):
    """Happiness for the first half of the film, fear for the second, of one face that is away in the last quarter."""
    values = np.full((60, 3), 0.1)
    values[:40, 1] = values[40:, 2] = 0.8
    draw_timeline(
        tmp_path / "a.png", title="a.mp4 · $5", edges=np.arange(81) / 2, lanes=[Lane("face 1", np.arange(60), values)],
        names=CLASSES, shares=True,
    )  # fmt: skip
    pixels = np.array(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    there = {}
    for name, colour in zip(CLASSES, PALETTE, strict=False):
        wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        there[name] = np.abs(pixels - wanted).max(2) <= 2
    rows = np.flatnonzero((there["happiness"].sum(1) > 200) & ~there["neutral"].any(1))
    strip = rows.max() - 2  # below the areas, of which neutral is the lowest
    happy, afraid = (np.flatnonzero(there[name][strip]) for name in ("happiness", "fear"))
    assert happy.max() < afraid.min() and len(happy) / len(afraid) == pytest.approx(2, abs=0.05)
    assert there["neutral"].nonzero()[1].max() <= afraid.max() + 1  # nothing is drawn where the face was away


@pytest.mark.parametrize(("count", "faces"), [(6, 1), (7200, 6), (1, 1), (40, 0)])
def test_any_film_is_drawn(tmp_path, count, faces):
    rng = np.random.default_rng(1)
    lanes = [Lane(f"face {k + 1}", np.arange(count), shares(rng, count)) for k in range(faces)]
    path = draw_timeline(
        tmp_path / "a.png", title="a", edges=np.arange(count + 1) / 2, lanes=lanes, names=CLASSES, shares=True
    )
    with Image.open(path) as picture:
        assert picture.width > 1000 and picture.height > 300


def test_ratings_are_lines(tmp_path):
    values = np.stack([np.sin(np.arange(50) / 5), np.cos(np.arange(50) / 5)], axis=1)
    lanes = [Lane("face 1", np.arange(50), values), Lane("face 2", np.array([3]), values[3:4])]
    one = {"title": "a", "edges": np.arange(51) / 2, "lanes": lanes, "names": ("valence", "arousal"), "shares": False}
    path = draw_timeline(tmp_path / "a.png", **one, low=-1.0, high=1.0)
    assert path.stat().st_size > 5000


def test_what_does_not_fit_is_refused(tmp_path):
    values = np.zeros((2, 3))
    for lanes, edges in (
        ([Lane("a", [0, 5], values)], [0.0, 1.0, 2.0]),
        ([Lane("a", [1, 0], values)], [0.0, 1.0, 2.0]),
        ([Lane("a", [0, 1], values[:, :2])], [0.0, 1.0, 2.0]),
        ([], [1.0, 0.0]),
        ([Lane("a", [0, 1], values)] * 7, [0.0, 1.0, 2.0]),
    ):
        with pytest.raises(DataError):
            draw_timeline(tmp_path / "a.png", title="a", edges=edges, lanes=lanes, names=CLASSES, shares=True)
    assert not list(tmp_path.iterdir())


def test_words():
    assert [format_time(seconds, 50) for seconds in (0, 7.2)] == ["0", "7"] and format_time(59, 61) == "0:59"
    assert format_time(3599, 7200) == "0:59:59" and format_time(0.3, 2, 0.1) == "0.3"
    assert describe_video(frames=1, faces=2, seconds=3.25) == "3.2 s, 1 frame, 2 faces"
    assert describe_video(frames=7200, faces=1, seconds=3600) == "1:00:00 h, 7,200 frames, 1 face"
    assert lane_name(3, None) == "face 3" and lane_name(1, {"a": 0.2, "b": 0.8}) == "face 1\nb 80%"
