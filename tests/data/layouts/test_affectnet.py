"""AffectNet's later release: numbers to names, text and numbers in .npy files, ratings, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_data import affectnet, affectnet_first, touch

from affectkit.core.npy_files import array_of_bytes
from affectkit.core.progress import Silent
from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError

NAMES = {
    0: "neutral", 1: "happiness", 2: "sadness", 3: "surprise", 4: "fear", 5: "disgust", 6: "anger", 7: "contempt",
}  # fmt: skip
"""As the authors number them."""


class Listening(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


EACH = {str(10 * number): (number, 0.1 * number, -0.1 * number) for number in NAMES}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def named(split) -> dict[str, str]:
    return {Path(name).stem: split.classes[label] for name, label in zip(split.ids, split.labels, strict=True)}


@pytest.mark.parametrize("fields", [str, float, lambda value: str(value).encode()])
def test_numbers_are_the_authors(tmp_path: Path, fields) -> None:
    root = affectnet(tmp_path / "data", {"train_set": EACH, "val_set": {"3": (6, 0, 0)}}, fields=fields)
    source = find_dataset(root)
    assert source.layout == "AffectNet" and source.classes == tuple(NAMES.values()) and source.notes == ()
    assert named(source.splits["train"]) == {str(10 * number): name for number, name in NAMES.items()}
    assert named(source.splits["valid"]) == {"3": "anger"}
    assert source.splits["train"].ratings is None
    assert source.splits["valid"].ids == ["val_set/images/3.jpg"] and source.splits["valid"].path(0).is_file()


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    rows = {"1": (8, -2, -2), "2": (10, -2, -2), "3": (1, 0.5, 0.25), "4": (2, -2, -2), "5": (3, 1.5, 0)}
    root = affectnet(tmp_path / "data", {"train_set": rows, "val_set": {"9": (0, 0, 0)}})
    touch(root, "train_set/images/77.jpg")
    (root / "val_set/images/9.jpg").rename(root / "val_set/images/10.jpg")
    with pytest.raises(DataError, match="no image has an annotation of its number"):
        find_dataset(root)
    touch(root, "val_set/images/9.jpg")
    source = find_dataset(root)
    assert named(source.splits["train"]) == {"3": "happiness", "4": "sadness", "5": "surprise"}
    assert source.notes == (
        "train: 2 left out (expression none, uncertain or non-face): 1.jpg, 2.jpg",
        "train: 1 left out (image without annotation): 77.jpg",
        "valid: 1 left out (image without annotation): 10.jpg",
    )
    rated = find_dataset(root, labels=Labels(ratings=True))
    train = rated.splits["train"]
    assert train.ids == ["train_set/images/3.jpg"] and train.scale == (-1.0, 1.0)
    np.testing.assert_allclose(train.ratings, [[0.25, 0.5]])  # arousal first
    assert "train: 1 left out (valence or arousal not known): 4.jpg" in rated.notes
    assert "train: 1 left out (valence or arousal outside -1 to 1): 5.jpg" in rated.notes


def test_files_that_hold_something_else_are_listed(tmp_path: Path) -> None:
    root = affectnet(tmp_path / "data", {"train_set": EACH})
    folder = root / "train_set/annotations"
    np.save(folder / "0_exp.npy", np.array("eleven"))
    np.save(folder / "10_exp.npy", np.array(11))
    np.save(folder / "20_exp.npy", np.array([1, 2]))
    np.save(folder / "30_exp.npy", np.array({"a": 1}), allow_pickle=True)
    (folder / "40_exp.npy").write_bytes((folder / "50_exp.npy").read_bytes()[:-1])
    (folder / "50_exp.npy").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        find_dataset(root)
    text = caught.value.message
    assert "6 annotation files" in text and "one expression from 0 to 10" in text
    for part in ("'eleven' is no number", "10_exp.npy (11)", "an array (2,)", "Python objects", "header"):
        assert part in text, part


def test_half_downloaded_and_other_levels(tmp_path: Path) -> None:
    root = affectnet(tmp_path / "up" / "data", {"train_set": EACH, "val_set": {"9": (0, 0, 0)}})
    for level in (tmp_path / "up", root / "train_set" / "images"):
        with pytest.raises(DataError) as caught:
            find_dataset(level)
        assert "AffectNet is in" in caught.value.hint
    (root / "val_set" / "images").rename(root / "elsewhere")
    with pytest.raises(DataError, match="val_set/images is not there"):
        find_dataset(root)
    (root / "val_set").rename(root / "val")
    assert find_dataset(root).notes == ("val_set is not there",)


def test_a_copy_without_splits(tmp_path: Path) -> None:
    root = affectnet(tmp_path / "data", {"": EACH})
    source = find_dataset(root)
    assert list(source.splits) == ["all"] and source.splits["all"].ids[0] == "images/0.jpg"


def test_one_part_alone_says_so(tmp_path: Path) -> None:
    root = affectnet(tmp_path / "data", {"train_set": EACH, "val_set": EACH})
    listening = Listening()
    assert list(find_dataset(root / "val_set", reporter=listening).splits) == ["all"]
    assert listening.notes == [f"{root / 'val_set'} is one part of AffectNet; {root} holds the splits"]


def test_the_first_release_is_for_prep(tmp_path: Path) -> None:
    root = affectnet_first(tmp_path / "data", {"training": {f"{k}/a.png": (1, 1, 9, 9, 0, 0, 0) for k in range(3)}})
    for level in (root, root / "Manually_Annotated", root / "Manually_Annotated" / "Manually_Annotated_Images"):
        with pytest.raises(DataError, match="first release") as caught:
            find_dataset(level)
        assert "affectkit prep affectnet" in caught.value.hint


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_small_arrays_are_as_numpy_reads_them(tmp_path: Path, version: tuple[int, int]) -> None:
    for array in (np.array("0.25"), np.array(b"-2"), np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3))):
        with (tmp_path / "a.npy").open("wb") as stream:
            np.lib.format.write_array(stream, array, version=version)
        found = array_of_bytes((tmp_path / "a.npy").read_bytes())
        np.testing.assert_array_equal(found, np.load(tmp_path / "a.npy"))
        assert found.dtype == array.dtype
    for damage in (b"", b"\x93NUMPY", (tmp_path / "a.npy").read_bytes()[:-3]):
        with pytest.raises(ValueError, match="header"):
            array_of_bytes(damage)
