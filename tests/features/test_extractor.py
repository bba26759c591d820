"""Features of a frozen encoder: once computed, found by content, exact, and not lost to a crash."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import CLIP_CONFIG, Heard, in_ranks, make_ratings

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.data.loading.loaders import EVALUATION
from affectkit.errors import RunError, Stopped
from affectkit.features import extractor
from affectkit.features import store as feature_store
from affectkit.features.extractor import FeatureExtractor, open_store
from affectkit.features.store import FeatureStore, digest, stores
from affectkit.models import clip
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import init_process_group

SPEC = InputSpec(task="ratings", height=32, width=32, mean=(0.0,) * 3, std=(1.0,) * 3, fit="stretch")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path):
    return make_ratings(tmp_path / "data", count=10)


class Counting(clip.Encoder):
    """An encoder that counts the images it has seen, fillings of blocks included."""

    seen = 0

    def forward(self, images):
        self.seen += len(images)
        return super().forward(images)


def encoder(*, quick_gelu: bool = True) -> Counting:
    config = {name: value for name, value in CLIP_CONFIG.items() if name != "quick_gelu"}
    choice = clip.ClipChoice("tiny", "random", quick_gelu, config)
    tower = clip.build_tower(choice)
    return Counting(tower, replace(choice, sha256=clip.tower_hash(tower)))


def encoding(made: Counting, *, reporter=None, stopping=None, spec: InputSpec = SPEC) -> FeatureExtractor:
    context = RunContext.resolve("cpu", "auto")
    store = open_store(made, spec, context)
    return FeatureExtractor(made, store, spec, context, 0, reporter or Silent(), stopping)


def split_of(data, name: str = "ratings.csv"):
    return find_dataset(data / "images", labels=Labels(data / name, ratings=True)).splits["all"]


def test_features_are_those_of_the_images_and_computed_once(data):
    made, split = encoder(), split_of(data)
    found = encoding(made).features(split)
    images = np.stack([np.asarray(Image.open(split.path(k)).resize((32, 32), Image.BILINEAR)) for k in range(10)])
    with torch.no_grad():
        expected = made.tower(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    values = found.of(EVALUATION, seed=0)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    seen = made.seen
    again = encoding(made).features(split)
    assert made.seen == seen > 0
    assert np.array_equal(again.of(EVALUATION, seed=0), values)


def test_values_do_not_depend_on_what_was_computed_with_them(data, tmp_path, monkeypatch):
    split = split_of(data)
    whole = encoding(encoder()).features(split, augment="vca", views=3)
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "other"))
    for index in (7, 2):
        part = encoding(encoder()).features(split.select([index]), augment="vca", views=2)
        for view in range(2):
            mine = part.store.read(part.positions[:, view])[0]
            assert np.array_equal(mine, whole.store.read(whole.positions[index : index + 1, view])[0])


def test_more_views_reuse_the_first_ones_and_each_epoch_draws_one(data):
    made, split = encoder(), split_of(data)
    encoding(made).features(split, augment="vca", views=2)
    store = encoding(made).store
    assert len(store) == 20
    found = encoding(made).features(split, augment="vca", views=5)
    assert len(found.store) == 50 and found.positions.shape == (10, 5, 2)
    every = found.store.read(found.positions.reshape(-1, 2)).reshape(10, 5, 64)
    drawn = set()
    for epoch in range(40):
        values = found.of(epoch, seed=3)
        which = [int(np.flatnonzero((every[k] == values[k]).all(1))[0]) for k in range(10)]
        drawn.add(tuple(which))
        assert np.array_equal(values, found.of(epoch, seed=3))
    assert len(drawn) > 30 and {view for row in drawn for view in row} == set(range(5))
    assert not np.array_equal(found.of(0, seed=4), found.of(0, seed=3))


def test_images_are_known_by_content_not_by_name(data):
    made, split = encoder(), split_of(data)
    values = encoding(made).features(split, augment="vca", views=2).of(1, seed=0)
    moved = data.parent / "moved"
    shutil.copytree(data, moved)
    seen = made.seen
    again = encoding(made).features(split_of(moved), augment="vca", views=2)
    assert made.seen == seen and np.array_equal(again.of(1, seed=0), values)
    Image.new("RGB", (40, 40), "red").save(moved / "images" / "003.png")
    changed = encoding(made).features(split_of(moved), augment="vca", views=2).of(1, seed=0)
    assert made.seen > seen
    assert [k for k in range(10) if not np.array_equal(changed[k], values[k])] == [3]


def test_other_weights_or_another_transform_have_a_store_of_their_own(data):
    made, split = encoder(), split_of(data)
    encoding(made).features(split)
    tower = clip.build_tower(clip.choose_clip("RN50", "random"))
    assert len(encoding(Counting(tower, clip.ClipChoice("RN50", "random", True, sha256="0"))).store) == 0
    assert len(encoding(made, spec=SPEC.with_(fit="crop")).store) == 0
    assert len(encoding(made, spec=SPEC.with_(mean=(0.5,) * 3)).store) == 0
    assert len(encoding(made).store) == 10


def test_the_same_weights_with_another_activation_have_other_features(data):
    """The hash of the weights does not tell which activation, or how many heads, they are used with."""
    split = split_of(data)
    quick, plain = encoder(), encoder(quick_gelu=False)
    assert quick.sha256 == plain.sha256 and quick.identity != plain.identity
    first = encoding(quick).features(split).of(EVALUATION, seed=0)
    second = encoding(plain).features(split).of(EVALUATION, seed=0)
    images = torch.from_numpy(
        np.stack([np.asarray(Image.open(split.path(k)).resize((32, 32), Image.BILINEAR)) for k in range(10)])
    )
    with torch.no_grad():
        expected = plain.tower(images.permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_allclose(second, expected, atol=1e-5)
    assert not np.allclose(first, second, atol=1e-5)


def test_equal_files_are_computed_once_and_unreadable_ones_told_apart(data):
    for number in (4, 6):
        shutil.copy(data / "images" / "001.png", data / "images" / f"00{number}.png")
    (data / "images" / "008.png").write_bytes(b"no image")
    shutil.copy(data / "images" / "008.png", data / "images" / "009.png")
    split = split_of(data)
    found = encoding(encoder()).features(split)
    assert len(found.store) == 6
    assert list(found.failures) == [8, 9]
    assert "009.png" in found.failures[9].name
    values = found.of(EVALUATION, seed=0)
    assert np.array_equal(values[1], values[4]) and np.array_equal(values[1], values[6])
    assert not values[8].any()


class Stopping:
    """A signal that comes after some batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def requested_anywhere(self, group) -> bool:
        self.left -= 1
        return self.left < 0

    def error(self, saved: str, hint: str, **_) -> Stopped:
        return Stopped(saved, hint)


