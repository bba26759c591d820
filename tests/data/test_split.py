"""Matching by name, splitting off, counting and fingerprints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affectkit.core.text import list_some
from affectkit.data.layouts.tables import read_tables
from affectkit.data.split import Split, split_off
from affectkit.errors import DataError, UsageError


def labelled(labels: list[int], classes: tuple[str, ...] = ("anger", "happy", "sad")) -> Split:
    ids = [f"img/{index:04}.png" for index in range(len(labels))]
    return Split("train", Path("/data"), ids, classes, labels=np.array(labels, dtype=np.int64))


def test_select_and_paths() -> None:
    split = labelled([0, 1, 2, 1])
    chosen = split.select([3, 0])
    assert chosen.ids == ["img/0003.png", "img/0000.png"]
    assert chosen.labels.tolist() == [1, 0]
    assert chosen.path(0) == Path("/data/img/0003.png")
    assert split.select(np.array([True, False, False, True])).ids == ["img/0000.png", "img/0003.png"]
    assert len(split.select([])) == 0
    assert split.with_name("test").name == "test"


def test_counts_by_label_or_largest_share() -> None:
    assert labelled([0, 1, 1]).counts() == {"anger": 1, "happy": 2, "sad": 0}
    shares = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]], dtype=np.float32)
    split = Split("all", Path("."), ["a", "b", "c"], ("x", "y"), distribution=shares)
    assert split.counts() == {"x": 2, "y": 1}
    assert Split("all", Path("."), ["a"], ("x", "y")).counts() == {}


def test_matched_goes_by_name() -> None:
    split = labelled([0, 1, 2, 1]).matched(("sad", "happy", "fear", "anger"))
    assert [split.classes[label] for label in split.labels] == ["anger", "happy", "sad", "happy"]
    assert split.counts() == {"sad": 1, "happy": 2, "fear": 0, "anger": 1}
    votes = np.array([[1, 3, 0], [0, 2, 2]], dtype=np.float32)
    shares = votes / votes.sum(axis=1, keepdims=True)
    moved = Split("valid", Path("."), ["a", "b"], ("x", "y", "z"), None, shares, votes).matched(("z", "new", "y", "x"))
    np.testing.assert_array_equal(moved.votes, [[0, 0, 3, 1], [2, 0, 2, 0]])
    np.testing.assert_array_equal(moved.distribution, [[0, 0, 0.75, 0.25], [0.5, 0, 0.5, 0]])


def test_matched_drops_only_what_nobody_uses() -> None:
    assert labelled([0, 2]).matched(("sad", "anger")).labels.tolist() == [1, 0]
    with pytest.raises(DataError) as caught:
        labelled([0, 1, 2, 1]).matched(("sad", "happyness", "anger"))
    text = caught.value.message
    assert "extra here: 'happy' (2 items)" in text
    assert "missing here: 'happyness'" in text
    assert "'happy' -> 'happyness'" in text
    shares = np.array([[0.999, 0.001]], dtype=np.float32)
    with pytest.raises(DataError, match=r"'y' \(1 item\)"):
        Split("all", Path("."), ["a"], ("x", "y"), distribution=shares).matched(("x",))


def test_wrong_shapes_and_names_are_refused() -> None:
    with pytest.raises(DataError, match="must differ"):
        Split("all", Path("."), [], ("x", "x"))
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\]"):
        labelled([0, 3])
    with pytest.raises(ValueError, match="votes must be"):
        Split("all", Path("."), ["a"], ("x", "y"), votes=np.zeros((1, 3), np.float32))


def test_split_off_keeps_shares_and_covers_all() -> None:
    split = labelled([0] * 100 + [1] * 37 + [2] * 13)
    train, valid = split_off(split, 0.1, seed=5)
    assert (train.name, valid.name) == ("train", "valid")
    assert len(valid) == 15
    assert sorted(train.ids + valid.ids) == split.ids
    numbers = valid.counts()
    assert numbers["anger"] == 10 and numbers["happy"] in (3, 4) and numbers["sad"] in (1, 2)
    assert split_off(split, 0.1, seed=6)[1].ids != valid.ids


def test_split_off_does_not_depend_on_order() -> None:
    split = labelled([0, 1, 2] * 40)
    shuffled = split.select(np.random.default_rng(0).permutation(len(split)))
    for fraction in (0.1, 0.25, 0.9):
        one, other = split_off(split, fraction, seed=1), split_off(shuffled, fraction, seed=1)
        assert set(one[1].ids) == set(other[1].ids)
        assert abs(len(one[1]) - fraction * 120) <= 1


def test_split_off_rare_classes_stay_in_train() -> None:
    train, valid = split_off(labelled([0] * 30 + [1] + [2, 2]), 0.5, seed=0)
    assert train.counts()["happy"] == 1 and train.counts()["sad"] >= 1
    assert len(valid) >= 15
    # 0.1 * 30 is a little above 3 in floating point: three, and not four nor two.
    assert len(split_off(labelled([0] * 30), 0.1, seed=0)[1]) == 3


def test_split_off_of_distributions_and_without_anything() -> None:
    shares = np.tile(np.array([[0.3, 0.7], [0.6, 0.4]], np.float32), (20, 1))
    ids = [f"{index}.png" for index in range(40)]
    _, valid = split_off(Split("train", Path("."), ids, ("x", "y"), distribution=shares), 0.1, 3)
    assert valid.counts() == {"x": 2, "y": 2}
    assert len(split_off(Split("train", Path("."), ids, ("x", "y")), 0.1, 3)[1]) == 4


def test_split_off_refuses_empty_sides() -> None:
    with pytest.raises(DataError, match="leaves one side empty"):
        split_off(labelled([0, 1]), 0.1, 0)
    for fraction in (0, 1, -0.1, 2, float("nan")):
        with pytest.raises(UsageError, match="above 0 and below 1"):
            split_off(labelled([0] * 9), fraction, 0)


def test_fingerprint_notices_what_changes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"12345")
    base = Split("train", tmp_path, ["a.png", "b.png"], ("x", "y"), labels=np.array([0, 1]))
    same = Split("other", tmp_path, ["a.png", "b.png"], ("x", "y"), labels=np.array([0, 1]))
    assert base.fingerprint() == same.fingerprint()
    seen = {
        base.fingerprint(),
        base.select([1, 0]).fingerprint(),
        base.matched(("y", "x")).fingerprint(),
        Split("t", tmp_path, ["a.png", "b.png"], ("x", "y"), labels=np.array([0, 0])).fingerprint(),
        Split("t", tmp_path, ["a.png", "b.png"], ("x", "y"), votes=np.ones((2, 2), np.float32)).fingerprint(),
        Split("t", tmp_path, ["a.png", "b.png"], ("x", "y"), distribution=np.ones((2, 2), np.float32)).fingerprint(),
    }
    (tmp_path / "b.png").write_bytes(b"123456")
    seen.add(base.fingerprint())
    assert len(seen) == 7
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 file is gone of the train split, from .*b\.png"):
        base.fingerprint()


def test_some() -> None:
    assert list_some(["a", "b"]) == "a, b"
    assert list_some(list(range(12))).endswith("9 and 2 more")


def test_classes_are_matched_in_order_only_where_names_are_not_known(tmp_path):
    """A published checkpoint that holds no class names."""
    split = Split("test", tmp_path, ["a", "b", "c"], ("n01", "n02", "n07"), labels=np.array([2, 0, 1]))
    found = split.matched(("0", "1", "2"), named=False)
    assert found.classes == ("0", "1", "2") and found.labels.tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="its 2 outputs can only be matched in order, and .* has 3 classes: n01"):
        split.matched(("0", "1"), named=False)
    for classes in (("0", "1", "2"), ("0", "1"), ("0", "2", "1"), ("0", "1", "x")):
        with pytest.raises(DataError, match=r"do not match[\s\S]*n01"):
            split.matched(classes)


def test_classes_that_are_numbers_are_names(tmp_path):
    """Class 4 of a validation split is not the fourth of the classes 0, 1, 2, 3."""
    wanted = ("0", "1", "2", "3")
    valid = Split("valid", tmp_path, ["a", "b"], ("0", "1", "2", "4"), labels=np.array([3, 1]))
    with pytest.raises(DataError, match=r"extra here: '4' \(1 item\)[\s\S]*missing here: '3'"):
        valid.matched(wanted)
    fewer = Split("valid", tmp_path, ["a", "b"], ("3", "1"), labels=np.array([0, 1]))
    assert fewer.matched(wanted).labels.tolist() == [3, 1]
    # As text 10 comes before 2; matched by name it is still class 10.
    text = tuple(sorted(map(str, range(12))))
    ordered = Split("test", tmp_path, ["a", "b"], tuple(map(str, range(12))), labels=np.array([10, 2]))
    assert [text[label] for label in ordered.matched(text).labels] == ["10", "2"]


def test_copies_of_an_image_stay_on_one_side(tmp_path):
    """As datasplit's tables name them: else a model is measured on copies of what it was trained on."""
    rows, images = ["label,filename,source,draw"], []
    for kind, originals, copies in (("a", 30, 0), ("b", 10, 2), ("c", 5, 5)):
        for number in range(originals):
            name = f"{kind}/{number}.png"
            images.append(name)
            rows.append(f"{kind},{name},,")
            for draw in range(copies):
                images.append(f"{kind}/{number}-aug{draw}.png")
                rows.append(f"{kind},{images[-1]},{name},{draw}")
    for name in images:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    found, _ = read_tables({"train": tmp_path / "train.csv"})
    whole = found["train"]
    assert len(whole) == 90 and len(set(whole.sources)) == 45
    for seed in range(5):
        train, valid = split_off(whole, 0.3, seed)
        assert len(train) + len(valid) == 90 and not set(train.sources) & set(valid.sources)
        counts = valid.counts()
        assert counts["a"] == 9 and counts["b"] == 9 and counts["c"] == 6
    # Where no cut leaves a whole image out, this is said; without copies the sides are what they were.
    only = whole.select([index for index, name in enumerate(whole.ids) if name.startswith("c/")])
    with pytest.raises(DataError, match="with all of its copies"):
        split_off(only, 0.1, 0)
    plain = replace(whole, sources=None).select(range(30))
    assert split_off(plain, 0.3, 1)[1].ids == split_off(replace(plain, sources=list(plain.ids)), 0.3, 1)[1].ids
