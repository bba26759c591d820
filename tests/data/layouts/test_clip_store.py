"""The store of clips: what is asked for comes, what is not whole is refused."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
from clips import make_cremad

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.clip_store import ClipStore, drawn_frames, is_prepared
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.loading.clips import SplitClips, read_inputs
from affectkit.data.loading.image_or_clip import collate_function, image_of_item, make_dataset
from affectkit.data.loading.loaders import EVALUATION
from affectkit.errors import DataError
from affectkit.prep.clips import store_writer
from affectkit.prep.clips.cremad import CremadOptions, prepare_cremad

SIZE = 16


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("av")
    make_cremad(root / "clone", actors=3, seconds=0.2, size=(160, 120))
    store_writer.SHARD, kept = 4, store_writer.SHARD
    try:
        prepare_cremad(root / "clone", root / "data", CremadOptions(size=SIZE, workers=1), reporter=Silent())
    finally:
        store_writer.SHARD = kept
    return root


def spec_of(split, **changes):
    return InputSpec("audiovisual", SIZE, SIZE, mean=(0, 0, 0), std=(1, 1, 1), clip=split.store.spec).with_(**changes)


def test_frames_and_sounds_are_those_that_were_stored(prepared):
    store = ClipStore.open(prepared / "data")
    assert len(store) == 18 and store.frames == 31 and len(store.manifest["shards"]) == 5
    names = [name for shard in store.manifest["shards"].values() for name in shard]
    order = np.random.default_rng(0).permutation(18)
    frames = store.images([names[k] for k in order], [int(k) for k in order])
    sounds = store.sounds([names[k] for k in order])
    checked = 0
    for position, k in enumerate(order):
        shard, row = f"{k // 4:04}", k % 4
        whole = np.load(prepared / "data" / "store" / f"{shard}.frames.npy")
        assert np.array_equal(frames[position], whole[row, k])
        assert np.array_equal(sounds[position], np.load(prepared / "data" / "store" / f"{shard}.sound.npy")[row])
        checked += 1
    assert checked == 18
    copy = pickle.loads(pickle.dumps(store))
    assert (
        np.array_equal(copy.sounds(names[:2]), store.sounds(names[:2])) and not pickle.loads(pickle.dumps(store))._open
    )
    with pytest.raises(DataError, match="holds no clip nobody"):
        store.sounds(["nobody"])


def test_a_training_frame_is_drawn_and_the_middle_one_tested(prepared):
    split = find_dataset(prepared / "data").splits["train"]
    items = SplitClips(split, spec_of(split), seed=7)
    index = list(range(len(split)))
    batch = items.__getitems__([(3, k) for k in index])
    drawn = drawn_frames(split.ids, 31, seed=7, epoch=3)
    assert len(set(drawn)) > 2 and drawn != drawn_frames(split.ids, 31, seed=7, epoch=4)
    assert drawn[::-1] == drawn_frames(split.ids[::-1], 31, seed=7, epoch=3)
    for k in index:
        assert np.array_equal(batch["image"][k].permute(1, 2, 0), split.store.images([split.ids[k]], [drawn[k]])[0])
    middle = items.__getitems__([(EVALUATION, k) for k in index])["image"]
    assert np.array_equal(middle.permute(0, 2, 3, 1), split.store.images(split.ids, [15] * len(split)))
    assert np.array_equal(image_of_item(split, spec_of(split), 2), middle[2].permute(1, 2, 0))
    assert batch["audio"].shape == (len(split), 1, 256, 256)


def test_image_models_get_the_frames_at_their_size(prepared):
    split = find_dataset(prepared / "data").splits["train"]
    for size, channels in ((32, 3), (8, 1)):
        spec = InputSpec("classification", size, size, channels=channels, mean=(0.5,) * channels, std=(1,) * channels)
        items = make_dataset(split, spec, augment="face", seed=1)
        batch = collate_function(split)(items.__getitems__([(0, 1), (0, 2)]))
        assert batch["image"].shape == (2, channels, size, size) and "audio" not in batch
        again = items.__getitems__([(0, 2), (0, 1)])["image"]
        assert np.array_equal(batch["image"].flip(0), again)


def test_a_file_is_read_as_it_was_stored(prepared):
    source = find_dataset(prepared / "data")
    split = source.splits["test"]
    spec = spec_of(split)
    items = SplitClips(split, spec)
    for k, name in enumerate(split.ids):
        found = read_inputs(prepared / "clone" / "VideoFlash" / f"{name}.flv", spec)
        stored = items.__getitems__([(EVALUATION, k)])
        assert np.array_equal(found["image"], stored["image"][0]) and np.array_equal(found["audio"], stored["audio"][0])


def test_votes_go_with_the_classes(prepared):
    split = find_dataset(prepared / "data").splits["train"]
    order = [3, 0, 5, 1, 2, 4]
    turned = split.matched([split.classes[k] for k in order])
    assert np.array_equal(turned.facts["votes_voice"], split.facts["votes_voice"][:, order])
    assert [turned.classes[k] for k in turned.labels] == [split.classes[k] for k in split.labels]
    assert turned.store is split.store


@pytest.fixture
def own(prepared, tmp_path):
    return shutil.copytree(prepared / "data", tmp_path / "data")


def test_what_is_not_whole_is_refused(own):
    manifest = json.loads((own / "manifest.json").read_text())
    names = manifest["shards"]["0000"]
    part = own / "store" / "0000.frames.npy"
    np.save(part, np.load(part)[:2])
    with pytest.raises(DataError, match=r"0000.frames.npy holds \(2,"):
        ClipStore.open(own).images(names, [0] * 4)
    part.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        ClipStore.open(own).images(names, [0] * 4)
    text = (own / "train.csv").read_text()
    first = find_dataset(own).splits["train"].ids[0]
    for wrong, told in ((text.replace(first, "1001_IEO_ANG_HI"), "not in the store"), ("filename\n", "empty")):
        (own / "train.csv").write_text(wrong)
        with pytest.raises(DataError, match=told):
            find_dataset(own)
    (own / "train.csv").write_text(text.replace(",anger,1", ",joy,1"))
    with pytest.raises(DataError, match="unknown labels: joy"):
        find_dataset(own)
    (own / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DataError, match="format 99"):
        find_dataset(own)
    (own / "manifest.json").write_text(json.dumps({**manifest, "clip": {"anchor": "left"}}))
    with pytest.raises(DataError, match="damaged"):
        find_dataset(own)
    (own / "manifest.json").unlink()
    assert is_prepared(own)
    with pytest.raises(DataError, match="not completely prepared"):
        find_dataset(own)


@pytest.mark.parametrize("cell", ["..", "1e308", "-1", "nan", "inf"])
def test_cells_that_are_no_votes_are_told_by_line(own, cell):
    header, first, *rest = (own / "train.csv").read_text().splitlines()
    place = header.split(",").index("face_fear")
    cells = first.split(",")
    cells[place] = cell
    (own / "train.csv").write_text("\n".join([header, ",".join(cells), *rest]) + "\n")
    with pytest.raises(DataError, match="train.csv line 2: face_fear must be votes, from 0 to 1,000,000,000; got"):
        find_dataset(own)
    (own / "train.csv").write_text("\n".join([header + ",actor", first + ",1"]) + "\n")
    with pytest.raises(DataError, match="two columns actor"):
        find_dataset(own)


def test_other_folders_are_not_taken_for_stores(tmp_path):
    (tmp_path / "manifest.json").write_text("not json")
    assert not is_prepared(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "split"}))
    assert not is_prepared(tmp_path)