def test_a_stop_keeps_what_was_computed(data, monkeypatch):
    monkeypatch.setattr(extractor, "BATCH", 4)
    made, split = encoder(), split_of(data)
    with pytest.raises(Stopped, match="kept in the cache"):
        encoding(made, stopping=Stopping(1)).features(split)
    assert len(encoding(made).store) == 8
    encoding(made).features(split)
    assert len(encoding(made).store) == 10
    assert len(list(Path(encoding(made).store.folder).glob("segment-*.npy"))) == 2


def test_damaged_rows_and_files_are_computed_again(data):
    made, split, heard = encoder(), split_of(data), Heard()
    values = encoding(made).features(split).of(EVALUATION, seed=0)
    (path,) = encoding(made).store.folder.glob("segment-*.npy")
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 0x40  # in the last row's numbers
    path.write_bytes(raw)
    again = encoding(made, reporter=heard).features(split)
    assert np.array_equal(again.of(EVALUATION, seed=0), values)
    assert len(heard.warnings) == 1 and "1 damaged" in heard.warnings[0]
    path.write_bytes(bytes(raw)[:200])  # cut short
    again = encoding(made, reporter=heard).features(split)
    assert np.array_equal(again.of(EVALUATION, seed=0), values)


def test_a_killed_writer_leaves_nothing_half_written(tmp_path, monkeypatch):
    store = FeatureStore({"a": 1}, 3, folder=tmp_path / "s")
    store.add([digest("x")], np.ones((1, 3)))
    real = feature_store.whole_file

    @contextlib.contextmanager
    def full(path):
        with real(path) as part:
            part.write_bytes(b"some of it")
            raise OSError(28, "No space left")
            yield part

    with monkeypatch.context() as patch:
        patch.setattr(feature_store, "whole_file", full)
        with pytest.raises(OSError, match="No space"):
            store.flush()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["store.json"]
    assert len(FeatureStore({"a": 1}, 3, folder=tmp_path / "s")) == 0


def test_segments_of_one_process_are_joined_and_those_of_others_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "SEGMENT_ROWS", 2)
    first = FeatureStore({"a": 1}, 3, folder=tmp_path / "s")
    second = FeatureStore({"a": 1}, 3, folder=tmp_path / "s")
    rows = np.arange(15, dtype=np.float32).reshape(5, 3)
    keys = [digest(str(k)) for k in range(5)]
    for key, row in zip(keys, rows, strict=True):
        first.add([key], row[None])
    assert len(list((tmp_path / "s").glob("*.npy"))) == 2
    first.merge_segments()
    assert len(list((tmp_path / "s").glob("*.npy"))) == 1
    assert np.array_equal(first.read(first.positions(keys)), rows)
    second.refresh()
    assert second.intact(keys) == [True] * 5 and np.array_equal(second.read(second.positions(keys[::-1])), rows[::-1])
    assert second.intact([digest("y")]) == [False]


def test_features_of_pixels_that_are_decoded_otherwise_are_others(data, tmp_path, monkeypatch):
    """A store that was filled before JPEGs were decoded as they are today is not read: it names no decoding."""
    split, made = split_of(data), encoder()
    encoding(made).features(split)
    (now,) = stores()
    before = {name: value for name, value in now["identity"].items() if name != "decoding"}
    old = FeatureStore(before, made.width)
    assert before != now["identity"] and str(old.folder) != now["folder"] and len(old) == 0
    seen = made.seen
    encoding(made).features(split)
    assert made.seen == seen > 0  # found again
    monkeypatch.setattr(extractor, "DECODING", 99)
    encoding(made).features(split)
    assert made.seen == 2 * seen


def test_processes_share_the_work(data, tmp_path):
    split = split_of(data)
    expected = encoding(encoder()).features(split, augment="vca", views=2).of(2, seed=0)
    shutil.rmtree(tmp_path / "cache")

    def work() -> None:
        made = encoder()
        with init_process_group("cpu") as group:
            found = encoding(made).features(split, augment="vca", views=2)
            assert np.array_equal(found.of(2, seed=0), expected)
            counts = group.all_gather_values([made.seen])
            assert sum(made for (made,) in counts) > 0 and all(made > 0 for (made,) in counts)

    assert in_ranks(2, work) == [0, 0]
    (store,) = stores()
    assert store["rows"] == 20 and store["identity"]["size"] == "32x32x3"


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="cache of features in") as caught:
        FeatureStore({"a": 1}, 3)
    assert "AFFECTKIT_CACHE" in caught.value.hint
