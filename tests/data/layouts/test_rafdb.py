"""RAF-DB as it is distributed: numbers to names, splits by file name, what is left out, and folders near it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from published_data import rafdb, touch

from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError

BASIC = {1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral"}
COMPOUND = {
    1: "happily surprised", 2: "happily disgusted", 3: "sadly fearful", 4: "sadly angry", 5: "sadly surprised",
    6: "sadly disgusted", 7: "fearfully angry", 8: "fearfully surprised", 9: "angrily surprised",
    10: "angrily disgusted", 11: "disgustedly surprised",
}  # fmt: skip
"""As the authors number them."""


def named(split) -> dict[str, str]:
    return {Path(name).name: split.classes[label] for name, label in zip(split.ids, split.labels, strict=True)}


@pytest.mark.parametrize(("part", "names"), [("basic", BASIC), ("compound", COMPOUND)])
def test_numbers_are_the_authors(tmp_path: Path, part: str, names: dict[int, str]) -> None:
    source = find_dataset(rafdb(tmp_path / part, train=range(1, len(names) + 1), test=(2, 1)))
    assert source.layout == f"RAF-DB {part}" and source.classes == tuple(names.values())
    assert list(source.splits) == ["train", "test"] and source.notes == ()
    train, test = source.splits.values()
    assert named(train) == {f"train_{number:05d}_aligned.jpg": name for number, name in names.items()}
    assert named(test) == {"test_0001_aligned.jpg": names[2], "test_0002_aligned.jpg": names[1]}
    assert all(split.path(index).is_file() for split in (train, test) for index in range(len(split)))


def test_a_compound_folder_of_low_numbers_is_compound_by_its_name(tmp_path: Path) -> None:
    assert find_dataset(rafdb(tmp_path / "RAF-compound", train=(1, 2))).classes == tuple(COMPOUND.values())
    assert find_dataset(rafdb(tmp_path / "raf", train=(1, 11))).classes == tuple(COMPOUND.values())


def test_whole_pictures_where_no_aligned_ones_are(tmp_path: Path) -> None:
    source = find_dataset(rafdb(tmp_path, train=(4, 5), place="Image/original"))
    assert source.splits["train"].ids == ["Image/original/train_00001.jpg", "Image/original/train_00002.jpg"]
    assert any("faces are not cut out" in note for note in source.notes)


def test_what_has_no_counterpart_is_counted_and_named(tmp_path: Path) -> None:
    rafdb(tmp_path, train=(4, 5, 6), test=(7,))
    (tmp_path / "Image/aligned/train_00002_aligned.jpg").unlink()
    touch(tmp_path, "Image/aligned/test_0009_aligned.jpg")
    source = find_dataset(tmp_path)
    assert named(source.splits["train"]) == {
        "train_00001_aligned.jpg": "happiness", "train_00003_aligned.jpg": "anger",
    }  # fmt: skip
    assert source.notes == (
        "train: 1 left out (image not there): train_00002_aligned.jpg",
        "test: 1 left out (image without a label): test_0009_aligned.jpg",
    )


def test_faults_are_named_by_line(tmp_path: Path) -> None:
    rafdb(tmp_path, train=(1, 2))
    path = tmp_path / "EmoLabel" / "list_patition_label.txt"
    path.write_text("train_00001.jpg 1\ntrain_00002.jpg 12\n\n../x_1.jpg 2\ntrain_00001.jpg 2\ntrain_00003.jpg\n")
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    text = caught.value.message
    assert "lines 2 ('train_00002.jpg 12'), 4 ('../x_1.jpg 2'), 6 ('train_00003.jpg')" in text
    assert "named twice: line 5 ('train_00001.jpg' as in line 1)" in text


@pytest.mark.parametrize(
    ("gone", "words"),
    [("Image", "neither Image/aligned nor Image/original"), ("EmoLabel", "which says what they show")],
)
def test_half_downloaded(tmp_path: Path, gone: str, words: str) -> None:
    rafdb(tmp_path, train=(1, 2))
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=words):
        find_dataset(tmp_path)


def test_a_split_without_a_single_image_is_refused(tmp_path: Path) -> None:
    rafdb(tmp_path, train=(1, 2), test=(1,))
    (tmp_path / "Image/aligned/test_0001_aligned.jpg").unlink()
    with pytest.raises(DataError, match="none of the images of the test split"):
        find_dataset(tmp_path)


def test_other_levels_have_a_hint(tmp_path: Path) -> None:
    rafdb(tmp_path / "basic", train=(1, 2))
    for level in (tmp_path, tmp_path / "basic" / "Image", tmp_path / "basic" / "Image" / "aligned"):
        with pytest.raises(DataError) as caught:
            find_dataset(level)
        assert f"RAF-DB is in {tmp_path / 'basic'}" in caught.value.hint
    rafdb(tmp_path / "compound", train=(1, 8))
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    assert "Name one of" in caught.value.hint and "compound (RAF-DB)" in caught.value.hint


def test_a_repacked_copy(tmp_path: Path) -> None:
    for number in BASIC:
        touch(tmp_path, f"train/{number}/train_{number:05d}_aligned.jpg")
    touch(tmp_path, "test/7/test_0001_aligned.jpg", "test/3/test_0002_aligned.jpg")
    (tmp_path / "train_labels.csv").write_text("image,label\ntrain_00001_aligned.jpg,1\n")
    source = find_dataset(tmp_path)
    assert source.layout == "RAF-DB basic" and source.classes == tuple(BASIC.values())
    assert named(source.splits["train"]) == {f"train_{number:05d}_aligned.jpg": name for number, name in BASIC.items()}
    assert named(source.splits["test"]) == {"test_0001_aligned.jpg": "neutral", "test_0002_aligned.jpg": "disgust"}


def test_other_class_folders_keep_their_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "train/1/a.jpg", "train/2/b.jpg", "test/1/c.jpg")
    assert find_dataset(tmp_path).classes == ("1", "2")


def test_a_table_of_ones_own_wins(tmp_path: Path) -> None:
    rafdb(tmp_path, train=(1, 2))
    (tmp_path / "train.csv").write_text("filename,label\nImage/aligned/train_00001_aligned.jpg,x\n")
    assert find_dataset(tmp_path).layout == "tables"


def test_a_label_of_the_compound_part_in_a_folder_called_basic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels above 7"):
        find_dataset(rafdb(tmp_path / "basic", train=(1, 2, 8)))


def test_an_image_that_is_called_otherwise_is_of_no_split(tmp_path: Path) -> None:
    root = rafdb(tmp_path / "basic", train=(1, 2))
    Image.new("L", (4, 4)).save(root / "Image/aligned/selfie.png")
    assert any(text.startswith("all: 1 left out") for text in find_dataset(root).notes)
