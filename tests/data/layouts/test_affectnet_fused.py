"""AffectNetFused: reading, what has no counterpart, and a cache that is never trusted."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from affectkit.core.progress import Silent
from affectkit.data.layouts import affectnet_fused
from affectkit.data.layouts.affectnet_fused import CLASSES, read_annotations
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError


class Listening(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.count = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def advance(self, count: int = 1, text: str = "") -> None:
        self.count += count


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shares() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(13), 5)


@pytest.fixture
def root(tmp_path: Path, shares: np.ndarray) -> Path:
    root = tmp_path / "AffectNetFused"
    for folder, numbers in (("train_set", (2, 10, 33)), ("val_set", (7, 8))):
        (root / folder / "images").mkdir(parents=True)
        (root / folder / "annotations").mkdir()
        for place, number in enumerate(numbers):
            row = shares[place + 3 * (folder == "val_set")]
            (root / folder / "images" / f"{number}.jpg").write_bytes(b"jpeg" * number)
            text = ",".join(str(value) for value in row)
            (root / folder / "annotations" / f"{number}_prob_rank.txt").write_text(text + "\n")
            (root / folder / "annotations" / f"{number}_exp.npy").write_bytes(b"other")
    return root


def test_splits(root: Path, shares: np.ndarray) -> None:
    source = find_dataset(root)
    assert source.layout == "AffectNetFused" and source.classes == CLASSES and source.notes == ()
    assert len(CLASSES) == 13 and CLASSES[:3] == ("neutral", "happy", "sad") and CLASSES[-1] == "quiet"
    train, valid = source.splits["train"], source.splits["valid"]
    # Sorted as text, "10" before "2".
    assert train.ids == ["train_set/images/10.jpg", "train_set/images/2.jpg", "train_set/images/33.jpg"]
    np.testing.assert_array_equal(train.distribution, shares[[1, 0, 2]].astype(np.float32))
    np.testing.assert_array_equal(valid.distribution, shares[3:].astype(np.float32))
    assert train.labels is None and train.votes is None
    assert all(valid.path(index).is_file() for index in range(2))


def test_without_counterpart(root: Path) -> None:
    (root / "train_set/images/99.jpg").touch()
    (root / "train_set/images/98.jpg").touch()
    (root / "val_set/images/7.jpg").unlink()
    source = find_dataset(root)
    assert source.notes == (
        "train_set: 2 left out (image without annotation)",
        "val_set: 1 left out (annotation without image)",
    )
    assert [len(split) for split in source.splits.values()] == [3, 1]


def test_one_folder_alone(root: Path) -> None:
    for path in sorted((root / "val_set").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "val_set").rmdir()
    source = find_dataset(root)
    assert list(source.splits) == ["train"]
    assert source.notes == ("val_set is not there: no valid split",)


def test_malformed_annotations_are_listed(root: Path) -> None:
    folder = root / "train_set/annotations"
    wrong = {
        "40": ("0.5,0.5", "2 values"),
        "41": (",".join(["a"] * 13), "not numbers"),
        "42": (",".join(["0.5"] * 13), "sum 6.5"),
        "43": (",".join(["nan"] + ["0.1"] * 12), "below 0 or NaN"),
        "44": (",".join(["-0.1"] + ["1.1"] + ["0"] * 11), "below 0 or NaN"),
        "45": ("", "not numbers"),
        "46": (",".join(["1"] + ["0"] * 11 + ["nan"]), "NaN"),
    }
    for number, (text, _) in wrong.items():
        (folder / f"{number}_prob_rank.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        find_dataset(root)
    message = caught.value.message
    assert "7 annotation files" in message
    for number, (_, reason) in wrong.items():
        assert f"{number}_prob_rank.txt (" in message and reason in message


def test_cache_is_used_and_follows_the_folder(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, first = root / "train_set/annotations", Listening()
    stems, values = read_annotations(folder, reporter=first)
    assert first.count == 3 and len(list(cache.rglob("*.safetensors"))) == 1
    second = Listening()
    again = read_annotations(folder, reporter=second)
    assert second.count == 0 and again[0] == stems
    np.testing.assert_array_equal(again[1], values)
    # Same size, other time; another size; one more; one less.
    path = folder / "2_prob_rank.txt"
    row = path.read_text().strip().split(",")
    path.write_text(",".join([row[1], row[0], *row[2:]]) + "\n")
    os.utime(path, ns=(1, 1))
    third = Listening()
    changed = read_annotations(folder, reporter=third)[1]
    assert third.count == 3 and third.notes
    np.testing.assert_array_equal(changed[1, :2], values[1, 1::-1])
    (folder / "3_prob_rank.txt").write_text(path.read_text())
    assert len(read_annotations(folder)[0]) == 4
    (folder / "3_prob_rank.txt").unlink()
    assert len(read_annotations(folder)[0]) == 3


def test_damaged_cache_is_told_and_made_again(root: Path, cache: Path) -> None:
    folder = root / "train_set/annotations"
    _, values = read_annotations(folder)
    path = next(cache.rglob("*.safetensors"))
    whole = path.read_bytes()
    damages = {
        "cut": whole[:-9],
        "empty": b"",
        "text": b"not a cache",
        "bit": whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
        "format": whole.replace(b"affectkit-affectnet-1", b"affectkit-affectnet-0"),
    }
    for name, damage in damages.items():
        assert damage != whole
        path.write_bytes(damage)
        listening = Listening()
        np.testing.assert_array_equal(read_annotations(folder, reporter=listening)[1], values)
        assert len(listening.warnings) == 1 and "damaged" in listening.warnings[0], name
        assert listening.count == 3, name
        # What was made again is good: used without a word. (safetensors orders its metadata anew each time.)
        listening = Listening()
        read_annotations(folder, reporter=listening)
        assert listening.count == 0 and not listening.warnings, name


def test_no_place_for_a_cache(root: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    listening = Listening()
    assert len(read_annotations(root / "train_set/annotations", reporter=listening)[0]) == 3
    assert "could not be cached" in listening.warnings[0]


def test_two_images_of_one_number(root: Path) -> None:
    (root / "train_set/images/2.png").touch()
    with pytest.raises(DataError, match=r"several images of one number: 2\.png"):
        find_dataset(root)


def test_nothing_in_common(root: Path) -> None:
    for path in (root / "val_set/images").iterdir():
        path.rename(path.with_name("x" + path.name))
    with pytest.raises(DataError, match="no image has an annotation"):
        find_dataset(root)
    (root / "val_set/annotations").rename(root / "val_set/elsewhere")
    with pytest.raises(DataError, match="annotations is not there"):
        find_dataset(root)
    assert affectnet_fused.is_affectnet_fused(root)
