"""Clip stores that others handed on: a record of another form is named, or made again, and no name leads out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from affectkit.core.clipspec import FEATURES
from affectkit.core.files import to_json
from affectkit.data.layouts.clip_store import ClipStore, is_prepared
from affectkit.errors import DataError
from affectkit.prep.clips import manifest, store_writer
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource

MANIFEST = {"format": 1, "kind": "clips", "clip": FEATURES.to_dict(), "height": 16, "width": 4096, "frames": 1,
            "classes": ["a", "b"], "variance": {"image": 1.0, "max": None}, "shards": {"0000": ["x"]}}  # fmt: skip


def stored(folder, record):
    (folder / "manifest.json").write_text(to_json(record))
    return folder


def test_a_manifest_that_holds_is_read(tmp_path):
    assert len(ClipStore.open(stored(tmp_path, MANIFEST))) == 1 and is_prepared(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shards": {"../../0000": ["x"]}}, "shards: '../../0000' is no name of a file of its store"),
        ({"shards": {"/etc/0000": ["x"]}}, "shards: '/etc/0000' is no name of a file of its store"),
        ({"shards": {"0000": [3]}}, "shards.0000[0] must be text, got 3"),
        ({"shards": ["0000"]}, "shards must be an object, got a list of 1"),
        ({"height": "16"}, "height must be a count, got '16'"),
        ({"frames": 1.5}, "frames must be a count, got 1.5"),
        ({"classes": "ab"}, "classes must be a list, got 'ab'"),
        ({"variance": {"image": "1"}}, "variance.image must be a finite number, got '1'"),
        ({"clip": []}, "clip must be an object, got a list of 0"),
        ({"clip": {**FEATURES.to_dict(), "anchor": "left"}}, "anchor must be one of"),
        ({"sources": {"x": 3}}, "sources.x must be text, got 3"),
        ({"kind": "faces"}, "is not the record of prepared clips"),
        ({"format": 99}, "reads format 1"),
    ],
)
def test_a_manifest_of_another_form_is_named(tmp_path, change, words):
    with pytest.raises(DataError) as caught:
        ClipStore.open(stored(tmp_path, {**MANIFEST, **change}))
    assert words in caught.value.message and str(tmp_path / "manifest.json") in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["null", "[]", "{", '{"kind": []}', "[" * 100_000])
def test_what_is_no_manifest_is_none_of_clips(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert not is_prepared(tmp_path)
    assert not manifest._is_same(tmp_path / "manifest.json", MANIFEST)


SUMS = {"count": 1, "sum": 0.5, "squares": 0.25, "max": 0.5}
CLIP = {"digest": "ab", "image": SUMS, "audio": SUMS}


@pytest.mark.parametrize(
    "change",
    [
        {"clips": {"y": CLIP}}, {"clips": {}}, {"clips": []}, {"clips": {"x": {**CLIP, "image": {}}}},
        {"clips": {"x": {**CLIP, "digest": 3}}}, {"faults": [{"name": "x"}]}, {"faults": {}}, {"notes": {"x": "text"}},
        {"items": None}, {"recipe": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_of_a_shard_of_another_form_is_made_again(tmp_path, change):
    recipe = ClipRecipe(read=None, reader="r", clip=FEATURES, size=0)
    chunk = [ClipSource("x", tmp_path / "x.npz")]
    for kind in ("frames", "sound"):
        np.save(tmp_path / f"0000.{kind}.npy", np.zeros((1, 2)))
    record = {"recipe": recipe.mark(), "items": [store_writer._state_of(chunk[0])], "clips": {"x": CLIP}, "faults": []}
    (tmp_path / "0000.json").write_text(json.dumps(record))
    assert store_writer._read_record(tmp_path, "0000", chunk, recipe) == record
    (tmp_path / "0000.json").write_text(json.dumps({**record, **change}))
    assert store_writer._read_record(tmp_path, "0000", chunk, recipe) is None
